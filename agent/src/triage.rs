//! Triage of Suricata's alerts: each line of an `eve.json` goes out as it came, an alert with one member more, `gait`: the
//! verdict, the probability that it is real, the reasons, its key, and what it was judged by.
//!
//! A line is read and judged by [`judge`], which is the same code for a finished file ([`mod@file`]) and for logs that
//! grow ([`live`], which reads them by [`tail`]). [`link`] ties alerts to captured exchanges and to findings, both ways.
//! [`feedback`] takes an analyst's word; [`command`] is the command `triage`.

pub mod command;
pub mod feedback;
pub mod file;
pub mod judge;
pub mod link;
pub mod live;
pub mod member;
pub mod output;
mod queue;
pub mod request;
pub mod rules;
pub mod state;
pub mod tail;
