//! Explaining a judgement: from evidence to a [`Finding`] that a person can follow.

use crate::call::Nanos;
use crate::finding::{Expected, Finding, FindingStep, NearestPattern, Reason};
use crate::interface::{InterfaceId, NEW, Unknowns};
use crate::model::Model;
use crate::sequence::SessionOf;

use super::session::Seen;
use super::{Context, Detector, END, Edit, Part, SessionState, align, collapse};

/// Steps shown of a session, the offending one among them.
const SHOWN: usize = 24;
/// Calls by which a group of callers is named.
const TYPICAL: usize = 3;
/// Expected calls listed.
const EXPECTED: usize = 3;
/// Evidence with less than this share of all is not worth a reader's time.
const MIN_SHARE: f64 = 0.05;

impl Detector<'_> {
    /// The finding for a session whose verdict is anomalous. `unknowns` has the names of calls the model does not know.
    pub fn explain(
        &self,
        of: SessionOf<'_>,
        state: &SessionState,
        unknowns: &Unknowns,
        ended: bool,
    ) -> Finding {
        let verdict = self.judge(state);
        let mut parts: Vec<(Part, f64)> = Part::ALL
            .iter()
            .map(|&part| (part, self.model.calibration.contribution(&state.evidence, part)))
            .filter(|(_, amount)| *amount > 0.0)
            .collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let total: f64 = parts.iter().map(|(_, amount)| amount).sum();
        let mut view = View { model: self.model, state, unknowns, ended, offending: None };
        // Length alone points at no step, but what made the session long may.
        let telling = parts.iter().find(|(part, _)| *part != Part::Length);
        view.offending = telling.and_then(|(part, _)| view.most_offending(*part));
        let reasons = parts.iter().filter(|(_, amount)| *amount >= MIN_SHARE * total);
        let first = shown_from(state.history.len(), view.offending);
        let shown = &state.history[first..state.history.len().min(first + SHOWN)];
        let steps = (first..).zip(shown).map(|(place, seen)| FindingStep {
            interface: view.step_name(seen).to_owned(),
            time: time_of(seen, state),
            surprise: seen.bits,
            offending: Some(place) == view.offending,
        });
        let time = state.history.last().map_or(0, |seen| time_of(seen, state));
        Finding {
            id: id(of.caller, state.start, state.steps, time),
            time,
            session_start: state.start,
            caller: of.caller.to_owned(),
            pid: of.process.pid,
            comm: of.process.comm.to_owned(),
            score: verdict.score,
            threshold: verdict.threshold,
            reasons: reasons
                .map(|&(part, amount)| Reason { part, share: amount / total, text: view.reason(part) })
                .collect(),
            steps: steps.collect(),
            earlier_steps: state.steps - (state.history.len() - first) as u32,
            nearest: view.nearest(),
            expected: view.expected(),
            ended,
            gap: state.gap,
            alerts: Vec::new(),
        }
    }
}

/// What an explanation looks at.
struct View<'a> {
    model: &'a Model,
    state: &'a SessionState,
    unknowns: &'a Unknowns,
    ended: bool,
    /// The step that stands out, by its place in the history.
    offending: Option<usize>,
}

impl View<'_> {
    /// The interface's name; the end of a session is one too.
    fn name(&self, interface: InterfaceId) -> &str {
        if interface == END { "(end of session)" } else { self.model.interfaces.name(interface) }
    }

    /// The name of a step: for what the model does not know, what was called.
    fn step_name(&self, seen: &Seen) -> &str {
        let unknown = if seen.interface == NEW { self.unknowns.get(seen.value) } else { None };
        unknown.unwrap_or_else(|| self.name(seen.interface))
    }

    /// The step that stands out most for the weightiest kind of evidence. None when it is the session's end, or the
    /// session as a whole.
    fn most_offending(&self, part: Part) -> Option<usize> {
        let history = &self.state.history;
        let most_surprising = || {
            (0..history.len()).max_by(|&a, &b| history[a].bits.total_cmp(&history[b].bits).then(b.cmp(&a)))
        };
        match part {
            Part::Repetition => self.last_of(self.most_repeated()?),
            Part::Enumeration => self.last_of(self.most_enumerated()?),
            Part::NewInterface => history.iter().position(|seen| seen.new),
            Part::Length | Part::Balance | Part::Habits => None,
            Part::NewTransition => {
                let new = (0..history.len()).filter(|&at| history[at].new_transition);
                new.max_by(|&a, &b| history[a].bits.total_cmp(&history[b].bits)).or_else(most_surprising)
            }
            Part::RareStep => {
                let place = most_surprising()?;
                // The end of the session may have been more surprising than any step.
                (history[place].bits >= self.state.evidence.get(Part::RareStep)).then_some(place)
            }
            Part::UnusualFlow | Part::Pattern | Part::OtherGroup => most_surprising(),
        }
    }

    fn last_of(&self, interface: InterfaceId) -> Option<usize> {
        self.state.history.iter().rposition(|seen| seen.interface == interface)
    }

    fn most_repeated(&self) -> Option<InterfaceId> {
        let bits = |calls: &super::session::Calls| self.model.counts.calls(calls.interface, calls.count);
        self.state.calls.iter().max_by(|a, b| bits(a).total_cmp(&bits(b))).map(|calls| calls.interface)
    }

    fn most_enumerated(&self) -> Option<InterfaceId> {
        let bits = |calls: &super::session::Calls| {
            self.model.counts.values(calls.interface, calls.values.len() as u32)
        };
        self.state.calls.iter().max_by(|a, b| bits(a).total_cmp(&bits(b))).map(|calls| calls.interface)
    }

    fn reason(&self, part: Part) -> String {
        let amount = self.state.evidence.get(part);
        let calibration = self.model.calibration.data();
        let normal = calibration.tails.get(part as usize).map_or(0.0, |tail| tail.largest());
        let calls_of = |interface| self.state.calls.iter().find(|calls| calls.interface == interface);
        match part {
            Part::RareStep => {
                match self
                    .offending
                    .map(|place| &self.state.history[place])
                    .filter(|seen| seen.bits >= amount)
                {
                    Some(seen) => format!(
                        "`{}` has a surprise of {amount:.1} bits here (normal sessions stay below {normal:.1})",
                        self.step_name(seen)
                    ),
                    None if self.ended => format!(
                        "the session ends where it seldom does ({amount:.1} bits; normal sessions stay below {normal:.1})"
                    ),
                    None => format!(
                        "one step has a surprise of {amount:.1} bits (normal sessions stay below {normal:.1})"
                    ),
                }
            }
            Part::UnusualFlow => format!(
                "the steps together are {amount:.1} standard deviations more surprising than usual (normal sessions stay below {normal:.1})"
            ),
            Part::NewInterface => format!("{amount} calls to interfaces never seen in training"),
            Part::NewTransition => {
                let step = self.state.history.iter().enumerate().find(|(_, seen)| seen.new_transition);
                let detail = step.map(|(place, seen)| {
                    let before = place
                        .checked_sub(1)
                        .map_or("the start", |at| self.step_name(&self.state.history[at]));
                    format!(", first `{}` after `{before}`", self.step_name(seen))
                });
                format!(
                    "{amount} steps never followed their predecessor in training{}",
                    detail.unwrap_or_default()
                )
            }
            Part::Repetition => match self.most_repeated().and_then(calls_of) {
                Some(calls) => format!(
                    "`{}` was called {} times in one session (at most {} in training)",
                    self.name(calls.interface),
                    calls.count,
                    self.model.counts.most_calls(calls.interface)
                ),
                None => "one interface is called unusually often".to_owned(),
            },
            Part::Enumeration => match self.most_enumerated().and_then(calls_of) {
                Some(calls) => format!(
                    "`{}` was called with {} different values in one session (at most {} in training)",
                    self.name(calls.interface),
                    calls.values.len(),
                    self.model.counts.most_values(calls.interface)
                ),
                None => "one interface is called with unusually many values".to_owned(),
            },
            Part::Length => format!(
                "the session has {} calls (at most {} in training)",
                self.state.steps,
                self.model.counts.longest()
            ),
            Part::Balance => self.balance(),
            Part::Habits => self.habits(amount),
            Part::OtherGroup => self.other_group(amount),
            Part::Pattern => self.pattern(),
        }
    }

    fn group(&self, group: usize) -> String {
        let typical = self.model.groups.iter().flat_map(|groups| groups.typical(group));
        let calls: Vec<_> = typical.take(TYPICAL).map(|call| format!("`{}`", self.name(call))).collect();
        format!("group {} ({})", group + 1, calls.join(", "))
    }

    fn habits(&self, amount: f32) -> String {
        let stance = &self.state.stance;
        let whose = if stance.has_history() { "its caller's habits in" } else { "the nearest," };
        format!(
            "the session is {amount:.1} times as far from {whose} {} as normal ones go",
            self.group(usize::from(stance.group))
        )
    }

    fn other_group(&self, amount: f32) -> String {
        let sides = self.model.groups.as_ref().map(|groups| groups.sides(&self.state.stance));
        let (own, other) = sides.unwrap_or_default();
        let whose = if own == other {
            "who does so less often".to_owned()
        } else {
            format!("of {}", self.group(own))
        };
        format!(
            "the session is one of {}, its caller {whose}: others explain it {amount:.1} bits better",
            self.group(other)
        )
    }

    fn pattern(&self) -> String {
        let session = collapse(self.state.history.iter().map(|seen| seen.interface));
        let similarity = self.model.patterns.nearest(&session).map_or(0.0, |nearest| nearest.similarity);
        let entry = session.first().copied().unwrap_or(NEW);
        let (interval, own) = self.model.similarity.of(entry);
        let which = if own { format!(" that begin with `{}`", self.name(entry)) } else { String::new() };
        format!(
            "the nearest learned way is only {:.0} % similar (normal sessions{which} are from {:.0} % on)",
            100.0 * similarity,
            100.0 * interval.least_similarity()
        )
    }

    fn balance(&self) -> String {
        let counts = &self.model.counts;
        let is_absent = |interface: &InterfaceId| {
            self.state.calls.binary_search_by_key(interface, |calls| calls.interface).is_err()
        };
        let absent = counts.expected().iter().filter(|(interface, _)| is_absent(interface));
        let called =
            self.state.calls.iter().map(|c| (c.interface, counts.exactly(c.interface, c.count), c.count));
        let most = called
            .chain(absent.map(|&(interface, bits)| (interface, bits, 0)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        match most {
            Some((interface, _, 0)) => {
                format!("`{}` is missing, which most sessions call", self.name(interface))
            }
            Some((interface, _, n)) => {
                format!("`{}` is called {n} times, an unusual number", self.name(interface))
            }
            None => "the numbers of calls are unusual".to_owned(),
        }
    }

    fn nearest(&self) -> Option<NearestPattern> {
        let session = collapse(self.state.history.iter().map(|seen| seen.interface));
        let nearest = self.model.patterns.nearest(&session)?;
        let path = &self.model.patterns.graphs()[nearest.graph].paths[nearest.path];
        let edits = align(&session, &path.steps).into_iter().filter_map(|edit| match edit {
            Edit::Keep(_) => None,
            Edit::Added(x) => Some(format!("added {}", self.name(x))),
            Edit::Missing(x) => Some(format!("missing {}", self.name(x))),
            Edit::Replaced(x, y) => Some(format!("{} instead of {}", self.name(y), self.name(x))),
            Edit::Swapped(x, y) => Some(format!("{} before {}", self.name(x), self.name(y))),
        });
        Some(NearestPattern {
            path: path.steps.iter().map(|&step| self.name(step).to_owned()).collect(),
            support: path.support,
            similarity: nearest.similarity,
            edits: edits.take(SHOWN).collect(),
        })
    }

    /// What usually comes at the offending step, or at the end where there is none.
    fn expected(&self) -> Vec<Expected> {
        let before = &self.state.history[..self.offending.unwrap_or(self.state.history.len())];
        let likely = self.model.markov.likely(&self.context_after(before), EXPECTED);
        let expected = likely.into_iter().map(|(interface, probability)| Expected {
            interface: self.name(interface).to_owned(),
            probability,
        });
        expected.collect()
    }

    fn context_after(&self, steps: &[Seen]) -> Context {
        let markov = &self.model.markov;
        let whole = self.state.steps as usize == self.state.history.len();
        let start = if whole { markov.start() } else { markov.unknown() };
        steps.iter().fold(start, |context, seen| {
            let context = if seen.gap { markov.unknown() } else { context };
            markov.advance(&context, seen.interface)
        })
    }
}

/// When a step was made, to the millisecond; 0 where the source has no times.
fn time_of(seen: &Seen, state: &SessionState) -> Nanos {
    state.start.saturating_add(u64::from(seen.after) * 1_000_000)
}

/// The first step shown, so that the offending one is among those shown.
fn shown_from(steps: usize, offending: Option<usize>) -> usize {
    let latest = steps.saturating_sub(SHOWN);
    offending.map_or(latest, |place| latest.min(place.saturating_sub(SHOWN / 2)))
}

fn id(caller: &str, start: Nanos, steps: u32, time: Nanos) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(caller.as_bytes());
    for number in [start, u64::from(steps), time] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}
