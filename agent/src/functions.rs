//! Functions: which ones the configuration's `[[functions]]` mean on this host, and where the kernel side is attached to
//! follow their calls.
//!
//! A [`Target`] is one `[[functions]]`. The [`Plan`] finds the files it means, by path and by process; [`Contents`] are a
//! file's symbols and probes, from which [`select`] chooses; and what the capture gets are [`Point`]s. Everything read
//! here, from `/proc` or from ELF files, may have been written by somebody hostile: it is read within bounds, and what
//! makes no sense is refused with a reason.

mod debug;
pub mod elf;
mod exits;
mod explore;
pub mod names;
pub mod pattern;
mod plan;
pub mod point;
mod process;
mod select;
pub mod spec;
mod symbols;
mod target;
pub mod usdt;
pub mod values;
mod watch;

pub use explore::{Explored, explore};
pub use plan::{INTERVAL, MAX_FILES, Plan, Report};
pub use point::{Change, FileId, Function, Key, Kind, Naming, Point};
pub use select::{Contents, Selection, select};
pub use symbols::{Origin, Refusal, Symbolized};
pub use target::Target;
pub use watch::Watcher;

#[cfg(test)]
mod tests;
