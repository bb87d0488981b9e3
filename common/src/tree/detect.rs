//! Detection: which trees run differently than training saw, window by window.
//!
//! Cells of ended windows come in, findings go out. In each window of each source a few tests are made per scope
//! (an interface, or none, and a root): whether calls of trees that training never saw are too many, for each
//! [`Novelty`]; and for each known code whether a rare one is too frequent, too many of its calls fail, or they take too long,
//! as a whole or some of them. Every test is that of a [`super::Rate`] or a [`super::Pace`], its evidence is added up by a [`Watch`], and the limit is such that over all tests of a source together a finding without a cause comes once in
//! [`Limits::run`] windows at most.
//!
//! A code that training did not see is not always a tree that it did not see. One that makes the calls of a known tree
//! in another order counts as that tree. One that was cut off, and is a known tree but for calls that are missing, is
//! counted as such and never reported. What a finding says is made in `explain`; that a whole source is slow, in `together`.
//!
//! Values have windows, tests and limits of the same kind, `values`: whatever a slot shows that training did not list, and
//! a rare value that comes more often.

mod explain;
mod together;
mod values;
mod window;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::{Cell, Code, FunctionId, Novelty, Shape, Shapes, Tree, TreeKind, Trees, Watch, evidence};
use crate::call::Nanos;
use crate::finding::TreeFinding;
use crate::sequence::SECOND;

/// Windows in a row without evidence after which what was reported counts as over.
const QUIET: u32 = 10;
/// Steps that comparing trees may take for one call of [`TreeDetector::judge`], beside what findings take.
const WORK: u64 = 50_000_000;
/// Unseen codes remembered between windows, for each test.
const PENDING: usize = 16;

/// Bounds and the rate of false findings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Normal windows of a source to one finding without a cause, at least; above 1.
    pub run: f64,
    /// Tests whose evidence is kept, over all sources; what comes beyond is not judged.
    pub watches: usize,
    /// Unseen codes that are remembered.
    pub codes: usize,
}

impl Limits {
    /// One finding without a cause in so much time (ns), in windows of a length.
    #[must_use]
    pub fn once_in(time: Nanos, window: Nanos) -> Self {
        let run = (time as f64 / window.max(1) as f64).max(2.0);
        Self { run, watches: 1 << 18, codes: 1 << 16 }
    }
}

/// A time within which one finding without a cause is to be expected at most, by default.
pub const FALSE_FINDING_IN: Nanos = 30 * 24 * 3600 * SECOND;

/// What became of the calls in cells: `calls = unscoped + doubled + known + reordered + truncated + unseen`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TreeCounts {
    /// Calls.
    pub calls: u64,
    /// Those of roots or interfaces that training did not see.
    pub unscoped: u64,
    /// Those of a root that are judged by their interfaces already.
    pub doubled: u64,
    /// Those of known trees.
    pub known: u64,
    /// Those that are known trees in another order.
    pub reordered: u64,
    /// Those that are known trees, cut off.
    pub truncated: u64,
    /// Those of trees that training did not see.
    pub unseen: u64,
    /// Tests that were not made because too many were under way.
    pub passed: u64,
    /// Values of arguments and return values.
    pub values: u64,
    /// Those of slots that training did not see.
    pub values_unscoped: u64,
    /// Findings.
    pub findings: u64,
}

/// One test of one window, with what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sign<'a> {
    /// When the window began.
    pub window: Nanos,
    /// The host or service.
    pub source: &'a str,
    /// The interface; empty for all trees of the root.
    pub interface: &'a str,
    /// The function at the root.
    pub root: FunctionId,
    /// The known code; 0 for unseen ones.
    pub code: u64,
    /// What was tested.
    pub kind: TreeKind,
    /// So many...
    pub hits: u64,
    /// ...of so many. For latencies the numbers of the level with the strongest evidence.
    pub trials: u64,
    /// Natural logarithm of the e-value: how much it speaks against normality.
    pub ln_e: f64,
}

/// What is known of an unknown code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolved {
    /// It is the code at this place of the scope, its calls in another order.
    Reordered(usize),
    /// It is a known tree that was cut off.
    Truncated,
    /// It is new, nobody knows how where its shape is not known.
    Unseen(Option<Novelty>),
}

/// A test of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Test {
    source: u32,
    scope: u32,
    /// The place of the code, or the novelty; of values, the scope is a slot, and this the place of the value.
    what: u32,
    kind: TreeKind,
}

/// The state of a test.
#[derive(Clone, Debug, Default)]
struct State {
    watch: Watch,
    /// The latest window it was made in.
    last: Nanos,
    /// It was reported, and so many windows were quiet since.
    reported: Option<u32>,
    /// Unseen codes since the evidence began, with their calls.
    pending: Vec<(u64, u64)>,
}

/// Judges windows of trees against what training learned.
#[derive(Debug)]
pub struct TreeDetector {
    trees: Arc<Trees>,
    limits: Limits,
    /// Trees that the model does not have.
    shapes: Shapes,
    sources: FxHashMap<Arc<str>, u32>,
    states: FxHashMap<Test, State>,
    resolved: FxHashMap<(usize, u64), Resolved>,
    reported: FxHashSet<(usize, u64)>,
    speeds: together::Speeds,
    reported_values: values::Reported,
    /// New values of a source and slot since their evidence began.
    pending_values: FxHashMap<(u32, u32), values::Pending>,
    counts: TreeCounts,
}

impl TreeDetector {
    /// A detector that knows nothing but the model.
    pub fn new(trees: Arc<Trees>, limits: Limits) -> Self {
        Self {
            trees,
            limits,
            shapes: Shapes::new(limits.codes),
            sources: FxHashMap::default(),
            states: FxHashMap::default(),
            resolved: FxHashMap::default(),
            reported: FxHashSet::default(),
            speeds: together::Speeds::default(),
            reported_values: FxHashSet::default(),
            pending_values: FxHashMap::default(),
            counts: TreeCounts::default(),
        }
    }

    /// What it judges by.
    pub fn trees(&self) -> &Arc<Trees> {
        &self.trees
    }

    /// What became of the calls so far.
    pub fn counts(&self) -> TreeCounts {
        self.counts
    }

    /// Takes in a function's name, for findings about functions that the model does not know.
    pub fn name(&mut self, name: &str) {
        self.shapes.name(name);
    }

    /// Takes in what a tree looks like. Only those that the model does not have are kept.
    pub fn shape(&mut self, code: Code, tree: &Tree) {
        if self.trees.shape(tree.root(), code.ordered).is_none() {
            let shape = Shape { tree: tree.clone(), unordered: code.unordered };
            self.shapes.add(code.ordered, shape);
        }
    }

    /// Judges cells of ended windows, in the order of [`super::TreeStats::take_ended`]. A window must come whole.
    pub fn judge(&mut self, cells: &[Cell], out: &mut Vec<TreeFinding>) {
        self.judge_with(cells, out, &mut |_| {});
    }

    /// As [`judge`](Self::judge), and shows every test.
    pub fn judge_with(
        &mut self,
        cells: &[Cell],
        out: &mut Vec<TreeFinding>,
        each: &mut dyn FnMut(&Sign<'_>),
    ) {
        let mut work = WORK;
        let before = out.len();
        for window in cells.chunk_by(|a, b| (a.window, &a.source) == (b.window, &b.source)) {
            self.judge_window(window, &mut work, out, each);
        }
        self.counts.findings += (out.len() - before) as u64;
    }

    /// Takes in the evidence of a test; gives its sum and the limit, as natural logarithms, where it passes and was not
    /// reported yet. `absent_is_normal`: windows since then in which it was not made speak for normality.
    fn watch(&mut self, test: Test, window: Nanos, ln_e: f64, absent_is_normal: bool) -> Option<(f64, f64)> {
        // Without evidence the sum goes to 1, which is what a test without a state has: most have none.
        let at_rest = ln_e <= evidence(0.0) && !self.states.contains_key(&test);
        if at_rest {
            return None;
        }
        if self.states.len() >= self.limits.watches && !self.states.contains_key(&test) {
            self.counts.passed += 1;
            return None;
        }
        let state = self.states.entry(test).or_insert_with(State::at_rest);
        let length = self.trees.data().window;
        let absent = (window.saturating_sub(state.last) / length).saturating_sub(1).min(64);
        if absent_is_normal && state.last > 0 {
            for _ in 0..absent {
                state.watch.add(evidence(0.0));
            }
        }
        state.last = window;
        if let Some(quiet) = &mut state.reported {
            *quiet = if ln_e <= 0.0 { *quiet + 1 } else { 0 };
            if *quiet >= QUIET {
                self.states.remove(&test);
            }
            return None;
        }
        let sum = state.watch.add(ln_e);
        let limit = (self.limits.run * self.trees.kinds() as f64 * self.trees.tests(test.kind) as f64).ln();
        if sum <= 0.0 && ln_e <= 0.0 {
            self.states.remove(&test);
            return None;
        }
        (sum >= limit).then_some((sum, limit))
    }

    /// The number of a source; `None` when there are too many.
    fn source(&mut self, name: &Arc<str>) -> Option<u32> {
        if let Some(&number) = self.sources.get(name) {
            return Some(number);
        }
        let number =
            u32::try_from(self.sources.len()).ok().filter(|&n| (n as usize) < self.limits.watches)?;
        self.sources.insert(Arc::clone(name), number);
        Some(number)
    }
}

impl State {
    fn at_rest() -> Self {
        let mut state = Self::default();
        // (1 + 1) / 2 = 1: where the sum stays while there is no evidence.
        state.watch.add(0.0);
        state
    }
}

#[cfg(test)]
mod tests;
