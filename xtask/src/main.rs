//! Every multi-step command of Gait: `cargo xtask <command>`.
//!
//! Each command prepares what it needs, says on stderr what it is doing, and costs nothing when all is there.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod agent;
mod apt;
mod bench;
mod build;
mod ci;
mod demo;
mod fuzz;
mod interrupt;
mod kernels;
mod nginx;
mod python;
mod shell;
mod suricata;
mod test;
mod toolchain;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, tests, shows and measures Gait. Each command prepares what it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", version, max_term_width = 100)]
#[command(after_help = "Examples:
  cargo xtask demo                 from real requests to explained findings, in one command
  cargo xtask test                 every test, the kernel ones as root
  cargo xtask ci                   what .ci/run does
  cargo xtask train --logs '/var/log/nginx/access.log*' --out shop.gait")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Finds or prepares what the kernel side is built with, or Suricata
    Toolchain {
        /// Only look; install nothing, fail if something is missing
        #[arg(long)]
        check: bool,
        /// Suricata, which `gait-trainer triage label --pcap` and its tests run, in place of the kernel side's compiler
        #[arg(long)]
        suricata: bool,
    },
    /// Builds the kernel side, the agent that carries it, and the trainer
    Build {
        /// Optimised, as it is shipped
        #[arg(long)]
        release: bool,
    },
    /// Shows the whole story: real requests, capture, training, live detection, explained findings
    #[command(after_help = "Examples:
  cargo xtask demo                 as root: captures in the kernel
  cargo xtask demo --from-logs     without root: from nginx's access log
  cargo xtask demo --seed 7        other callers, other walks")]
    Demo {
        /// Varies the traffic
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// From nginx's access log instead of the kernel; needs no root
        #[arg(long)]
        from_logs: bool,
        /// Keeps the directory with logs, spool, model and findings
        #[arg(long)]
        keep: bool,
        /// Also writes what is printed to an SVG file
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Runs every test, the kernel tests as root
    Test {
        /// Only the kernel tests
        #[arg(long)]
        kernel: bool,
        /// Passed to the test programs
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Runs kernel tests under other kernels, emulated by QEMU over this machine's own files
    #[command(after_help = "Examples:
  cargo xtask kernels
  cargo xtask kernels --kernel linux-image-6.12.43+deb12-amd64 framing trees::programs")]
    Kernels {
        /// Debian packages of kernels; the release's own if none is named
        #[arg(long = "kernel", value_name = "PACKAGE")]
        packages: Vec<String>,
        /// Beginnings of the tests' names; those that hold on a slow machine if none is given
        #[arg(value_name = "TEST")]
        tests: Vec<String>,
    },
    /// Checks everything that .ci/run checks, with the time each step takes
    #[command(after_help = "Examples:
  cargo xtask ci
  cargo xtask ci format clippy")]
    Ci {
        /// Only these steps, in their own order
        #[arg(value_name = "STEP", value_parser = clap::builder::PossibleValuesParser::new(ci::names()))]
        steps: Vec<String>,
    },
    /// Trains a model from access logs with the release trainer
    #[command(after_help = "Example:
  cargo xtask train --logs '/var/log/nginx/access.log*' --out shop.gait --report shop.html -- --seed 7")]
    Train {
        /// Log files: paths or globs; plain, gz or zst
        #[arg(long, required = true, num_args = 1.., value_name = "GLOB")]
        logs: Vec<String>,
        /// Their format, as `gait-trainer train --help` lists them
        #[arg(long, default_value = "combined")]
        format: String,
        /// The model file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Also write a page about what was read and learned
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Further options for `gait-trainer train`
        #[arg(last = true, value_name = "OPTION")]
        rest: Vec<String>,
    },
    /// Measures what the agent costs, and how fast it and the trainer are
    #[command(after_help = "Examples:
  cargo xtask bench overhead
  cargo xtask bench overhead --workers 2 --close --json
  cargo xtask bench pipeline
  cargo xtask bench mine
  cargo xtask bench ingest --megabytes 200 --data /var/log/nginx/access.log")]
    Bench {
        /// What to measure
        what: bench::What,
        #[command(flatten)]
        options: bench::Options,
    },
    /// Runs the fuzz targets in tests/fuzz
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
    },
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::seen() => {
            eprintln!("xtask: interrupted; all that was started has been ended");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(task: Task) -> Result<()> {
    match task {
        Task::Toolchain { check, suricata: true } => {
            let found = if check { suricata::find()? } else { suricata::prepare()? };
            println!("{}", found.about());
            Ok(())
        }
        Task::Toolchain { check, suricata: false } => {
            let toolchain = if check { toolchain::find()? } else { toolchain::prepare()? };
            println!("{} with bpf-linker", toolchain.about());
            Ok(())
        }
        Task::Build { release } => {
            let built = build::build(release)?;
            println!("{}\n{}", built.agent.display(), built.trainer.display());
            Ok(())
        }
        Task::Demo { seed, from_logs, keep, picture } => {
            demo::demo(&demo::Options { seed, from_logs, keep, picture })
        }
        Task::Kernels { packages, tests } => kernels::kernels(&packages, &tests),
        Task::Test { kernel: true, arguments } => test::kernel(&build::ebpf()?, &arguments),
        Task::Test { kernel: false, arguments } => test::test(&arguments),
        Task::Ci { steps } => ci::ci(&steps),
        Task::Train { logs, format, out, report, rest } => {
            test::train(&logs, &format, &out, report.as_deref(), &rest)
        }
        Task::Bench { what, options } => bench::bench(what, &options),
        Task::Fuzz { seconds, target } => fuzz::fuzz(seconds, target.as_deref()),
    }
}
