//! How often the interfaces are called: the population stability index, and a test of whether chance explains it.
//!
//! The index `sum (q - p) ln(q / p)` over the interfaces' shares p in training and q in the new data is the symmetric
//! form of Kullback and Leibler's divergence (1951); in credit scoring, where it got its name, below 0.1 is no change
//! worth acting on and from 0.25 a large one (Siddiqi, 2006). A small sample shows a large index by chance alone, so it
//! counts only where Pearson's test of homogeneity rejects as well. Calls of one caller are alike: the statistic is divided
//! by the mean design effect of sampling callers instead of calls (Rao and Scott, 1981), and compared with its chi-squared
//! distribution through the cube root that makes it normal (Wilson and Hilferty, 1931).

use gait_common::detect::BEGIN;
use gait_common::interface::InterfaceId;
use gait_common::model::ModelData;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::corpus::{Corpus, Session};

/// From this index on a change is worth acting on.
const STABLE: f64 = 0.1;
/// Standard deviations of a normal distribution that one sample in a hundred exceeds.
const ONE_IN_A_HUNDRED: f64 = 2.326_347_874;
/// A cell in which either sample is expected to have fewer calls joins the cell of rare interfaces (Cochran, 1954).
const LEAST_EXPECTED: f64 = 5.0;

/// How often interfaces are called, compared with training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frequencies {
    /// Population stability index.
    pub stability_index: f64,
    /// The index from which a change is worth acting on.
    pub index_bound: f64,
    /// By how many standard deviations the test of homogeneity exceeds its mean.
    pub deviation: f64,
    /// The deviation that chance exceeds once in a hundred samples.
    pub deviation_bound: f64,
    /// How many calls of one caller say as much as one call of a caller of its own.
    pub design_effect: f64,
    /// Share of the calls that go to interfaces the model does not know: in training, and now.
    pub unknown_share: (f64, f64),
    /// Both bounds are passed.
    pub drifted: bool,
}

/// Calls per interface, in training and now; cell 0 is what the model does not know.
pub(super) struct Tally {
    known: FxHashSet<InterfaceId>,
    before: FxHashMap<InterfaceId, f64>,
    now: FxHashMap<InterfaceId, f64>,
    by_caller: FxHashMap<u32, FxHashMap<InterfaceId, f64>>,
    /// Calls of training, and now.
    calls: (f64, f64),
}

/// The cell of all that the model does not know, and the one of all that is rare.
const UNKNOWN: InterfaceId = 0;
const RARE: InterfaceId = InterfaceId::MAX;

impl Tally {
    pub(super) fn new(corpus: &Corpus, sessions: &[&Session], model: &ModelData) -> Self {
        let firsts = model.markov.grams.iter().take_while(|gram| gram.parent == 0);
        let mut before: FxHashMap<InterfaceId, f64> = firsts
            .filter(|gram| gram.symbol < BEGIN && gram.symbol != UNKNOWN)
            .map(|gram| (gram.symbol, gram.count as f64))
            .collect();
        let known: FxHashSet<InterfaceId> = before.keys().copied().collect();
        // What a single caller did in training was not learned: it is as unknown as what is new.
        let all = model.meta.calls as f64;
        before.insert(UNKNOWN, (all - before.values().sum::<f64>()).max(0.0));
        let mut tally = Self {
            known,
            before,
            now: FxHashMap::default(),
            by_caller: FxHashMap::default(),
            calls: (all, 0.0),
        };
        for session in sessions {
            for step in corpus.steps(session) {
                let cell = tally.cell(step.interface);
                *tally.now.entry(cell).or_default() += 1.0;
                *tally.by_caller.entry(session.caller).or_default().entry(cell).or_default() += 1.0;
                tally.calls.1 += 1.0;
            }
        }
        tally
    }

    /// Callers of the new data.
    pub(super) fn callers(&self) -> usize {
        self.by_caller.len()
    }

    /// Whether the model learned an interface.
    pub(super) fn knows(&self, interface: InterfaceId) -> bool {
        self.known.contains(&interface)
    }

    /// Whether an interface was called in the new data.
    pub(super) fn called(&self, interface: InterfaceId) -> bool {
        self.now.contains_key(&interface)
    }

    fn cell(&self, interface: InterfaceId) -> InterfaceId {
        if self.knows(interface) { interface } else { UNKNOWN }
    }

    pub(super) fn frequencies(&self) -> Frequencies {
        let (cells, rare) = self.cells();
        let (n, m) = self.calls;
        let mut index = 0.0;
        let mut statistic = 0.0;
        let half = 0.5 * cells.len() as f64;
        for &(before, now) in cells.values() {
            // Half a call more in every cell, so that an empty one has a logarithm (Jeffreys' prior).
            let (p, q) = ((before + 0.5) / (n + half), (now + 0.5) / (m + half));
            index += (q - p) * (q / p).ln();
            let pooled = (before + now) / (n + m).max(1.0);
            for (seen, of) in [(before, n), (now, m)] {
                if pooled * of > 0.0 {
                    statistic += (seen - pooled * of).powi(2) / (pooled * of);
                }
            }
        }
        let design_effect = self.design_effect(&cells, &rare).max(1.0);
        let freedom = cells.len().saturating_sub(1) as f64;
        let deviation =
            if freedom > 0.0 && n * m > 0.0 { normal(statistic / design_effect, freedom) } else { 0.0 };
        let share = |calls: &FxHashMap<InterfaceId, f64>, of: f64| {
            calls.get(&UNKNOWN).copied().unwrap_or_default() / of.max(1.0)
        };
        Frequencies {
            stability_index: index,
            index_bound: STABLE,
            deviation,
            deviation_bound: ONE_IN_A_HUNDRED,
            design_effect,
            unknown_share: (share(&self.before, n), share(&self.now, m)),
            drifted: index >= STABLE && deviation > ONE_IN_A_HUNDRED,
        }
    }

    /// Calls before and now per cell, and which interfaces the cell of the rare ones holds.
    fn cells(&self) -> (std::collections::BTreeMap<InterfaceId, (f64, f64)>, FxHashSet<InterfaceId>) {
        let (n, m) = self.calls;
        let smaller = n.min(m) / (n + m).max(1.0);
        let mut rare = FxHashSet::default();
        let mut cells = std::collections::BTreeMap::new();
        let every: std::collections::BTreeSet<_> =
            self.before.keys().chain(self.now.keys()).copied().collect();
        for interface in every {
            let count = |of: &FxHashMap<InterfaceId, f64>| of.get(&interface).copied().unwrap_or_default();
            let (before, now) = (count(&self.before), count(&self.now));
            let is_rare = (before + now) * smaller < LEAST_EXPECTED && interface != UNKNOWN;
            if is_rare {
                rare.insert(interface);
            }
            let cell: &mut (f64, f64) = cells.entry(if is_rare { RARE } else { interface }).or_default();
            *cell = (cell.0 + before, cell.1 + now);
        }
        cells.retain(|_, (before, now)| *before + *now > 0.0);
        (cells, rare)
    }

    /// The mean generalised design effect of the new data: how much more the shares vary when callers are drawn than if
    /// every call were drawn on its own.
    fn design_effect(
        &self,
        cells: &std::collections::BTreeMap<InterfaceId, (f64, f64)>,
        rare: &FxHashSet<InterfaceId>,
    ) -> f64 {
        let (callers, total) = (self.by_caller.len() as f64, self.calls.1);
        if callers < 2.0 || cells.len() < 2 {
            return total.max(1.0);
        }
        // Linearised variance of each share, a ratio of sums over callers: sum (n_ic - p_c n_i)^2.
        let mut spread: FxHashMap<InterfaceId, f64> = FxHashMap::default();
        let share = |cell: InterfaceId| cells.get(&cell).map_or(0.0, |(_, now)| now / total);
        let mut square_of_sizes = 0.0;
        for calls in self.by_caller.values() {
            let mut own: FxHashMap<InterfaceId, f64> = FxHashMap::default();
            for (&interface, &count) in calls {
                *own.entry(if rare.contains(&interface) { RARE } else { interface }).or_default() += count;
            }
            let size: f64 = own.values().sum();
            square_of_sizes += size * size;
            for (&cell, &count) in &own {
                let p = share(cell);
                // The cells that a caller does not touch give (p n)^2; those are added for all cells below.
                *spread.entry(cell).or_default() += (count - p * size).powi(2) - (p * size).powi(2);
            }
        }
        let effects: f64 = cells
            .keys()
            .map(|&cell| {
                let p = share(cell);
                let sum = spread.get(&cell).copied().unwrap_or_default() + p * p * square_of_sizes;
                let variance = callers / (callers - 1.0) * sum / (total * total);
                // (1 - p) times the variance over p (1 - p) / total.
                if p > 0.0 { variance * total / p } else { 0.0 }
            })
            .sum();
        effects / (cells.len() as f64 - 1.0)
    }
}

/// A chi-squared statistic as standard deviations of a normal distribution.
fn normal(statistic: f64, freedom: f64) -> f64 {
    let variance = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - variance)) / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cube_root_of_chi_squared_is_normal() {
        // Upper hundredth of chi-squared with 1, 10 and 100 degrees of freedom (tables).
        for (freedom, statistic) in [(1.0, 6.635), (10.0, 23.209), (100.0, 135.807)] {
            assert!((normal(statistic, freedom) - ONE_IN_A_HUNDRED).abs() < 0.06, "{freedom}");
        }
    }
}
