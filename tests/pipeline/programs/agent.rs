//! The agent's program, under a name of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    gait_agent::cli::main()
}
