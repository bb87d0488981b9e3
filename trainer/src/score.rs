//! Judging recorded sessions by a model.

use gait_common::call::Process;
use gait_common::detect::{Detector, SessionState};
use gait_common::finding::Finding;
use gait_common::model::Model;
use gait_common::sequence::{SessionOf, Step};
use serde::Serialize;

use crate::corpus::{Corpus, Session};

/// One judged session, as `score` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// The sequence's id, or its caller and start.
    pub id: String,
    /// How unusual it is.
    pub score: f64,
    /// From where on it is anomalous.
    pub threshold: f64,
    /// Whether it is.
    pub anomalous: bool,
    /// Why, weightiest first; empty for a normal session.
    pub reasons: Vec<String>,
}

/// Judges every session of a corpus, in its order.
pub fn score<'a>(corpus: &'a Corpus, model: &'a Model) -> impl Iterator<Item = Scored> + 'a {
    let mut state = SessionState::default();
    corpus.sessions.iter().map(move |session| {
        let caller = &corpus.callers[session.caller as usize];
        observe(corpus, session, model, &mut state);
        let verdict = Detector::new(model).judge(&state);
        let start = corpus.steps(session).first().map_or(0, |step: &Step| step.start);
        Scored {
            id: if start == 0 { caller.to_string() } else { format!("{caller}@{start}") },
            score: verdict.score,
            threshold: verdict.threshold,
            anomalous: verdict.anomalous(),
            reasons: if verdict.anomalous() {
                explain(corpus, caller, model, &state).reasons.into_iter().map(|reason| reason.text).collect()
            } else {
                Vec::new()
            },
        }
    })
}

/// The score of every session, in their order, without explanations.
pub fn scores(corpus: &Corpus, model: &Model) -> Vec<f64> {
    let mut state = SessionState::default();
    let score = |session| {
        observe(corpus, session, model, &mut state);
        Detector::new(model).judge(&state).score
    };
    corpus.sessions.iter().map(score).collect()
}

fn observe(corpus: &Corpus, session: &Session, model: &Model, state: &mut SessionState) {
    let detector = Detector::new(model);
    state.reset();
    corpus.operations(session).for_each(|steps| detector.observe(state, steps));
    if session.complete {
        detector.end(state);
    }
}

fn explain(corpus: &Corpus, caller: &str, model: &Model, state: &SessionState) -> Finding {
    let of = SessionOf { caller, process: Process::default() };
    Detector::new(model).explain(of, state, &corpus.unknowns, true)
}
