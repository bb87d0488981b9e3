//! Judging recorded sessions by a model.

use gait_common::call::Process;
use gait_common::detect::{Detector, Habits, SessionState, Verdict};
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
    let mut judge = Judge::new(corpus, model);
    corpus.sessions.iter().map(move |session| {
        let caller = &corpus.callers[session.caller as usize];
        let verdict = judge.judge(session);
        let start = corpus.steps(session).first().map_or(0, |step: &Step| step.start);
        Scored {
            id: if start == 0 { caller.to_string() } else { format!("{caller}@{start}") },
            score: verdict.score,
            threshold: verdict.threshold,
            anomalous: verdict.anomalous(),
            reasons: if verdict.anomalous() {
                judge.explain(session).reasons.into_iter().map(|reason| reason.text).collect()
            } else {
                Vec::new()
            },
        }
    })
}

/// The findings that some sessions of a corpus would be, whether or not they pass the threshold, in the order asked for.
pub fn findings(corpus: &Corpus, wanted: &[usize], model: &Model) -> Vec<Finding> {
    let mut judge = Judge::new(corpus, model);
    let mut found: Vec<(usize, Finding)> = Vec::with_capacity(wanted.len());
    // Every session is judged: what a caller did before is part of what is usual for it.
    for (at, session) in corpus.sessions.iter().enumerate() {
        judge.judge(session);
        if let Some(place) = wanted.iter().position(|&wanted| wanted == at) {
            found.push((place, judge.explain(session)));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// The score of every session, in their order, without explanations.
pub fn scores(corpus: &Corpus, model: &Model) -> Vec<f64> {
    let mut judge = Judge::new(corpus, model);
    corpus.sessions.iter().map(|session| judge.judge(session).score).collect()
}

/// Judges sessions one after the other, as the agent does: what is not flagged is added to its caller's habits.
struct Judge<'a> {
    corpus: &'a Corpus,
    detector: Detector<'a>,
    habits: Habits,
    state: SessionState,
}

impl<'a> Judge<'a> {
    fn new(corpus: &'a Corpus, model: &'a Model) -> Self {
        let (habits, state) = (Habits::default(), SessionState::default());
        Self { corpus, detector: Detector::new(model), habits, state }
    }

    fn judge(&mut self, session: &Session) -> Verdict {
        let Self { corpus, detector, habits, state } = self;
        state.reset();
        detector.begin(state, &corpus.callers[session.caller as usize], habits);
        corpus.operations(session).for_each(|steps| detector.observe(state, steps));
        if session.complete {
            detector.end(state);
        }
        let verdict = detector.judge(state);
        if !verdict.anomalous() {
            detector.learn(state, habits);
        }
        verdict
    }

    /// The finding of the session that was judged last.
    fn explain(&self, session: &Session) -> Finding {
        let caller = &self.corpus.callers[session.caller as usize];
        let of = SessionOf { caller, process: Process::default() };
        self.detector.explain(of, &self.state, &self.corpus.unknowns, true)
    }
}
