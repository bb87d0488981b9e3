//! Call trees: attaches the tree coder's programs, and hands over what they say.
//!
//! [`Trees`] is told by a [`Change`] where to attach. What comes back are the nodes of trees that are new, the names of
//! functions that only the traced process knows, and how often each code ran ([`TreeEvent`]); the codes of trees
//! that ran within a request come with its exchange. A function that is called more often than its budget allows is
//! detached for a while ([`Tripped`]).

mod attach;
mod cost;
mod counters;
pub(super) mod multi;
mod statistics;
mod sys;
mod values;

use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{HashMap, MapData, PerCpuArray, RingBuf};
use gait_common::wire::exchange::{HEAD_BYTES, RECORD_BYTES, Record};
use gait_common::wire::tree::value::ValueKey;
use gait_common::wire::tree::{KIND_NAME, Key, Name, NewTree, Statistics};

use super::exchange::Clock;
use super::kernel::{self, Wire};
use super::options::check_ring;
use super::{CaptureError, ring::Kept};
use crate::functions::Change;

pub use attach::{Attachment, Tripped};
pub use cost::{ProbeCost, probe_cost};
pub use counters::TreeCounters;

pub(super) use attach::PointProgram;
use attach::{Attachments, Breaker};
use counters::Raw;
use statistics::Table;
use values::Values;

/// How many trees are followed, and with how much memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeOptions {
    /// Points attached at a time, 64 bytes of kernel memory each.
    pub max_points: u32,
    /// Threads whose calls are followed at a time; each takes 16 KiB of kernel memory from its first call on.
    pub max_threads: u32,
    /// Codes known at a time; each takes 300 bytes of kernel memory per CPU.
    pub max_codes: u32,
    /// Different values counted by themselves between two readings, of all functions together; 130 bytes of kernel memory
    /// each while they are counted.
    pub max_values: u32,
    /// Whether arguments or return values are taken at all.
    pub values: bool,
    /// Codes that did not run for so long make room for new ones, once seven in eight of the former are taken.
    pub idle: Duration,
    /// Size of the ring for new trees: a power of two, at least 64 KiB.
    pub ring_bytes: u32,
    /// Times a second that one function's points may be reached; beyond it the function is detached for a while.
    pub max_rate: u64,
    /// How long.
    pub pause: Duration,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            max_points: 16_384,
            max_threads: 10_000,
            max_codes: 20_000,
            max_values: 16_384,
            values: false,
            idle: Duration::from_secs(300),
            ring_bytes: 1 << 20,
            max_rate: 100_000,
            pause: Duration::from_secs(60),
        }
    }
}

impl TreeOptions {
    /// Checks every range; the error names the option.
    ///
    /// # Errors
    /// [`CaptureError::Option`].
    pub fn check(&self) -> Result<(), CaptureError> {
        check_ring(self.ring_bytes)?;
        let bounds = [
            ("max_points", self.max_points),
            ("max_threads", self.max_threads),
            ("max_codes", self.max_codes),
            ("max_values", self.max_values),
        ];
        match bounds.into_iter().find(|(_, bound)| *bound == 0) {
            Some((name, _)) => Err(CaptureError::Option { name, reason: "must be at least 1".to_owned() }),
            None => Ok(()),
        }
    }
}

/// Something the tree coder says.
#[derive(Clone, Copy, Debug)]
pub enum TreeEvent<'a> {
    /// A code ran for the first time, and this is what it stands for.
    New {
        /// When the tree's outermost call began, in nanoseconds of Unix time.
        start_ns: u64,
        /// The tree.
        tree: NewTree<'a>,
    },
    /// A function that no point named.
    Name {
        /// `wire::tree::function_id` of the name.
        function: u64,
        /// The name.
        name: &'a str,
    },
    /// How often a code ran since this was last said of it, the first time included.
    Counts {
        /// The code.
        key: Key,
        /// What was counted since then.
        counts: &'a Statistics,
    },
    /// In how many trees of a code a value was seen since this was last said. Told after the codes' counts.
    Value {
        /// The code and the value.
        key: &'a ValueKey,
        /// In how many trees.
        trees: u64,
    },
}

/// The tree coder, attached to what the plan wants.
pub(super) struct Trees {
    attachments: Attachments,
    breaker: Breaker,
    ring: RingBuf<MapData>,
    table: Table,
    values: Option<Values>,
    deferred: HashMap<MapData, u32, Wire<Slot>>,
    counters: PerCpuArray<MapData, Raw>,
    malformed: usize,
    swept: Option<Instant>,
}

/// A record in the kernel that waits for its tree, with the room for its head and trees.
type Slot = [u8; RECORD_BYTES + 2 * HEAD_BYTES];

/// How often records that wait are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// How long a record may wait, in ns.
const WAIT_NS: u64 = 1_000_000_000;

impl Trees {
    /// Takes the loaded programs' maps.
    pub(super) fn take(
        ebpf: &mut Ebpf,
        program: PointProgram,
        options: &TreeOptions,
        cpus: usize,
    ) -> Result<Self, CaptureError> {
        kernel::raise_open_files();
        Ok(Self {
            attachments: Attachments::new(ebpf, program, options.max_points)?,
            breaker: Breaker::new(options.max_rate, options.pause),
            ring: kernel::take_map(ebpf, "TREE_RING")?,
            table: Table::new(kernel::take_map(ebpf, "TREE_STATS")?, cpus, options.max_codes, options.idle),
            values: options
                .values
                .then(|| kernel::take_map(ebpf, "TREE_VALUES").map(Values::new))
                .transpose()?,
            deferred: kernel::take_map(ebpf, "DEFERRED")?,
            counters: kernel::take_map(ebpf, "TREE_COUNTERS")?,
            malformed: 0,
            swept: None,
        })
    }

    /// Attaches and detaches what the plan has changed.
    pub(super) fn apply(&mut self, change: &Change) -> Attachment {
        self.attachments.apply(change)
    }

    /// Takes everything off.
    pub(super) fn detach(&mut self) {
        self.attachments.detach();
    }

    /// Detaches functions that are called too often, and attaches them again after their pause.
    pub(super) fn watch(&mut self, now: Instant) -> Vec<Tripped> {
        self.breaker.look(&mut self.attachments, now)
    }

    /// Functions that the breaker keeps off now, ascending.
    pub(super) fn functions_off(&self) -> Vec<u64> {
        self.breaker.off().collect()
    }

    /// Hands over new trees and names.
    pub(super) fn drain(&mut self, clock: Clock, each: &mut dyn FnMut(TreeEvent<'_>)) {
        while let Some(entry) = self.ring.next() {
            let kind = entry.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
            if kind == Some(KIND_NAME) {
                match Name::from_bytes(&entry) {
                    Some(name) => {
                        let text = String::from_utf8_lossy(name.text());
                        each(TreeEvent::Name { function: name.function, name: &text });
                    }
                    None => self.malformed += 1,
                }
            } else {
                match NewTree::from_bytes(&entry) {
                    Some(tree) => each(TreeEvent::New { start_ns: clock.unix(tree.header.start_ns), tree }),
                    None => self.malformed += 1,
                }
            }
        }
    }

    /// Hands over how often each code ran since the last call.
    pub(super) fn counts(&mut self, each: &mut dyn FnMut(TreeEvent<'_>)) -> Result<(), CaptureError> {
        self.table.read(Instant::now(), &mut |key, counts| each(TreeEvent::Counts { key, counts }))?;
        match &mut self.values {
            Some(values) => values.take(&mut |key, trees| each(TreeEvent::Value { key, trees })),
            None => Ok(()),
        }
    }

    /// Takes records that have waited too long for a tree to end out of the kernel; all of them if `all`.
    pub(super) fn sweep(&mut self, now: Instant, all: bool, each: &mut dyn FnMut(Kept)) {
        if !all && self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        let now_ns = Clock::kernel_now();
        let threads: Vec<u32> = self.deferred.keys().filter_map(Result::ok).collect();
        for thread in threads {
            let Ok(Wire(bytes)) = self.deferred.get(&thread, 0) else { continue };
            let Some((record, head)) = Record::from_bytes(&bytes) else {
                self.malformed += 1;
                let _ = self.deferred.remove(&thread);
                continue;
            };
            // Whoever puts it there is not done yet.
            if record.response_ns == 0 {
                continue;
            }
            let due = all || now_ns.saturating_sub(record.response_ns) > WAIT_NS;
            // Whoever removes it hands it over: this or the program that ends the call.
            if due && self.deferred.remove(&thread).is_ok() {
                each(Kept { record, head: head.to_vec(), trees: record.trees(&bytes).collect() });
            }
        }
    }

    /// What the programs counted, over all CPUs.
    pub(super) fn counters(&self) -> Result<TreeCounters, CaptureError> {
        let values = self
            .counters
            .get(&0, 0)
            .map_err(|error| kernel::kernel("reading the map TREE_COUNTERS", &error))?;
        let mut counters = TreeCounters::sum(values.iter());
        counters.points = self.attachments.len() as u64;
        counters.functions_off = self.breaker.off().len() as u64;
        counters.codes = self.table.len() as u64;
        counters.codes_evicted = self.table.evicted();
        counters.malformed = self.malformed as u64;
        Ok(counters)
    }
}
