//! Python packages that ours is measured beside, in an environment of their own below xtask's directory.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::apt::{self, need};
use crate::shell::{run, say, state_dir, which};

/// The interpreter of an environment that has `packages` (names as pip knows them, with versions).
///
/// # Errors
/// When the environment cannot be made or a package cannot be had.
pub(crate) fn with(packages: &[&str]) -> Result<PathBuf> {
    let dir = state_dir()?.join("python");
    let python = dir.join("bin/python");
    if !python.is_file() {
        apt::ensure(&[need("python3", "python3")])?;
        let host = which("python3").context("python3 is not on PATH")?;
        say("making a Python environment for the programs measured beside ours");
        let make = || run(std::process::Command::new(&host).args(["-m", "venv"]).arg(&dir));
        // Debian keeps the module's parts in a package of its own.
        if make().is_err() {
            apt::install(&["python3-venv"])?;
            make()?;
        }
    }
    let freeze = std::process::Command::new(&python).args(["-m", "pip", "freeze"]).output();
    let there = freeze.context("failed to list the Python packages")?.stdout;
    let there = String::from_utf8_lossy(&there).to_lowercase();
    let missing: Vec<&str> =
        packages.iter().copied().filter(|package| !there.lines().any(|line| line == *package)).collect();
    if !missing.is_empty() {
        say(format!("installing {} for Python", missing.join(", ")));
        let mut pip = std::process::Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(missing);
        run(&mut pip)?;
    }
    Ok(python)
}
