//! Sequences: a caller's calls in time order, cut into operations and sessions.
//!
//! An *operation* is what one user action triggers: calls closer together than the operation gap. A *session* ends
//! after an idle time. Calls of one operation that overlap in time are parallel: their order says nothing, so they are
//! put into the order of their interfaces and every run of the same page gives the same sequence.
//!
//! [`Sequencer`] hands out whole operations as they close. What becomes of them is a [`Sessions`]: scoring in the
//! agent, collecting in the trainer.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use crate::call::{Call, Nanos, Process};
use crate::interface::{InterfaceId, Named};

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// How a caller's calls are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Calls further apart than this (end to start) belong to different operations.
    pub operation_gap: Nanos,
    /// A caller silent for this long begins a new session.
    pub session_idle: Nanos,
}

impl Default for Timing {
    fn default() -> Self {
        Self { operation_gap: SECOND, session_idle: 1800 * SECOND }
    }
}

/// One call in a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What was called.
    pub interface: InterfaceId,
    /// Response status, 0 when unknown.
    pub status: u16,
    /// Something was lost just before this step.
    pub gap: bool,
    /// Overlaps the step before it.
    pub parallel: bool,
    /// When the request began.
    pub start: Nanos,
    /// When the response began.
    pub end: Nanos,
    /// Hash of the values in the path, 0 for none.
    pub value: u64,
}

impl Step {
    /// The step of a call that was named.
    pub fn new(call: &Call<'_>, named: Named) -> Self {
        Self {
            interface: named.id,
            status: call.status,
            gap: call.gap,
            parallel: false,
            start: call.start,
            end: call.end(),
            value: named.value,
        }
    }
}

/// Who a session belongs to.
#[derive(Clone, Copy, Debug)]
pub struct SessionOf<'a> {
    /// The caller's name.
    pub caller: &'a str,
    /// The process that answered the session's latest call.
    pub process: Process<'a>,
}

/// What is done with the sessions as they unfold.
pub trait Sessions {
    /// What is kept per open session.
    type State: Default;

    /// An operation of a session has closed; `steps` is not empty.
    fn operation(&mut self, of: SessionOf<'_>, state: &mut Self::State, steps: &[Step]);

    /// A session has ended; `state` must be left as new, ready for the caller's next one. The session is not
    /// `complete` when it was cut short: by the end of input or for room.
    fn end(&mut self, of: SessionOf<'_>, state: &mut Self::State, complete: bool);
}

/// Bounds of a [`Sequencer`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Callers with an open session. Beyond it the one silent for longest is cut short.
    pub callers: usize,
    /// Calls in one operation. A longer one is handed out in parts.
    pub operation: usize,
    /// How long an operation is held open for calls that arrive late, on top of the operation gap.
    pub lateness: Nanos,
}

impl Default for Limits {
    fn default() -> Self {
        Self { callers: 100_000, operation: 64, lateness: SECOND / 4 }
    }
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Steps taken in.
    pub steps: u64,
    /// Operations handed out.
    pub operations: u64,
    /// Sessions ended.
    pub sessions: u64,
    /// Sessions cut short for room.
    pub evicted: u64,
}

/// Builds operations and sessions of all callers.
pub struct Sequencer<S: Sessions> {
    timing: Timing,
    limits: Limits,
    /// The open slots by their callers' names, which stand in the slots alone.
    index: HashTable<u32>,
    /// Names come from the network: keyed by chance, so that nobody can choose them to collide.
    hasher: DefaultHashBuilder,
    slots: Vec<Slot<S::State>>,
    free: Vec<u32>,
    /// Every open slot stands in `idle` once, and in `due` once while an operation is open. Entries are re-queued
    /// when the slot has moved on, so both stay near the order of time. None is queued for a time that is still to come: a
    /// call dated ahead of its time must not hold up those behind it.
    due: VecDeque<(Nanos, u32)>,
    idle: VecDeque<(Nanos, u32)>,
    /// The latest time that was told.
    now: Nanos,
    counts: Counts,
}

struct Slot<T> {
    owner: Owner,
    open: Vec<Step>,
    is_open: bool,
    in_due: bool,
    last_end: Nanos,
    /// `last_end` when the slot was put into `idle`.
    idle_end: Nanos,
    state: T,
}

/// Who a slot belongs to.
struct Owner {
    caller: Box<str>,
    pid: u32,
    comm: [u8; 15],
    comm_len: u8,
}

impl Owner {
    fn of(&self) -> SessionOf<'_> {
        let comm = std::str::from_utf8(&self.comm[..usize::from(self.comm_len)]).unwrap_or_default();
        SessionOf { caller: &self.caller, process: Process { pid: self.pid, comm } }
    }

    fn set_process(&mut self, process: Process<'_>) {
        let len = process.comm.floor_char_boundary(self.comm.len());
        self.comm[..len].copy_from_slice(&process.comm.as_bytes()[..len]);
        self.comm_len = len as u8;
        self.pid = process.pid;
    }
}

impl<S: Sessions> Sequencer<S> {
    /// A sequencer without callers.
    pub fn new(timing: Timing, limits: Limits) -> Self {
        Self {
            timing,
            limits,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            slots: Vec::new(),
            free: Vec::new(),
            due: VecDeque::new(),
            idle: VecDeque::new(),
            now: 0,
            counts: Counts::default(),
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many callers have an open session.
    pub fn open_sessions(&self) -> usize {
        self.index.len()
    }

    /// Takes one call in.
    pub fn push(&mut self, caller: &str, process: Process<'_>, step: Step, sessions: &mut S) {
        self.counts.steps += 1;
        let hash = self.hasher.hash_one(caller);
        let slot = match self.index.find(hash, |&at| *self.slots[at as usize].owner.caller == *caller) {
            Some(&slot) => slot,
            None => self.open(caller, hash, &step, sessions),
        };
        let this = &mut self.slots[slot as usize];
        if step.start > this.last_end.saturating_add(self.timing.session_idle) {
            close_operation(this, &mut self.counts, sessions);
            end_session(this, true, &mut self.counts, sessions);
        } else if step.start > this.last_end.saturating_add(self.timing.operation_gap)
            || this.open.len() >= self.limits.operation
        {
            close_operation(this, &mut self.counts, sessions);
        }
        this.owner.set_process(process);
        this.open.push(step);
        this.last_end = this.last_end.max(step.end);
        if !this.in_due {
            this.in_due = true;
            self.due.push_back((this.last_end.min(self.now), slot));
        }
    }

    /// Closes what the passing of time closes. `now` is the wall clock, or the time of the latest call in a replay.
    pub fn advance(&mut self, now: Nanos, sessions: &mut S) {
        self.now = self.now.max(now);
        let held = self.timing.operation_gap.saturating_add(self.limits.lateness);
        while let Some(&(queued, slot)) = self.due.front()
            && queued.saturating_add(held) < now
        {
            self.due.pop_front();
            let this = &mut self.slots[slot as usize];
            // A slot that was closed since has nothing open.
            if !this.is_open || this.last_end.saturating_add(held) < now {
                this.in_due = false;
                close_operation(this, &mut self.counts, sessions);
            } else {
                self.due.push_back((this.last_end.min(self.now), slot));
            }
        }
        let held = self.timing.session_idle.saturating_add(self.limits.lateness);
        while let Some(&(queued, slot)) = self.idle.front()
            && queued.saturating_add(held) < now
        {
            self.idle.pop_front();
            if self.slots[slot as usize].last_end.saturating_add(held) < now {
                self.close(slot, true, sessions);
            } else {
                self.queue_idle(slot);
            }
        }
    }

    fn queue_idle(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        slot.idle_end = slot.last_end;
        self.idle.push_back((slot.last_end.min(self.now), at));
    }

    /// Something was lost, nobody knows of whom: closes every open operation and tells each open session's state.
    pub fn interrupt(&mut self, sessions: &mut S, mut each: impl FnMut(&mut S::State)) {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_open) {
            close_operation(slot, &mut self.counts, sessions);
            each(&mut slot.state);
        }
    }

    /// Ends every session as cut short. Callers are visited in the order their slots were opened.
    pub fn finish(&mut self, sessions: &mut S) {
        for slot in 0..self.slots.len() as u32 {
            if self.slots[slot as usize].is_open {
                self.close(slot, false, sessions);
            }
        }
        self.due.clear();
        self.idle.clear();
        self.slots.iter_mut().for_each(|slot| slot.in_due = false);
    }

    fn open(&mut self, caller: &str, hash: u64, step: &Step, sessions: &mut S) -> u32 {
        while self.index.len() >= self.limits.callers.max(1)
            && let Some((_, oldest)) = self.idle.pop_front()
        {
            let slot = &self.slots[oldest as usize];
            if slot.last_end > slot.idle_end {
                self.queue_idle(oldest);
            } else {
                self.counts.evicted += 1;
                self.close(oldest, false, sessions);
            }
        }
        let owner = Owner { caller: caller.into(), pid: 0, comm: [0; 15], comm_len: 0 };
        let at = match self.free.pop() {
            Some(at) => {
                // A closed slot keeps its memory for the next caller.
                let slot = &mut self.slots[at as usize];
                (slot.owner, slot.is_open, slot.last_end) = (owner, true, step.end);
                at
            }
            None => {
                let (open, state) = (Vec::new(), S::State::default());
                self.slots.push(Slot {
                    owner,
                    open,
                    is_open: true,
                    in_due: false,
                    last_end: step.end,
                    idle_end: step.end,
                    state,
                });
                (self.slots.len() - 1) as u32
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, at, |&at| hasher.hash_one(&*slots[at as usize].owner.caller));
        self.queue_idle(at);
        at
    }

    fn close(&mut self, slot: u32, complete: bool, sessions: &mut S) {
        let this = &mut self.slots[slot as usize];
        close_operation(this, &mut self.counts, sessions);
        end_session(this, complete, &mut self.counts, sessions);
        // An entry in `due` stays until its time comes, and serves the slot's next owner until then: so there is never
        // more than one for each slot.
        this.is_open = false;
        let hash = self.hasher.hash_one(&*this.owner.caller);
        if let Ok(entry) = self.index.find_entry(hash, |&at| at == slot) {
            entry.remove();
        }
        self.free.push(slot);
    }
}

fn close_operation<S: Sessions>(slot: &mut Slot<S::State>, counts: &mut Counts, sessions: &mut S) {
    if slot.open.is_empty() {
        return;
    }
    order(&mut slot.open);
    counts.operations += 1;
    sessions.operation(slot.owner.of(), &mut slot.state, &slot.open);
    slot.open.clear();
}

fn end_session<S: Sessions>(
    slot: &mut Slot<S::State>,
    complete: bool,
    counts: &mut Counts,
    sessions: &mut S,
) {
    counts.sessions += 1;
    sessions.end(slot.owner.of(), &mut slot.state, complete);
}

/// Puts an operation's steps into their order: by start, and by interface where they overlap in time.
fn order(steps: &mut [Step]) {
    if !steps.is_sorted_by_key(|step| step.start) {
        steps.sort_by_key(|step| step.start);
    }
    let mut first = 0;
    while first < steps.len() {
        let mut end = steps[first].end;
        let mut next = first + 1;
        while next < steps.len() && steps[next].start < end {
            end = end.max(steps[next].end);
            next += 1;
        }
        if next - first > 1 {
            let group = &mut steps[first..next];
            group.sort_by_key(|step| step.interface);
            group[1..].iter_mut().for_each(|step| step.parallel = true);
        }
        first = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Sessions for Log {
        type State = usize;
        fn operation(&mut self, of: SessionOf<'_>, state: &mut usize, steps: &[Step]) {
            *state += steps.len();
            let ids: Vec<_> = steps.iter().map(|s| s.interface).collect();
            self.0.push(format!("{} {ids:?}", of.caller));
        }
        fn end(&mut self, of: SessionOf<'_>, state: &mut usize, complete: bool) {
            self.0.push(format!("{} end {state} {complete}", of.caller));
            *state = 0;
        }
    }

    fn step(interface: u32, start_ms: u64, end_ms: u64) -> Step {
        Step { interface, start: start_ms * 1_000_000, end: end_ms * 1_000_000, ..Step::default() }
    }

    fn run(limits: Limits, steps: &[(&str, Step)], advance_ms: u64) -> Vec<String> {
        let mut log = Log::default();
        let mut sequencer = Sequencer::new(Timing::default(), limits);
        for (caller, step) in steps {
            sequencer.push(caller, Process::default(), *step, &mut log);
        }
        sequencer.advance(advance_ms * 1_000_000, &mut log);
        sequencer.finish(&mut log);
        log.0
    }

    #[test]
    fn gaps_cut_operations_and_idle_time_cuts_sessions() {
        let steps = [
            ("ann", step(1, 1000, 1010)),
            ("ann", step(2, 1500, 1510)),
            ("bob", step(9, 1600, 1600)),
            ("ann", step(3, 4000, 4010)),
            ("ann", step(4, 4_000_000, 4_000_001)),
        ];
        assert_eq!(
            run(Limits::default(), &steps, 0),
            [
                "ann [1, 2]",
                "ann [3]",
                "ann end 3 true",
                "ann [4]",
                "ann end 1 false",
                "bob [9]",
                "bob end 1 false"
            ]
        );
    }

    #[test]
    fn time_alone_closes_operations_then_sessions() {
        let steps = [("ann", step(1, 1000, 1010))];
        assert_eq!(run(Limits::default(), &steps, 2000), ["ann [1]", "ann end 1 false"]);
        assert_eq!(run(Limits::default(), &steps, 10_000_000), ["ann [1]", "ann end 1 true"]);
    }

    #[test]
    fn parallel_calls_do_not_depend_on_their_order() {
        let forward =
            [("a", step(1, 0, 5)), ("a", step(3, 10, 60)), ("a", step(2, 20, 50)), ("a", step(4, 70, 80))];
        let reverse =
            [("a", step(1, 0, 5)), ("a", step(2, 10, 60)), ("a", step(3, 20, 50)), ("a", step(4, 70, 80))];
        assert_eq!(run(Limits::default(), &forward, 0)[0], "a [1, 2, 3, 4]");
        assert_eq!(run(Limits::default(), &reverse, 0)[0], "a [1, 2, 3, 4]");
    }

    #[test]
    fn the_callers_silent_for_longest_make_room() {
        let limits = Limits { callers: 2, ..Limits::default() };
        let steps = [("a", step(1, 0, 1)), ("b", step(2, 1, 2)), ("c", step(3, 2, 3))];
        assert_eq!(
            run(limits, &steps, 0),
            ["a [1]", "a end 1 false", "c [3]", "c end 1 false", "b [2]", "b end 1 false"]
        );
    }

    /// Under a flood of callers every slot changes hands all the time.
    #[test]
    fn what_waits_to_be_closed_stays_bounded() {
        let mut log = Log::default();
        let mut sequencer = Sequencer::new(Timing::default(), Limits { callers: 3, ..Limits::default() });
        for at in 0..10_000 {
            let step = step(1, at, at + 1);
            sequencer.push(&format!("caller {at}"), Process::default(), step, &mut log);
            sequencer.advance(step.start, &mut log);
        }
        let waiting = (sequencer.slots.len(), sequencer.due.len(), sequencer.idle.len());
        assert!(waiting.0 <= 4 && waiting.1 <= 4 && waiting.2 <= 4, "{waiting:?}");
        sequencer.finish(&mut log);
        assert_eq!(log.0.len(), 20_000, "every operation and every session is handed out");
    }

    /// A host whose clock is wrong must not keep the others' calls from being judged.
    #[test]
    fn a_call_dated_ahead_holds_nobody_up() {
        let mut log = Log::default();
        let mut sequencer = Sequencer::new(Timing::default(), Limits::default());
        let year = 365 * 24 * 3600 * 1000;
        for (caller, at) in [("ann", 1000), ("eve", year), ("bob", 1000)] {
            sequencer.advance(1000 * 1_000_000, &mut log);
            sequencer.push(caller, Process::default(), step(1, at, at), &mut log);
        }
        sequencer.advance(3000 * 1_000_000, &mut log);
        assert_eq!(log.0, ["ann [1]", "bob [1]"]);
        sequencer.advance(1900 * SECOND, &mut log);
        assert_eq!(log.0[2..], ["ann end 1 true", "bob end 1 true"]);
    }

    /// Room is made even where every clock is wrong.
    #[test]
    fn callers_dated_ahead_make_room_too() {
        let limits = Limits { callers: 2, ..Limits::default() };
        let steps = [("a", step(1, 9000, 9001)), ("b", step(2, 9001, 9002)), ("c", step(3, 9002, 9003))];
        assert_eq!(run(limits, &steps, 0)[..2], ["a [1]", "a end 1 false"]);
    }

    #[test]
    fn a_loop_without_pause_is_handed_out_in_parts() {
        let steps: Vec<_> = (0..150).map(|i| ("a", step(1, i * 10, i * 10 + 1))).collect();
        let log = run(Limits::default(), &steps, 0);
        assert_eq!(log.len(), 4, "three parts and the end: {log:?}");
    }
}
