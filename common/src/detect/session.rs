//! Scoring sessions step by step.

use crate::call::Nanos;
use crate::interface::InterfaceId;
use crate::model::Model;
use crate::sequence::Step;

use super::groups::{NONE, Stance};
use super::patterns::collapse_into;
use super::{Context, END, Evidence, Habit, Habits, MAX_PATH, Part};

/// Steps of a session that are kept to explain a finding.
const HISTORY: usize = 128;
/// Different interfaces of a session that are counted.
const MAX_INTERFACES: usize = 512;
/// Different values of one interface that are told apart in a session.
const MAX_VALUES: usize = 256;

/// What is kept of a session while it is open.
#[derive(Clone, Debug, Default)]
pub struct SessionState {
    context: Option<Context>,
    pub(super) evidence: Evidence,
    bits: f64,
    pub(super) steps: u32,
    scored: u32,
    new: u32,
    new_transitions: u32,
    /// Sorted by interface.
    pub(super) calls: Vec<Calls>,
    pub(super) history: Vec<Seen>,
    pub(super) start: Nanos,
    pub(super) gap: bool,
    pub(super) stance: Stance,
    /// A finding was already made of this session.
    pub reported: bool,
}

/// Calls of one interface in a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) interface: InterfaceId,
    pub(super) count: u32,
    /// Hashes of the values seen, sorted.
    pub(super) values: Vec<u64>,
}

/// One step, kept to explain a finding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) interface: InterfaceId,
    pub(super) bits: f32,
    /// Milliseconds since the session's start.
    pub(super) after: u32,
    /// The low half of the value's hash.
    pub(super) value: u32,
    /// Training did not see this interface.
    pub(super) new: bool,
    /// What went before was lost.
    pub(super) gap: bool,
    pub(super) new_transition: bool,
    /// The longest column of the group matrix that ends with this step.
    column: u16,
}

/// The judgement of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How unusual the session is.
    pub score: f64,
    /// From where on it is anomalous.
    pub threshold: f64,
}

impl Verdict {
    /// Whether the session is anomalous.
    pub fn anomalous(&self) -> bool {
        self.score >= self.threshold
    }
}

impl SessionState {
    /// Makes this the state of a session that has not begun, keeping its memory.
    pub fn reset(&mut self) {
        let (mut calls, mut history) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.history));
        calls.clear();
        history.clear();
        *self = Self { calls, history, ..Self::default() };
    }

    /// Something of this session may have been lost, be it its beginning: what comes next is not held against what came
    /// before.
    pub fn interrupt(&mut self) {
        self.gap = true;
        self.context = None;
    }

    /// The evidence so far.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// Whether the session was seen whole and every step of it is kept: only then it is compared with the learned ways.
    pub fn is_whole(&self) -> bool {
        !self.gap && self.steps > 0 && self.steps as usize == self.history.len()
    }

    /// The group of callers that the session was measured against.
    pub fn group(&self) -> usize {
        usize::from(self.stance.group)
    }

    /// Steps so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Surprise summed over the steps so far, in bits, and how many steps that is.
    pub fn surprise(&self) -> (f64, u32) {
        (self.bits, self.scored)
    }

    /// How often each interface was called so far, and with how many different values.
    pub fn counts(&self) -> impl Iterator<Item = (InterfaceId, u32, u32)> + '_ {
        self.calls.iter().map(|calls| (calls.interface, calls.count, calls.values.len() as u32))
    }

    /// Counts one step alone, without judging it; returns how often its interface was called, and with how many
    /// different values.
    pub fn count(&mut self, step: &Step) -> Option<(u32, u32)> {
        let place = match self.calls.binary_search_by_key(&step.interface, |calls| calls.interface) {
            Ok(place) => place,
            Err(_) if self.calls.len() == MAX_INTERFACES => return None,
            Err(place) => {
                self.calls.insert(place, Calls { interface: step.interface, ..Calls::default() });
                place
            }
        };
        let calls = &mut self.calls[place];
        calls.count = calls.count.saturating_add(1);
        if step.value != 0
            && calls.values.len() < MAX_VALUES
            && let Err(at) = calls.values.binary_search(&step.value)
        {
            calls.values.insert(at, step.value);
        }
        Some((calls.count, calls.values.len() as u32))
    }
}

/// Scores sessions against a model.
#[derive(Clone, Copy, Debug)]
pub struct Detector<'m> {
    pub(super) model: &'m Model,
}

impl<'m> Detector<'m> {
    /// A detector for a model.
    pub fn new(model: &'m Model) -> Self {
        Self { model }
    }

    /// Begins a session of a caller: what follows is judged by its habits too. A session that was not begun is not.
    pub fn begin(&self, state: &mut SessionState, caller: &str, habits: &Habits) {
        if let Some(groups) = &self.model.groups {
            state.stance = groups.begin(caller, habits);
        }
    }

    /// Takes a session that is over, and was not reported, into its caller's habits; gives what it adds to them.
    pub fn learn(&self, state: &mut SessionState, habits: &mut Habits) -> Habit {
        let Some(groups) = &self.model.groups else { return Habit::default() };
        groups.deal(&mut state.stance, state.history.iter().map(|seen| seen.column));
        groups.learn(&state.stance, habits)
    }

    /// Takes in what another session of a caller added to its habits, as [`Self::learn`] gave it.
    pub fn recall(&self, caller: &str, steps: &Habit, habits: &mut Habits) {
        if let Some(groups) = &self.model.groups {
            groups.recall(caller, steps, habits);
        }
    }

    /// Takes an operation's steps into a session's evidence.
    pub fn observe(&self, state: &mut SessionState, steps: &[Step]) {
        let Model { markov, counts, calibration, groups, .. } = self.model;
        for step in steps {
            if step.gap {
                state.interrupt();
            }
            if state.steps == 0 {
                state.start = step.start;
            }
            let after_gap = state.context.is_none() && state.gap;
            let unknown = || if after_gap { markov.unknown() } else { markov.start() };
            let mut context = state.context.unwrap_or_else(unknown);
            let surprise = markov.step(&mut context, step.interface);
            state.context = Some(context);
            state.steps = state.steps.saturating_add(1);
            // An interface may have a name and yet be unknown: too few callers used it in training.
            let new = !markov.knows(step.interface);
            if new {
                state.new = state.new.saturating_add(1);
            } else if surprise.new_transition {
                state.new_transitions = state.new_transitions.saturating_add(1);
            }
            // After a gap nothing is known of what went before: the step's surprise would be the gap's, not the caller's.
            if !after_gap {
                state.scored += 1;
                state.bits += f64::from(surprise.bits);
                state.evidence.raise(Part::RareStep, surprise.bits);
            }
            if let Some((calls, values)) = state.count(step) {
                state.evidence.raise(Part::Repetition, counts.calls(step.interface, calls));
                state.evidence.raise(Part::Enumeration, counts.values(step.interface, values));
            }
            let column = groups.as_ref().map_or(NONE, |groups| groups.observe(&mut state.stance, &context));
            if state.history.len() == HISTORY {
                self.measure_habits(state);
                if let Some(groups) = groups {
                    let gone = state.history[..HISTORY / 2].iter();
                    groups.deal(&mut state.stance, gone.map(|seen| seen.column));
                }
                // Drops half at a time, so that the cost per step stays constant.
                state.history.drain(..HISTORY / 2);
            }
            state.history.push(Seen {
                interface: step.interface,
                bits: if after_gap { 0.0 } else { surprise.bits },
                after: u32::try_from(step.start.saturating_sub(state.start) / 1_000_000).unwrap_or(u32::MAX),
                value: step.value as u32,
                gap: after_gap,
                new,
                new_transition: surprise.new_transition,
                column,
            });
        }
        if let Some(groups) = groups {
            let amount = groups.another(&state.stance, state.evidence.get(Part::OtherGroup));
            state.evidence.raise(Part::OtherGroup, amount);
        }
        state.evidence.raise(Part::UnusualFlow, calibration.data().flow(state.bits, state.scored));
        state.evidence.raise(Part::NewInterface, state.new as f32);
        state.evidence.raise(Part::NewTransition, state.new_transitions as f32);
        state.evidence.raise(Part::Length, counts.length(state.steps));
    }

    /// Compares the latest steps with the caller's habits.
    fn measure_habits(&self, state: &mut SessionState) {
        if let Some(groups) = &self.model.groups {
            let steps = state.history.iter().map(|seen| (seen.column, seen.gap));
            let amount = groups.distance(&mut state.stance, steps);
            state.evidence.raise(Part::Habits, amount);
            groups.fade(&mut state.stance);
        }
    }

    /// Takes into the evidence what only the end of a session shows. A session that was not seen whole shows nothing.
    pub fn end(&self, state: &mut SessionState) {
        if state.gap || state.steps == 0 {
            return;
        }
        let Model { markov, counts, patterns, similarity, calibration, .. } = self.model;
        if let Some(mut context) = state.context {
            let surprise = markov.step(&mut context, END);
            state.bits += f64::from(surprise.bits);
            state.scored += 1;
            state.new_transitions += u32::from(surprise.new_transition);
            state.evidence.raise(Part::RareStep, surprise.bits);
            state.evidence.raise(Part::NewTransition, state.new_transitions as f32);
            state.evidence.raise(Part::UnusualFlow, calibration.data().flow(state.bits, state.scored));
        }
        let called = state.calls.iter().map(|calls| counts.exactly(calls.interface, calls.count));
        let absent = counts.expected().iter().filter(|(interface, _)| {
            state.calls.binary_search_by_key(interface, |calls| calls.interface).is_err()
        });
        let balance = called.chain(absent.map(|(_, bits)| *bits)).fold(0.0, f32::max);
        state.evidence.raise(Part::Balance, balance);
        self.measure_habits(state);
        if state.is_whole() {
            let mut room = [0; MAX_PATH];
            let path = collapse_into(state.history.iter().map(|seen| seen.interface), &mut room);
            if let (Some(&entry), Some(nearest)) = (path.first(), patterns.nearest(path)) {
                let (interval, _) = similarity.of(entry);
                state.evidence.raise(Part::Pattern, interval.amount((1.0 - nearest.similarity) as f32));
            }
        }
    }

    /// Judges a session by its evidence so far.
    pub fn judge(&self, state: &SessionState) -> Verdict {
        let calibration = &self.model.calibration;
        Verdict { score: calibration.score(&state.evidence), threshold: calibration.threshold() }
    }
}
