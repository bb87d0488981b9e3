//! How unlike normal time a window of traces is.
//!
//! Every instance's trees are tested as the agent tests them ([`TreeDetector`]), each test giving an e-value: what one may
//! win on average by betting on normality is nothing. A window's score is the logarithm of their weighted mean, which is an
//! e-value again whatever the tests have to do with each other; so a normal window reaches a score of `ln(1 / p)` with
//! a probability of `p` at most (Markov's inequality), and the limit needs no window of a fault to be found. The weight
//! is shared evenly by kinds of test, within a kind by instances, and of an instance by its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use gait_common::call::Nanos;
use gait_common::tree::{
    FunctionId, Limits, MAX_CELLS, Novelty, Rate, ScopeData, TreeDetector, TreeKind, TreeStats, Trees,
    TreesData, evidence,
};

use super::Gathered;
use super::rows::Rows;

/// What a test of an instance says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sign {
    /// Place of the instance in [`Rows::names`].
    pub instance: u32,
    /// The function at the root; 0 for roots that training did not see.
    pub root: FunctionId,
    /// The known code; 0 for unseen ones.
    pub code: u64,
    /// What was tested.
    pub kind: TreeKind,
    /// So many...
    pub hits: u64,
    /// ...of so many.
    pub trials: u64,
    /// Natural logarithm of the e-value.
    pub ln_e: f64,
}

/// What normal time is known to be, ready to judge by.
#[derive(Debug)]
pub struct Judge {
    trees: Arc<Trees>,
    /// How often roots come that training did not see.
    unknown_roots: Rate,
}

impl Judge {
    /// By what was learned.
    ///
    /// # Errors
    /// What is not sound about it.
    pub fn new(mut data: TreesData) -> Result<Self, &'static str> {
        let unknown_roots = unknown_roots(&data);
        borrow_novelty(&mut data);
        Ok(Judge { trees: Arc::new(Trees::new(data)?), unknown_roots })
    }

    /// What is known.
    pub fn trees(&self) -> &Trees {
        &self.trees
    }

    /// All tests of the traces that began in a time, by instance.
    pub fn signs(&self, rows: &Rows, time: &Range<Nanos>) -> Vec<Sign> {
        let window = self.trees.data().window;
        let mut gathered = Gathered { stats: TreeStats::new(window, MAX_CELLS), ..Gathered::default() };
        // All in one window of the statistics, wherever this one begins.
        rows.count(time, Some(window), true, &mut gathered);
        let mut detector = TreeDetector::new(Arc::clone(&self.trees), Limits::once_in(Nanos::MAX, window));
        let mut roots: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let mut shown = BTreeSet::new();
        for row in rows.within(time).flat_map(|(_, rows)| rows) {
            if shown.insert((row.root, row.code))
                && let Some(shape) = rows.shapes.get(row.root, row.code.ordered)
            {
                detector.shape(row.code, &shape.tree);
            }
            let (unknown, all) = roots.entry(row.instance).or_default();
            *all += 1;
            *unknown += u64::from(self.trees.scope("", row.root).is_none());
            numbers.insert(&rows.names[row.instance as usize], row.instance);
        }
        let mut signs = Vec::new();
        detector.judge_with(&gathered.stats.cells(), &mut Vec::new(), &mut |sign| {
            let Some(&instance) = numbers.get(sign.source) else { return };
            let (root, code, kind) = (sign.root, sign.code, sign.kind);
            let (hits, trials, ln_e) = (sign.hits, sign.trials, sign.ln_e);
            signs.push(Sign { instance, root, code, kind, hits, trials, ln_e });
        });
        for (instance, (hits, trials)) in roots {
            let kind = TreeKind::UnseenTree;
            let ln_e = evidence(self.unknown_roots.ln_tail(hits, trials) * self.trees.temper(kind));
            signs.push(Sign { instance, root: 0, code: 0, kind, hits, trials, ln_e });
        }
        signs
    }
}

/// The weighted mean of the tests' e-values, as a logarithm; 0 without any.
pub fn score(signs: &[Sign]) -> f64 {
    let (mut kinds, mut instances, mut tests) =
        (BTreeSet::new(), BTreeMap::<_, BTreeSet<u32>>::new(), BTreeMap::<_, u32>::new());
    for sign in signs {
        kinds.insert(sign.kind);
        instances.entry(sign.kind).or_default().insert(sign.instance);
        *tests.entry((sign.kind, sign.instance)).or_default() += 1;
    }
    let weighted = |sign: &Sign| {
        let shares = [
            kinds.len() as f64,
            instances[&sign.kind].len() as f64,
            f64::from(tests[&(sign.kind, sign.instance)]),
        ];
        sign.ln_e - shares.iter().map(|share| share.ln()).sum::<f64>()
    };
    let greatest = signs.iter().map(weighted).fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return 0.0;
    }
    greatest + signs.iter().map(|sign| (weighted(sign) - greatest).exp()).sum::<f64>().ln()
}

/// How often calls have a root that no other window has: so many new ones are to be expected.
fn unknown_roots(data: &TreesData) -> Rate {
    let (mut once, mut all) = (0, 0);
    for scope in &data.scopes {
        all += scope.calls;
        let within = |code: &gait_common::tree::CodeData| code.first / data.window == code.last / data.window;
        let first = scope.codes.iter().map(|code| code.first / data.window).min();
        let last = scope.codes.iter().map(|code| code.last / data.window).max();
        if first == last && scope.codes.iter().all(within) {
            once += scope.calls;
        }
    }
    Rate::learn(std::iter::once((once, all)))
}

/// Lets roots that were called a few times borrow from all others how often trees are new: what is normal for a root is
/// drawn from a beta distribution whose mean and spread over roots are learned (empirical Bayes), and what was seen of
/// the root itself weighs the more, the more it was called.
fn borrow_novelty(data: &mut TreesData) {
    for novelty in Novelty::ALL {
        let novelty = novelty as usize;
        // The mean is (hits + 1/2) / (calls + 1).
        let seen = |scope: &ScopeData| {
            let hits = scope.novel[novelty].mean * (scope.calls as f64 + 1.0) - 0.5;
            (hits.round().clamp(0.0, scope.calls as f64), scope.calls as f64)
        };
        let counts: Vec<(f64, f64)> = data.scopes.iter().map(seen).collect();
        let all = Rate::learn(counts.iter().map(|&(hits, calls)| (hits as u64, calls as u64)));
        for (scope, (hits, calls)) in data.scopes.iter_mut().zip(counts) {
            let own = &mut scope.novel[novelty];
            let doubt = 1.0 / (calls + 1.0);
            let left = 1.0 / (calls + 1.0 + all.concentration);
            own.mean = (hits + all.mean * all.concentration) / (calls + all.concentration);
            own.concentration = 1.0 / (1.0 / own.concentration - doubt + left).max(f64::EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(instance: u32, kind: TreeKind, ln_e: f64) -> Sign {
        Sign { instance, root: 1, code: 0, kind, hits: 1, trials: 1, ln_e }
    }

    /// The mean of e-values of 1 is 1, however many there are; one strong test is worth its share of the weight.
    #[test]
    fn a_score_is_the_logarithm_of_a_weighted_mean() {
        use TreeKind::{LatencyShift, UnseenTree};
        assert_eq!(score(&[]), 0.0);
        let even: Vec<Sign> =
            (0..9).map(|n| sign(n % 3, [UnseenTree, LatencyShift][n as usize % 2], 0.0)).collect();
        assert!(score(&even).abs() < 1e-12);
        let mut one = even.clone();
        one[0].ln_e = 10.0;
        // Half of the weight is its kind's, a third of that its instance's; instance 0 has two tests of the kind.
        let want = (1.0 + (10_f64.exp() - 1.0) / 12.0).ln();
        assert!((score(&one) - want).abs() < 1e-9, "{} {want}", score(&one));
        let huge: Vec<Sign> = (0..3).map(|n| sign(n, UnseenTree, 600.0)).collect();
        assert!((score(&huge) - 600.0).abs() < 1e-9);
    }

    /// A root that was called three times knows nothing by itself; what it learns from steady others makes a new tree of it
    /// surprising, and from others that are always new, not.
    #[test]
    fn roots_learn_from_each_other_how_often_trees_are_new() {
        let scope = |root, calls: u64, hits: u64| {
            let rate = Rate::learn(std::iter::once((hits, calls)));
            ScopeData { interface: String::new(), root, calls, novel: [rate; 3], codes: Vec::new() }
        };
        let alone = scope(1, 3, 0).novel[0].ln_tail(3, 3);
        let among = |others: u64| {
            let mut data = TreesData { window: 1, ..TreesData::default() };
            data.scopes.push(scope(1, 3, 0));
            data.scopes.extend((2..30).map(|root| scope(root, 500, others)));
            borrow_novelty(&mut data);
            data.scopes[0].novel[0].ln_tail(3, 3)
        };
        assert!(among(0) < alone - 5.0, "{} {alone}", among(0));
        assert!(among(400) > -2.0, "{}", among(400));
    }
}
