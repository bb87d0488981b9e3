//! From scores of held-out alerts to probabilities, and from these to the band in which nothing is said.

use std::fmt;

use gait_common::alert::{Band, Class, interpolate};
use serde::Serialize;

use super::logistic::{minimise, sigmoid};
use super::score::Judged;

/// A held-out alert: its score by a model that has not seen its flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// What it is.
    pub class: Class,
    /// The score.
    pub score: f32,
    /// How many alerts it stands for.
    pub weight: f64,
    /// Its fold.
    pub fold: usize,
}

/// The form of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A logistic curve with targets that are not quite 0 and 1 (Platt 1999): sure of little where labels are few.
    Platt,
    /// Steps that rise (isotonic regression: Zadrozny and Elkan 2002), for many labels.
    Isotonic,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Platt => "Platt",
            Shape::Isotonic => "isotonic",
        })
    }
}

/// Points of Platt's curve.
const POINTS: usize = 65;
/// Steps of an isotonic calibration, at most.
const STEPS: usize = 256;

/// Fits the form that gives held-out folds the better probabilities, to all of them. The points are those of
/// [`gait_common::alert::TriageData::calibration`].
pub fn calibrate(scored: &[Scored], folds: usize) -> (Shape, Vec<(f32, f32)>) {
    let loss = |shape| {
        let losses = (0..folds).map(|fold| {
            let (held, others): (Vec<Scored>, Vec<Scored>) = scored.iter().partition(|one| one.fold == fold);
            if others.is_empty() {
                return 0.0;
            }
            let points = fit(shape, &others);
            judged(&held, &points).iter().map(|one| -one.weight * one.right().max(1e-6).ln()).sum::<f64>()
        });
        losses.sum::<f64>()
    };
    let shape = if loss(Shape::Isotonic) < loss(Shape::Platt) { Shape::Isotonic } else { Shape::Platt };
    (shape, fit(shape, scored))
}

/// What calibrated probabilities say of alerts, by folds, each fold by a calibration of the others.
pub fn cross_calibrated(scored: &[Scored], folds: usize, shape: Shape) -> Vec<Vec<Judged>> {
    let of = |fold| {
        let (held, others): (Vec<Scored>, Vec<Scored>) = scored.iter().partition(|one| one.fold == fold);
        if others.is_empty() { Vec::new() } else { judged(&held, &fit(shape, &others)) }
    };
    (0..folds).map(of).collect()
}

/// What a calibration says of alerts.
pub fn judged(scored: &[Scored], points: &[(f32, f32)]) -> Vec<Judged> {
    let judge = |one: &Scored| Judged {
        class: one.class,
        probability: interpolate(points, one.score),
        weight: one.weight,
    };
    scored.iter().map(judge).collect()
}

fn fit(shape: Shape, scored: &[Scored]) -> Vec<(f32, f32)> {
    match shape {
        Shape::Platt => platt(scored),
        Shape::Isotonic => isotonic(scored),
    }
}

fn platt(scored: &[Scored]) -> Vec<(f32, f32)> {
    // So many alerts of equal weight would say as much (Kish).
    let effective = |class| {
        let of = || scored.iter().filter(|one| one.class == class).map(|one| one.weight);
        let squares: f64 = of().map(|weight| weight * weight).sum();
        if squares > 0.0 { of().sum::<f64>().powi(2) / squares } else { 0.0 }
    };
    let (real, false_alarm) = (effective(Class::Real), effective(Class::FalseAlarm));
    let target = |class| match class {
        Class::Real => (real + 1.0) / (real + 2.0),
        Class::FalseAlarm => 1.0 / (false_alarm + 2.0),
    };
    let total: f64 = scored.iter().map(|one| one.weight).sum();
    let line = minimise(vec![1.0, 0.0], |x, gradient| {
        gradient.fill(0.0);
        let mut loss = 0.0;
        for one in scored {
            let (score, share) = (f64::from(one.score), target(one.class));
            let odds = x[0] * score + x[1];
            let probability = sigmoid(odds);
            let weight = one.weight / total;
            loss += weight * (odds.max(0.0) + (-odds.abs()).exp().ln_1p() - share * odds);
            gradient[0] += weight * (probability - share) * score;
            gradient[1] += weight * (probability - share);
        }
        loss
    });
    let (slope, offset) = (line[0].max(1e-3), line[1]);
    let (low, high) = scored
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), one| (low.min(one.score), high.max(one.score)));
    // A span without extent still needs two points.
    let (low, high) = (f64::from(low) - 0.5, f64::from(high) + 0.5);
    let at = |point: usize| low + (high - low) * point as f64 / (POINTS - 1) as f64;
    (0..POINTS).map(at).map(|score| (score as f32, sigmoid(slope * score + offset) as f32)).collect()
}

/// Pools neighbours that would fall (Ayer et al. 1955), and equals before them: a score has one probability. Each pool is
/// drawn towards the share of all by one alert, so that none is certain.
fn isotonic(scored: &[Scored]) -> Vec<(f32, f32)> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    // Sums of weights, of the real ones' weights, and of scores.
    let mut pools: Vec<[f64; 3]> = Vec::new();
    for equals in sorted.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let weight =
            |class| equals.iter().filter(|one| one.class == class).map(|one| one.weight).sum::<f64>();
        let (real, false_alarm) = (weight(Class::Real), weight(Class::FalseAlarm));
        pools.push([real + false_alarm, real, (real + false_alarm) * f64::from(equals[0].score)]);
        while let [.., before, last] = pools.as_mut_slice()
            && before[1] * last[0] >= last[1] * before[0]
        {
            let last = *last;
            before.iter_mut().zip(last).for_each(|(sum, more)| *sum += more);
            pools.pop();
        }
    }
    let total = pools.iter().fold([0.0, 0.0], |sum, pool| [sum[0] + pool[0], sum[1] + pool[1]]);
    let (base, one) = (total[1] / total[0], heaviest(scored.iter().map(|one| one.weight)));
    let mut points: Vec<(f32, f32)> = Vec::with_capacity(pools.len());
    for [weight, real, scores] in pools {
        let score = (scores / weight) as f32;
        let probability = ((real + base * one) / (weight + one)) as f32;
        let probability = points.last().map_or(probability, |last| last.1.max(probability));
        if points.last().is_none_or(|last| last.0 < score) {
            points.push((score, probability));
        }
    }
    while points.len() > STEPS {
        // Every other one, and both ends.
        let last = points.len() - 1;
        let mut at = 0..;
        points.retain(|_| at.next().is_some_and(|at: usize| at.is_multiple_of(2) || at == last));
    }
    points
}

/// What one alert more would weigh at most: a reviewed one stands for many, and so does the one that was not seen.
fn heaviest(weights: impl Iterator<Item = f64>) -> f64 {
    weights.fold(1.0, f64::max)
}

/// Where verdicts begin, so that of the alerts judged real at most `real_errors` are none, and of those judged a false
/// alarm at most `false_alarm_errors` are real. One error more than was seen counts, as heavy as any alert, so that a
/// handful of alerts is never sure enough. Where a target cannot be met nothing is ever judged so.
pub fn band(judged: &[Judged], real_errors: f64, false_alarm_errors: f64) -> Band {
    let real = limit(judged, Class::Real, real_errors, |one| f64::from(one.probability));
    let false_alarm =
        limit(judged, Class::FalseAlarm, false_alarm_errors, |one| 1.0 - f64::from(one.probability));
    Band { false_alarm: (1.0 - false_alarm).clamp(0.0, 0.5) as f32, real: real.clamp(0.5, 1.0) as f32 }
}

/// The least sureness of a class, a half or more, from which on few enough are wrong.
fn limit(judged: &[Judged], class: Class, errors: f64, sureness: impl Fn(&Judged) -> f64) -> f64 {
    let mut sure: Vec<(f64, f64, bool)> = judged
        .iter()
        .map(|one| (sureness(one), one.weight, one.class == class))
        .filter(|one| one.0 >= 0.5)
        .collect();
    sure.sort_by(|a, b| b.0.total_cmp(&a.0));
    let one = heaviest(judged.iter().map(|one| one.weight));
    let mut least = 1.0;
    let (mut all, mut wrong) = (0.0, 0.0);
    for (at, &(sureness, weight, right)) in sure.iter().enumerate() {
        all += weight;
        wrong += if right { 0.0 } else { weight };
        let last_of_equals = sure.get(at + 1).is_none_or(|next| next.0 < sureness);
        if last_of_equals && (wrong + one) / (all + 2.0 * one) <= errors {
            // Halfway to the next one, and down to a half where there is none.
            least = sure.get(at + 1).map_or(0.5, |next| f64::midpoint(sureness, next.0));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use gait_common::alert::hash;

    use super::*;

    fn draw(count: usize, slope: f64) -> Vec<Scored> {
        let uniform = |at: usize| hash(&at.to_le_bytes()) as f64 / u64::MAX as f64;
        let one = |at: usize| {
            let score = uniform(2 * at) * 8.0 - 4.0;
            let real = uniform(2 * at + 1) < sigmoid(slope * score);
            let class = if real { Class::Real } else { Class::FalseAlarm };
            Scored { class, score: score as f32, weight: 1.0, fold: at % 5 }
        };
        (0..count).map(one).collect()
    }

    /// Both forms have to find how probable it is in truth.
    #[test]
    fn probabilities_are_recovered() {
        let scored = draw(20_000, 2.0);
        for shape in [Shape::Platt, Shape::Isotonic] {
            let points = fit(shape, &scored);
            assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{shape}");
            for score in [-1.0, -0.3, 0.0, 0.5, 1.5] {
                let (found, want) = (interpolate(&points, score), sigmoid(2.0 * f64::from(score)) as f32);
                assert!((found - want).abs() < 0.05, "{shape} at {score}: {found}, not {want}");
            }
        }
    }

    #[test]
    fn few_labels_are_not_certain() {
        let one = |class, score, fold| Scored { class, score, weight: 1.0, fold };
        let scored: Vec<Scored> = (0..10)
            .map(|at| one(Class::Real, 3.0 + at as f32 / 10.0, at % 5))
            .chain((0..10).map(|at| one(Class::FalseAlarm, -3.0, at % 5)))
            .collect();
        let (_, points) = calibrate(&scored, 5);
        let (least, most) = (interpolate(&points, -9.0), interpolate(&points, 9.0));
        assert!(least > 0.01 && most < 0.99, "{least} {most}");
    }

    #[test]
    fn the_band_holds_the_errors() {
        let one = |probability, class| Judged { class, probability, weight: 1.0 };
        let many = |count, probability, class| std::iter::repeat_n(one(probability, class), count);
        let judged: Vec<Judged> = many(97, 0.99, Class::Real)
            .chain(many(1, 0.98, Class::FalseAlarm))
            .chain(many(10, 0.7, Class::FalseAlarm))
            .chain(many(20, 0.1, Class::FalseAlarm))
            .chain(many(1, 0.2, Class::Real))
            .collect();
        let found = band(&judged, 0.03, 0.1);
        assert!(found.real > 0.7 && found.real < 0.98, "{found:?}");
        assert!(found.false_alarm > 0.2, "one of 21 is wrong: {found:?}");
        let strict = band(&judged, 0.001, 0.01);
        assert_eq!((strict.real, strict.false_alarm), (1.0, 0.0), "so much cannot be known from so few");
    }

    #[test]
    fn a_few_heavy_alerts_are_as_few_as_light_ones() {
        let heavy = [Judged { class: Class::Real, probability: 0.99, weight: 100.0 }; 3];
        assert_eq!(band(&heavy, 0.02, 0.1).real, 1.0, "three say nothing about two in a hundred");
        let one = |class, score| Scored { class, score, weight: 100.0, fold: 0 };
        let points = isotonic(&[one(Class::FalseAlarm, -1.0), one(Class::Real, 1.0)]);
        assert_eq!(points, [(-1.0, 0.25), (1.0, 0.75)]);
    }

    #[test]
    fn a_score_has_one_probability_whatever_stands_first() {
        let one = |class, score| Scored { class, score, weight: 1.0, fold: 0 };
        let (real, false_alarm) = (one(Class::Real, 2.0), one(Class::FalseAlarm, 2.0));
        for both in [[real, false_alarm], [false_alarm, real]] {
            assert_eq!(isotonic(&both), [(2.0, 0.5)]);
        }
    }
}
