//! What the model knows of alerts: plain data, and the classifier that is made of it.

use serde::{Deserialize, Serialize};

use super::features::{self, Scratch, TRAITS};
use super::line::Alert;
use super::rates::Rate;
use super::{Class, Judgement, Verdict, explain, sketch};

/// Weights, at most: features are hashed into so many places.
pub const SPACE: u32 = 1 << 16;
/// Labelled alerts that a model may show beside a new one, at most.
pub const MAX_EXEMPLARS: usize = 256;
/// Points of the calibration, at most.
const MAX_POINTS: usize = 1024;
/// Bytes of an exemplar's sketch.
pub const SKETCH: usize = 64;

/// What triage learned from, and how sure the labels were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// BLAKE3 of the rule sets whose alerts were learned from, as hexadecimal; empty where only logs were given.
    pub rules: String,
    /// Alerts whose label somebody gave, by themselves or copied from an equal alert of the strict log.
    pub labelled: u64,
    /// Alerts that only the loose rules raised and a person looked at.
    pub reviewed: u64,
    /// Alerts that only the loose rules raised and nobody looked at.
    pub presumed: u64,
    /// Estimated share of real ones among those that only the loose rules raised; how often the seed rule errs there.
    pub noise: f64,
    /// How what nobody looked at was learned from.
    pub method: String,
}

/// Where the verdicts are, as probabilities that an alert is real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Below, an alert is a false alarm.
    pub false_alarm: f32,
    /// From here on, it is real. Between the two, nothing is said.
    pub real: f32,
}

/// A labelled alert, to be shown beside new ones that are like it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// Its [`super::Key`], as text.
    pub key: String,
    /// What it is.
    pub class: Class,
    /// MinHash of its features, [`SKETCH`] bytes.
    pub sketch: Vec<u8>,
}

/// Triage as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TriageData {
    /// What it was learned from.
    pub origin: Origin,
    /// What is added to every score.
    pub bias: f32,
    /// Places of features, ascending, and what a feature there adds to the score.
    pub weights: Vec<(u32, f32)>,
    /// From scores, ascending, to probabilities that do not fall; linear in between.
    pub calibration: Vec<(f32, f32)>,
    /// Where the verdicts are.
    pub band: Band,
    /// Labelled alerts to be shown.
    pub exemplars: Vec<Exemplar>,
}

/// The classifier.
#[derive(Debug)]
pub struct Triage {
    origin: Origin,
    bias: f32,
    /// By place; zero where nothing was learned.
    weights: Vec<f32>,
    calibration: Vec<(f32, f32)>,
    band: Band,
    exemplars: Vec<Exemplar>,
    sketches: Vec<[u8; SKETCH]>,
}

impl Triage {
    /// Checks stored data and makes a classifier of it.
    ///
    /// # Errors
    /// What contradicts itself.
    pub fn new(data: TriageData) -> Result<Self, &'static str> {
        let TriageData { origin, bias, weights, calibration, band, exemplars } = data;
        if !bias.is_finite() || !weights.iter().all(|(_, weight)| weight.is_finite()) {
            return Err("a weight of triage is no number");
        }
        if !weights.is_sorted_by(|a, b| a.0 < b.0) || weights.last().is_some_and(|last| last.0 >= SPACE) {
            return Err("the weights of triage are out of order or out of place");
        }
        let probability = |p: f32| (0.0..=1.0).contains(&p);
        let rising = calibration.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let sound = calibration.iter().all(|&(score, p)| score.is_finite() && probability(p));
        if calibration.is_empty() || calibration.len() > MAX_POINTS || !rising || !sound {
            return Err("the calibration of triage is empty or does not rise");
        }
        if !probability(band.false_alarm) || !probability(band.real) || band.false_alarm > band.real {
            return Err("the verdicts of triage overlap");
        }
        if !probability(origin.noise as f32) {
            return Err("the label noise of triage is no probability");
        }
        let sketch = |one: &Exemplar| one.sketch.as_slice().try_into().ok();
        let sketches: Option<Vec<[u8; SKETCH]>> = exemplars.iter().map(sketch).collect();
        let (Some(sketches), ..=MAX_EXEMPLARS) = (sketches, exemplars.len()) else {
            return Err("triage has too many exemplars, or one without its sketch");
        };
        let mut by_place = vec![0.0; SPACE as usize];
        for (place, weight) in weights {
            by_place[place as usize] = weight;
        }
        Ok(Self { origin, bias, weights: by_place, calibration, band, exemplars, sketches })
    }

    /// What it was learned from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where its verdicts are.
    pub fn band(&self) -> Band {
        self.band
    }

    /// The calibrated probability of a score.
    pub fn probability(&self, score: f32) -> f32 {
        interpolate(&self.calibration, score)
    }

    /// The score of the alert that was looked at last.
    pub fn score(&self, scratch: &Scratch) -> f32 {
        let gram = scratch.gram_value();
        let (mut traits, mut grams) = (0.0, 0.0);
        for found in &scratch.found {
            let weight = self.weights[found.place as usize];
            *(if found.place < TRAITS { &mut traits } else { &mut grams }) += weight;
        }
        self.bias + traits + grams * gram
    }

    /// Judges an alert. `rate` is what [`super::Rates`] said of it.
    pub fn judge<'s>(&'s self, alert: &Alert<'_>, rate: Rate, scratch: &'s mut Scratch) -> Judgement<'s> {
        features::look(alert, rate, scratch);
        let probability = self.probability(self.score(scratch));
        let verdict = self.band.verdict(probability);
        explain::reasons(scratch, &self.weights);
        let nearest = sketch::nearest(&sketch::sketch(scratch), &self.exemplars, &self.sketches);
        Judgement { verdict, probability, reasons: &scratch.reasons, nearest }
    }
}

impl Band {
    /// What a probability comes to.
    pub fn verdict(&self, probability: f32) -> Verdict {
        if probability >= self.real {
            Verdict::Real
        } else if probability < self.false_alarm {
            Verdict::FalseAlarm
        } else {
            Verdict::Abstain
        }
    }
}

/// The value at `x` of the line through the points, which has their ends' values beyond them; 0 without points.
pub fn interpolate(points: &[(f32, f32)], x: f32) -> f32 {
    let above = points.partition_point(|point| point.0 <= x);
    match (above.checked_sub(1).and_then(|at| points.get(at)), points.get(above)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * ((x - x0) / (x1 - x0)).clamp(0.0, 1.0),
        (Some(&(_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests;
