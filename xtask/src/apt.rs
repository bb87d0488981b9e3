//! Debian packages: what is missing is installed by apt, or named so that a person can install it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::{as_root, can_be_root, output, root, run, say, state_dir, which};

/// A program some command needs, and the Debian package it comes in.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    /// Its name on PATH.
    pub(crate) program: &'static str,
    /// The package that brings it.
    pub(crate) package: &'static str,
}

/// Shorthand for a [`Need`].
pub(crate) const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// Makes sure that all of `needs` are there, installing only what is missing.
///
/// # Errors
/// When something is missing and cannot be installed; the message lists it all.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let mut missing: Vec<&str> =
        needs.iter().filter(|need| which(need.program).is_none()).map(|need| need.package).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Whether packages can be installed here without asking anybody.
pub(crate) fn usable() -> bool {
    which("apt-get").is_some() && can_be_root()
}

/// Installs packages by apt.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    install_from(packages, None)
}

/// Installs packages by apt, they and what they need from another release such as `bookworm-backports`, if one is named.
pub(crate) fn install_from(packages: &[&str], release: Option<&str>) -> Result<()> {
    let list = packages.join(" ");
    if which("apt-get").is_none() {
        bail!("missing: {list} (names of Debian's packages; there is no apt here, install them by hand)");
    }
    if !can_be_root() {
        bail!("missing: {list}; run: sudo apt-get install {list}");
    }
    refresh(packages)?;
    say(format!("installing {list}"));
    if try_install(packages, release).is_err() {
        // The usual cause: the package lists are older than what the mirror still holds.
        update()?;
        try_install(packages, release)?;
    }
    Ok(())
}

fn try_install(packages: &[&str], release: Option<&str>) -> Result<()> {
    let log = state_dir()?.join("apt.log");
    let stdout = std::fs::File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
    let stderr = stdout.try_clone().context("failed to share apt's log")?;
    let mut command = as_root("env", &[]);
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet"]);
    command.args(["--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]).args(packages);
    if let Some(release) = release {
        command.args(["--target-release", release]);
    }
    run(command.stdout(stdout).stderr(stderr)).with_context(|| format!("see {}", log.display()))
}

/// The version apt would install of a package, if it knows one.
pub(crate) fn candidate(package: &str) -> Option<String> {
    version(Command::new("apt-cache").args(["policy", package]))
}

/// The version it would install from another release.
pub(crate) fn candidate_of(release: &str, package: &str) -> Option<String> {
    version(Command::new("apt-cache").args(["policy", "--target-release", release, package]))
}

fn version(command: &mut Command) -> Option<String> {
    let policy = output(command).ok()?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// Reads the package lists anew when apt does not know one of `packages`.
pub(crate) fn refresh(packages: &[&str]) -> Result<()> {
    if packages.iter().all(|package| candidate(package).is_some()) || !can_be_root() {
        return Ok(());
    }
    update()
}

/// Reads the package lists anew.
pub(crate) fn update() -> Result<()> {
    say("reading apt's package lists");
    run(as_root("apt-get", &[]).args(["update", "--quiet", "--quiet"]).stdout(std::process::Stdio::null()))
}

/// nginx's binary: the host's, else one unpacked from Debian's package below xtask's own directory.
///
/// Installing the package would start its service; unpacking it changes nothing on the host and needs no root.
pub(crate) fn nginx() -> Result<PathBuf> {
    if let Some(found) = which("nginx") {
        return Ok(found);
    }
    let dir = state_dir()?.join("nginx");
    let binary = dir.join("usr/sbin/nginx");
    if !works(&binary) {
        if which("apt-get").is_none() {
            bail!("missing: nginx; install it so that it is on PATH");
        }
        refresh(&["nginx"])?;
        say("unpacking nginx from Debian's package (its service is not installed)");
        unpack("nginx", &dir)?;
    }
    if !works(&binary) {
        bail!("nginx was unpacked to {} but does not run; install the package nginx", binary.display());
    }
    Ok(binary)
}

fn works(nginx: &Path) -> bool {
    output(Command::new(nginx).arg("-v")).is_ok()
}

/// Unpacks a package to a directory, which is made anew: nothing is installed, and nobody needs to be root.
pub(crate) fn unpack(package: &str, dir: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    output(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(dir))?;
    for entry in std::fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            output(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(dir).current_dir(root()))?;
        }
    }
    Ok(())
}
