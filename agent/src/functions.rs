//! Functions: which ones the configuration's `[[functions]]` mean on this host, and where the kernel side is attached to
//! follow their calls.
//!
//! [`point`] is what the capture gets. Everything read here, from `/proc` or from ELF files, may have been
//! written by somebody hostile: it is read within bounds, and what makes no sense is refused with a reason.

pub mod names;
pub mod pattern;
pub mod point;
pub mod spec;
pub mod usdt;

pub use point::{Change, FileId, Function, Key, Kind, Naming, Point};
