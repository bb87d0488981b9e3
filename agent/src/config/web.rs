//! `[web]`: where the agent answers by HTTP, and whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The agent's page and its local API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Address and port, e.g. `127.0.0.1:7878`. Nothing is served without it.
    pub listen: Option<SocketAddr>,
    /// A file with the token that is asked for, which nobody but its owner may read. It is needed where `listen` is no
    /// loopback address.
    pub token_file: Option<PathBuf>,
    /// Names by which the page is reached, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Connections at a time; more wait.
    pub max_connections: usize,
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: None, token_file: None, hosts: Vec::new(), max_connections: 64 }
    }
}

impl Web {
    /// What the types alone do not rule out: the key and what is wrong there.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.max_connections == 0 || self.max_connections > 1024 {
            return Err(("max_connections", format!("{} is not between 1 and 1024", self.max_connections)));
        }
        Ok(())
    }
}
