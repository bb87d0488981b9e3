//! What the kernel counted of each code since it was last asked.
//!
//! The kernel's counts are never reset: what is new is the difference to what they were. So no call is lost
//! between reading and resetting.

use std::os::fd::AsFd as _;

use aya::maps::{IterableMap as _, MapData, PerCpuHashMap};
use gait_common::wire::tree::{Key, Statistics};
use rustc_hash::FxHashMap;

use super::sys::Batches;
use crate::capture::CaptureError;
use crate::capture::kernel::{self, Wire};

/// Entries read at a time: more than any bucket of the kernel's map holds.
const BATCH: usize = 256;

/// The kernel's table of codes, and what it said last.
pub(super) struct Table {
    map: PerCpuHashMap<MapData, Wire<Key>, Wire<Statistics>>,
    batches: Option<Batches>,
    before: FxHashMap<Key, Statistics>,
}

impl Table {
    pub(super) fn new(map: PerCpuHashMap<MapData, Wire<Key>, Wire<Statistics>>, cpus: usize) -> Self {
        let batches = Batches::new(size_of::<Key>(), size_of::<Statistics>() * cpus, BATCH);
        Self { map, batches: Some(batches), before: FxHashMap::default() }
    }

    /// Hands over what was counted since the last call, of each code that ran.
    pub(super) fn read(&mut self, each: &mut dyn FnMut(Key, &Statistics)) -> Result<(), CaptureError> {
        let before = &mut self.before;
        let mut see = |key: Key, total: Statistics| {
            let earlier = before.entry(key).or_default();
            if total.calls != earlier.calls {
                let new = total.since(earlier);
                *earlier = total;
                each(key, &new);
            }
        };
        if let Some(batches) = &mut self.batches {
            let read = batches.read(self.map.map().fd().as_fd(), &mut |key, values| {
                if let Some(Wire(key)) = Wire::<Key>::from_bytes(key) {
                    let mut total = Statistics::default();
                    let values = values.chunks_exact(size_of::<Statistics>());
                    values.filter_map(Wire::<Statistics>::from_bytes).for_each(|Wire(one)| total.add(&one));
                    see(key, total);
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

    /// Number of codes known.
    pub(super) fn len(&self) -> usize {
        self.before.len()
    }
}
