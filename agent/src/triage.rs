//! Triage of Suricata's alerts.

pub mod tail;
