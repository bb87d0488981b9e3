//! Triage of Suricata's alerts: which of them are real, learned from two rule sets over the same packets.
//!
//! The seed method: a strict and a loose set of rules raise two logs of alerts; what an analyst says of the strict ones is
//! copied to equal alerts of the loose log, and what only the loose rules raised counts as a false alarm. On traffic
//! that is mostly attacks this is mostly wrong, so such labels are taken for noisy everywhere below.
//!
//! [`loosen`] makes the loose rules, [`pair`] gets the two logs (from [`suricata`] over a [`pcap`], or from files), [`join`] finds
//! equal alerts, [`labels`] decides what each is learned as, and [`review`] proposes what a person should look at and
//! estimates how wrong the seed rule is. [`mod@learn`] makes the model of it, [`mod@label`] is all of it in one go, and [`report`] shows
//! it on a page.

pub mod calibrate;
mod exemplars;
pub mod join;
pub mod label;
pub mod labels;
pub mod learn;
pub mod logistic;
pub mod logs;
pub mod loosen;
pub mod noise;
pub mod pair;
pub mod pcap;
pub mod report;
pub mod review;
pub mod rules;
pub mod score;
pub mod suricata;
pub mod truth;
pub mod write;

pub use learn::{Example, Known, LearnReport, Options, learn};
