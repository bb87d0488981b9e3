//! The exit codes, and which error means which.

use crate::capture::CaptureError;
use crate::config::ConfigError;
use crate::model::LoadError;
use crate::screen;
use crate::web::TokenError;

/// All is well.
pub const OK: u8 = 0;
/// Something failed that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// The model or list file cannot be read or is refused.
pub const MODEL: u8 = 3;
/// The host does not let the agent capture: a privilege or a feature of the kernel is missing.
pub const HOST: u8 = 4;
/// The agent ran, but could not write all that it captured, found or judged: its last messages say what was lost.
pub const LOST: u8 = 5;
/// `screen`: a person must look at the name.
pub const REVIEW: u8 = 10;
/// `screen`: the name is as good as certainly listed.
pub const BLOCK: u8 = 11;
/// `screen --batch`: every row is answered, but some only with what is wrong with them.
pub const ROWS: u8 = 12;

/// The codes as `--help` shows them.
pub const HELP: &str = "Exit codes:
  0  all is well
  1  something failed
  2  the command line or the configuration is wrong
  3  the model or list file cannot be read or is refused
  4  the host does not let the agent capture: a privilege or a kernel feature is missing
  5  not all that was captured, found or judged could be written
  10 screen: a person must look at the name
  11 screen: the name is as good as certainly listed
  12 screen --batch: some rows could not be looked up; their answers say why";

/// Some of what was captured or found could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{calls} calls and {findings} findings could not be written and are lost")]
pub struct Lost {
    /// Calls that did not reach the spool.
    pub calls: u64,
    /// Findings that did not reach a sink.
    pub findings: u64,
}

/// Lines of alerts could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} lines of alerts could not be written; where it is remembered how far they were read, the next start reads them again"
)]
pub struct Unwritten(
    /// How many.
    pub u64,
);

/// The exit code for an error.
pub fn code(error: &anyhow::Error) -> u8 {
    let usage = error.is::<ConfigError>()
        || error.is::<TokenError>()
        || error.is::<screen::Unfit>()
        || error.is::<screen::NotCleared>();
    if usage {
        USAGE
    } else if error.is::<LoadError>() || error.is::<screen::LoadError>() {
        MODEL
    } else if error.is::<Lost>() || error.is::<Unwritten>() {
        LOST
    } else if let Some(error) = error.downcast_ref::<CaptureError>() {
        match error {
            CaptureError::Option { .. } => USAGE,
            _ => HOST,
        }
    } else {
        FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn scripts_can_tell_failures_apart() {
        let capture =
            |error: CaptureError| Err::<(), _>(error).context("while starting").expect_err("an error");
        assert_eq!(code(&capture(CaptureError::NotBuilt)), HOST);
        assert_eq!(code(&capture(CaptureError::Option { name: "x", reason: String::new() })), USAGE);
        assert_eq!(code(&anyhow::Error::from(Lost { calls: 1, findings: 0 })), LOST);
        assert_eq!(code(&anyhow::Error::from(Unwritten(1))), LOST);
        assert_eq!(code(&anyhow!("anything else")), FAILURE);
    }
}
