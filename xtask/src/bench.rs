//! Measurements: what the agent costs the host, and how fast its user-space side is.

mod cpu;
mod overhead;
mod summary;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::shell::{cargo, run, say};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// nginx's throughput with nothing, with the agent, and with bpftrace printing the same, in alternating rounds
    Overhead,
    /// Replayed calls through naming, sequences and detection
    Pipeline,
    /// Both
    All,
}

/// How the overhead is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; in each every variant runs once, in turning order
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long one variant runs in a round, in seconds
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// nginx's worker processes
    #[arg(long, default_value_t = 1)]
    workers: u32,
    /// wrk's connections
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// A new connection for each request
    #[arg(long)]
    close: bool,
    /// Prints the overhead's figures as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs a measurement.
pub(crate) fn bench(what: What, options: &Options) -> Result<()> {
    if what != What::Pipeline {
        overhead::overhead(options)?;
    }
    if what != What::Overhead {
        say("measuring the pipeline");
        run(cargo().args(["bench", "--package", "gait-tests", "--bench", "pipeline"]))?;
    }
    Ok(())
}
