//! Every multi-step command of Gait: `cargo xtask <command>`.
//!
//! Each command prepares what it needs, says on stderr what it is doing, and costs nothing when all is there.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod apt;
mod build;
mod interrupt;
mod shell;
mod toolchain;

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
    /// Finds or prepares what the kernel side is built with
    Toolchain {
        /// Only look; install nothing, fail if something is missing
        #[arg(long)]
        check: bool,
    },
    /// Builds the kernel side, the agent that carries it, and the trainer
    Build {
        /// Optimised, as it is shipped
        #[arg(long)]
        release: bool,
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
        Task::Toolchain { check } => {
            let toolchain = if check { toolchain::find()? } else { toolchain::prepare()? };
            println!("{} with bpf-linker", toolchain.about());
            Ok(())
        }
        Task::Build { release } => {
            let built = build::build(release)?;
            println!("{}\n{}", built.agent.display(), built.trainer.display());
            Ok(())
        }
    }
}
