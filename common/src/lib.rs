//! What Gait's agent and trainer share.
//!
//! The code that names interfaces, builds sequences and scores them is one and the same on both sides: what was
//! trained is what runs. Nothing here does I/O, reads a clock or draws randomness; time and bytes are passed in. The
//! one exception is behind a feature of its own: `ingest` opens the logs and spools that training and replay read.
//! Read in this order, the modules are the data flow: a [`call`] of a [`caller`] is named ([`interface`]), joins a
//! [`sequence`], is scored against a [`model`] ([`detect`]) and may end as a [`finding`]; [`pipeline`] runs the
//! chain. Beside it stand the call trees that ran within calls ([`tree`]), with a chain of their own, the alerts of a
//! Suricata beside the host ([`alert`]), and `identity` (a feature): who is on a list. [`wire`] alone is compiled into
//! the kernel side, without `std`.
#![cfg_attr(not(feature = "std"), no_std)]

pub mod wire;

#[cfg(feature = "std")]
pub mod alert;
#[cfg(feature = "std")]
pub mod call;
#[cfg(feature = "std")]
pub mod caller;
#[cfg(feature = "std")]
pub mod container;
#[cfg(feature = "std")]
pub mod detect;
#[cfg(feature = "std")]
pub mod finding;
#[cfg(feature = "identity")]
pub mod identity;
#[cfg(feature = "ingest")]
pub mod ingest;
#[cfg(feature = "std")]
pub mod interface;
#[cfg(feature = "std")]
pub mod model;
#[cfg(feature = "std")]
pub mod pipeline;
#[cfg(feature = "std")]
pub mod sequence;
#[cfg(feature = "spool")]
pub mod spool;
#[cfg(feature = "std")]
pub mod tree;
