//! What became of each tree code, window by window.
//!
//! A *cell* is one window of time, one source, one interface (or none) and one code under its root. Cells are counts
//! and histograms, so statistics of several hosts or files merge in any order to the same result, bit for bit. Time is
//! cut at multiples of the window's length, so hosts cut alike. The number of cells is bounded; what comes beyond is
//! counted, and only there does the result depend on what came first.

use std::cmp::Ordering;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{FunctionId, Observed, Sketch};
use crate::call::Nanos;
use crate::sequence::SECOND;
use crate::wire::tree::{BUCKETS, Statistics, bucket_floor};

/// Length of a window by default.
pub const WINDOW: Nanos = 60 * SECOND;
/// Most cells by default: some 60 MB of them.
pub const MAX_CELLS: usize = 1 << 18;
/// Names that are kept whether a cell has them or not.
const FEW_NAMES: usize = 1024;

/// How often something ran, failed, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// The summed duration.
    pub total: Nanos,
    /// The durations; fewer than calls where some are not known.
    pub durations: Sketch,
    /// When it first ran; 0 when there is no call.
    pub first: Nanos,
    /// When it last ran.
    pub last: Nanos,
}

impl Tally {
    /// Counts one call.
    pub fn add(&mut self, time: Nanos, duration: Nanos, failed: bool) {
        self.first = if self.calls == 0 { time } else { self.first.min(time) };
        self.last = self.last.max(time);
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(u64::from(failed));
        self.total = self.total.saturating_add(duration);
        if duration > 0 {
            self.durations.add(duration);
        }
    }

    /// What a kernel counted between two times.
    pub fn of_kernel(counted: &Statistics, from: Nanos, to: Nanos) -> Self {
        let mut durations = Sketch::default();
        for (number, &count) in (0..).zip(&counted.buckets) {
            let low = bucket_floor(number);
            // The last bucket has no end.
            let high = if number as usize + 1 < BUCKETS { bucket_floor(number + 1) - 1 } else { low };
            durations.add_range(low, high, u64::from(count));
        }
        Self {
            calls: counted.calls,
            failures: counted.failures,
            total: counted.sum_ns,
            durations,
            first: from,
            last: to,
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        if other.calls == 0 {
            return;
        }
        self.first = if self.calls == 0 { other.first } else { self.first.min(other.first) };
        self.last = self.last.max(other.last);
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.total = self.total.saturating_add(other.total);
        self.durations.merge(&other.durations);
    }
}

/// One cell of the statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// When the window began.
    pub window: Nanos,
    /// The host or service.
    pub source: Arc<str>,
    /// The interface that the trees served; empty for all trees of the root, whatever they served.
    pub interface: Arc<str>,
    /// The function at the root.
    pub root: FunctionId,
    /// The ordered code.
    pub code: u64,
    /// What was counted.
    pub tally: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    window: Nanos,
    source: u32,
    interface: u32,
    root: FunctionId,
    code: u64,
}

/// Statistics of trees, in cells.
#[derive(Clone, Debug)]
pub struct TreeStats {
    window: Nanos,
    max_cells: usize,
    names: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
    cells: FxHashMap<Key, Tally>,
    passed: u64,
}

impl Default for TreeStats {
    fn default() -> Self {
        Self::new(WINDOW, MAX_CELLS)
    }
}

impl TreeStats {
    /// Statistics in windows of this length (ns, at least 1), of at most so many cells.
    pub fn new(window: Nanos, max_cells: usize) -> Self {
        Self {
            window: window.max(1),
            max_cells,
            names: Vec::new(),
            numbers: FxHashMap::default(),
            cells: FxHashMap::default(),
            passed: 0,
        }
    }

    /// Length of a window (ns).
    pub fn window(&self) -> Nanos {
        self.window
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Calls that were not counted because there were too many cells.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Counts a tree that ran.
    pub fn observe(&mut self, tree: &Observed<'_>) {
        let Observed { time, source, root, code, .. } = *tree;
        let interface = tree.interface.unwrap_or_default();
        if let Some(tally) = self.tally(time, source, interface, (root, code), 1) {
            tally.add(time, tree.duration, tree.failed);
        }
    }

    /// Adds a cell: what a kernel counted since it was last asked, a row of a spool, a cell of other statistics. Its
    /// window is cut to this one's length.
    pub fn add(&mut self, cell: &Cell) {
        let Cell { window, source, interface, root, code, tally } = cell;
        let mine = self.tally(*window, source, interface, (*root, *code), tally.calls);
        if let Some(mine) = mine {
            mine.merge(tally);
        }
    }

    /// Adds other statistics.
    pub fn merge(&mut self, other: &Self) {
        self.passed = self.passed.saturating_add(other.passed);
        other.cells().iter().for_each(|cell| self.add(cell));
    }

    /// All cells: by window, source, interface, root and code.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<_> = self.cells.iter().map(|(key, tally)| self.cell(key, tally.clone())).collect();
        cells.sort_unstable_by(by_key);
        cells
    }

    /// Takes out the cells of windows that ended by `now`, in the order of [`cells`](Self::cells).
    pub fn take_ended(&mut self, now: Nanos) -> Vec<Cell> {
        let window = self.window;
        let ended = self.cells.extract_if(|key, _| key.window.saturating_add(window) <= now);
        let ended: Vec<_> = ended.collect();
        let mut cells: Vec<_> = ended.into_iter().map(|(key, tally)| self.cell(&key, tally)).collect();
        cells.sort_unstable_by(by_key);
        self.forget_names();
        cells
    }

    /// Forgets names that no cell has: they come with requests, and would pile up.
    fn forget_names(&mut self) {
        if self.names.len() <= 2 * self.cells.len() + FEW_NAMES {
            return;
        }
        let cells = std::mem::take(&mut self.cells);
        let names = std::mem::take(&mut self.names);
        self.numbers.clear();
        let mut anew = |number: u32| names.get(number as usize).map_or(0, |name| self.number(name));
        let moved = cells.into_iter().map(|(key, tally)| {
            (Key { source: anew(key.source), interface: anew(key.interface), ..key }, tally)
        });
        self.cells = moved.collect();
    }

    fn cell(&self, key: &Key, tally: Tally) -> Cell {
        let name = |number: u32| self.names.get(number as usize).cloned().unwrap_or_default();
        Cell {
            window: key.window,
            source: name(key.source),
            interface: name(key.interface),
            root: key.root,
            code: key.code,
            tally,
        }
    }

    /// The tally of a cell, made if there is room for one; `calls` are counted as passed where there is none.
    fn tally(
        &mut self,
        time: Nanos,
        source: &str,
        interface: &str,
        (root, code): (FunctionId, u64),
        calls: u64,
    ) -> Option<&mut Tally> {
        let full = self.cells.len() >= self.max_cells;
        let known = |name| self.numbers.contains_key(name);
        if full && !(known(source) && known(interface)) {
            self.passed = self.passed.saturating_add(calls);
            return None;
        }
        let (source, interface) = (self.number(source), self.number(interface));
        let key = Key { window: time - time % self.window, source, interface, root, code };
        if full && !self.cells.contains_key(&key) {
            self.passed = self.passed.saturating_add(calls);
            return None;
        }
        Some(self.cells.entry(key).or_default())
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }
}

fn by_key(a: &Cell, b: &Cell) -> Ordering {
    (a.window.cmp(&b.window))
        .then_with(|| a.source.cmp(&b.source))
        .then_with(|| a.interface.cmp(&b.interface))
        .then_with(|| (a.root, a.code).cmp(&(b.root, b.code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn observed(n: u64) -> Observed<'static> {
        Observed {
            time: n * 7 % 400 * SECOND,
            source: ["web1", "web2"][n as usize % 2],
            interface: [None, Some("GET /"), Some("POST /cart")][n as usize % 5 % 3],
            root: n % 2 + 1,
            code: n % 3 + 1,
            tree: None,
            duration: n * n,
            failed: n.is_multiple_of(4),
        }
    }

    fn stats(runs: &[u64]) -> TreeStats {
        let mut stats = TreeStats::default();
        runs.iter().for_each(|&n| stats.observe(&observed(n)));
        stats
    }

    fn merged(a: &TreeStats, b: &TreeStats) -> TreeStats {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    #[test]
    fn a_kernels_histogram_keeps_its_quantiles() {
        let mut counted = Statistics { calls: 100, ..Statistics::default() };
        let (fast, slow) = (40_000, 3_000_000);
        counted.buckets[crate::wire::tree::bucket(fast) as usize] = 90;
        counted.buckets[crate::wire::tree::bucket(slow) as usize] = 10;
        let tally = Tally::of_kernel(&counted, 1, 2);
        assert_eq!(tally.durations.count(), 100);
        for (q, exact) in [(0.5, fast), (0.95, slow)] {
            let ratio = tally.durations.quantile(q) as f64 / exact as f64;
            assert!((0.66..1.5).contains(&ratio), "{ratio} at {q}");
        }
    }

    proptest! {
        /// Spools of many hosts are merged in whatever order they are found.
        #[test]
        fn merging_is_associative_and_commutative(a in vec(0_u64..1000, 0..60), b in vec(0_u64..1000, 0..60),
                                                  c in vec(0_u64..1000, 0..60)) {
            let (x, y, z) = (stats(&a), stats(&b), stats(&c));
            prop_assert_eq!(merged(&x, &y).cells(), merged(&y, &x).cells());
            let whole = stats(&[a, b, c].concat()).cells();
            prop_assert_eq!(merged(&merged(&x, &y), &z).cells(), &whole[..]);
            prop_assert_eq!(merged(&x, &merged(&y, &z)).cells(), whole);
        }

        #[test]
        fn every_call_is_in_a_cell_or_counted_as_passed(runs in vec(0_u64..1000, 0..200), max in 0_usize..20) {
            let mut stats = TreeStats::new(WINDOW, max);
            runs.iter().for_each(|&n| stats.observe(&observed(n)));
            prop_assert!(stats.len() <= max);
            let counted: u64 = stats.cells().iter().map(|cell| cell.tally.calls).sum();
            prop_assert_eq!(counted + stats.passed(), runs.len() as u64);
        }

        #[test]
        fn a_window_is_taken_once_and_whole(runs in vec(0_u64..1000, 0..200), now in 0_u64..500) {
            let mut left = stats(&runs);
            let all = left.cells();
            let taken = left.take_ended(now * SECOND);
            prop_assert!(taken.iter().all(|cell| cell.window + WINDOW <= now * SECOND));
            prop_assert!(left.cells().iter().all(|cell| cell.window + WINDOW > now * SECOND));
            prop_assert_eq!([taken, left.take_ended(u64::MAX)].concat(), all);
        }
    }
}
