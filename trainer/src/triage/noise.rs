//! How often "only the loose rules raised it, so it is a false alarm" is wrong, and how to learn all the same.

use std::collections::BTreeMap;
use std::fmt;

use gait_common::alert::Class;
use serde::Serialize;

/// What is done with alerts that only the loose rules raised and nobody looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// They are left out; the reviewed ones stand for them.
    Trusted,
    /// Each is real with the share that the reviewed ones of its rule show (backward correction: Natarajan et al. 2013).
    Backward,
    /// Each is a false alarm, or a real one that was not noticed (forward correction; positive-unlabelled learning).
    Forward,
    /// A first model, held to the share that the reviewed ones show, says how likely each is real (expectation and
    /// maximisation: Dempster, Laird and Rubin 1977).
    Expectation,
    /// A first model says which of them are surely wrong, and which surely right; the others are left out (confident
    /// learning: Northcutt, Jiang and Chuang 2021).
    Confident,
    /// All are false alarms, as the seed method has it.
    Seed,
}

impl Method {
    /// All of them; of two that are equally good, the one before is taken.
    pub const ALL: [Method; 6] = [
        Method::Trusted,
        Method::Backward,
        Method::Forward,
        Method::Expectation,
        Method::Confident,
        Method::Seed,
    ];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Trusted => "trusted labels only",
            Method::Backward => "backward correction",
            Method::Forward => "forward correction",
            Method::Expectation => "expectation-maximisation",
            Method::Confident => "confident learning",
            Method::Seed => "seed rule",
        })
    }
}

/// The share of real ones among alerts that only the loose rules raised.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Noise {
    /// Reviewed alerts that it is estimated from.
    pub reviewed: usize,
    /// The share; 0 where nothing was reviewed.
    pub share: f64,
    /// Lower end of its 95 % interval (Wilson 1927); 0 where nothing was reviewed.
    pub low: f64,
    /// Upper end; 1 where nothing was reviewed.
    pub high: f64,
    /// By rule, drawn towards the share of all: reviewed ones, and the share.
    pub signatures: BTreeMap<u32, (usize, f64)>,
}

/// Reviewed alerts' worth by which a rule's share is drawn towards that of all.
const PRIOR: f64 = 4.0;

impl Noise {
    /// Estimates it from reviewed alerts, which have to be drawn at random: the rule and the class of each.
    pub fn estimate(reviewed: impl Iterator<Item = (u32, Class)>) -> Self {
        let mut by_rule: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (signature, class) in reviewed {
            let (count, real) = by_rule.entry(signature).or_default();
            *count += 1;
            *real += usize::from(class == Class::Real);
        }
        let count: usize = by_rule.values().map(|(count, _)| count).sum();
        if count == 0 {
            return Noise { high: 1.0, ..Noise::default() };
        }
        let real: usize = by_rule.values().map(|(_, real)| real).sum();
        let share = real as f64 / count as f64;
        let (low, high) = wilson(real as f64, count as f64);
        let drawn = |(count, real): (usize, usize)| (real as f64 + PRIOR * share) / (count as f64 + PRIOR);
        let signatures =
            by_rule.into_iter().map(|(rule, counts)| (rule, (counts.0, drawn(counts)))).collect();
        Noise { reviewed: count, share, low, high, signatures }
    }

    /// The share of real ones among those of a rule.
    pub fn of(&self, signature: u32) -> f64 {
        self.signatures.get(&signature).map_or(self.share, |(_, share)| *share)
    }

    /// The probability that a real alert is noticed by the strict rules, where `noticed` real ones were and `presumed` only
    /// the loose rules raised.
    pub fn noticed(&self, noticed: f64, presumed: f64) -> f64 {
        let missed = self.share * presumed;
        if noticed + missed > 0.0 { noticed / (noticed + missed) } else { 1.0 }
    }
}

/// The 95 % interval of a share.
fn wilson(part: f64, count: f64) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    let share = part / count;
    let middle = share + Z * Z / (2.0 * count);
    let width = Z * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + Z * Z / count;
    (((middle - width) / scale).max(0.0), ((middle + width) / scale).min(1.0))
}

/// Moves probabilities so that their mean is `share`, each by the same log-odds.
pub fn hold_to(odds: &[f32], share: f64) -> Vec<f32> {
    use super::logistic::sigmoid;
    let share = share.clamp(0.001, 0.999);
    let mean =
        |by: f64| odds.iter().map(|&odds| sigmoid(f64::from(odds) + by)).sum::<f64>() / odds.len() as f64;
    let (mut low, mut high) = (-50.0, 50.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        *(if mean(middle) < share { &mut low } else { &mut high }) = middle;
    }
    odds.iter().map(|&odds| sigmoid(f64::from(odds) + low) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_estimated_with_its_interval() {
        let reviewed = (0..200).map(|at| {
            let class = if at % 8 == 0 { Class::FalseAlarm } else { Class::Real };
            (if at < 190 { 1 } else { 2 }, class)
        });
        let noise = Noise::estimate(reviewed);
        assert!((noise.share - 0.875).abs() < 1e-9 && noise.reviewed == 200);
        // Wilson's interval of 175 of 200, from a table.
        assert!((noise.low - 0.8220).abs() < 5e-4 && (noise.high - 0.9139).abs() < 5e-4, "{noise:?}");
        assert!((noise.of(2) - (9.0 + 4.0 * 0.875) / 14.0).abs() < 1e-9, "ten say less than all");
        assert_eq!(noise.of(3), noise.share);
        assert!((noise.noticed(350.0, 200.0) - 350.0 / 525.0).abs() < 1e-9);
        let none = Noise::estimate(std::iter::empty());
        assert_eq!((none.share, none.low, none.high), (0.0, 0.0, 1.0));
    }

    #[test]
    fn probabilities_are_held_to_a_share_in_their_order() {
        let held = hold_to(&[-3.0, 0.0, 1.0, 5.0], 0.9);
        assert!((held.iter().sum::<f32>() / 4.0 - 0.9).abs() < 1e-4, "{held:?}");
        assert!(held.is_sorted());
    }
}
