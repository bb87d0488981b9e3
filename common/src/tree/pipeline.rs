//! The chain from what a host counts to findings: calls are named, trees counted by window, windows judged.
//!
//! The agent runs it over what the kernel sends, `replay` over what a spool holds. Trees that served a request are counted
//! under its interface, all trees of a root without one; the detector takes care that nothing is judged twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Cell, Code, FALSE_FINDING_IN, FunctionId, Limits, MAX_CELLS, MAX_VALUES, Observed, Slot, Tree,
    TreeCounts, TreeDetector, TreeStats, ValueCell, ValueStats, WINDOW,
};
use crate::call::{Call, Nanos};
use crate::finding::{Tie, TreeFinding};
use crate::interface::{InterfaceId, NEW};
use crate::model::Model;

/// A tree that ran within a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served<'a> {
    /// The host.
    pub source: &'a str,
    /// The call that the request was.
    pub call: Call<'a>,
    /// The function at the root.
    pub root: FunctionId,
    /// The tree's ordered code.
    pub code: u64,
    /// How long the root took; 0 when it never returned.
    pub duration: Nanos,
    /// Whether it failed.
    pub failed: bool,
    /// How it was tied to the request.
    pub tie: Tie,
}

/// Counts trees and, with a model that knows trees, judges them.
#[derive(Debug)]
pub struct TreePipeline {
    stats: TreeStats,
    values: ValueStats,
    judge: Option<(Arc<Model>, TreeDetector)>,
    scratch: String,
    /// The least sure tie of each window and interface.
    ties: BTreeMap<(Nanos, InterfaceId), Tie>,
}

impl TreePipeline {
    /// A pipeline that judges if the model knows trees; `false_finding_in`: how often a finding without a cause may come,
    /// by default [`FALSE_FINDING_IN`] (ns).
    pub fn new(model: Option<&Arc<Model>>, false_finding_in: Option<Nanos>) -> Self {
        let judge = model.and_then(|model| {
            let trees = model.trees()?;
            let limits = Limits::once_in(false_finding_in.unwrap_or(FALSE_FINDING_IN), trees.data().window);
            Some((Arc::clone(model), TreeDetector::new(Arc::clone(trees), limits)))
        });
        let window = judge.as_ref().map_or(WINDOW, |(_, detector)| detector.trees().data().window);
        Self {
            stats: TreeStats::new(window, MAX_CELLS),
            values: ValueStats::new(window, MAX_VALUES),
            judge,
            scratch: String::new(),
            ties: BTreeMap::new(),
        }
    }

    /// Length of the windows (ns).
    pub fn window(&self) -> Nanos {
        self.stats.window()
    }

    /// What became of the calls that were judged; `None` without a model that knows trees.
    pub fn counts(&self) -> Option<TreeCounts> {
        self.judge.as_ref().map(|(_, detector)| detector.counts())
    }

    /// Calls and values that were not counted because there were too many codes.
    pub fn passed(&self) -> u64 {
        self.stats.passed().saturating_add(self.values.passed())
    }

    /// Takes in a function's name.
    pub fn name(&mut self, name: &str) {
        if let Some((_, detector)) = &mut self.judge {
            detector.name(name);
        }
    }

    /// Takes in what a tree looks like.
    pub fn shape(&mut self, code: Code, tree: &Tree) {
        if let Some((_, detector)) = &mut self.judge {
            detector.shape(code, tree);
        }
    }

    /// Takes in how often a code ran, whatever it served.
    pub fn counted(&mut self, cell: &Cell) {
        self.stats.add(cell);
    }

    /// Takes in a value that was seen in so many trees; `None` for those beyond a bound of the capture.
    pub fn valued(&mut self, time: Nanos, source: &Arc<str>, slot: Slot, value: Option<&str>, trees: u64) {
        self.values.add(time, source, slot, value, trees);
    }

    /// Takes in a cell of values.
    pub fn valued_cell(&mut self, cell: &ValueCell) {
        self.values.add_cell(cell);
    }

    /// Takes in a tree that ran within a request. Only judging needs it: without a model nothing is kept.
    pub fn served(&mut self, tree: &Served<'_>) {
        let Some((model, _)) = &self.judge else { return };
        let named = model.interfaces.name_call(&tree.call, &mut self.scratch);
        if named.id == NEW {
            // Unknown interfaces are found as such; of their trees nothing is known.
            return;
        }
        let time = tree.call.start;
        let tie = self.ties.entry((time - time % self.stats.window(), named.id)).or_insert(tree.tie);
        *tie = (*tie).min(tree.tie);
        self.stats.observe(&Observed {
            time,
            source: tree.source,
            interface: Some(model.interfaces.name(named.id)),
            root: tree.root,
            code: tree.code,
            tree: None,
            duration: tree.duration,
            failed: tree.failed,
        });
    }

    /// Judges the windows that ended by `now`. Their cells, and those of values, are handed over too.
    pub fn advance(&mut self, now: Nanos, out: &mut Vec<TreeFinding>) -> (Vec<Cell>, Vec<ValueCell>) {
        let (cells, values) = (self.stats.take_ended(now), self.values.take_ended(now));
        if cells.is_empty() && values.is_empty() {
            return (cells, values);
        }
        if let Some((model, detector)) = &mut self.judge {
            let before = out.len();
            detector.judge(&cells, out);
            detector.judge_values(&values, out);
            for finding in &mut out[before..] {
                let interface = model.interfaces.by_name(&finding.interface);
                finding.tie = self.ties.get(&(finding.window_start, interface)).copied().unwrap_or_default();
            }
        }
        let window = self.stats.window();
        self.ties.retain(|&(start, _), _| start.saturating_add(window) > now);
        (cells, values)
    }
}
