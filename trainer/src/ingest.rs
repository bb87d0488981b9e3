//! Reading logs, files of many formats and the agent's spool: shared with the agent's replay, so it lives in
//! `gait-common`.

pub use gait_common::ingest::*;
