//! Calibration: from what held-out sessions showed to tails, a threshold, and the outliers among them.

use gait_common::detect::{CalibrationData, Detector, Evidence, Part, SessionState, Tail};
use gait_common::model::Model;

use crate::corpus::Corpus;

/// The smallest difference that means something, per [`Part`], for those that normal sessions hardly ever show.
const LEAST_SCALE: [f32; Part::ALL.len()] = [1.0, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 0.05];
/// The same for the score.
const LEAST_SCORE_SCALE: f32 = 0.5;
/// Chance of a score, going by the bulk of the scores, from which a session is an outlier.
const OUTLIER: f64 = 1e-4;

/// A held-out session as a model of the others sees it.
pub struct Judged {
    /// Its place in the corpus.
    pub session: usize,
    /// The fold it was held out in.
    pub fold: usize,
    evidence: Evidence,
    /// Summed surprise after each operation, with the number of steps.
    surprise: Vec<(f64, u32)>,
}

impl Judged {
    /// Judges a session by a model that is not calibrated yet.
    pub fn new(corpus: &Corpus, session: usize, fold: usize, model: &Model) -> Self {
        let detector = Detector::new(model);
        let mut state = SessionState::default();
        let mut surprise = Vec::new();
        for operation in corpus.operations(&corpus.sessions[session]) {
            detector.observe(&mut state, operation);
            surprise.push(state.surprise());
        }
        if corpus.sessions[session].complete {
            detector.end(&mut state);
            surprise.push(state.surprise());
        }
        Self { session, fold, evidence: state.evidence(), surprise }
    }
}

/// The sessions, by their place in the corpus, that stand out too far to be normal; at most this share of all, the
/// furthest ones.
///
/// The tail of the scores is taken to fall exponentially at the rate it falls from the upper tenth to the upper
/// hundredth, where a few outliers weigh nothing; what would come up once in ten thousand sessions by that is one.
pub fn outliers(judged: &[Judged], max_share: f64) -> Vec<usize> {
    let (_, scores) = calibrated(judged, OUTLIER);
    let mut sorted = scores.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let quantile = |share: f64| f64::from(sorted[((sorted.len() - 1) as f64 * share) as usize]);
    let most = (judged.len() as f64 * max_share) as usize;
    if most == 0 {
        return Vec::new();
    }
    let (tenth, hundredth) = (quantile(0.9), quantile(0.99));
    let per_decade = (hundredth - tenth).max(f64::from(LEAST_SCORE_SCALE));
    let fence = hundredth + per_decade * (0.01 / OUTLIER).log10();
    let mut out: Vec<(f32, usize)> = scores
        .iter()
        .zip(judged)
        .filter(|(score, _)| f64::from(**score) > fence)
        .map(|(&score, judged)| (score, judged.session))
        .collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut out: Vec<usize> = out.into_iter().take(most).map(|(_, session)| session).collect();
    out.sort_unstable();
    out
}

/// The calibration for what held-out sessions showed.
pub fn calibrate(judged: &[Judged], false_alarm_rate: f64) -> CalibrationData {
    calibrated(judged, false_alarm_rate).0
}

/// The calibration, and the held-out sessions' scores by it.
fn calibrated(judged: &[Judged], false_alarm_rate: f64) -> (CalibrationData, Vec<f32>) {
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
    let fit = |chosen: &dyn Fn(&Judged) -> bool| CalibrationData {
        tails: Part::ALL
            .map(|part| {
                let amounts = judged.iter().zip(&evidence).filter(|(judged, _)| chosen(judged));
                let sample: Vec<f32> = amounts.map(|(_, evidence)| evidence.get(part)).collect();
                Tail::fit(&sample, LEAST_SCALE[part as usize])
            })
            .to_vec(),
        false_alarm_rate,
        ..uncalibrated.clone()
    };
    // A session that is part of a tail can never exceed it. New sessions can, so each fold is scored by the others' tails.
    let folds = judged.iter().map(|judged| judged.fold).max().map_or(0, |last| last + 1);
    let mut scores = vec![0.0; judged.len()];
    for fold in 0..folds {
        let others = fit(&|judged| judged.fold != fold);
        for ((score, judged), evidence) in scores.iter_mut().zip(judged).zip(&evidence) {
            if judged.fold == fold {
                *score = others.score(evidence) as f32;
            }
        }
    }
    let mut data = fit(&|_| true);
    data.score = Tail::fit(&scores, LEAST_SCORE_SCALE);
    data.threshold = f64::from(data.score.amount(-false_alarm_rate.log10())).max(f64::MIN_POSITIVE);
    (data, scores)
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
