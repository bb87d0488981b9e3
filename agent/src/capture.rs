//! Capture: HTTP exchanges of this host, read in the kernel. The only part of the agent that knows aya.
//!
//! [`Capture::start`] loads the kernel programs and attaches them; [`Capture::drain`] hands over what they recorded;
//! [`Capture::stop`] detaches. Nothing is lost silently: [`Drained::gaps`] tells which time windows have holes and
//! [`Counters`] where every request went.

mod error;
mod exchange;
mod options;

pub use error::CaptureError;
pub use exchange::{Drained, Exchange, Gap, ProcessSource, Role};
pub use options::{Options, PortSet, Roles};
