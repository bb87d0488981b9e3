//! From evidence to one score, in units that mean the same for every part and every data set.
//!
//! Each part's amount becomes the tail probability it had among held-out normal sessions, as `-log10 P(amount >= x)`:
//! 3 means one normal session in a thousand shows as much. Within what was observed this is the empirical tail;
//! beyond it the tail is taken to fall exponentially with the mean excess of the top twentieth (peaks over threshold;
//! Pickands, 1975, with shape 0). What exceeds [`COMMON`] counts: the strongest part whole, each further one by a
//! [`FURTHER`]th. Several kinds of evidence count for more than one alone, but they are far from independent: a call
//! that was never seen is rare, new and off every pattern at once, and adding these up would let harmless oddities
//! outweigh a single clear sign.
//!
//! The threshold on the sum comes from held-out normal sessions in the same way, for a stated false-alarm rate.

use serde::{Deserialize, Serialize};

use super::{Evidence, Part};

/// Tail exponent up to which an amount is everyday variation: one normal session in ten shows it.
const COMMON: f64 = 1.0;
/// How much evidence counts beside a stronger kind.
const FURTHER: f64 = 0.1;
/// The share of a sample from which its tail is extrapolated.
const TOP: f64 = 0.05;
/// Members of a sample beyond a quantile that make it sure.
const ENOUGH: usize = 20;
/// Knots kept of a tail.
const KNOTS: usize = 64;
/// No part alone counts for more than this.
const MAX_EXPONENT: f64 = 30.0;

/// The upper tail of one statistic among normal sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Amounts, ascending, each with `-log10` of the share of sessions that reach it, ascending too.
    pub knots: Vec<(f32, f32)>,
    /// `-log10` of the chance of an amount that no session of the sample reached.
    pub beyond: f32,
    /// How much further such an amount must go for its probability to fall by a factor of e.
    pub scale: f32,
}

impl Tail {
    /// The tail of a sample. `least_scale` is the smallest difference that means something, for statistics that normal
    /// sessions hardly ever show. Amounts less than `tolerance` apart are not told apart: each counts as the least that
    /// it may be. Without that a crowd of sessions which did the same would be spread over its own tail by what the models
    /// that judged them differ in.
    pub fn fit(sample: &[f32], least_scale: f32, tolerance: f32) -> Self {
        let mut sorted: Vec<f32> = sample.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let n = sorted.len();
        let mut knots: Vec<(f32, f32)> = Vec::new();
        for (rank, amount) in ranked(&sorted) {
            // `rank` sessions are below, so n - rank reach this amount.
            let exponent = -(((n - rank) as f64 + 0.5) / (n as f64 + 1.0)).log10() as f32;
            knots.push((amount, exponent.max(0.0)));
        }
        let (_, excess) = top(&sorted, ((n as f64 * TOP) as usize).max(1));
        let beyond = (n as f32 + 1.0).log10();
        Self { knots: widen(&thin(knots), tolerance), beyond, scale: excess.max(least_scale) }
    }

    /// `-log10 P(amount >= x)`, not negative.
    pub fn exponent(&self, x: f32) -> f64 {
        let Some(&(last, _)) = self.knots.last() else {
            return 0.0;
        };
        if x > last {
            let further = f64::from(x - last) / f64::from(self.scale) * std::f64::consts::LOG10_E;
            return (f64::from(self.beyond) + further).min(MAX_EXPONENT);
        }
        let above = self.knots.partition_point(|&(amount, _)| amount < x);
        match (above.checked_sub(1).map(|below| self.knots[below]), self.knots[above]) {
            (None, _) => 0.0,
            (Some((low, from)), (high, to)) => {
                let between = f64::from(to - from) * f64::from((x - low) / (high - low));
                // Rounding must not make the tail fall.
                (f64::from(from) + between).min(f64::from(to))
            }
        }
    }

    /// The amount that a share of new sessions reaches. Where the sample has enough that reach it this is an order
    /// statistic; else it is read off the exponential that fits the largest `ENOUGH`, since an order statistic would hang
    /// on the two or three oddest sessions.
    pub fn quantile(sample: &[f32], share: f64, least_scale: f32) -> f32 {
        let mut sorted: Vec<f32> = sample.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        if sorted.is_empty() {
            return 0.0;
        }
        let wanted = share * sorted.len() as f64;
        if wanted >= ENOUGH as f64 {
            return reached_by(&sorted, wanted.round() as usize, least_scale);
        }
        let (base, excess) = top(&sorted, ENOUGH);
        let most = ENOUGH.min(sorted.len()) as f64;
        base + excess.max(least_scale) * (most / wanted).ln() as f32
    }

    /// The largest knot whose exponent is at most this; minus infinity when there is none.
    fn last_within(&self, exponent: f64) -> f32 {
        let within = self.knots.partition_point(|&(_, e)| f64::from(e) <= exponent);
        within.checked_sub(1).map_or(f32::NEG_INFINITY, |last| self.knots[last].0)
    }

    /// The largest amount that normal sessions showed.
    pub fn largest(&self) -> f32 {
        self.knots.last().map_or(0.0, |&(amount, _)| amount)
    }

    fn is_sound(&self) -> bool {
        self.knots.len() <= 4 * KNOTS
            && self.knots.iter().all(|(x, e)| x.is_finite() && e.is_finite() && *e >= 0.0)
            && self.knots.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1)
            && self.beyond.is_finite()
            && self.knots.last().is_none_or(|last| self.beyond >= last.1)
            && (self.knots.is_empty() || (self.scale.is_finite() && self.scale > 0.0))
    }
}

/// The largest amount of a sorted sample below its top `count`, and by how much these exceed it on average.
fn top(sorted: &[f32], count: usize) -> (f32, f32) {
    let (rest, top) = sorted.split_at(sorted.len().saturating_sub(count));
    let base = rest.last().or(top.first()).copied().unwrap_or_default();
    let excess = top.iter().map(|&x| f64::from(x - base)).sum::<f64>() / top.len().max(1) as f64;
    (base, excess as f32)
}

/// The amount that `count` members of a sorted sample reach. Where many have the same, all of them do or none, whichever is
/// nearer to that.
fn reached_by(sorted: &[f32], count: usize, least_scale: f32) -> f32 {
    let n = sorted.len();
    let limit = sorted[n - 1 - count.min(n - 1)];
    let reach = n - sorted.partition_point(|&x| x < limit);
    let exceed = n - sorted.partition_point(|&x| x <= limit);
    if reach - count.min(reach) < count.saturating_sub(exceed) {
        return limit;
    }
    let next = sorted.get(n - exceed).copied().filter(|_| exceed > 0);
    next.map_or(limit + least_scale, |next| f32::midpoint(limit, next))
}

/// Each different amount of a sorted sample with the number of elements below it.
fn ranked(sorted: &[f32]) -> impl Iterator<Item = (usize, f32)> + '_ {
    let mut rank = 0;
    sorted.chunk_by(|a, b| a == b).map(move |group| {
        let below = rank;
        rank += group.len();
        (below, group[0])
    })
}

/// Keeps [`KNOTS`] knots at even distances in the exponent: the tail is what matters.
fn thin(knots: Vec<(f32, f32)>) -> Vec<(f32, f32)> {
    let Some(&(_, highest)) = knots.last() else { return knots };
    let mut kept: Vec<(f32, f32)> = Vec::new();
    let step = highest / KNOTS as f32;
    let last = knots.len() - 1;
    for (place, knot) in knots.into_iter().enumerate() {
        if place == 0 || place == last || kept.last().is_none_or(|before| knot.1 - before.1 >= step) {
            kept.push(knot);
        }
    }
    kept
}

/// Makes each knot reach further by `tolerance`.
fn widen(knots: &[(f32, f32)], tolerance: f32) -> Vec<(f32, f32)> {
    let mut wide: Vec<(f32, f32)> = Vec::with_capacity(2 * knots.len());
    for &(amount, exponent) in knots {
        for reach in [amount, amount + tolerance] {
            if wide.last().is_none_or(|&(before, _)| before < reach) {
                wide.push((reach, exponent));
            }
        }
    }
    wide
}

/// The calibration as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationData {
    /// Mean surprise of a step among normal sessions, in bits.
    pub step_mean: f64,
    /// Its standard deviation.
    pub step_deviation: f64,
    /// The tail of each part, in the order of [`Part::ALL`]; empty before calibration.
    pub tails: Vec<Tail>,
    /// The tail of the score itself.
    pub score: Tail,
    /// Scores from here on are anomalous.
    pub threshold: f64,
    /// The share of normal sessions that the threshold is meant to flag.
    pub false_alarm_rate: f64,
}

impl CalibrationData {
    /// Surprise summed over `steps` beyond the usual, in standard deviations.
    pub fn flow(&self, bits: f64, steps: u32) -> f32 {
        let Self { step_mean, step_deviation, .. } = *self;
        if steps == 0 || step_deviation <= 0.0 {
            return 0.0;
        }
        let steps = f64::from(steps);
        ((bits - steps * step_mean) / (step_deviation * steps.sqrt())).max(0.0) as f32
    }

    /// How much a part adds to the score.
    pub fn contribution(&self, evidence: &Evidence, part: Part) -> f64 {
        let tail = self.tails.get(part as usize);
        tail.map_or(0.0, |tail| (tail.exponent(evidence.get(part)) - COMMON).max(0.0))
    }

    /// The score of all evidence.
    pub fn score(&self, evidence: &Evidence) -> f64 {
        let parts = Part::ALL.map(|part| self.contribution(evidence, part));
        let most = parts.iter().copied().fold(0.0, f64::max);
        most + FURTHER * (parts.iter().sum::<f64>() - most)
    }
}

/// The calibration ready for use.
#[derive(Debug, Default)]
pub struct Calibration {
    data: CalibrationData,
    /// Per part, the amount up to which it adds nothing.
    common: [f32; Part::ALL.len()],
}

impl Calibration {
    /// Checks stored data.
    ///
    /// # Errors
    /// What is wrong with the data.
    pub fn new(data: CalibrationData) -> Result<Self, &'static str> {
        if !data.tails.is_empty() && data.tails.len() != Part::ALL.len() {
            return Err("the calibration knows other kinds of evidence than this program");
        }
        if !data.tails.iter().chain([&data.score]).all(Tail::is_sound) {
            return Err("a calibration tail is not an ascending list of finite numbers");
        }
        let numbers = [data.step_mean, data.step_deviation, data.threshold, data.false_alarm_rate];
        if numbers.iter().any(|x| !x.is_finite() || *x < 0.0) {
            return Err("a number of the calibration is negative or not finite");
        }
        let common = Part::ALL.map(|part| match data.tails.get(part as usize) {
            Some(tail) if !tail.knots.is_empty() => tail.last_within(COMMON),
            _ => f32::INFINITY,
        });
        Ok(Self { data, common })
    }

    /// What is stored.
    pub fn data(&self) -> &CalibrationData {
        &self.data
    }

    /// How much a part adds to the score.
    pub fn contribution(&self, evidence: &Evidence, part: Part) -> f64 {
        self.data.contribution(evidence, part)
    }

    /// The score of all evidence.
    pub fn score(&self, evidence: &Evidence) -> f64 {
        // Most sessions show nothing uncommon most of the time.
        if evidence.0.iter().zip(&self.common).all(|(amount, common)| amount <= common) {
            return 0.0;
        }
        self.data.score(evidence)
    }

    /// Scores from here on are anomalous; infinite before calibration.
    pub fn threshold(&self) -> f64 {
        if self.data.tails.is_empty() { f64::INFINITY } else { self.data.threshold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_is_the_empirical_tail_and_goes_on_beyond_it() {
        let sample: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let tail = Tail::fit(&sample, 0.1, 0.0);
        assert!((tail.exponent(900.0) - 1.0).abs() < 0.05, "{}", tail.exponent(900.0));
        assert!((tail.exponent(990.0) - 2.0).abs() < 0.1, "{}", tail.exponent(990.0));
        assert!(tail.exponent(1200.0) > tail.exponent(999.0) + 2.0);
        // The largest twenty, 980 to 999, exceed 979 by 10.5 on average.
        let expected = 979.0 + 10.5 * 20f32.ln();
        assert!((Tail::quantile(&sample, 0.001, 0.1) - expected).abs() < 0.1);
        assert_eq!(Tail::quantile(&sample, 0.5, 0.1), 499.5);
        let exponents: Vec<f64> = (0..2000).map(|i| tail.exponent(i as f32)).collect();
        assert!(exponents.is_sorted());
    }

    #[test]
    fn what_never_happens_is_surprising_at_once() {
        let tail = Tail::fit(&[0.0; 500], 0.5, 0.2);
        assert_eq!(tail.exponent(0.0), 0.0);
        assert!(tail.exponent(1.0) > 3.0, "{}", tail.exponent(1.0));
    }

    /// A crowd that did the same, seen by models that differ a little, stays one crowd.
    #[test]
    fn what_is_not_told_apart_counts_alike() {
        let mut sample = vec![0.0; 900];
        sample.extend((0..100).map(|at| 4.0 + at as f32 / 500.0));
        let tail = Tail::fit(&sample, 1.0, 0.4);
        for x in [4.0, 4.1, 4.2, 4.39] {
            assert!((tail.exponent(x) - 1.0).abs() < 0.01, "{x}: {}", tail.exponent(x));
        }
        assert!(tail.exponent(4.7) > 2.9, "{}", tail.exponent(4.7));
        let exponents: Vec<f64> = (0..600).map(|i| tail.exponent(i as f32 / 100.0)).collect();
        assert!(exponents.is_sorted());
    }

    #[test]
    fn a_crowd_at_the_quantile_is_taken_whole_or_not_at_all() {
        let crowd = |n: usize| [vec![0.0; 1000 - n], vec![3.0; n - 10], vec![9.0; 10]].concat();
        assert_eq!(Tail::quantile(&crowd(60), 0.05, 0.5), 3.0, "60 are nearer to 50 than 10 are");
        assert_eq!(Tail::quantile(&crowd(200), 0.05, 0.5), 6.0, "10 are nearer to 50 than 200 are");
        assert_eq!(Tail::quantile(&[3.0; 500], 0.05, 0.5), 3.5, "nobody is above the crowd");
    }

    #[test]
    fn an_empty_sample_says_nothing() {
        assert_eq!(Tail::fit(&[], 1.0, 0.1).exponent(5.0), 0.0);
    }
}
