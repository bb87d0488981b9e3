//! The engine's side: has this name been seen lately?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use gait_common::call::Nanos;
use gait_common::caller::{Headers, Identity};

use super::super::recent::Recent;
use super::{Sight, Sighted, name};
use crate::config;

/// Most bytes of a name that are looked at.
const MAX_NAME: usize = 1024;

/// Hands each new name of a caller to the screening thread, once.
#[derive(Debug)]
pub struct Tap {
    identities: Vec<Identity>,
    key: [u8; 32],
    /// Keyed hashes of caller and name, and the edition of the list they were looked up in.
    seen: Recent<[u8; 16], u64>,
    edition: Arc<AtomicU64>,
    out: SyncSender<Sight>,
    counted: Arc<Sighted>,
}

/// Who made a request, when, and what answered.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The caller, as findings about its behaviour name it.
    pub caller: &'a str,
    /// When (Unix, ns).
    pub time: Nanos,
    /// The process that answered, 0 when unknown.
    pub pid: u32,
    /// Its command name.
    pub comm: &'a str,
}

impl Tap {
    pub(super) fn new(
        options: &config::Screening,
        key: [u8; 32],
        edition: Arc<AtomicU64>,
        out: SyncSender<Sight>,
        counted: Arc<Sighted>,
    ) -> Self {
        let seen = Recent::new(options.max_identities);
        Self { identities: options.identity.clone(), key, seen, edition, out, counted }
    }

    /// Takes a request in. Allocates only for a name that is new.
    pub fn see(&mut self, headers: &dyn Headers, made: Made<'_>) {
        let values = self.identities.iter().filter_map(|identity| {
            let value = identity.value(headers)?;
            (!value.trim_ascii().is_empty()).then_some((identity, value))
        });
        let Some((identity, value)) = values.into_iter().next() else { return };
        let value = value.trim_ascii();
        let value = &value[..value.len().min(MAX_NAME)];
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(made.caller.as_bytes()).update(b"\0").update(value);
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        let edition = self.edition.load(Ordering::Acquire);
        if self.seen.get(&hash).is_some_and(|seen| *seen == edition) {
            return;
        }
        let sight = Sight {
            name: name::of(identity, value),
            identity: identity.to_string(),
            caller: made.caller.to_owned(),
            time: made.time,
            pid: made.pid,
            comm: made.comm.to_owned(),
        };
        match self.out.try_send(sight) {
            Ok(()) => {
                self.counted.sighted.fetch_add(1, Ordering::Relaxed);
                self.seen.insert(hash, edition);
            }
            // Full, or the thread has ended: tried again at the next sight.
            Err(_) => {
                self.counted.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
