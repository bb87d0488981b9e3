//! Triage of Suricata's alerts: which of them are real, learned from two rule sets over the same packets.
//!
//! The seed method: a strict and a loose set of rules raise two logs of alerts; what an analyst says of the strict ones is
//! copied to equal alerts of the loose log, and what only the loose rules raised counts as a false alarm. On traffic
//! that is mostly attacks this is mostly wrong, so such labels are taken for noisy everywhere below.

pub mod calibrate;
mod exemplars;
pub mod learn;
pub mod logistic;
pub mod noise;
pub mod score;

pub use learn::{Example, Known, LearnReport, Options, learn};
