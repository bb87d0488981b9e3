//! What `check` says of screening and of the web server.

use std::net::SocketAddr;
use std::sync::Arc;

use gait_common::identity::ListVersion;
use serde_json::{Value, json};

use crate::config::Config;
use crate::screen::{ListFile, LoadError, Loaded};
use crate::web::{self, TokenError};

/// The list, and who is looked up in it.
#[derive(Debug)]
pub(super) struct Screening {
    list: Result<Arc<Loaded>, LoadError>,
    identity: Vec<String>,
    thresholds: (f64, f64),
    cells: usize,
}

impl Screening {
    /// Reads the list that is configured.
    pub(super) fn look(config: &Config) -> Option<Self> {
        let options = &config.screening;
        let path = options.list.as_deref()?;
        Some(Self {
            list: ListFile::open(path).map(|list| list.current()),
            identity: options.identity.iter().map(ToString::to_string).collect(),
            thresholds: (options.policy.review, options.policy.block),
            cells: options.policy.matrix.len(),
        })
    }

    pub(super) fn refused(&self) -> bool {
        self.list.is_err()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let loaded = match &self.list {
            Ok(loaded) => loaded,
            Err(error) => return vec![format!("screening      WRONG: {error}")],
        };
        let data = loaded.watchlist.data();
        let (review, block) = self.thresholds;
        let mut lines = vec![format!(
            "screening      list {}, {} identities, {} names; review from {review}, block from {block}, {} cells of risk",
            loaded.fingerprint,
            data.entities.len(),
            data.name_count(),
            self.cells
        )];
        lines.extend(loaded.watchlist.versions().iter().map(|list| {
            let ListVersion { name, version, date } = list;
            let date = if date.is_empty() { "of unknown date" } else { date };
            format!("source         {name} {date}, version {version}")
        }));
        lines.push(match &self.identity[..] {
            [] => "callers        not screened: screening.identity names no place for their names".to_owned(),
            identity => format!("callers        screened by {}", identity.join(", ")),
        });
        lines
    }

    pub(super) fn json(&self) -> Value {
        match &self.list {
            Ok(loaded) => json!({
                "list": loaded.fingerprint,
                "identities": loaded.watchlist.data().entities.len(),
                "names": loaded.watchlist.data().name_count(),
                "sources": loaded.watchlist.versions(),
                "callers": self.identity,
                "review": self.thresholds.0,
                "block": self.thresholds.1,
                "cells": self.cells,
            }),
            Err(error) => json!({"error": error.to_string()}),
        }
    }
}

/// Where the web server listens, and whether it asks for a token.
#[derive(Debug)]
pub(super) struct Web {
    listen: SocketAddr,
    token: Result<bool, TokenError>,
}

impl Web {
    /// Looks at what is configured.
    pub(super) fn look(config: &Config) -> Option<Self> {
        let listen = config.web.listen?;
        Some(Self { listen, token: web::check(&config.web) })
    }

    pub(super) fn wrong(&self) -> bool {
        self.token.is_err()
    }

    pub(super) fn line(&self) -> String {
        match &self.token {
            Ok(true) => format!("web            http://{}, asks for a token", self.listen),
            Ok(false) => format!("web            http://{}, open to every user of this host", self.listen),
            Err(error) => format!("web            WRONG: {error}"),
        }
    }

    pub(super) fn json(&self) -> Value {
        match &self.token {
            Ok(token) => json!({"listen": self.listen, "token": token}),
            Err(error) => json!({"listen": self.listen, "error": error.to_string()}),
        }
    }
}
