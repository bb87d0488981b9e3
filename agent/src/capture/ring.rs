//! Empties the rings: records in order of time, and the gaps in their numbers.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use gait_common::wire::exchange::{HEAD_BYTES, Record};
use gait_common::wire::tree::Entry;
use rustix::event::{Timespec, epoll};

use super::CaptureError;

/// A ring and the record next in it.
pub(super) struct Ring {
    ring: RingBuf<MapData>,
    waiting: Option<Record>,
    head: Vec<u8>,
    trees: Vec<Entry>,
}

/// Takes a record, its head and its trees.
pub(super) type Each<'a> = dyn FnMut(&Record, &[u8], &[Entry]) + 'a;

/// A record with what follows it, kept.
pub(super) struct Kept {
    pub(super) record: Record,
    pub(super) head: Vec<u8>,
    pub(super) trees: Vec<Entry>,
}

/// Every ring, and what is known about the numbers of each CPU's records.
pub(super) struct Rings {
    rings: Vec<Ring>,
    numbers: Vec<Numbers>,
    malformed: usize,
    /// Wakes when the kernel side says so, not while a ring merely holds something.
    wakes: OwnedFd,
}

/// The numbers of one CPU's records.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// Number expected next.
    next: u64,
    /// Response time of the last record, 0 before the first.
    last_ns: u64,
    /// Records skipped so far that may still come: a program that interrupts another one overtakes it.
    open: Option<Hole>,
}

/// Numbers of one CPU that did not come, on the kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// Response time of the last record before it.
    pub(super) from_ns: u64,
    /// Response time of the first record after it.
    pub(super) to_ns: u64,
    /// Numbers missing.
    pub(super) count: u64,
}

impl Rings {
    pub(super) fn new(rings: Vec<RingBuf<MapData>>) -> Result<Self, CaptureError> {
        let ring =
            |ring| Ring { ring, waiting: None, head: Vec::with_capacity(HEAD_BYTES), trees: Vec::new() };
        let rings: Vec<Ring> = rings.into_iter().map(ring).collect();
        let watch = || -> rustix::io::Result<OwnedFd> {
            let wakes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
            for ring in &rings {
                epoll::add(&wakes, ring.ring.as_fd(), epoll::EventData::new_u64(0), edges)?;
            }
            Ok(wakes)
        };
        let wakes = watch().map_err(|error| CaptureError::Kernel {
            action: "watching the rings".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { rings, numbers: Vec::new(), malformed: 0, wakes })
    }

    /// Waits until a program wakes the reader, or `timeout` has passed.
    pub(super) fn wait(&self, timeout: Duration) {
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 4];
        // An interrupted wait is a short one.
        let _ = epoll::wait(&self.wakes, &mut events, Some(&timeout));
    }

    /// Entries that were no valid record since the last call.
    pub(super) fn take_malformed(&mut self) -> usize {
        std::mem::take(&mut self.malformed)
    }

    /// Hands the earliest record that waits in any ring to `each`; `false` when all are empty.
    ///
    /// Records of one ring come in its order, those of several by response time as far as they are there.
    pub(super) fn next(&mut self, each: &mut Each<'_>) -> bool {
        for ring in &mut self.rings {
            self.malformed += ring.fill();
        }
        let earliest = |ring: &&mut Ring| ring.waiting.map_or(u64::MAX, |record| record.response_ns);
        let Some(ring) = self.rings.iter_mut().min_by_key(earliest) else { return false };
        let Some(record) = ring.waiting.take() else { return false };
        let cpu = record.cpu as usize;
        // A CPU's number beyond any machine's cannot come from the kernel side.
        if cpu < 1 << 16 {
            if cpu >= self.numbers.len() {
                self.numbers.resize(cpu + 1, Numbers::default());
            }
            self.numbers[cpu].see(record.sequence, record.response_ns);
        }
        each(&record, &ring.head, &ring.trees);
        true
    }

    /// Whether a record is missing that may still come.
    pub(super) fn suspect(&self) -> bool {
        self.numbers.iter().any(|numbers| numbers.open.is_some())
    }

    /// Hands over the holes that are certain: call it when the rings are empty.
    pub(super) fn holes(&mut self, each: &mut dyn FnMut(Hole)) {
        self.numbers.iter_mut().filter_map(|numbers| numbers.open.take()).for_each(each);
    }
}

impl Ring {
    /// Makes the next valid record wait; gives the number of entries that were none.
    fn fill(&mut self) -> usize {
        let mut malformed = 0;
        while self.waiting.is_none() {
            let Some(entry) = self.ring.next() else { break };
            match Record::from_bytes(&entry) {
                Some((record, head)) => {
                    self.head.clear();
                    self.head.extend_from_slice(head);
                    self.trees.clear();
                    self.trees.extend(record.trees(&entry));
                    self.waiting = Some(record);
                }
                None => malformed += 1,
            }
        }
        malformed
    }
}

impl Numbers {
    fn see(&mut self, number: u64, response_ns: u64) {
        if number < self.next {
            if let Some(hole) = &mut self.open {
                hole.count -= 1;
                self.open = (hole.count > 0).then_some(*hole);
            }
            return;
        }
        let skipped = number - self.next;
        if skipped > 0 {
            let from_ns = self.open.map_or(self.last_ns, |hole| hole.from_ns);
            let count = self.open.map_or(0, |hole| hole.count) + skipped;
            self.open = Some(Hole { from_ns, to_ns: response_ns, count });
        }
        self.next = number + 1;
        self.last_ns = response_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[u64]) -> Numbers {
        let mut state = Numbers::default();
        numbers.iter().for_each(|&number| state.see(number, number * 10));
        state
    }

    #[test]
    fn consecutive_numbers_leave_no_hole() {
        assert_eq!(seen(&[0, 1, 2]).open, None);
    }

    #[test]
    fn a_missing_number_is_a_hole_between_its_neighbours() {
        assert_eq!(seen(&[0, 1, 4]).open, Some(Hole { from_ns: 10, to_ns: 40, count: 2 }));
    }

    #[test]
    fn a_record_that_was_overtaken_closes_its_hole() {
        assert_eq!(seen(&[0, 2, 1, 3]).open, None);
    }

    #[test]
    fn records_lost_before_the_first_one_count() {
        assert_eq!(seen(&[3]).open, Some(Hole { from_ns: 0, to_ns: 30, count: 3 }));
    }
}
