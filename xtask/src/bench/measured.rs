//! A program run under GNU time: how long it took and how much memory it had at most.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::apt::{self, need};
use crate::shell::{output, which};

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Wall time in seconds.
    pub(crate) seconds: f64,
    /// CPU time in seconds, of all threads.
    pub(crate) cpu: f64,
    /// Most memory resident at a time, in MiB.
    pub(crate) memory: f64,
}

/// Runs a command and gives its stdout and its cost; `dir` is for the report in between.
///
/// # Errors
/// When the command fails.
pub(crate) fn run(command: &Command, dir: &Path) -> Result<(String, Cost)> {
    apt::ensure(&[need("/usr/bin/time", "time")])?;
    let time = which("/usr/bin/time").context("GNU time is not at /usr/bin/time")?;
    let report = dir.join("time");
    let mut timed = Command::new(time);
    timed.args(["-f", "%e %U %S %M", "-o"]).arg(&report).arg(command.get_program()).args(command.get_args());
    let stdout = output(&mut timed)?;
    let report = fs::read_to_string(&report).context("failed to read what time reported")?;
    let numbers: Vec<f64> = report.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [seconds, user, system, kib] = numbers[..] else {
        anyhow::bail!("time reported something else than four numbers: {report}");
    };
    Ok((stdout, Cost { seconds, cpu: user + system, memory: kib / 1024.0 }))
}

/// The fastest of some runs.
///
/// # Errors
/// As [`run`].
pub(crate) fn best_of(runs: u32, command: &Command, dir: &Path) -> Result<(String, Cost)> {
    let mut best = run(command, dir)?;
    for _ in 1..runs {
        let next = run(command, dir)?;
        if next.1.seconds < best.1.seconds {
            best = next;
        }
    }
    Ok(best)
}
