//! The trainer's program; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    gait_trainer::cli::main()
}
