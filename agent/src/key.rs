//! The key that hides callers' names and functions' arguments: read, or made at the first start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use gait_common::caller::{CallerNamer, Identity};

use crate::config::Config;

/// The key's file in the state directory.
const FILE: &str = "caller.key";
/// More than any form of a key needs.
const MAX_FILE: u64 = 4096;

/// The namer that a configuration asks for. The key is read, or made, only if a name is ever hashed.
///
/// # Errors
/// When the key is needed and cannot be read or made.
pub fn namer(config: &Config) -> Result<CallerNamer> {
    let caller = &config.caller;
    let readable = |identity: &Identity| matches!(identity, Identity::Address | Identity::ForwardedFor);
    let key =
        if caller.keep_names || caller.identity.iter().all(readable) { [0; 32] } else { secret(config)? };
    Ok(CallerNamer {
        identities: caller.identity.clone(),
        trusted_proxies: caller.trusted_proxies.clone(),
        keep_names: caller.keep_names,
        key,
    })
}

/// What hides the arguments and return values that the configuration wants hidden; zeroes where it wants none. The key is
/// that of callers' names, from which nobody gets the one when told the other.
///
/// # Errors
/// When the key is needed and cannot be read or made.
pub fn of_values(config: &Config) -> Result<[u8; 32]> {
    if !config.functions.iter().any(|target| target.values.iter().any(|value| value.hash)) {
        return Ok([0; 32]);
    }
    Ok(blake3::derive_key("gait values of functions", &secret(config)?))
}

/// The key that hides callers, and whoever is screened, wherever they are kept.
///
/// # Errors
/// When it cannot be read or made.
pub fn secret(config: &Config) -> Result<[u8; 32]> {
    match &config.caller.key_file {
        Some(path) => {
            read(path).with_context(|| format!("failed to read caller.key_file {}", path.display()))
        }
        None => read_or_make(&config.state_dir),
    }
}

fn read_or_make(state_dir: &Path) -> Result<[u8; 32]> {
    let path = state_dir.join(FILE);
    match read(&path) {
        Err(error) if is_missing(&error) => {}
        other => return other.with_context(|| format!("failed to read the key {}", path.display())),
    }
    let key = make(&path).with_context(|| {
        format!(
            "failed to make the key {}: set state_dir or caller.key_file in the configuration",
            path.display()
        )
    })?;
    tracing::info!("made the key {} that hides callers' names", path.display());
    Ok(key)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Reads a key of 32 bytes, or of 64 hexadecimal digits.
fn read(path: &Path) -> Result<[u8; 32]> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    if let Ok(key) = <[u8; 32]>::try_from(&bytes[..]) {
        return Ok(key);
    }
    let mut key = [0; 32];
    let text = bytes.trim_ascii();
    let digit = |at: usize| char::from(text[at]).to_digit(16);
    if text.len() != 64 {
        bail!("a key is 32 bytes or 64 hexadecimal digits, this file has {} bytes", bytes.len());
    }
    for (at, byte) in key.iter_mut().enumerate() {
        let (Some(high), Some(low)) = (digit(2 * at), digit(2 * at + 1)) else {
            bail!("a key is 32 bytes or 64 hexadecimal digits, this file holds something else");
        };
        *byte = (high << 4 | low) as u8;
    }
    Ok(key)
}

/// Makes a key that only its owner can read. It appears whole or not at all.
fn make(path: &Path) -> io::Result<[u8; 32]> {
    let dir = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let unfinished = path.with_extension("tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn config(dir: &Path) -> Config {
        let mut config = Config { state_dir: dir.join("state"), ..Config::default() };
        config.caller.identity = vec![Identity::Basic];
        config
    }

    #[test]
    fn the_key_is_made_once_and_stays_secret() {
        let dir = tempfile::tempdir().expect("directory");
        let config = config(dir.path());
        let first = namer(&config).expect("a key is made").key;
        assert_ne!(first, [0; 32]);
        assert_eq!(namer(&config).expect("the key is read").key, first, "names stay the same over restarts");
        let mode = fs::metadata(config.state_dir.join(FILE)).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn addresses_need_no_key() {
        let dir = tempfile::tempdir().expect("directory");
        let config = Config { state_dir: dir.path().join("state"), ..Config::default() };
        namer(&config).expect("no key");
        assert!(!config.state_dir.exists(), "nothing is left behind");
    }

    #[test]
    fn a_shared_key_may_be_written_in_digits() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("shared");
        let mut config = config(dir.path());
        config.caller.key_file = Some(path.clone());
        fs::write(&path, format!("{}\n", "0aF1".repeat(16))).expect("file");
        assert_eq!(namer(&config).expect("a key").key[..2], [0x0a, 0xf1]);
        for bad in ["", "short", &"zz".repeat(32)] {
            fs::write(&path, bad).expect("file");
            let error = format!("{:#}", namer(&config).expect_err(bad));
            assert!(error.contains("shared: a key is 32 bytes or 64 hexadecimal digits"), "{error}");
        }
        fs::remove_file(&path).expect("file");
        assert!(namer(&config).is_err(), "a key that was named is never made");
    }
}
