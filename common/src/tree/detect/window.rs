//! One window of one source: its tests.

use std::collections::BTreeMap;

use super::explain::{Case, Explain};
use super::{PENDING, Resolved, Sign, State, Test, TreeDetector};
use crate::finding::TreeFinding;
use crate::tree::model::LEVELS;
use crate::tree::pace::Moments;
use crate::tree::{
    Cell, CodeData, MAX_WORK, Novelty, Pace, Rate, Tally, Tree, TreeKind, distance, evidence, least_distance,
};

/// Unseen codes of a scope that are reported of one window; the others are counted.
const REPORTED: usize = 8;
/// By how much a median, decile or percentile must rise to be reported, however sure it is that it did.
const SLOWER: f64 = 1.25;
/// By how much a share of failures or of a rare tree must rise.
const MORE_OFTEN: f64 = 2.0;
/// Failures, or calls of a rare tree, that a window must have.
pub(super) const LEAST_HITS: u64 = 3;
/// What stands in a test in place of a code where it is about all trees of a root.
const ROOT: usize = u32::MAX as usize;
/// Known trees that a cut one is compared with.
const CANDIDATES: usize = 16;
/// Steps that the bound below a distance takes for each node.
const BOUND_WORK: u64 = 32;

impl TreeDetector {
    /// Judges the cells of one window and source.
    pub(super) fn judge_window(
        &mut self,
        cells: &[Cell],
        work: &mut u64,
        out: &mut Vec<TreeFinding>,
        each: &mut dyn FnMut(&Sign<'_>),
    ) {
        let calls = |cells: &[Cell]| cells.iter().map(|cell| cell.tally.calls).sum::<u64>();
        let Some(source) = cells.first().and_then(|cell| self.source(&cell.source)) else {
            self.counts.calls += calls(cells);
            self.counts.unscoped += calls(cells);
            return;
        };
        // What is known by its interface is judged there, and not a second time among all of its root.
        let mut with_interface: BTreeMap<_, u64> = BTreeMap::new();
        for cell in cells.iter().filter(|cell| !cell.interface.is_empty()) {
            *with_interface.entry(cell.root).or_default() += cell.tally.calls;
        }
        for group in cells.chunk_by(|a, b| (&a.interface, a.root) == (&b.interface, b.root)) {
            let Some(first) = group.first() else { continue };
            let n = calls(group);
            self.counts.calls += n;
            let twin = with_interface.get(&first.root).copied().unwrap_or(0);
            if first.interface.is_empty() && twin.saturating_mul(2) >= n && n > 0 {
                self.counts.doubled += n;
            } else if let Some(scope) = self.trees.scope(&first.interface, first.root) {
                self.judge_scope(source, scope, group, work, out, each);
            } else {
                self.counts.unscoped += n;
            }
        }
        self.speeds.conclude(source, SLOWER.ln(), LEAST_HITS as f64, out);
    }

    fn judge_scope(
        &mut self,
        source: u32,
        scope: usize,
        cells: &[Cell],
        work: &mut u64,
        out: &mut Vec<TreeFinding>,
        each: &mut dyn FnMut(&Sign<'_>),
    ) {
        let trees = std::sync::Arc::clone(&self.trees);
        let Some((first, known)) = cells.first().zip(trees.data().scopes.get(scope)) else { return };
        let mut n = 0_u64;
        let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
        let mut unseen: [Vec<&Cell>; Novelty::ALL.len()] = Default::default();
        let mut shapeless = Vec::new();
        for cell in cells.iter().filter(|cell| cell.tally.calls > 0) {
            let calls = cell.tally.calls;
            n = n.saturating_add(calls);
            let place = match known.place(cell.code) {
                Some(place) => {
                    self.counts.known += calls;
                    place
                }
                None => match self.resolve(scope, cell, work) {
                    Resolved::Reordered(place) => {
                        self.counts.reordered += calls;
                        place
                    }
                    Resolved::Truncated => {
                        self.counts.truncated += calls;
                        continue;
                    }
                    Resolved::Unseen(novelty) => {
                        self.counts.unseen += calls;
                        match novelty {
                            Some(novelty) => unseen[novelty as usize].push(cell),
                            None => shapeless.push(cell),
                        }
                        continue;
                    }
                },
            };
            tallies.entry(place).or_default().merge(&cell.tally);
        }
        let mut rates = known.novel;
        if !shapeless.is_empty() {
            // Nobody knows how new these are: all that is new is held against all that was to be expected.
            let sum = |sum: f64, rate: &Rate| (sum + rate.mean).min(0.999);
            let least = |least: f64, rate: &Rate| least.min(rate.concentration);
            rates[Novelty::Combination as usize] = Rate {
                mean: known.novel.iter().fold(0.0, sum),
                concentration: known.novel.iter().fold(f64::INFINITY, least),
            };
            let all = unseen.iter().flatten().copied();
            shapeless.extend(all);
            unseen[Novelty::Combination as usize] = shapeless;
        }
        let mut tester = Tester { detector: self, source, scope, n, first, each };
        for novelty in Novelty::ALL {
            tester.unseen(novelty, &rates[novelty as usize], &unseen[novelty as usize], out);
        }
        for (&place, tally) in &tallies {
            tester.code(place, &known.codes[place], tally, out);
        }
        if let Some(pace) = trees.pace(scope) {
            tester.root(pace, &tallies, out);
        }
    }

    /// What a code is that the scope does not know.
    fn resolve(&mut self, scope: usize, cell: &Cell, work: &mut u64) -> Resolved {
        if let Some(&resolved) = self.resolved.get(&(scope, cell.code)) {
            return resolved;
        }
        // The same tree may be known of another interface.
        let shape = self.trees.shape(cell.root, cell.code).or_else(|| self.shapes.get(cell.root, cell.code));
        // A shape that has not come yet may come later.
        let Some(shape) = shape else { return Resolved::Unseen(None) };
        let cut_off = shape.tree.is_truncated().then(|| self.is_cut_off(scope, &shape.tree, work));
        let resolved = match cut_off {
            // There is no time left to tell, in this window.
            Some(None) => return Resolved::Truncated,
            Some(Some(true)) => Resolved::Truncated,
            _ => match self.trees.reordered(scope, shape.unordered) {
                Some(place) => Resolved::Reordered(place),
                None => Resolved::Unseen(Some(self.trees.novelty(scope, &shape.tree))),
            },
        };
        if self.resolved.len() < self.limits.codes {
            self.resolved.insert((scope, cell.code), resolved);
        }
        resolved
    }

    /// Whether a tree is some known one of the scope but for missing calls; `None` when the time for that is used up.
    fn is_cut_off(&self, scope: usize, tree: &Tree, work: &mut u64) -> Option<bool> {
        let known = self.trees.data().scopes.get(scope)?;
        let mut candidates = 0;
        for shape in known.codes.iter().filter_map(|code| self.trees.shape(known.root, code.code)) {
            let nodes = shape.tree.nodes().len();
            *work = work.checked_sub(BOUND_WORK * (nodes + tree.nodes().len()) as u64)?;
            let Some(fewer) = nodes.checked_sub(tree.nodes().len()) else { continue };
            if least_distance(&shape.tree, tree) != fewer as u32 {
                continue;
            }
            *work = work.checked_sub(MAX_WORK.min((tree.nodes().len() * nodes) as u64 * 16))?;
            // Trees too large to be compared are given the benefit of the doubt.
            if distance(&shape.tree, tree).is_none_or(|distance| distance == fewer as u32) {
                return Some(true);
            }
            candidates += 1;
            if candidates >= CANDIDATES {
                break;
            }
        }
        Some(false)
    }
}

/// The test of latencies that says most.
struct Strongest {
    /// Which of [`LEVELS`]; none for the pace as a whole.
    level: Option<usize>,
    hits: u64,
    ln_e: f64,
    /// Whether the difference is large enough to tell anybody.
    matters: bool,
}

/// Makes the tests of one scope in one window.
struct Tester<'a, 'e> {
    detector: &'a mut TreeDetector,
    source: u32,
    scope: usize,
    /// Calls of the scope.
    n: u64,
    first: &'a Cell,
    each: &'e mut dyn FnMut(&Sign<'_>),
}

impl Tester<'_, '_> {
    fn test(&self, kind: TreeKind, what: usize) -> Test {
        Test { source: self.source, scope: self.scope as u32, what: what as u32, kind }
    }

    /// The evidence that `k` of `n` are too many.
    fn ln_e(&self, kind: TreeKind, rate: &Rate, k: u64, n: u64) -> f64 {
        evidence(rate.ln_tail(k, n) * self.detector.trees.temper(kind))
    }

    fn show(&mut self, code: u64, kind: TreeKind, hits: u64, trials: u64, ln_e: f64) {
        let Cell { window, ref source, ref interface, root, .. } = *self.first;
        (self.each)(&Sign { window, source, interface, root, code, kind, hits, trials, ln_e });
    }

    fn unseen(&mut self, novelty: Novelty, rate: &Rate, cells: &[&Cell], out: &mut Vec<TreeFinding>) {
        let kind = TreeKind::UnseenTree;
        let test = self.test(kind, novelty as usize);
        // What was reported is known from then on.
        let reported = &self.detector.reported;
        let new: Vec<_> = cells.iter().filter(|cell| !reported.contains(&(self.scope, cell.code))).collect();
        let k = new.iter().map(|cell| cell.tally.calls).sum();
        let ln_e = self.ln_e(kind, rate, k, self.n);
        self.show(0, kind, k, self.n, ln_e);
        let passed = self.detector.watch(test, self.first.window, ln_e, true);
        let Some(state) = self.detector.states.get_mut(&test) else { return };
        for cell in &new {
            match state.pending.iter().position(|(code, _)| *code == cell.code) {
                Some(at) => state.pending[at].1 = state.pending[at].1.saturating_add(cell.tally.calls),
                None if state.pending.len() < PENDING => state.pending.push((cell.code, cell.tally.calls)),
                None => {}
            }
        }
        let Some((sum, limit)) = passed else { return };
        let mut pending = std::mem::take(&mut state.pending);
        *state = State { last: state.last, ..State::at_rest() };
        pending.sort_by_key(|&(code, calls)| (std::cmp::Reverse(calls), code));
        let more = pending.len().saturating_sub(REPORTED);
        for (place, (code, calls)) in pending.into_iter().enumerate() {
            if self.detector.reported.len() < self.detector.limits.codes {
                self.detector.reported.insert((self.scope, code));
            }
            if place >= REPORTED {
                continue;
            }
            let tally = cells.iter().find(|cell| cell.code == code).map(|cell| &cell.tally);
            let case = Case {
                kind,
                code,
                place: None,
                novelty: Some(novelty),
                level: None,
                calls,
                more,
                factor: None,
            };
            out.push(self.explain(&case, tally.unwrap_or(&Tally::default()), sum, limit));
        }
    }

    fn code(&mut self, place: usize, known: &CodeData, tally: &Tally, out: &mut Vec<TreeFinding>) {
        if known.is_rare() {
            let (kind, n) = (TreeKind::RareTree, self.n);
            let ln_e = self.ln_e(kind, &known.share, tally.calls, n);
            let matters = tally.calls >= LEAST_HITS && more_often(tally.calls, n, &known.share);
            self.conclude(kind, place, known, tally, (tally.calls, n, ln_e), None, matters, out);
        }
        if let Some(rate) = &known.failing {
            let kind = TreeKind::FailureShift;
            let ln_e = self.ln_e(kind, rate, tally.failures, tally.calls);
            let matters = tally.failures >= LEAST_HITS && more_often(tally.failures, tally.calls, rate);
            self.conclude(kind, place, known, tally, (tally.failures, tally.calls, ln_e), None, matters, out);
        }
        let n = tally.durations.count();
        let Some(normal) = known.normal.as_ref().filter(|_| n > 0) else { return };
        let kind = TreeKind::LatencyShift;
        let window = Moments::of(&tally.durations);
        let temper = self.detector.trees.temper(kind);
        let pace = evidence(normal.pace.ln_tail(&window) * temper);
        let slower = window.mean - normal.pace.mean;
        if self.detector.trees.pace(self.scope).is_none() {
            self.detector.speeds.timed(self.first.root, window.n, slower);
        }
        // As a whole, and beyond each limit: what says most is what is told.
        let mut strongest = Strongest { level: None, hits: n, ln_e: pace, matters: slower >= SLOWER.ln() };
        let mut all = vec![pace];
        for (level, (limit, rate)) in normal.beyond.iter().enumerate() {
            let hits = normal.slow(*limit, &window, &tally.durations);
            let ln_e = self.ln_e(kind, rate, hits, n);
            all.push(ln_e);
            if ln_e > strongest.ln_e {
                let quantile = |of: &Tally| of.durations.quantile(LEVELS[level]) as f64;
                let was = known.durations.quantile(LEVELS[level]) as f64;
                let matters = hits >= LEAST_HITS && quantile(tally) >= SLOWER * was;
                strongest = Strongest { level: Some(level), hits, ln_e, matters };
            }
        }
        // Averages of e-values are e-values, whatever they have to do with each other.
        let ln_e = all.iter().map(|ln_e| (ln_e - strongest.ln_e).exp()).sum::<f64>().ln() + strongest.ln_e
            - (all.len() as f64).ln();
        let Strongest { level, hits, matters, .. } = strongest;
        let before = out.len();
        self.conclude(kind, place, known, tally, (hits, n, ln_e), level, matters && n >= LEAST_HITS, out);
        if out.len() > before {
            self.detector.speeds.shifted(before, slower);
        }
    }

    /// Whether the calls of a root take longer than each did, whatever its trees: where there are many trees, each is too rare to
    /// say so by itself. What a single tree explains is reported of that tree.
    fn root(&mut self, pace: &Pace, tallies: &BTreeMap<usize, Tally>, out: &mut Vec<TreeFinding>) {
        let kind = TreeKind::LatencyShift;
        let trees = std::sync::Arc::clone(&self.detector.trees);
        let timed = tallies.iter().map(|(&place, tally)| (place, Moments::of(&tally.durations)));
        let timed: Vec<_> = timed.filter(|(_, durations)| durations.n > 0.0).collect();
        let relative = timed.iter().filter_map(|&(place, code)| Some((code, trees.mean(self.scope, place)?)));
        let window = Moments::relative(relative);
        let n = window.n as u64;
        if n == 0 {
            return;
        }
        let slower = window.mean - pace.mean;
        self.detector.speeds.timed(self.first.root, window.n, slower);
        let ln_e = evidence(pace.ln_tail(&window) * trees.temper(kind));
        self.show(0, kind, n, n, ln_e);
        let test = self.test(kind, ROOT);
        let Some((sum, limit)) = self.detector.watch(test, self.first.window, ln_e, false) else { return };
        if slower < SLOWER.ln() || n < LEAST_HITS {
            return;
        }
        let said = timed.iter().any(|&(place, _)| {
            let state = self.detector.states.get(&self.test(kind, place));
            state.is_some_and(|state| state.reported.is_some())
        });
        if let Some(state) = self.detector.states.get_mut(&test) {
            state.reported = Some(0);
        }
        if said {
            return;
        }
        let mut all = Tally::default();
        timed.iter().for_each(|(place, _)| all.merge(&tallies[place]));
        let case = Case {
            kind,
            code: 0,
            place: None,
            novelty: None,
            level: None,
            calls: all.calls,
            more: timed.len(),
            factor: Some(slower.exp()),
        };
        self.detector.speeds.shifted(out.len(), slower);
        out.push(self.explain(&case, &all, sum, limit));
    }

    #[expect(clippy::too_many_arguments, reason = "one place that all tests of a code share")]
    fn conclude(
        &mut self,
        kind: TreeKind,
        place: usize,
        known: &CodeData,
        tally: &Tally,
        (hits, trials, ln_e): (u64, u64, f64),
        level: Option<usize>,
        matters: bool,
        out: &mut Vec<TreeFinding>,
    ) {
        self.show(known.code, kind, hits, trials, ln_e);
        let test = self.test(kind, place);
        let passed = self.detector.watch(test, self.first.window, ln_e, kind == TreeKind::RareTree);
        // Sure, but too slight to tell anybody: it stays on watch.
        let Some((sum, limit)) = passed.filter(|_| matters) else { return };
        if let Some(state) = self.detector.states.get_mut(&test) {
            state.reported = Some(0);
        }
        let case = Case {
            kind,
            code: known.code,
            place: Some(place),
            novelty: None,
            level,
            calls: tally.calls,
            more: 0,
            factor: None,
        };
        out.push(self.explain(&case, tally, sum, limit));
    }

    fn explain(&self, case: &Case, tally: &Tally, sum: f64, limit: f64) -> TreeFinding {
        let view = Explain {
            trees: &self.detector.trees,
            shapes: &self.detector.shapes,
            scope: self.scope,
            first: self.first,
            n: self.n,
        };
        view.finding(case, tally, sum * std::f64::consts::LOG10_E, limit * std::f64::consts::LOG10_E)
    }
}

pub(super) fn more_often(hits: u64, trials: u64, rate: &Rate) -> bool {
    hits as f64 >= MORE_OFTEN * rate.mean * trials as f64
}
