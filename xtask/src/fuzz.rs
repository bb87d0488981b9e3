//! Every parser of bytes that others wrote, under cargo-fuzz for a stated time each.

use std::fs::{self, File};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, need};
use crate::shell::{cargo, output, root, run, say, state_dir, which};

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
        println!("{target}: {}", run_target(target, seconds)?);
    }
    println!("{} fuzz targets ran for {seconds} s each without a finding", targets.len());
    Ok(())
}

/// Bytes of an input at most. libFuzzer's own bound is shorter than a whole model file, which then is never reached.
const MAX_INPUT: usize = 1 << 16;

/// Runs one target and gives libFuzzer's closing line.
fn run_target(target: &str, seconds: u64) -> Result<String> {
    say(format!("fuzzing {target} for {seconds} s"));
    let log = state_dir()?.join(format!("fuzz-{target}.log"));
    let stderr = File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
    let mut command = cargo_fuzz("run")?;
    // What is found new goes to the first directory; the seeds are only read.
    let fuzz = root().join("tests/fuzz");
    let (corpus, seeds) = (fuzz.join("corpus").join(target), fuzz.join("seeds").join(target));
    fs::create_dir_all(&corpus).with_context(|| format!("failed to create {}", corpus.display()))?;
    command.arg(target).arg(corpus).args(seeds.is_dir().then_some(seeds));
    command.args(["--", &format!("-max_total_time={seconds}"), "-rss_limit_mb=2048", "-timeout=10"]);
    command.arg(format!("-max_len={MAX_INPUT}"));
    run(command.stderr(stderr)).with_context(|| {
        format!(
            "{target} has a finding or does not build: see {} and tests/fuzz/artifacts/{target}",
            log.display()
        )
    })?;
    let said = fs::read_to_string(&log).with_context(|| format!("failed to read {}", log.display()))?;
    let done = said.lines().rfind(|line| line.starts_with("Done "));
    done.map(str::to_owned).with_context(|| format!("{} does not say how many runs were done", log.display()))
}

/// cargo-fuzz with whatever compiler is ours; a stable one is told to accept the flags that make it see coverage.
fn cargo_fuzz(what: &str) -> Result<Command> {
    let program = which("cargo-fuzz").context("cargo-fuzz is not on PATH")?;
    let mut command = Command::new(program);
    command.args(["fuzz", what, "--fuzz-dir"]).arg(root().join("tests/fuzz"));
    command.current_dir(root()).env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
    Ok(command)
}
