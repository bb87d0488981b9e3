//! Learning which alerts are real, from labels of which some are noise.
//!
//! What is known of an alert is one of three things ([`Known`]): somebody labelled it (or an equal alert of the strict log),
//! somebody looked at it as part of a random sample of those that only the loose rules raised, or nobody did. What the
//! last are is estimated from the sample ([`Noise`]). Which way of learning from them is best ([`Method`]) is measured:
//! by cross-validation over flows, against trusted labels only, the sample counting for all it was drawn from. The
//! same held-out scores calibrate the probabilities and set the band in which nothing is said.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use gait_common::alert::{
    Alert, Band, Class, Exemplar, Key, Origin, Rate, SKETCH, SPACE, Scratch, TRAITS, TriageData, hash,
    interpolate, look, sketch,
};
use rayon::prelude::*;
use serde::Serialize;

use super::calibrate::{self, Scored, Shape};
use super::exemplars;
use super::logistic::{self, Linear, Row, Target};
use super::noise::{Method, Noise, hold_to};
use super::score::{Bin, Judged, Score, reliability};

/// What is known of an alert of the loose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its class, by an analyst's word on it, on its rule, or on the equal alert of the strict log.
    Labelled(Class),
    /// Its class, and that it was drawn at random from those that only the loose rules raised.
    Reviewed(Class),
    /// That only the loose rules raised it: a false alarm, says the seed rule.
    Presumed,
}

impl Known {
    /// The class, where somebody has seen it.
    pub fn class(self) -> Option<Class> {
        match self {
            Known::Labelled(class) | Known::Reviewed(class) => Some(class),
            Known::Presumed => None,
        }
    }

    fn only_loose(self) -> bool {
        !matches!(self, Known::Labelled(_))
    }
}

/// An alert to learn from: its features and what is known of it.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its name.
    pub key: Key,
    /// What is known of it.
    pub known: Known,
    places: Box<[u32]>,
    traits: usize,
    gram: f32,
    sketch: [u8; SKETCH],
    flow: u64,
}

impl Example {
    /// Looks at an alert. The rates have to be those of its own log, in the order of time.
    pub fn new(alert: &Alert<'_>, rate: Rate, known: Known, scratch: &mut Scratch) -> Self {
        look(alert, rate, scratch);
        let mut places = Vec::new();
        let mut gram = 1.0;
        for (place, value) in scratch.features() {
            places.push(place);
            if place >= TRAITS {
                gram = value;
            }
        }
        // Traits have the lower places, so they come first.
        places.sort_unstable();
        let traits = places.partition_point(|&place| place < TRAITS);
        let key = alert.key;
        let flow = flow(key.source, key.destination);
        Self { key, known, places: places.into(), traits, gram, sketch: sketch(scratch), flow }
    }

    pub(super) fn sketch(&self) -> &[u8; SKETCH] {
        &self.sketch
    }

    fn score(&self, linear: &Linear) -> f32 {
        linear.score(&self.places, self.traits, self.gram)
    }
}

/// One number for both ways of a connection.
fn flow(a: SocketAddr, b: SocketAddr) -> u64 {
    hash(format!("{}-{}", a.min(b), a.max(b)).as_bytes())
}

/// What learning may be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Share of the alerts judged real that may be none.
    pub real_errors: f64,
    /// Share of the alerts judged a false alarm that may be real.
    pub false_alarm_errors: f64,
    /// How to learn from alerts that nobody looked at; measured when not given.
    pub method: Option<Method>,
    /// Alerts learned from, at most: of more, a share of the flows is taken, and all that were reviewed.
    pub max_alerts: usize,
    /// BLAKE3 of the rule sets, as hexadecimal; empty where it is not known.
    pub rules: String,
    /// Seed of the folds.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            real_errors: 0.02,
            false_alarm_errors: 0.1,
            method: None,
            max_alerts: 50_000,
            rules: String::new(),
            seed: 0,
        }
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        for (name, share) in [("real", self.real_errors), ("false_alarm", self.false_alarm_errors)] {
            ensure!(
                share > 0.0 && share < 0.5,
                "the share of wrong verdicts `{name}` must be above 0 and below 0.5, not {share}"
            );
        }
        Ok(())
    }
}

/// How a way of learning did on held-out flows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The way.
    pub method: Method,
    /// What it came to with verdicts at a half, before calibration.
    pub score: Score,
}

/// What learning found out.
#[derive(Clone, Debug, Serialize)]
pub struct LearnReport {
    /// Alerts labelled, by class: real, false alarms.
    pub labelled: (usize, usize),
    /// Alerts reviewed, by class.
    pub reviewed: (usize, usize),
    /// Alerts that nobody looked at.
    pub presumed: usize,
    /// Share of the flows that was learned from.
    pub share: f64,
    /// How often the seed rule errs.
    pub noise: Noise,
    /// The model's own estimate of the same share: its mean probability of those that nobody looked at; none where there
    /// are none.
    pub guessed_noise: Option<f64>,
    /// The ways of learning, as they did on held-out flows; the first is taken where one is given or nothing was
    /// reviewed.
    pub candidates: Vec<Candidate>,
    /// The one that was taken.
    pub method: Method,
    /// Ridge penalty.
    pub penalty: f64,
    /// Form of the calibration.
    pub calibration: Shape,
    /// Where verdicts begin.
    pub band: Band,
    /// On flows held out, with a calibration and a band by other flows.
    pub held_out: Score,
    /// Probabilities against classes, on flows held out.
    pub reliability: Vec<Bin>,
    /// Learned from the first 70 % of the time, judged on the rest; none where either lacks a class.
    pub later: Option<Score>,
    /// What the seed rule's labels come to by themselves.
    pub seed_rule: Score,
    /// Features with a weight.
    pub features: usize,
}

/// Parts that the flows are dealt into for cross-validation.
const FOLDS: usize = 5;
/// Ridge penalties that are tried.
const PENALTIES: [f64; 3] = [0.1, 0.3, 1.0];
/// Alerts of each class that are needed, at least.
pub const LEAST: usize = 5;
/// Weights that move no score by more are left out.
const NEGLIGIBLE: f32 = 1e-3;
/// Alerts that the model shows beside new ones.
const EXEMPLARS: usize = 128;

/// Learns from alerts of the loose log. The order in which they come makes no difference.
///
/// # Errors
/// When options make no sense, or too few alerts of a class are labelled.
pub fn learn(examples: &[Example], options: &Options) -> Result<(TriageData, LearnReport)> {
    options.check()?;
    let (sample, share) = sample(examples, options);
    let labelled =
        count(&sample, |known| if let Known::Labelled(class) = known { Some(class) } else { None });
    let reviewed =
        count(&sample, |known| if let Known::Reviewed(class) = known { Some(class) } else { None });
    for (class, count) in
        [(Class::Real, labelled.0 + reviewed.0), (Class::FalseAlarm, labelled.1 + reviewed.1)]
    {
        ensure!(
            count >= LEAST,
            "only {count} of {} alerts are known as `{class}`: label or review more, at least {LEAST} of each class",
            sample.len()
        );
    }
    let data = Data::new(sample, options.seed);
    let everything: Vec<usize> = (0..data.examples.len()).collect();
    let penalty = choose_penalty(&data, &everything);
    let candidates = compare(&data, &everything, penalty, options);
    let method = candidates[0].method;
    let fitted = fit(&data, &everything, method, penalty, options);
    let later = later(&data, options);
    let noise = data.noise(&everything);
    let weights = pruned(&fitted.linear);
    let guessed_noise = guessed_noise(&data, &fitted);
    let report = LearnReport {
        labelled,
        reviewed,
        presumed: data.examples.iter().filter(|one| one.known == Known::Presumed).count(),
        share,
        candidates,
        method,
        penalty,
        calibration: fitted.shape,
        band: fitted.band,
        held_out: fitted.held_out,
        reliability: reliability(&fitted.judged),
        later,
        seed_rule: seed_rule(&data),
        features: weights.len(),
        noise,
        guessed_noise,
    };
    let origin = Origin {
        rules: options.rules.clone(),
        labelled: (report.labelled.0 + report.labelled.1) as u64,
        reviewed: report.noise.reviewed as u64,
        presumed: report.presumed as u64,
        noise: if report.noise.reviewed > 0 { report.noise.share } else { guessed_noise.unwrap_or(0.0) },
        method: method.to_string(),
    };
    let exemplars = exemplars::choose(&data.examples, EXEMPLARS).into_iter().map(|one| Exemplar {
        key: one.key.to_string(),
        class: one.known.class().unwrap_or(Class::FalseAlarm),
        sketch: one.sketch.to_vec(),
    });
    let triage = TriageData {
        origin,
        bias: fitted.linear.bias,
        weights,
        calibration: fitted.calibration,
        band: fitted.band,
        exemplars: exemplars.collect(),
    };
    Ok((triage, report))
}

/// Real ones and false alarms among the alerts that `of` gives a class.
fn count(sample: &[&Example], of: fn(Known) -> Option<Class>) -> (usize, usize) {
    let count = |class| sample.iter().filter(|one| of(one.known) == Some(class)).count();
    (count(Class::Real), count(Class::FalseAlarm))
}

/// The alerts to learn from, in the order of their keys, and which share of the flows they are.
fn sample<'a>(examples: &'a [Example], options: &Options) -> (Vec<&'a Example>, f64) {
    let share = (options.max_alerts as f64 / examples.len().max(1) as f64).min(1.0);
    let limit = (share * u64::MAX as f64) as u64;
    let taken = |one: &&Example| share >= 1.0 || matches!(one.known, Known::Reviewed(_)) || one.flow <= limit;
    let mut sample: Vec<&Example> = examples.iter().filter(taken).collect();
    sample.sort_by_key(|one| one.key);
    (sample, share)
}

/// The keys of the alerts that are learned from.
pub(super) fn sampled<'a>(examples: &'a [Example], options: &Options) -> impl Iterator<Item = &'a Key> {
    sample(examples, options).0.into_iter().map(|one| &one.key)
}

/// The examples with their folds.
struct Data<'a> {
    examples: Vec<&'a Example>,
    folds: Vec<usize>,
}

impl<'a> Data<'a> {
    fn new(examples: Vec<&'a Example>, seed: u64) -> Self {
        // A seed of the folds only: odd multipliers shuffle the flows' hashes without merging any.
        let fold = |one: &&Example| {
            let mixed = (one.flow ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((u128::from(mixed) * FOLDS as u128) >> 64) as usize
        };
        let folds = examples.iter().map(fold).collect();
        Self { examples, folds }
    }

    fn noise(&self, of: &[usize]) -> Noise {
        Noise::estimate(of.iter().filter_map(|&at| match self.examples[at].known {
            Known::Reviewed(class) => Some((self.examples[at].key.signature, class)),
            _ => None,
        }))
    }

    /// How many alerts a reviewed one stands for.
    fn reviewed_weight(&self, of: &[usize]) -> f64 {
        let count =
            |of_kind: fn(Known) -> bool| of.iter().filter(|&&at| of_kind(self.examples[at].known)).count();
        let reviewed = count(|known| matches!(known, Known::Reviewed(_)));
        if reviewed == 0 { 1.0 } else { count(Known::only_loose) as f64 / reviewed as f64 }
    }

    fn weight(&self, at: usize, reviewed_weight: f64) -> f64 {
        if matches!(self.examples[at].known, Known::Reviewed(_)) { reviewed_weight } else { 1.0 }
    }

    /// Fits a linear model with the given targets.
    fn linear(&self, targets: &[(usize, Target, f64)], penalty: f64) -> Linear {
        let row = |&(at, target, weight): &(usize, Target, f64)| {
            let one = self.examples[at];
            let (places, traits, gram) = (&*one.places, one.traits, one.gram);
            Row { places, traits, gram, target, weight: weight as f32 }
        };
        let rows: Vec<Row<'_>> = targets.iter().map(row).collect();
        logistic::fit(&rows, penalty, &self.known_places(targets))
    }

    /// Features that two flows show: what only one has says nothing of others.
    fn known_places(&self, targets: &[(usize, Target, f64)]) -> Vec<bool> {
        let mut first = vec![None; SPACE as usize];
        let mut known = vec![false; SPACE as usize];
        for &(at, ..) in targets {
            let one = self.examples[at];
            for &place in &one.places {
                let place = place as usize;
                known[place] |= *first[place].get_or_insert(one.flow) != one.flow;
            }
        }
        known
    }

    /// Learns from `of` in the given way. `trusted` is the model of the trusted labels alone.
    fn learn(&self, of: &[usize], method: Method, penalty: f64, trusted: &Linear) -> Linear {
        let noise = self.noise(of);
        let presumed: Vec<usize> =
            of.iter().copied().filter(|&at| self.examples[at].known == Known::Presumed).collect();
        let odds: Vec<f32> = presumed.iter().map(|&at| self.examples[at].score(trusted)).collect();
        let guesses: Vec<Target> = match method {
            Method::Trusted => return trusted.clone(),
            Method::Seed => vec![Target::Soft(0.0); presumed.len()],
            Method::Backward => presumed
                .iter()
                .map(|&at| Target::Soft(noise.of(self.examples[at].key.signature) as f32))
                .collect(),
            Method::Forward => {
                let real = |&&at: &&usize| self.examples[at].known == Known::Labelled(Class::Real);
                let noticed = noise.noticed(of.iter().filter(real).count() as f64, presumed.len() as f64);
                vec![Target::Unnoticed(noticed as f32); presumed.len()]
            }
            Method::Expectation => {
                let mut odds = odds;
                for _ in 0..2 {
                    let shares = hold_to(&odds, noise.share);
                    let guesses = shares.into_iter().map(Target::Soft).collect();
                    let model = self.linear(&self.with(of, &presumed, guesses, method), penalty);
                    odds = presumed.iter().map(|&at| self.examples[at].score(&model)).collect();
                }
                hold_to(&odds, noise.share).into_iter().map(Target::Soft).collect()
            }
            Method::Confident => {
                let sure = |class| self.mean_sureness(of, class, trusted);
                let (real, false_alarm) = (sure(Class::Real), sure(Class::FalseAlarm));
                let guess = |odds: f32| {
                    let probability = logistic::sigmoid(f64::from(odds));
                    if probability >= real {
                        Target::Soft(1.0)
                    } else if 1.0 - probability >= false_alarm {
                        Target::Soft(0.0)
                    } else {
                        Target::Soft(f32::NAN)
                    }
                };
                odds.into_iter().map(guess).collect()
            }
        };
        self.linear(&self.with(of, &presumed, guesses, method), penalty)
    }

    /// The mean probability that a model gives to alerts of a class being of it: from there on it is sure.
    fn mean_sureness(&self, of: &[usize], class: Class, model: &Linear) -> f64 {
        let of_class = of.iter().filter(|&&at| self.examples[at].known.class() == Some(class));
        let (sum, count) = of_class.fold((0.0, 0), |(sum, count), &at| {
            let real = logistic::sigmoid(f64::from(self.examples[at].score(model)));
            (sum + if class == Class::Real { real } else { 1.0 - real }, count + 1)
        });
        if count == 0 { 1.0 } else { sum / f64::from(count) }
    }

    /// Targets of trusted labels, and of those that nobody looked at as guessed; a guess that is no number is left out.
    fn with(
        &self,
        of: &[usize],
        presumed: &[usize],
        guesses: Vec<Target>,
        method: Method,
    ) -> Vec<(usize, Target, f64)> {
        // By the seed rule nobody reviewed anything.
        let class = |known: Known| match (known, method) {
            (Known::Reviewed(_), Method::Seed) => Some(Class::FalseAlarm),
            _ => known.class(),
        };
        let trusted = of.iter().filter_map(|&at| Some((at, hard(class(self.examples[at].known)?), 1.0)));
        let guessed = presumed.iter().zip(guesses).map(|(&at, guess)| (at, guess, 1.0));
        trusted.chain(guessed.filter(|one| one.1 != Target::Soft(f32::NAN) && is_sound(one.1))).collect()
    }

    /// The model of the trusted labels alone, where the reviewed ones stand for all that only the loose rules raised.
    fn trusted(&self, of: &[usize], penalty: f64) -> Linear {
        let reviewed = self.reviewed_weight(of);
        let target = |&at: &usize| {
            let class = self.examples[at].known.class()?;
            Some((at, hard(class), self.weight(at, reviewed)))
        };
        self.linear(&of.iter().filter_map(target).collect::<Vec<_>>(), penalty)
    }

    /// Scores of trusted alerts, each by a model of the other folds.
    fn cross_fit(&self, of: &[usize], fit: impl Fn(&[usize]) -> Linear + Sync) -> Vec<Scored> {
        let reviewed = self.reviewed_weight(of);
        let folds: Vec<Vec<Scored>> = (0..FOLDS)
            .into_par_iter()
            .map(|fold| {
                let (held, others): (Vec<usize>, Vec<usize>) =
                    of.iter().partition(|&&at| self.folds[at] == fold);
                let linear = fit(&others);
                let score = |at: usize| {
                    let one = self.examples[at];
                    let weight = self.weight(at, reviewed);
                    Some(Scored { class: one.known.class()?, score: one.score(&linear), weight, fold })
                };
                held.into_iter().filter_map(score).collect()
            })
            .collect();
        folds.concat()
    }
}

fn hard(class: Class) -> Target {
    Target::Soft(if class == Class::Real { 1.0 } else { 0.0 })
}

fn is_sound(target: Target) -> bool {
    !matches!(target, Target::Soft(share) if share.is_nan())
}

/// What uncalibrated scores say, with verdicts at a half.
fn uncalibrated(scored: &[Scored]) -> Score {
    let judge = |one: &Scored| Judged {
        class: one.class,
        probability: logistic::sigmoid(f64::from(one.score)) as f32,
        weight: one.weight,
    };
    Score::of(&scored.iter().map(judge).collect::<Vec<_>>(), Band { false_alarm: 0.5, real: 0.5 })
}

fn choose_penalty(data: &Data<'_>, of: &[usize]) -> f64 {
    let loss = |penalty| uncalibrated(&data.cross_fit(of, |others| data.trusted(others, penalty))).log_loss;
    let tried = PENALTIES.map(|penalty| (loss(penalty), penalty));
    tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |best| best.1)
}

/// How the ways of learning do, the best first.
fn compare(data: &Data<'_>, of: &[usize], penalty: f64, options: &Options) -> Vec<Candidate> {
    // Where nobody looked at what only the loose rules raised, nothing can be said about it, and nothing be chosen by it.
    let methods = match options.method {
        Some(method) => vec![method],
        None if data.noise(of).reviewed == 0 => vec![Method::Trusted],
        None => Method::ALL.to_vec(),
    };
    let score = |method| {
        let fit = |others: &[usize]| data.learn(others, method, penalty, &data.trusted(others, penalty));
        Candidate { method, score: uncalibrated(&data.cross_fit(of, fit)) }
    };
    let mut candidates: Vec<Candidate> = methods.into_iter().map(score).collect();
    candidates.sort_by(|a, b| a.score.log_loss.total_cmp(&b.score.log_loss));
    candidates
}

/// A fitted and calibrated model.
struct Fitted {
    linear: Linear,
    shape: Shape,
    calibration: Vec<(f32, f32)>,
    band: Band,
    /// What it says of alerts while their flows are held out.
    judged: Vec<Judged>,
    /// How good that is, with bands by other flows than those they are scored on.
    held_out: Score,
}

fn fit(data: &Data<'_>, of: &[usize], method: Method, penalty: f64, options: &Options) -> Fitted {
    let fit = |of: &[usize]| data.learn(of, method, penalty, &data.trusted(of, penalty));
    let scored = data.cross_fit(of, fit);
    let (shape, calibration) = calibrate::calibrate(&scored, FOLDS);
    let folds = calibrate::cross_calibrated(&scored, FOLDS, shape);
    let band = |judged: &[Judged]| calibrate::band(judged, options.real_errors, options.false_alarm_errors);
    // A band keeps to the targets on the alerts it was set on, so it is scored on others.
    let of_others = |fold: usize| {
        let others = folds.iter().enumerate().filter(|(at, _)| *at != fold);
        band(&others.flat_map(|(_, judged)| judged).copied().collect::<Vec<_>>())
    };
    let scored = folds.iter().enumerate().flat_map(|(fold, judged)| {
        let band = of_others(fold);
        judged.iter().map(move |&one| (one, band))
    });
    let held_out = Score::of_each(scored);
    let judged = folds.concat();
    Fitted { linear: fit(of), shape, calibration, band: band(&judged), judged, held_out }
}

/// The mean probability of the alerts that nobody looked at. Where they were learned from, it is what they were held to.
fn guessed_noise(data: &Data<'_>, fitted: &Fitted) -> Option<f64> {
    let presumed = data.examples.iter().filter(|one| one.known == Known::Presumed);
    let probability = |one: &&Example| f64::from(interpolate(&fitted.calibration, one.score(&fitted.linear)));
    let all: Vec<f64> = presumed.map(probability).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// Share of the alerts, in time, that is learned from where the rest is judged.
const EARLIER: f64 = 0.7;

fn later(data: &Data<'_>, options: &Options) -> Option<Score> {
    // Keys are ordered by time first.
    let cut = (data.examples.len() as f64 * EARLIER) as usize;
    let (earlier, later): (Vec<usize>, Vec<usize>) = (0..data.examples.len()).partition(|&at| at < cut);
    // A flow is either here or there.
    let seen: std::collections::BTreeSet<u64> = earlier.iter().map(|&at| data.examples[at].flow).collect();
    let later: Vec<usize> = later.into_iter().filter(|&at| !seen.contains(&data.examples[at].flow)).collect();
    let has =
        |of: &[usize], class| of.iter().filter(|&&at| data.examples[at].known.class() == Some(class)).count();
    let both = |of: &[usize], least| has(of, Class::Real) >= least && has(of, Class::FalseAlarm) >= least;
    if !both(&earlier, LEAST) || !both(&later, 1) {
        return None;
    }
    // Everything is chosen without the later part, or it would be no test.
    let penalty = choose_penalty(data, &earlier);
    let method = compare(data, &earlier, penalty, options)[0].method;
    let fitted = fit(data, &earlier, method, penalty, options);
    let reviewed = data.reviewed_weight(&later);
    let score = |at: usize| {
        let one = data.examples[at];
        let class = one.known.class()?;
        Some(Scored { class, score: one.score(&fitted.linear), weight: data.weight(at, reviewed), fold: 0 })
    };
    let scored: Vec<Scored> = later.into_iter().filter_map(score).collect();
    Some(Score::of(&calibrate::judged(&scored, &fitted.calibration), fitted.band))
}

/// What the seed rule's labels come to: a labelled alert is what its label says, the others are false alarms.
fn seed_rule(data: &Data<'_>) -> Score {
    let everything: Vec<usize> = (0..data.examples.len()).collect();
    let reviewed = data.reviewed_weight(&everything);
    let judge = |at: usize| {
        let known = data.examples[at].known;
        let real = known == Known::Labelled(Class::Real);
        Some(Judged {
            class: known.class()?,
            probability: f32::from(u8::from(real)),
            weight: data.weight(at, reviewed),
        })
    };
    let judged: Vec<Judged> = everything.into_iter().filter_map(judge).collect();
    Score::of(&judged, Band { false_alarm: 0.5, real: 0.5 })
}

fn pruned(linear: &Linear) -> Vec<(u32, f32)> {
    let weights = (0..).zip(linear.weights.iter().copied());
    weights.filter(|(_, weight)| weight.abs() >= NEGLIGIBLE).collect()
}

#[cfg(test)]
mod tests;
