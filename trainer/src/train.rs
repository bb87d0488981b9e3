//! Training: from an input to a model.
//!
//! Everything is fitted on all sessions, but calibrated by cross-fitting: the sessions are dealt into folds by their
//! caller, and each fold is judged by a model of the others. So the thresholds come from sessions that the judging
//! model has not seen, and no session is lost for learning.

use anyhow::{Result, ensure};
use gait_common::call::Nanos;
use gait_common::detect::CalibrationData;
use gait_common::interface::{InterfaceId, Interfaces, Naming};
use gait_common::model::{Meta, Model, ModelData};
use gait_common::sequence::{SECOND, Timing};
use rayon::prelude::*;
use rustc_hash::FxHashSet;

use crate::calibrate::{self, HeldOut, Judged};
use crate::corpus::{self, Choice, Corpus, Session, Source};
use crate::counts;
use crate::groups::{self, Distances, GroupsReport};
use crate::ingest::ReadReport;
use crate::labels::{self, Labels};
use crate::markov::Counter;
use crate::patterns::{self, Levels, PatternParams};
use crate::progress::Progress;
use crate::score;
use crate::share::{self, Share};
use crate::similarity::{self, Likeness};

/// What training may be told.
#[derive(Clone, Debug)]
pub struct TrainParams {
    /// Order of the Markov model.
    pub order: usize,
    /// Share of normal sessions that may be flagged.
    pub false_alarm_rate: f64,
    /// Idle time that ends a session.
    pub session_idle: Nanos,
    /// The operation gap; derived from the data when not given.
    pub operation_gap: Option<Nanos>,
    /// How calls are named.
    pub naming: Naming,
    /// Templates that win over learned ones.
    pub templates: Vec<String>,
    /// Pattern graphs.
    pub patterns: PatternParams,
    /// What is known of callers and sessions; without labels everything counts as normal.
    pub labels: Option<Labels>,
    /// Calls learned from, about, at most: of more, a share of the callers is taken. Each takes some 150 bytes of memory.
    pub max_calls: u64,
    /// Seed of what is drawn at random: the folds of the calibration, and the share of the callers.
    pub seed: u64,
    /// Who is shown how far training has come.
    pub progress: Progress,
}

impl Default for TrainParams {
    fn default() -> Self {
        Self {
            order: 3,
            false_alarm_rate: 0.001,
            session_idle: 1800 * SECOND,
            operation_gap: None,
            naming: Naming::default(),
            templates: Vec::new(),
            patterns: PatternParams::default(),
            labels: None,
            max_calls: 10_000_000,
            seed: 0,
            progress: Progress::default(),
        }
    }
}

impl TrainParams {
    /// Whether the parameters make sense.
    ///
    /// # Errors
    /// The first one that does not.
    pub fn check(&self) -> Result<()> {
        let most = gait_common::detect::MAX_ORDER;
        ensure!((1..=most).contains(&self.order), "the order must be 1 to {most}, not {}", self.order);
        ensure!(
            self.false_alarm_rate > 0.0 && self.false_alarm_rate < 0.5,
            "the false-alarm rate must be above 0 and below 0.5, not {}",
            self.false_alarm_rate
        );
        ensure!(
            self.operation_gap.is_none_or(|gap| gap <= self.session_idle),
            "the operation gap must not be longer than the session's idle time"
        );
        Ok(())
    }
}

/// A trained model and what it was made from.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub model: ModelData,
    /// What was read.
    pub report: ReadReport,
    /// The share of the callers that was learned from, 0 to 1; below 1 when there were too many calls.
    pub share: f64,
    /// Sessions of which part was not captured, and from which only the order of calls was learned.
    pub partial: usize,
    /// The sessions it was learned from.
    pub corpus: Corpus,
    /// What they showed while they were held out.
    pub held_out: HeldOut,
    /// How the callers were grouped; none when too few of them came back.
    pub groups: Option<GroupsReport>,
    /// What is known to be anomalous, and was not learned; none without labels.
    pub labelled: Option<Labelled>,
}

/// Sessions that are known to be anomalous, as the model sees them.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Their scores.
    pub scores: Vec<f64>,
    /// The threshold was chosen with them: they can be told from normal sessions at the stated rate.
    pub chosen: bool,
    /// The threshold that normal sessions alone give.
    pub unlabelled_threshold: f64,
}

/// Groups of sessions that are calibrated against models of the others.
const FOLDS: usize = 10;
/// Sessions on which the back-off is tuned, at most.
const TUNED: usize = 2000;
/// Trains a model.
///
/// # Errors
/// Parameters that make no sense, or input that cannot be read or holds nothing.
pub fn train(input: &dyn Source, params: &TrainParams) -> Result<Trained> {
    params.check()?;
    let progress = &params.progress;
    progress.reads("1/3 learning names");
    let survey = corpus::survey(input, &params.naming, &params.templates)?;
    let interfaces = Interfaces::new(&survey.names, params.naming.clone())?;
    let choice = match params.operation_gap {
        Some(operation_gap) => Choice::Fixed(Timing { operation_gap, session_idle: params.session_idle }),
        None => Choice::Derived { session_idle: params.session_idle },
    };
    progress.reads("2/3 reading calls");
    let share = Share::new(input, survey.calls, params.max_calls, params.seed);
    let (mut corpus, timing) = corpus::collect(&share, &interfaces, choice)?;
    progress.works("3/3 learning", FOLDS + 1);
    let anomalous = params.labels.as_ref().map(|labels| labels.take_out(&mut corpus)).transpose()?;
    let base = ModelData {
        meta: meta(&corpus, params),
        naming: params.naming.clone(),
        interfaces: survey.names,
        timing,
        ..ModelData::default()
    };
    let partial = corpus.sessions.iter().filter(|session| corpus.has_gap(session)).count();
    let (mut model, held_out, groups) =
        fit(&corpus, anomalous.as_deref().unwrap_or_default(), &base, params)?;
    let labelled =
        anomalous.map(|sessions| with_labels(&mut corpus, sessions, &mut model, &held_out)).transpose()?;
    progress.end();
    Ok(Trained {
        model,
        report: survey.report,
        share: share.share(),
        partial,
        corpus,
        held_out,
        groups,
        labelled,
    })
}

/// Scores the sessions that are known to be anomalous, and chooses the threshold with them.
fn with_labels(
    corpus: &mut Corpus,
    anomalous: Vec<Session>,
    model: &mut ModelData,
    held_out: &HeldOut,
) -> Result<Labelled> {
    let normal = std::mem::replace(&mut corpus.sessions, anomalous);
    let scores = score::scores(corpus, &Model::new(model.clone())?);
    corpus.sessions = normal;
    let CalibrationData { threshold, false_alarm_rate, .. } = model.calibration;
    let chosen = labels::threshold(&held_out.scores, &scores, false_alarm_rate, threshold);
    model.calibration.threshold = chosen.unwrap_or(threshold);
    Ok(Labelled { scores, chosen: chosen.is_some(), unlabelled_threshold: threshold })
}

fn meta(corpus: &Corpus, params: &TrainParams) -> Meta {
    let callers: FxHashSet<u32> = corpus.sessions.iter().map(|session| session.caller).collect();
    let parameters = [
        ("order", params.order.to_string()),
        ("false_alarm_rate", params.false_alarm_rate.to_string()),
        ("min_support", params.patterns.min_support.to_string()),
        ("folds", FOLDS.to_string()),
        ("max_calls", params.max_calls.to_string()),
    ];
    Meta {
        trainer: env!("CARGO_PKG_VERSION").to_owned(),
        first_call: corpus.first_call,
        last_call: corpus.last_call,
        calls: corpus.sessions.iter().map(|session| corpus.steps(session).len() as u64).sum(),
        sessions: corpus.sessions.len() as u64,
        callers: callers.len() as u64,
        seed: params.seed,
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    }
}

/// How like the learned ways sessions are that the model was not learned from.
fn likenesses(corpus: &Corpus, sessions: &[Session], model: &Model) -> Vec<Likeness> {
    let whole = sessions.iter().filter(|session| session.complete && !corpus.has_gap(session));
    let way = |session| similarity::way(corpus.interfaces(session));
    whole.filter_map(|session| Likeness::new(model.patterns(), &way(session))).collect()
}

/// Learns from all sessions and calibrates on folds. `anomalous` sessions, if any are known, tell how similarity is mixed.
fn fit(
    corpus: &Corpus,
    anomalous: &[Session],
    base: &ModelData,
    params: &TrainParams,
) -> Result<(ModelData, HeldOut, Option<GroupsReport>)> {
    let folds: Vec<usize> = corpus
        .sessions
        .iter()
        .map(|session| fold_of(corpus.callers[session.caller as usize].as_bytes(), params.seed))
        .collect();
    let backoff = tune(corpus, &folds, base.interfaces.len() as u32, params.order);
    let all: Vec<usize> = (0..corpus.sessions.len()).collect();
    let (mut model, levels) = learn(corpus, base, &all, &backoff, params, None)?;
    let mut report = groups::learn(corpus, &all, &mut model, params.seed)?;
    params.progress.step();
    let (mut judged, distances) = cross_judge(corpus, &model, &levels, &folds, &backoff, params)?;
    if let (Some(data), Some(report)) = (&mut model.groups, &mut report) {
        groups::set_limits(data, report, &distances, &mut judged, params.false_alarm_rate);
    }
    let normal: Vec<_> = judged.iter().filter_map(Judged::likeness).collect();
    let mut abnormal = likenesses(corpus, anomalous, &Model::new(model.clone())?);
    if abnormal.len() < similarity::ENOUGH {
        abnormal = judged.iter().filter_map(Judged::altered).collect();
    }
    if let Some(share) = similarity::mix(&normal, &abnormal, params.false_alarm_rate) {
        model.patterns.cosine_share = share;
    }
    let share = model.patterns.cosine_share;
    model.meta.parameters.push(("cosine_share".to_owned(), share.to_string()));
    let (calibration, similarity, held_out) = calibrate::calibrate(&judged, share, params.false_alarm_rate);
    (model.calibration, model.similarity) = (calibration, similarity);
    Ok((model, held_out, report))
}

/// Judges each session by a model of those in the other folds, and measures the callers who came back by its groups.
fn cross_judge(
    corpus: &Corpus,
    all: &ModelData,
    levels: &Levels,
    folds: &[usize],
    backoff: &[f64],
    params: &TrainParams,
) -> Result<(Vec<Judged>, Distances)> {
    let judge_fold = |fold| -> Result<(Vec<Judged>, Distances)> {
        let (held_out, others): (Vec<usize>, Vec<usize>) =
            (0..folds.len()).partition(|&at| folds[at] == fold);
        let (mut data, _) = learn(corpus, all, &others, backoff, params, Some(levels))?;
        if let Some(all) = &all.groups {
            groups::learn_like(corpus, &others, &mut data, all)?;
        }
        let model = Model::new(data)?;
        let distances = groups::held_out(corpus, &held_out, &model);
        let judged = Judged::of_fold(corpus, &held_out, fold, &model, params.seed);
        params.progress.step();
        Ok((judged, distances))
    };
    let (judged, distances): (Vec<_>, Vec<_>) =
        (0..FOLDS).into_par_iter().map(judge_fold).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let mut judged: Vec<Judged> = judged.into_iter().flatten().collect();
    judged.sort_by_key(|judged| judged.session);
    Ok((judged, distances.into_iter().flatten().collect()))
}

fn fold_of(caller: &[u8], seed: u64) -> usize {
    (share::hash(caller, seed) % FOLDS as u64) as usize
}

/// The back-off strengths that suit the first fold best.
fn tune(corpus: &Corpus, folds: &[usize], interfaces: u32, order: usize) -> Vec<f64> {
    let mut counter = Counter::new(order);
    let mut held_out = Vec::new();
    for (session, &fold) in corpus.sessions.iter().zip(folds) {
        if fold > 0 {
            counter.add(marked(corpus, session), session.complete, corpus.witness(session));
        } else if held_out.len() < TUNED {
            held_out.push(corpus.interfaces(session).collect());
        }
    }
    counter.tune(&held_out, interfaces)
}

/// Learns everything but the calibration from the chosen sessions; gives the levels of their pattern graphs, too.
fn learn(
    corpus: &Corpus,
    base: &ModelData,
    chosen: &[usize],
    backoff: &[f64],
    params: &TrainParams,
    like: Option<&Levels>,
) -> Result<(ModelData, Levels)> {
    let sessions = || chosen.iter().map(|&at| &corpus.sessions[at]);
    // What was not captured whole says nothing about how long or how often.
    let whole = || sessions().filter(|session| !corpus.has_gap(session));
    let mut counter = Counter::new(params.order);
    sessions()
        .for_each(|session| counter.add(marked(corpus, session), session.complete, corpus.witness(session)));
    let ways = whole().map(|session| corpus.interfaces(session));
    let (patterns, levels) = patterns::build(ways, &params.patterns, like)?;
    let model = ModelData {
        markov: counter.finish(backoff.to_vec()),
        counts: counts::count(
            whole().map(|session| (corpus.witness(session), corpus.steps(session))),
            base.interfaces.len(),
        ),
        patterns,
        groups: None,
        ..base.clone()
    };
    Ok((model, levels))
}

/// A session's interfaces, each with whether something was lost just before it.
fn marked<'a>(corpus: &'a Corpus, session: &Session) -> impl Iterator<Item = (InterfaceId, bool)> + 'a {
    corpus.steps(session).iter().map(|step| (step.interface, step.gap))
}
