//! What the kernel counted of each code since it was last asked.
//!
//! The kernel's counts are never reset: what is new is the difference to what they were. So no call is lost
//! between reading and resetting.
//!
//! A service that changes (another release, another configuration) leaves codes behind that never run again. When the table is
//! nearly full, those that did not run for longest are taken out of it; should one come back, it is a new code once more.
//! An entry is read and taken out in one step of the kernel, so its last counts are handed over like all others. A tree
//! that ends on another CPU at that very moment may have looked the entry up just before, and is then not counted: an instant in the life of
//! a code that did not run for minutes.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use aya::maps::{IterableMap as _, MapData, PerCpuHashMap};
use gait_common::wire::tree::{Key, Statistics};
use rustc_hash::FxHashMap;

use super::sys::{self, Batches};
use crate::capture::CaptureError;
use crate::capture::kernel::{self, Wire};

/// Entries read at a time: more than any bucket of the kernel's map holds.
const BATCH: usize = 256;

/// The kernel's table of codes, and what it said last.
pub(super) struct Table {
    map: PerCpuHashMap<MapData, Wire<Key>, Wire<Statistics>>,
    batches: Option<Batches>,
    before: FxHashMap<Key, Known>,
    /// Codes that the kernel has room for.
    room: usize,
    /// Codes that ran within this time are never taken out.
    idle: Duration,
    /// Values of one entry, those of all CPUs.
    values: Vec<u8>,
    /// Codes taken out; `None` when the kernel does not know how.
    evicted: Option<u64>,
}

/// What is known of a code.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// What the kernel had counted.
    total: Statistics,
    /// When it was last seen to have run.
    ran: Instant,
}

impl Table {
    pub(super) fn new(
        map: PerCpuHashMap<MapData, Wire<Key>, Wire<Statistics>>,
        cpus: usize,
        room: u32,
        idle: Duration,
    ) -> Self {
        let value_size = size_of::<Statistics>() * cpus;
        let batches = Batches::new(size_of::<Key>(), value_size, BATCH);
        Self {
            map,
            batches: Some(batches),
            before: FxHashMap::default(),
            room: room as usize,
            idle,
            values: vec![0; value_size],
            evicted: Some(0),
        }
    }

    /// Hands over what was counted since the last call, of each code that ran. Where the table is nearly full, codes that did
    /// not run for long are taken out of it.
    pub(super) fn read(
        &mut self,
        now: Instant,
        each: &mut dyn FnMut(Key, &Statistics),
    ) -> Result<(), CaptureError> {
        self.look(now, each)?;
        if self.evicted.is_some() && self.before.len() >= self.room - self.room / 8 {
            self.make_room(now, each);
        }
        Ok(())
    }

    fn look(&mut self, now: Instant, each: &mut dyn FnMut(Key, &Statistics)) -> Result<(), CaptureError> {
        let before = &mut self.before;
        let mut see = |key, total: Statistics| {
            let known = before.entry(key).or_insert(Known { total: Statistics::default(), ran: now });
            if total.calls != known.total.calls {
                let new = total.since(&known.total);
                *known = Known { total, ran: now };
                each(key, &new);
            }
        };
        if let Some(batches) = &mut self.batches {
            let read = batches.read(self.map.map().fd().as_fd(), &mut |key, values| {
                if let Some(Wire(key)) = Wire::<Key>::from_bytes(key) {
                    see(key, sum(values));
                }
            });
            match read {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::debug!("this kernel reads no per-CPU map in batches: {error}");
                    self.batches = None;
                }
            }
        }
        for key in self.map.keys() {
            let key = key.map_err(|error| kernel::kernel("reading the codes of call trees", &error))?;
            // It is there unless somebody else empties the map.
            let Ok(values) = self.map.get(&key, 0) else { continue };
            let mut total = Statistics::default();
            values.iter().for_each(|Wire(one)| total.add(one));
            see(key.0, total);
        }
        Ok(())
    }

    /// Takes the codes that did not run for longest out of the table, until it is three quarters full.
    fn make_room(&mut self, now: Instant, each: &mut dyn FnMut(Key, &Statistics)) {
        let idle =
            self.before.iter().filter(|(_, known)| now.saturating_duration_since(known.ran) >= self.idle);
        let mut idle: Vec<(Instant, Key)> = idle.map(|(key, known)| (known.ran, *key)).collect();
        idle.sort_unstable();
        idle.truncate(self.before.len().saturating_sub(self.room - self.room / 4));
        for (_, key) in idle {
            let mut bytes = [0; size_of::<Key>()];
            bytes[..8].copy_from_slice(&key.root.to_ne_bytes());
            bytes[8..].copy_from_slice(&key.ordered.to_ne_bytes());
            let taken = sys::take_entry(self.map.map().fd().as_fd(), &bytes, &mut self.values);
            match taken {
                Ok(()) => {
                    let total = sum(&self.values);
                    self.evicted = self.evicted.map(|evicted| evicted + 1);
                    if let Some(known) =
                        self.before.remove(&key).filter(|known| known.total.calls != total.calls)
                    {
                        each(key, &total.since(&known.total));
                    }
                }
                // The program itself took it out: it could not send the tree.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    self.before.remove(&key);
                }
                Err(error) => {
                    tracing::debug!(
                        "this kernel takes no entry out of a per-CPU map, old codes stay: {error}"
                    );
                    self.evicted = None;
                    return;
                }
            }
        }
    }

    /// Number of codes known.
    pub(super) fn len(&self) -> usize {
        self.before.len()
    }

    /// Number of codes that were taken out for others.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.unwrap_or(0)
    }
}

/// What all CPUs counted of a code.
fn sum(values: &[u8]) -> Statistics {
    let mut total = Statistics::default();
    let values = values.chunks_exact(size_of::<Statistics>());
    values.filter_map(Wire::<Statistics>::from_bytes).for_each(|Wire(one)| total.add(&one));
    total
}
