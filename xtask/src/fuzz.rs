//! Every parser of bytes that others wrote, under cargo-fuzz for a stated time each.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, need};
use crate::shell::{cargo, output, root, run, say, which};

/// Runs every target in `tests/fuzz` for `seconds` each.
pub(crate) fn fuzz(seconds: u64, only: Option<&str>) -> Result<()> {
    apt::ensure(&[need("c++", "g++")])?;
    if which("cargo-fuzz").is_none() {
        say("installing cargo-fuzz (half a minute)");
        run(cargo().args(["install", "--locked", "cargo-fuzz"]))?;
    }
    let list = output(&mut cargo_fuzz("list")?).context("failed to list the fuzz targets in tests/fuzz")?;
    let targets: Vec<&str> = list.lines().filter(|target| only.is_none_or(|only| only == *target)).collect();
    if targets.is_empty() {
        bail!(
            "there is no fuzz target{} in tests/fuzz",
            only.map(|only| format!(" {only}")).unwrap_or_default()
        );
    }
    for target in &targets {
        say(format!("fuzzing {target} for {seconds} s"));
        let mut command = cargo_fuzz("run")?;
        command.args([
            target,
            "--",
            format!("-max_total_time={seconds}").as_str(),
            "-rss_limit_mb=2048",
            "-timeout=10",
        ]);
        run(&mut command)
            .with_context(|| format!("{target} has a finding, see tests/fuzz/artifacts/{target}"))?;
    }
    println!(
        "{} fuzz targets ran for {seconds} s each without a finding: {}",
        targets.len(),
        targets.join(", ")
    );
    Ok(())
}

/// cargo-fuzz with whatever compiler is ours; a stable one is told to accept the flags that make it see coverage.
fn cargo_fuzz(what: &str) -> Result<Command> {
    let program = which("cargo-fuzz").context("cargo-fuzz is not on PATH")?;
    let mut command = Command::new(program);
    command.args(["fuzz", what, "--fuzz-dir"]).arg(root().join("tests/fuzz"));
    command.current_dir(root()).env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
    Ok(command)
}
