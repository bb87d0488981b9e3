//! A search in parallel: one branch per first item, its results as if done one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::{Params, Patterns};

/// How many entries the projections of one search path may hold together, beyond those of the database itself
/// (an entry is at most 12 bytes).
const MAX_HELD: usize = 32 << 20;

/// A search that goes down one branch at a time.
pub(super) trait Search: Send {
    /// Finds everything in branch `branch`.
    fn search(&mut self, branch: usize, found: &mut Found<'_>);
}

/// Runs all branches, each by some search that `start` made. Gives the patterns in the order of the branches,
/// and whether these are all.
pub(super) fn run<S: Search>(
    branches: usize,
    params: &Params,
    database_size: usize,
    start: impl Fn() -> S + Sync,
) -> (Patterns, bool) {
    // One pattern more than wanted tells whether there are more.
    let budget = Budget::new(params.max_patterns.saturating_add(1), branches);
    let idle = Mutex::new(Vec::new());
    let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let results: Vec<(Patterns, bool)> = (0..branches)
        .into_par_iter()
        .with_max_len(1)
        .map(|branch| {
            let mut found = Found::new(params, &budget, branch, MAX_HELD + database_size);
            if !found.stopped {
                let waiting = lock().pop();
                let mut search = waiting.unwrap_or_else(&start);
                search.search(branch, &mut found);
                lock().push(search);
            }
            budget.may_go_on(branch, found.patterns.len());
            (found.patterns, found.cut)
        })
        .collect();
    let total: usize = results.iter().map(|(patterns, _)| patterns.len()).sum();
    let complete = total <= params.max_patterns && results.iter().all(|(_, cut)| !cut);
    (
        Patterns::concat(results.into_iter().map(|(patterns, _)| patterns).collect(), params.max_patterns),
        complete,
    )
}

/// What one branch has found, and how far it may go on.
pub(super) struct Found<'a> {
    patterns: Patterns,
    budget: &'a Budget,
    branch: usize,
    stopped: bool,
    cut: bool,
    longest: usize,
    /// Whether a pattern of the greatest length is the end by the parameters, not by our own bound.
    wanted_end: bool,
    held: usize,
    max_held: usize,
}

impl<'a> Found<'a> {
    fn new(params: &Params, budget: &'a Budget, branch: usize, max_held: usize) -> Self {
        let wanted = params.max_length.unwrap_or(usize::MAX);
        Found {
            patterns: Patterns::default(),
            budget,
            branch,
            stopped: !budget.may_go_on(branch, 0),
            cut: false,
            longest: wanted.min(Params::LONGEST),
            wanted_end: wanted <= Params::LONGEST,
            held: 0,
            max_held,
        }
    }

    /// Adds a pattern.
    pub(super) fn push(&mut self, items: &[u32], joined: &[bool], support: u32) {
        self.patterns.push(items, joined, support);
        let found = self.patterns.len();
        if found.is_multiple_of(Budget::STEP) || found >= self.budget.max {
            self.stopped = !self.budget.may_go_on(self.branch, found);
        }
    }

    /// Whether enough was found.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether patterns of this length are the longest.
    pub(super) fn is_longest(&self, length: usize) -> bool {
        length >= self.longest
    }

    /// Says that a pattern of the greatest length has frequent extensions.
    pub(super) fn note_longer(&mut self) {
        self.cut |= !self.wanted_end;
    }

    /// Asks to keep a projection of `entries`; if it may, [`Self::release`] must follow.
    pub(super) fn hold(&mut self, entries: usize) -> bool {
        let may = self.held + entries <= self.max_held;
        if may {
            self.held += entries;
        } else {
            self.cut = true;
        }
        may
    }

    /// Gives back what was held.
    pub(super) fn release(&mut self, entries: usize) {
        self.held -= entries;
    }
}

/// How many patterns each of the ordered branches may still find, so that the first `max` of all are found
/// and the memory for others stays bounded.
struct Budget {
    max: usize,
    total: AtomicUsize,
    found: Vec<AtomicUsize>,
}

impl Budget {
    /// How many patterns a branch finds before it looks at the others.
    const STEP: usize = 1024;

    fn new(max: usize, branches: usize) -> Self {
        Budget {
            max,
            total: AtomicUsize::new(0),
            found: (0..branches).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Whether a branch that has found this much may go on. The branches before it can only grow, so once
    /// they and this one have enough, nothing that this one could add would be kept.
    fn may_go_on(&self, branch: usize, found: usize) -> bool {
        let before = self.found[branch].swap(found, Ordering::Relaxed);
        let total = self.total.fetch_add(found - before, Ordering::Relaxed) + found - before;
        let earlier = || self.found[..branch].iter().map(|n| n.load(Ordering::Relaxed)).sum::<usize>();
        total < self.max || earlier() + found < self.max
    }
}
