//! Suricata for `gait-trainer triage` and its tests: Debian's package, from the backports where the release has none.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt;
use crate::shell::{as_root, can_be_root, output, run, say, state_dir, which};

/// Where apt finds a source that this command added.
const BACKPORTS: &str = "/etc/apt/sources.list.d/gait-backports.sources";

/// The Suricata that is installed: where it is, and how it names itself.
pub(crate) struct Suricata {
    path: PathBuf,
    version: String,
}

impl Suricata {
    /// What to call it in messages.
    pub(crate) fn about(&self) -> String {
        format!("Suricata {} at {}", self.version, self.path.display())
    }
}

/// Suricata if it is there already; installs nothing.
///
/// # Errors
/// When it is not on PATH, or does not run.
pub(crate) fn find() -> Result<Suricata> {
    let path = which("suricata")
        .context("suricata is not on PATH: `cargo xtask toolchain --suricata` installs Debian's package")?;
    let said = output(Command::new(&path).arg("-V"))?;
    let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1);
    Ok(Suricata { version: version.unwrap_or("of an unknown version").to_owned(), path })
}

/// Suricata, found or installed. Instant when it is there.
///
/// # Errors
/// When it is missing and could not be installed.
pub(crate) fn prepare() -> Result<Suricata> {
    if which("suricata").is_none() {
        install()?;
    }
    find()
}

fn install() -> Result<()> {
    if !apt::usable() {
        bail!("missing: suricata (apt is not usable here: it needs root or `sudo -n`); install it by hand");
    }
    let offered = |release: &str| apt::candidate_of(release, "suricata").is_some();
    apt::refresh(&["suricata"])?;
    let release = match apt::candidate("suricata") {
        Some(_) => None,
        None => {
            let codename = codename()?;
            let backports = format!("{codename}-backports");
            if !offered(&backports) {
                add_backports(&codename, &backports)?;
                apt::update()?;
            }
            Some(backports)
        }
    };
    apt::install_from(&["suricata"], release.as_deref())?;
    // A build host is no sensor: the package would go on listening on its network.
    if output(Command::new("systemctl").args(["is-enabled", "suricata"])).is_ok() {
        say("switching off the service that the package brought");
        run(as_root("systemctl", &[]).args(["disable", "--now", "--quiet", "suricata"]))?;
    }
    Ok(())
}

/// The name of this release, such as `bookworm`.
fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("failed to read /etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("this release has no name in /etc/os-release")?.trim_matches('"').to_owned())
}

/// Adds the release's backports as a source of packages: from the place, and by the key, that the release comes from.
fn add_backports(codename: &str, backports: &str) -> Result<()> {
    let mut files: Vec<PathBuf> = ["/etc/apt/sources.list".into()].into();
    let listed = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    files.extend(listed.map(|entry| entry.path()));
    files.sort_unstable();
    let source = files
        .iter()
        .filter_map(|file| derive(&fs::read_to_string(file).ok()?, codename, backports))
        .next()
        .with_context(|| format!("no source of apt offers {codename}: add {backports} by hand"))?;
    if !can_be_root() {
        bail!("suricata is in {backports}, which is no source of apt here; add it to {BACKPORTS}:\n{source}");
    }
    say(format!("adding {backports} to apt's sources as {BACKPORTS}"));
    let copy = state_dir()?.join("gait-backports.sources");
    fs::write(&copy, source).with_context(|| format!("failed to write {}", copy.display()))?;
    run(as_root("install", &[]).args(["-m", "644"]).arg(&copy).arg(Path::new(BACKPORTS)))
}

/// The source of `backports`, made from a file of sources that offers the release `codename`; both forms are read.
fn derive(text: &str, codename: &str, backports: &str) -> Option<String> {
    one_line(text, codename, backports).or_else(|| paragraphs(text, codename, backports))
}

/// `deb [signed-by=KEY] URI SUITE COMPONENT ...`
fn one_line(text: &str, codename: &str, backports: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (format!("[{options}] "), rest),
            None => (String::new(), rest),
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let key = options
            .split_whitespace()
            .find_map(|word| word.trim_matches(['[', ']']).strip_prefix("signed-by="));
        (suite == codename).then(|| source(uri, backports, key))
    })
}

/// `Types: deb`, `URIs: ...`, `Suites: ...`: paragraphs between blank lines.
fn paragraphs(text: &str, codename: &str, backports: &str) -> Option<String> {
    text.split("\n\n").find_map(|paragraph| {
        let field = |name: &str| {
            let mut values = paragraph.lines().filter_map(|line| line.split_once(':'));
            values.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let offers = field("Types")?.split_whitespace().any(|kind| kind == "deb")
            && field("Suites")?.split_whitespace().any(|suite| suite == codename);
        offers.then(|| field("URIs")).flatten().map(|uri| source(uri, backports, field("Signed-By")))
    })
}

fn source(uri: &str, suite: &str, key: Option<&str>) -> String {
    let mut text = format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n");
    if let Some(key) = key.filter(|key| key.starts_with('/')) {
        let _ = writeln!(text, "Signed-By: {key}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &str = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\
                          Components: main\nSigned-By: /usr/share/keyrings/archive.gpg\n";

    #[test]
    fn backports_come_from_where_the_release_comes_from() {
        let new = "Types: deb\n# a note\nURIs: http://mirror.example/security\nSuites: bookworm-security\n\n\
                   Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
                   Components: main\nSigned-By: /usr/share/keyrings/archive.gpg\n";
        assert_eq!(derive(new, "bookworm", "bookworm-backports").as_deref(), Some(WANTED));
        let old = "# deb http://off.example/debian bookworm main\n\
                   deb [arch=amd64 signed-by=/usr/share/keyrings/archive.gpg] http://mirror.example/debian bookworm main\n";
        assert_eq!(derive(old, "bookworm", "bookworm-backports").as_deref(), Some(WANTED));
        assert_eq!(derive(new, "trixie", "trixie-backports"), None);
        assert_eq!(derive("deb http://other.example/x stable main", "bookworm", "x"), None);
    }
}
