//! Calibration: from what held-out sessions showed to tails and a threshold.

use std::collections::BTreeMap;

use gait_common::detect::{
    CalibrationData, Detector, Evidence, Habit, Habits, Part, SessionState, SimilarityData, Tail,
};
use gait_common::model::Model;

use crate::corpus::Corpus;
use crate::share;
use crate::similarity::{self, Likeness};

/// The smallest difference that means something, per [`Part`], for those that normal sessions hardly ever show.
const LEAST_SCALE: [f32; Part::ALL.len()] = [1.0, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.1, 1.0];
/// The same for the score.
const LEAST_SCORE_SCALE: f32 = 0.5;
/// The share of the smallest difference that shows nothing at all: models of other folds count a few sessions more or less,
/// and the same behaviour gets amounts that differ by as much.
const NOTHING: f32 = 0.4;
/// Sessions of a caller that its habits are made of, at most: what is older has faded.
const RECALLED: usize = 256;

/// A held-out session as a model of the others sees it.
pub struct Judged {
    /// Its place in the corpus.
    pub session: usize,
    /// The fold it was held out in.
    pub fold: usize,
    witness: u32,
    evidence: Evidence,
    /// The group that it was measured against.
    group: usize,
    /// Summed surprise after each operation, with the number of steps.
    surprise: Vec<(f64, u32)>,
    /// How like the learned ways it is, where it was seen whole, and how like they are after an alteration.
    likeness: Option<Likeness>,
    altered: Option<Likeness>,
}

impl Judged {
    /// Judges the sessions of a fold by a model of the others that is not calibrated yet, each by the habits that its
    /// caller's other sessions show, the ones before it last: as much is known of a caller who comes again when training is
    /// over. Judged as they come, most sessions would be of callers of whom little is known.
    pub fn of_fold(corpus: &Corpus, held_out: &[usize], fold: usize, model: &Model, seed: u64) -> Vec<Self> {
        let detector = Detector::new(model);
        let mut shown: BTreeMap<u32, Vec<(usize, Habit)>> = BTreeMap::new();
        if model.groups().is_some() {
            let (mut habits, mut state) = (Habits::default(), SessionState::default());
            for &at in held_out {
                let session = &corpus.sessions[at];
                state.reset();
                detector.begin(&mut state, &corpus.callers[session.caller as usize], &habits);
                corpus.operations(session).for_each(|operation| detector.observe(&mut state, operation));
                let added = detector.learn(&mut state, &mut habits);
                shown.entry(session.caller).or_default().push((at, added));
            }
        }
        let judge = |(place, &at): (usize, &usize)| {
            let caller = corpus.sessions[at].caller;
            let (mut habits, shown) = (Habits::default(), shown.get(&caller).map_or(&[][..], |shown| shown));
            let (before, from) = shown.split_at(shown.partition_point(|(other, _)| *other < at));
            let others = from.iter().skip(1).chain(before);
            for (_, steps) in others.skip(shown.len().saturating_sub(1 + RECALLED)) {
                detector.recall(&corpus.callers[caller as usize], steps, &mut habits);
            }
            let mut judged = Self::new(corpus, at, fold, model, &habits);
            if judged.likeness.is_some() {
                let way = |at: usize| similarity::way(corpus.interfaces(&corpus.sessions[at]));
                let other = held_out[(place + 1) % held_out.len()];
                let drawn = share::hash(&(at as u64).to_le_bytes(), seed);
                let altered = similarity::altered(&way(at), &way(other), drawn);
                judged.altered = altered.and_then(|altered| Likeness::new(model.patterns(), &altered));
            }
            judged
        };
        held_out.iter().enumerate().map(judge).collect()
    }

    fn new(corpus: &Corpus, session: usize, fold: usize, model: &Model, habits: &Habits) -> Self {
        let detector = Detector::new(model);
        let mut state = SessionState::default();
        detector.begin(&mut state, &corpus.callers[corpus.sessions[session].caller as usize], habits);
        let mut surprise = Vec::new();
        for operation in corpus.operations(&corpus.sessions[session]) {
            detector.observe(&mut state, operation);
            surprise.push(state.surprise());
        }
        if corpus.sessions[session].complete {
            detector.end(&mut state);
            surprise.push(state.surprise());
        }
        let whole = corpus.sessions[session].complete && state.is_whole();
        let way = || similarity::way(corpus.interfaces(&corpus.sessions[session]));
        Self {
            session,
            fold,
            witness: corpus.witness(&corpus.sessions[session]),
            evidence: state.evidence(),
            group: state.group(),
            surprise,
            likeness: if whole { Likeness::new(model.patterns(), &way()) } else { None },
            altered: None,
        }
    }

    /// How like the learned ways the session is, with its witness.
    pub fn likeness(&self) -> Option<(u32, Likeness)> {
        Some((self.witness, self.likeness?))
    }

    /// The same of the session after an alteration.
    pub fn altered(&self) -> Option<Likeness> {
        self.altered
    }

    /// The session's distance from its caller's habits, and the group they belong to.
    pub fn habits(&self) -> (usize, f32) {
        (self.group, self.evidence.get(Part::Habits))
    }

    /// Takes the distance in units of the groups' limits.
    pub fn measure_habits(&mut self, limits: &[f32]) {
        self.evidence.0[Part::Habits as usize] /= limits.get(self.group).copied().unwrap_or(1.0);
    }
}

/// What the sessions showed while they were held out; the threshold was read off it, and the report draws it.
#[derive(Clone, Debug, Default)]
pub struct HeldOut {
    /// The sessions' places in the corpus.
    pub sessions: Vec<usize>,
    /// Each session's evidence, by a model of the other folds.
    pub evidence: Vec<Evidence>,
    /// Each session's score, by a calibration of the other folds.
    pub scores: Vec<f32>,
}

/// The calibration and the intervals of similarity for what held-out sessions showed, and that.
pub fn calibrate(
    judged: &[Judged],
    cosine_share: f64,
    false_alarm_rate: f64,
) -> (CalibrationData, SimilarityData, HeldOut) {
    let (step_mean, step_deviation) = step_surprise(judged);
    let uncalibrated = CalibrationData { step_mean, step_deviation, ..CalibrationData::default() };
    let evidence: Vec<Evidence> = judged
        .iter()
        .map(|judged| {
            let mut evidence = judged.evidence;
            let flow = judged.surprise.iter().map(|&(bits, steps)| uncalibrated.flow(bits, steps));
            evidence.0[Part::UnusualFlow as usize] = flow.fold(0.0, f32::max);
            evidence
        })
        .collect();
    // Distances from the ways become amounts by the intervals of those that are fitted on.
    let within = |judged: &Judged, evidence: &Evidence, intervals: &SimilarityData| {
        let mut evidence = *evidence;
        let amount = |one: Likeness| intervals.of(one.entry).0.amount(one.distance(cosine_share));
        evidence.0[Part::Pattern as usize] = judged.likeness.map_or(0.0, amount);
        evidence
    };
    let fit = |chosen: &dyn Fn(&Judged) -> bool| {
        let likenesses = judged.iter().filter(|judged| chosen(judged)).filter_map(Judged::likeness);
        let intervals = similarity::intervals(likenesses, cosine_share, false_alarm_rate);
        let tails = Part::ALL.map(|part| {
            let amounts = judged.iter().zip(&evidence).filter(|(judged, _)| chosen(judged));
            let sample = amounts
                .map(|(judged, evidence)| (judged.witness, within(judged, evidence, &intervals).get(part)));
            let least = LEAST_SCALE[part as usize];
            Tail::fit(&agreed(sample.collect()), least, NOTHING * least)
        });
        let data = CalibrationData { tails: tails.to_vec(), false_alarm_rate, ..uncalibrated.clone() };
        (data, intervals)
    };
    // A session that is part of a tail can never exceed it. New sessions can, so each fold is scored by the others' tails.
    let folds = judged.iter().map(|judged| judged.fold).max().map_or(0, |last| last + 1);
    let mut scores = vec![0.0; judged.len()];
    for fold in 0..folds {
        let (others, intervals) = fit(&|judged| judged.fold != fold);
        for ((score, judged), evidence) in scores.iter_mut().zip(judged).zip(&evidence) {
            if judged.fold == fold {
                *score = others.score(&within(judged, evidence, &intervals)) as f32;
            }
        }
    }
    let (mut data, intervals) = fit(&|_| true);
    data.score = Tail::fit(&scores, LEAST_SCORE_SCALE, 0.0);
    data.threshold =
        f64::from(Tail::quantile(&scores, false_alarm_rate, LEAST_SCORE_SCALE)).max(f64::MIN_POSITIVE);
    let sessions = judged.iter().map(|judged| judged.session).collect();
    let amounts = judged.iter().zip(&evidence).map(|(judged, evidence)| within(judged, evidence, &intervals));
    let evidence = amounts.collect();
    (data, intervals, HeldOut { sessions, evidence, scores })
}

/// The amounts, none above what two witnesses reach: how far a single caller went says nothing about how far normal ones
/// go, and one that was recorded in training must not hide behind its own record.
pub(crate) fn agreed(sample: Vec<(u32, f32)>) -> Vec<f32> {
    let most = sample.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let others = sample.iter().filter(|(witness, _)| most.is_some_and(|(first, _)| *witness != first));
    let limit = others.map(|&(_, amount)| amount).fold(f32::NEG_INFINITY, f32::max);
    let limit = if limit.is_finite() { limit } else { f32::INFINITY };
    sample.into_iter().map(|(_, amount)| amount.min(limit)).collect()
}

/// Mean surprise of a step over the held-out sessions, and its deviation such that a session of n steps deviates by
/// its square root.
fn step_surprise(judged: &[Judged]) -> (f64, f64) {
    let whole: Vec<(f64, f64)> = judged
        .iter()
        .filter_map(|judged| judged.surprise.last())
        .filter(|(_, steps)| *steps > 0)
        .map(|&(bits, steps)| (bits, f64::from(steps)))
        .collect();
    let steps: f64 = whole.iter().map(|(_, steps)| steps).sum();
    if steps == 0.0 {
        return (0.0, 0.0);
    }
    let mean = whole.iter().map(|(bits, _)| bits).sum::<f64>() / steps;
    let deviation = whole.iter().map(|(bits, steps)| (bits - steps * mean).powi(2) / steps).sum::<f64>();
    (mean, (deviation / whole.len() as f64).sqrt().max(0.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_callers_excess_is_cut_to_what_others_reach() {
        assert_eq!(agreed(vec![(1, 2.0), (2, 9.0), (2, 8.0), (3, 3.0)]), [2.0, 3.0, 3.0, 3.0]);
        assert_eq!(agreed(vec![(1, 2.0), (1, 9.0)]), [2.0, 9.0], "with one witness there is nobody to agree");
    }
}
