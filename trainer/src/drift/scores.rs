//! Whether new sessions score as the held-out ones of training did: the largest difference between the two distributions
//! (Kolmogorov and Smirnov), against the bound that chance exceeds once in a hundred samples (Smirnov, 1948). It is taken
//! at the amounts the model keeps of its held-out scores, where those are exact. Scores are powers of ten of a probability
//! that calibration estimates, so equal sessions of two models differ a little: what lies within [`ALIKE`] counts as equal,
//! as in Lévy's distance.

use gait_common::model::ModelData;
use serde::Serialize;

/// `sqrt(-ln(0.01 / 2) / 2)`: Smirnov's bound for one in a hundred, times the root of 1/n + 1/m.
const ONE_IN_A_HUNDRED: f64 = 1.627_623_6;
/// A smaller difference changes nothing for anybody: fewer than one session in ten scores otherwise.
const LEAST: f64 = 0.1;
/// Scores closer than this are the same.
const ALIKE: f64 = 0.5;

/// How the scores of new sessions differ from the held-out ones of training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreShift {
    /// The largest difference between the shares of sessions that reach a score.
    pub difference: f64,
    /// The score at which it is found.
    pub at: f64,
    /// The difference from which chance is no explanation, and which is worth acting on.
    pub bound: f64,
    /// The bound is passed.
    pub drifted: bool,
}

/// Compares scores of `callers` callers with those that the model keeps of its training.
pub(super) fn shift(scores: &[f64], callers: usize, model: &ModelData) -> ScoreShift {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len().max(1) as f64;
    let reach = |amount: f64| (sorted.len() - sorted.partition_point(|&score| score < amount)) as f64 / n;
    let tail = &model.calibration.score;
    let differences = tail.knots.iter().map(|&(amount, exponent)| {
        let amount = f64::from(amount);
        let before = 10f64.powf(-f64::from(exponent));
        let (more, fewer) = (reach(amount + ALIKE) - before, before - reach(amount - ALIKE));
        (more.max(fewer), amount)
    });
    let (difference, at) =
        differences.fold((0.0, 0.0), |most, next| if next.0 > most.0 { next } else { most });
    let inverse = |count: f64| 1.0 / count.max(1.0);
    let chance = ONE_IN_A_HUNDRED * (inverse(callers as f64) + inverse(model.meta.callers as f64)).sqrt();
    let bound = chance.max(LEAST);
    ScoreShift { difference, at, bound, drifted: !scores.is_empty() && difference > bound }
}
