//! Time-ordered hold-out: a model is trained on the earlier part of an input and tried on the later one, for whoever has
//! a log and no labels.

use anyhow::{Result, bail, ensure};
use gait_common::model::{Model, ModelData};

use crate::corpus::{Choice, Corpus, Input, Session, collect};
use crate::drift::{Drift, drift};
use crate::evaluate::{Alarms, alarms};
use crate::ingest::Format;
use crate::score::scores;
use crate::share::Share;
use crate::train::{TrainParams, Trained, train};

/// Places kept to find where to cut.
const MAX_PLACES: usize = 1 << 22;

/// What a model says about sessions that are thought to be normal.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Trial {
    /// How many are flagged.
    #[serde(flatten)]
    pub alarms: Alarms,
    /// How they differ from those of training.
    pub drift: Drift,
}

/// A model of an input's earlier part, tried on the later part.
#[derive(Clone, Debug, serde::Serialize)]
pub struct HoldOut {
    /// Sessions, callers and calls that were learned from.
    pub trained: Learned,
    /// Where the input was cut: a time (Unix, ns), or a number of sessions where they are ready-made.
    pub cut: u64,
    /// Sessions that were going on at that time; they are in neither part.
    pub severed: usize,
    /// What the model says about the later part.
    #[serde(flatten)]
    pub trial: Trial,
}

/// How much a model was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Learned {
    /// Sessions.
    pub sessions: u64,
    /// Callers.
    pub callers: u64,
    /// Calls.
    pub calls: u64,
}

/// Tries a model on an input whose sessions are thought to be normal.
///
/// # Errors
/// When the input cannot be read or the model is not sound.
pub fn trial(input: &Input, data: &ModelData) -> Result<Trial> {
    let model = Model::new(data.clone())?;
    let (corpus, _) = collect(input, &model.interfaces, Choice::Fixed(model.timing))?;
    ensure!(!corpus.sessions.is_empty(), "there are no sessions in {}", input.paths.join(", "));
    Ok(judge(&corpus, &model, data, |_| true))
}

/// Trains on all of an input but the last `share` of its calls (or ready-made sessions), and tries the model on those.
///
/// # Errors
/// A share that leaves nothing on one side, or whatever keeps training from succeeding.
pub fn hold_out(input: &Input, share: f64, params: &TrainParams) -> Result<HoldOut> {
    let (cut, held_out) = cut(input, share)?;
    let earlier = Input { window: 0..cut, ..input.clone() };
    let Trained { model: data, .. } = train(&earlier, params)?;
    let model = Model::new(data.clone())?;
    // A session that was going on at the cut has a call less than the idle time before it. So from there on every session
    // that begins after the cut is seen from its beginning.
    let ready_made = input.format == Format::Sequences;
    let from = if ready_made { cut } else { cut.saturating_sub(model.timing.session_idle) };
    let later = Input { window: from..u64::MAX, ..input.clone() };
    let later = Share::new(&later, held_out, params.max_calls, params.seed);
    let (corpus, _) = collect(&later, &model.interfaces, Choice::Fixed(model.timing))?;
    let begins_after = |session: &Session| ready_made || start(&corpus, session) >= cut;
    let end = |session: &Session| corpus.steps(session).last().map_or(0, |step| step.start);
    let severed = corpus.sessions.iter().filter(|s| !begins_after(s) && end(s) >= cut).count();
    let trial = judge(&corpus, &model, &data, begins_after);
    ensure!(trial.alarms.sessions > 0, "no session begins in the held-out part: hold more out than {share}");
    let meta = &data.meta;
    let trained = Learned { sessions: meta.sessions, callers: meta.callers, calls: meta.calls };
    Ok(HoldOut { trained, cut, severed, trial })
}

fn judge(corpus: &Corpus, model: &Model, data: &ModelData, chosen: impl Fn(&Session) -> bool) -> Trial {
    let scored = corpus.sessions.iter().zip(scores(corpus, model));
    let (sessions, scores): (Vec<&Session>, Vec<f64>) = scored.filter(|(session, _)| chosen(session)).unzip();
    let stated = data.calibration.false_alarm_rate;
    Trial {
        alarms: alarms(&scores, model.threshold(), stated),
        drift: drift(corpus, &sessions, &scores, data),
    }
}

fn start(corpus: &Corpus, session: &Session) -> u64 {
    corpus.steps(session).first().map_or(0, |step| step.start)
}

/// Where the last `share` of an input begins, and how many records that is, about.
fn cut(input: &Input, share: f64) -> Result<(u64, u64)> {
    ensure!(share > 0.0 && share < 1.0, "the share held out must lie between 0 and 1, not at {share}");
    let mut places = Vec::new();
    // Of more records than that, evenly spread ones tell where to cut as well.
    let (mut records, mut stride) = (0u64, 1);
    input.read(|_, at| {
        if records.is_multiple_of(stride) {
            places.push(at);
            if places.len() == MAX_PLACES {
                let mut odd = false;
                places.retain(|_| {
                    odd = !odd;
                    odd
                });
                stride *= 2;
            }
        }
        records += 1;
    })?;
    let kept = (places.len() as f64 * (1.0 - share)).round() as usize;
    if places.is_empty() {
        bail!("there is nothing to learn from in {}", input.paths.join(", "));
    }
    let count = places.len();
    let (before, &mut cut, _) = places.select_nth_unstable(kept.min(count - 1));
    let earlier = before.iter().filter(|&&at| at < cut).count();
    ensure!(
        kept < count && earlier > 0,
        "holding out {share} of {records} records leaves nothing on one side"
    );
    Ok((cut, (records as f64 * share) as u64))
}
