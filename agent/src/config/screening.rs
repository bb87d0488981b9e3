//! `[screening]`: which list names are looked up in, whose names, and what is done about a hit.

use std::path::PathBuf;

use gait_common::caller::Identity;
use gait_common::identity::{Policy, PolicyError};
use serde::{Deserialize, Serialize};

use super::text;
use crate::screen::MAX_CHANNEL;

/// How names are screened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Screening {
    /// The list, as `gait-trainer watchlist build` writes it. Nothing is screened without one.
    pub list: Option<PathBuf>,
    /// Where a request may carry the name of who sent it, tried in this order: `header:NAME`, `jwt:CLAIM`, `cookie:NAME`,
    /// `basic`, `client-cert:HEADER`. Without any, callers are not screened.
    #[serde(with = "text")]
    pub identity: Vec<Identity>,
    /// The channel of the risk matrix that callers come by.
    pub channel: String,
    /// Identities that are remembered as looked up; beyond it the one not seen for longest is looked up again.
    pub max_identities: usize,
    /// Identities that may wait to be looked up; beyond it they are counted, and looked up at the next sight.
    pub max_waiting: usize,
    /// Pairs of a caller and a listed identity that a person has looked at and found not to be the same.
    pub cleared: Option<PathBuf>,
    /// A file that every answer is appended to, each line chained to the one before.
    pub audit: Option<PathBuf>,
    /// Write the names that were asked for into the audit log, and not only their keyed hash.
    pub audit_names: bool,
    /// Thresholds, weights and risk matrix.
    pub policy: Policy,
}

impl Default for Screening {
    fn default() -> Self {
        Self {
            list: None,
            identity: Vec::new(),
            channel: "caller".to_owned(),
            max_identities: 100_000,
            max_waiting: 1024,
            cleared: None,
            audit: None,
            audit_names: false,
            policy: Policy::default(),
        }
    }
}

impl Screening {
    /// What the types alone do not rule out: section, key and what is wrong there.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str, String)> {
        let address = |identity: &&Identity| matches!(identity, Identity::Address | Identity::ForwardedFor);
        if let Some(identity) = self.identity.iter().find(address) {
            return Err(("screening", "identity", format!("\"{identity}\" is an address, not a name")));
        }
        if !self.identity.is_empty() && self.list.is_none() {
            return Err((
                "screening",
                "identity",
                "there is no screening.list to look callers up in".to_owned(),
            ));
        }
        for (key, value) in [("max_identities", self.max_identities), ("max_waiting", self.max_waiting)] {
            if value == 0 {
                return Err(("screening", key, "must be at least 1".to_owned()));
            }
        }
        if self.channel.len() > MAX_CHANNEL {
            return Err(("screening", "channel", format!("is longer than {MAX_CHANNEL} bytes")));
        }
        match self.policy.check() {
            Ok(()) => Ok(()),
            Err(error @ PolicyError::Weight(key)) => {
                Err(("screening.policy.weights", key, error.to_string()))
            }
            Err(error @ PolicyError::NoHits) => Err(("screening.policy", "max_hits", error.to_string())),
            Err(error) => Err(("screening.policy", "review", error.to_string())),
        }
    }
}
