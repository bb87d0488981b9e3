//! The tests of values in one window: is one seen that training never saw, and does a rare one come more often?

use rustc_hash::FxHashSet;

use super::{PENDING, Test, TreeDetector};
use crate::finding::{Tie, TreeFigures, TreeFinding, ValueFigures, ValueShift};
use crate::tree::values::{Slot, ValueCell};
use crate::tree::{KnownValue, SlotData, TreeKind, code_text, evidence};

use super::window::{LEAST_HITS, more_often};

/// Values of a finding that are shown.
const SHOWN: usize = 8;
/// Values seen since the evidence began, with their numbers.
pub(super) type Pending = Vec<(Box<str>, u64)>;

/// A test that passed its limit.
struct Case<'a> {
    kind: TreeKind,
    /// What was seen, and how often.
    values: Pending,
    /// How often, of how often anything was seen, in the window.
    hits: u64,
    total: u64,
    /// And in training.
    before: (u64, u64),
    known: &'a SlotData,
    /// Logarithms of the evidence and of the limit.
    sum: f64,
    limit: f64,
}

impl TreeDetector {
    /// Judges the values of ended windows, in the order of [`crate::tree::ValueStats::take_ended`].
    pub fn judge_values(&mut self, cells: &[ValueCell], out: &mut Vec<TreeFinding>) {
        let before = out.len();
        for cell in cells {
            self.judge_slot(cell, out);
        }
        self.counts.findings += (out.len() - before) as u64;
    }

    fn judge_slot(&mut self, cell: &ValueCell, out: &mut Vec<TreeFinding>) {
        let trees = std::sync::Arc::clone(&self.trees);
        let total = cell.seen.total();
        self.counts.values = self.counts.values.saturating_add(total);
        let place = trees.data().values.place(&cell.slot);
        let Some((place, source)) = place.zip(self.source(&cell.source)) else {
            self.counts.values_unscoped = self.counts.values_unscoped.saturating_add(total);
            return;
        };
        let known = &trees.data().values.slots[place];
        for (number, value) in (0..).zip(&known.values).filter(|(_, value)| value.is_rare()) {
            let seen = cell.seen.values.get(value.text.as_str()).copied().unwrap_or(0);
            if seen > 0 {
                let test = Test { source, scope: place as u32, what: number, kind: TreeKind::RareValue };
                self.rare(test, known, value, seen, cell, out);
            }
        }
        let test = Test { source, scope: place as u32, what: 0, kind: TreeKind::UnseenValue };
        self.unseen(test, known, cell, out);
    }

    /// Whether a known value comes too often.
    fn rare(
        &mut self,
        test: Test,
        known: &SlotData,
        value: &KnownValue,
        seen: u64,
        cell: &ValueCell,
        out: &mut Vec<TreeFinding>,
    ) {
        let total = cell.seen.total();
        let temper = self.trees.temper(test.kind);
        let ln_e = evidence(value.share.ln_tail(seen, total) * temper);
        let matters = seen >= LEAST_HITS && more_often(seen, total, &value.share);
        let passed = self.watch(test, cell.window, ln_e, true).filter(|_| matters);
        let Some((sum, limit)) = passed else { return };
        if let Some(state) = self.states.get_mut(&test) {
            state.reported = Some(0);
        }
        let case = Case {
            kind: test.kind,
            values: vec![(value.text.as_str().into(), seen)],
            hits: seen,
            total,
            before: (value.trees, known.total),
            known,
            sum,
            limit,
        };
        out.push(self.value_finding(&case, cell));
    }

    /// Whether values that are not known come too often.
    fn unseen(&mut self, test: Test, known: &SlotData, cell: &ValueCell, out: &mut Vec<TreeFinding>) {
        // What was reported is known from then on.
        let reported = &self.reported_values;
        let new: Vec<(&str, u64)> = (cell.seen.values.iter())
            .map(|(value, &trees)| (&**value, trees))
            .filter(|(value, _)| known.place(value).is_none())
            .filter(|(value, _)| !reported.contains(&(test.scope, Box::from(*value))))
            .collect();
        let total = cell.seen.total();
        let hits = new.iter().fold(cell.seen.others, |sum, (_, trees)| sum.saturating_add(*trees));
        let ln_e = evidence(known.others.ln_tail(hits, total) * self.trees.temper(test.kind));
        let passed = self.watch(test, cell.window, ln_e, true);
        let key = (test.source, test.scope);
        if !self.states.contains_key(&test) {
            self.pending_values.remove(&key);
            return;
        }
        let pending = self.pending_values.entry(key).or_default();
        for (value, trees) in new {
            match pending.iter().position(|(text, _)| **text == *value) {
                Some(at) => pending[at].1 = pending[at].1.saturating_add(trees),
                None if pending.len() < PENDING => pending.push((value.into(), trees)),
                None => {}
            }
        }
        // Sure, but too slight to tell anybody: it stays on watch.
        let matters = hits >= LEAST_HITS && more_often(hits, total, &known.others);
        let Some((sum, limit)) = passed.filter(|_| matters) else { return };
        let mut values = std::mem::take(pending);
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.pending_values.remove(&key);
        let room = self.reported_values.len() + values.len() <= self.limits.codes;
        if known.is_closed() && cell.seen.others == 0 && room {
            // Begins anew: what was reported is known, and another new value is a finding of its own.
            self.states.remove(&test);
            self.reported_values.extend(values.iter().map(|(value, _)| (test.scope, value.clone())));
        } else if let Some(state) = self.states.get_mut(&test) {
            state.reported = Some(0);
        }
        let before = (known.unlisted(), known.total);
        let case = Case { kind: test.kind, values, hits, total, before, known, sum, limit };
        out.push(self.value_finding(&case, cell));
    }

    fn value_finding(&self, case: &Case<'_>, cell: &ValueCell) -> TreeFinding {
        let name = |id| self.trees.name(id).or_else(|| self.shapes.name_of(id)).map(str::to_owned);
        let named = |id| name(id).unwrap_or_else(|| format!("function {}", code_text(id)));
        let Slot { root, code, function, which } = cell.slot;
        let figures = |(hits, total): (u64, u64)| TreeFigures {
            calls: hits,
            share: if total > 0 { hits as f64 / total as f64 } else { 0.0 },
            ..TreeFigures::default()
        };
        let value = ValueShift {
            function: named(function),
            argument: which,
            values: case
                .values
                .iter()
                .take(SHOWN)
                .map(|(value, trees)| ValueFigures { value: value.to_string(), calls: *trees })
                .collect(),
            more: case.values.len().saturating_sub(SHOWN) as u32,
            total: case.total,
            distinct_before: case.known.distinct,
        };
        let (now, before) = (figures((case.hits, case.total)), figures(case.before));
        let time = cell.window.saturating_add(self.trees.data().window);
        let log10 = std::f64::consts::LOG10_E;
        TreeFinding {
            id: id(case, cell, time),
            kind: case.kind,
            time,
            window_start: cell.window,
            source: cell.source.to_string(),
            interface: String::new(),
            tie: Tie::None,
            root: named(root),
            code: code_text(code),
            novelty: None,
            evidence: case.sum * log10,
            limit: case.limit * log10,
            text: text(case, &value, &now, &before),
            now,
            before: Some(before),
            nearest: None,
            tree: Vec::new(),
            more_lines: 0,
            together: None,
            value: Some(value),
        }
    }
}

/// What a finding says.
fn text(case: &Case<'_>, value: &ValueShift, now: &TreeFigures, before: &TreeFigures) -> String {
    let which = format!("{} of `{}`", Slot::which_text(value.argument), value.function);
    let often = format!("in {} of {} cases ({})", now.calls, value.total, super::explain::percent(now.share));
    let was = super::explain::percent(before.share);
    if case.kind == TreeKind::RareValue {
        let is = value.values.first().map_or("", |one| one.value.as_str());
        return format!("{which} was {is} {often}; {was} in training");
    }
    let mut shown: Vec<&str> = value.values.iter().map(|one| one.value.as_str()).collect();
    // Of values beyond the capture's bound nobody knows what they are.
    if shown.is_empty() {
        shown.push("something new");
    }
    let more = if value.more > 0 { format!(" and {} more", value.more) } else { String::new() };
    let shown = shown.join(", ") + &more;
    match case.known.is_closed() {
        true => format!("{which} was {shown} {often}; never in training, which saw {}", counted(case.known)),
        false => format!(
            "{which} was none of its usual values but {shown} {often}; {was} in training, which saw {}",
            counted(case.known)
        ),
    }
}

fn counted(known: &SlotData) -> String {
    match known.distinct {
        1 => "one value".to_owned(),
        more => format!("{more} values"),
    }
}

fn id(case: &Case<'_>, cell: &ValueCell, time: u64) -> String {
    let mut hasher = blake3::Hasher::new();
    let first = case.values.first().map_or("", |(value, _)| value);
    for text in [case.kind.name(), &cell.source, first] {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    let Slot { root, code, function, which } = cell.slot;
    for number in [root, code, function, which.into(), time] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Values that were reported, by slot.
pub(super) type Reported = FxHashSet<(u32, Box<str>)>;
