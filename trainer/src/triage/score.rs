//! How good verdicts are: precision, recall, coverage and calibration, where each alert counts as many as it stands for.

use gait_common::alert::{Band, Class, Verdict};
use serde::Serialize;

/// An alert whose class is known, as it was judged while it was held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What it is.
    pub class: Class,
    /// The probability that was given to its being real.
    pub probability: f32,
    /// How many alerts it stands for.
    pub weight: f64,
}

/// Verdicts against classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Real ones that were judged real, a false alarm, or not.
    pub real: Verdicts,
    /// The same of false alarms.
    pub false_alarm: Verdicts,
    /// Mean squared difference between probability and class (Brier 1950).
    pub brier: f64,
    /// Mean of -ln(probability of what it was).
    pub log_loss: f64,
}

/// How many alerts of one class got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Verdicts {
    /// `real`
    pub real: f64,
    /// `false_alarm`
    pub false_alarm: f64,
    /// `abstain`
    pub abstain: f64,
}

impl Verdicts {
    fn sum(&self) -> f64 {
        self.real + self.false_alarm + self.abstain
    }
}

impl Score {
    /// Scores what was judged.
    pub fn of(judged: &[Judged], band: Band) -> Self {
        Self::of_each(judged.iter().map(|&one| (one, band)))
    }

    /// Scores what was judged, each with a band of its own.
    pub fn of_each(judged: impl Iterator<Item = (Judged, Band)>) -> Self {
        let mut score = Score::default();
        let mut sum = 0.0;
        for (one, band) in judged {
            let of = match one.class {
                Class::Real => &mut score.real,
                Class::FalseAlarm => &mut score.false_alarm,
            };
            *match band.verdict(one.probability) {
                Verdict::Real => &mut of.real,
                Verdict::FalseAlarm => &mut of.false_alarm,
                Verdict::Abstain => &mut of.abstain,
            } += one.weight;
            let right = one.right();
            score.brier += one.weight * (1.0 - right).powi(2);
            score.log_loss -= one.weight * right.max(1e-6).ln();
            sum += one.weight;
        }
        if sum > 0.0 {
            score.brier /= sum;
            score.log_loss /= sum;
        }
        score
    }

    /// Share of the real ones that were judged real; those of which nothing was said count as missed.
    pub fn recall(&self) -> f64 {
        share(self.real.real, self.real.sum())
    }

    /// Share of those judged real that are.
    pub fn precision(&self) -> f64 {
        share(self.real.real, self.real.real + self.false_alarm.real)
    }

    /// Share of those judged a false alarm that are one.
    pub fn false_alarm_precision(&self) -> f64 {
        share(self.false_alarm.false_alarm, self.false_alarm.false_alarm + self.real.false_alarm)
    }

    /// Share of the false alarms that were judged one.
    pub fn false_alarm_recall(&self) -> f64 {
        share(self.false_alarm.false_alarm, self.false_alarm.sum())
    }

    /// Share of alerts of which something was said.
    pub fn coverage(&self) -> f64 {
        let all = self.real.sum() + self.false_alarm.sum();
        share(all - self.real.abstain - self.false_alarm.abstain, all)
    }
}

impl Judged {
    /// The probability that was given to what it is.
    pub fn right(&self) -> f64 {
        let real = f64::from(self.probability);
        if self.class == Class::Real { real } else { 1.0 - real }
    }
}

/// Alerts of about the same probability: what was said of them and what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// From this probability on.
    pub from: f64,
    /// To this one.
    pub to: f64,
    /// Alerts.
    pub count: f64,
    /// Mean of the probabilities given.
    pub said: f64,
    /// Share that is real.
    pub real: f64,
}

/// Edges of the bins: narrow where most alerts are.
const EDGES: [f64; 8] = [0.0, 0.02, 0.1, 0.3, 0.7, 0.9, 0.98, 1.0];

/// Bins of probabilities; those without alerts are left out.
pub fn reliability(judged: &[Judged]) -> Vec<Bin> {
    let mut bins: Vec<Bin> =
        EDGES.windows(2).map(|edge| Bin { from: edge[0], to: edge[1], ..Bin::default() }).collect();
    for one in judged {
        let probability = f64::from(one.probability);
        let at = EDGES[1..EDGES.len() - 1].partition_point(|&edge| edge <= probability);
        bins[at].count += one.weight;
        bins[at].said += one.weight * probability;
        bins[at].real += one.weight * f64::from(u8::from(one.class == Class::Real));
    }
    bins.retain(|bin| bin.count > 0.0);
    for bin in &mut bins {
        bin.said /= bin.count;
        bin.real /= bin.count;
    }
    bins
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_judged_counts_as_missed() {
        let one = |class, probability, weight| Judged { class, probability, weight };
        let judged = [
            one(Class::Real, 0.99, 6.0),
            one(Class::Real, 0.5, 1.0),
            one(Class::Real, 0.1, 1.0),
            one(Class::FalseAlarm, 0.05, 3.0),
            one(Class::FalseAlarm, 0.95, 2.0),
        ];
        let score = Score::of(&judged, Band { false_alarm: 0.2, real: 0.8 });
        assert_eq!((score.recall(), score.precision()), (0.75, 0.75));
        assert_eq!((score.false_alarm_recall(), score.false_alarm_precision()), (0.6, 0.75));
        assert!((score.coverage() - 12.0 / 13.0).abs() < 1e-9);
        let bins = reliability(&judged);
        assert_eq!(bins.len(), 5, "{bins:?}");
        assert!(
            (bins[0].said - 0.05).abs() < 1e-6 && bins[0].real == 0.0 && bins[0].count == 3.0,
            "{bins:?}"
        );
        assert!((bins[1].from - 0.1).abs() < 1e-9 && bins[1].real == 1.0);
    }
}
