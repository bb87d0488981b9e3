//! The rules that raise alerts now, as the configuration names them.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use gait_common::alert::rules;

/// Largest file of rules that is read, in bytes. Emerging Threats' whole set has 40 MB.
const MAX_FILE: u64 = 256 << 20;

/// The hash of what the files hold; `None` where none is named.
///
/// # Errors
/// When a file cannot be read.
pub fn hash(files: &[PathBuf]) -> Result<Option<String>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for path in files {
        let failed = || format!("failed to read the rules {}", path.display());
        let mut bytes = Vec::new();
        let read = File::open(path).with_context(failed)?.take(MAX_FILE + 1).read_to_end(&mut bytes);
        if read.with_context(failed)? as u64 > MAX_FILE {
            bail!("{} is larger than rules may be ({MAX_FILE} bytes)", path.display());
        }
        all.push(bytes);
    }
    Ok(Some(rules::hash(all)))
}
