//! Measurements: what the agent costs the host, and how fast its user-space side and the trainer are.

mod cpu;
mod ingest;
mod kmeans;
mod measured;
mod mine;
mod overhead;
mod screen;
mod summary;
mod trees;
mod triage;

use std::path::PathBuf;

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
    /// PrefixSpan beside the PyPI package of that name, on the same files
    Mine,
    /// A large access log read by ours and by GoAccess, and trained on
    Ingest,
    /// K-means beside scikit-learn's, on the same points
    Kmeans,
    /// Names looked up in a list, beside rapidfuzz
    Screen,
    /// Following functions, per call: nothing, the tree coder, bpftrace timing the same, an event for each call
    Trees,
    /// Alerts judged by `gait-agent triage`, beside jq and cat
    Triage,
    /// All of them
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
    /// Size of the access log, or of the alerts (600 at most), in MB
    #[arg(long, default_value_t = 1000)]
    megabytes: u32,
    /// Files of your own instead of made ones: sequences in SPMF's form, lines of an access log, an eve.json, or what
    /// publishers of lists publish
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// The list that names are looked up in, instead of a made one, or one built of the files of --data
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Prints the figures as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs a measurement.
pub(crate) fn bench(what: What, options: &Options) -> Result<()> {
    let is = |wanted| what == wanted || what == What::All;
    if is(What::Overhead) {
        overhead::overhead(options)?;
    }
    if is(What::Pipeline) {
        say("measuring the pipeline");
        run(cargo().args(["bench", "--package", "gait-tests", "--bench", "pipeline"]))?;
    }
    if is(What::Mine) {
        mine::mine(options)?;
    }
    if is(What::Kmeans) {
        kmeans::kmeans(options)?;
    }
    if is(What::Screen) {
        screen::screen(options)?;
    }
    if is(What::Trees) {
        trees::trees(options)?;
    }
    if is(What::Triage) {
        triage::triage(options)?;
    }
    if is(What::Ingest) {
        ingest::ingest(options)?;
    }
    Ok(())
}

/// Measures every variant once a round, each round beginning with another, and says each outcome.
fn in_turns<V: Copy, S, const N: usize>(
    rounds: u32,
    variants: [V; N],
    mut measure: impl FnMut(V) -> Result<S>,
    told: impl Fn(&S) -> String,
) -> Result<Vec<S>> {
    let mut samples = Vec::new();
    for round in 0..rounds {
        let mut order = variants;
        order.rotate_left(round as usize % N);
        for variant in order {
            let sample = measure(variant)?;
            say(format!("round {} of {rounds}: {}", round + 1, told(&sample)));
            samples.push(sample);
        }
    }
    Ok(samples)
}
