//! Gait's offline trainer.

use std::process::ExitCode;

use clap::Parser as _;
use gait_trainer::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one place where an error reaches the user")]
            {
                eprintln!("gait-trainer: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
