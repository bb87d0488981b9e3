//! The whole chain for a stream of calls: name, sequence, detect, report.
//!
//! One synchronous state machine. The agent feeds it from the kernel, a replay from a log; time comes in with the calls
//! and with [`Pipeline::advance`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::call::{Call, Nanos};
use crate::detect::{Detector, Habits, SessionState};
use crate::finding::Finding;
use crate::interface::{NEW, Unknowns};
use crate::model::Model;
use crate::sequence::{Limits, Sequencer, SessionOf, Sessions, Step};

/// How many calls went through each stage. `named + new = sequenced`; `scored` lags behind it by the operations that
/// are still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Calls whose interface the model knows.
    pub named: u64,
    /// Calls whose interface it does not know.
    pub new: u64,
    /// Calls that joined a caller's sequence.
    pub sequenced: u64,
    /// Calls that were scored.
    pub scored: u64,
    /// Operations closed.
    pub operations: u64,
    /// Sessions ended.
    pub sessions: u64,
    /// Sessions cut short because there were too many callers at once.
    pub evicted: u64,
    /// Callers with an open session.
    pub open_sessions: u64,
    /// Times that something was lost and every open session was marked.
    pub interruptions: u64,
    /// Findings made.
    pub findings: u64,
    /// Callers whose habits, as seen live, were forgotten for room.
    pub habits_forgotten: u64,
}

/// Names, sequences and judges calls.
pub struct Pipeline {
    sequencer: Sequencer<Judge>,
    judge: Judge,
    scratch: String,
    funnel: Funnel,
    /// Something was lost before the next call.
    interrupted: bool,
    session_idle: Nanos,
}

impl Pipeline {
    /// A pipeline that judges by `model`.
    pub fn new(model: Arc<Model>, limits: Limits) -> Self {
        Self {
            sequencer: Sequencer::new(model.timing, limits),
            session_idle: model.timing.session_idle,
            judge: Judge {
                model,
                unknowns: Unknowns::default(),
                habits: Habits::default(),
                findings: Vec::new(),
                scored: 0,
                found: 0,
                headless_until: None,
            },
            scratch: String::new(),
            funnel: Funnel::default(),
            interrupted: false,
        }
    }

    /// What it judges by.
    pub fn model(&self) -> &Arc<Model> {
        &self.judge.model
    }

    /// Takes a batch of calls in, in about the order of time, and adds what it finds to `out`.
    pub fn process(&mut self, calls: &[Call<'_>], out: &mut Vec<Finding>) {
        for call in calls {
            if std::mem::take(&mut self.interrupted) {
                self.judge.headless_until = Some(call.start.saturating_add(self.session_idle));
            }
            let named = self.judge.model.interfaces.name_call(call, &mut self.scratch);
            if named.id == NEW {
                self.funnel.new += 1;
                self.judge.unknowns.remember(named.value, call);
            } else {
                self.funnel.named += 1;
            }
            let step = Step::new(call, named);
            self.sequencer.push(call.caller, call.process, step, &mut self.judge);
        }
        out.append(&mut self.judge.findings);
    }

    /// Lets time pass: closes the operations and sessions that are over by `now`.
    pub fn advance(&mut self, now: Nanos, out: &mut Vec<Finding>) {
        self.sequencer.advance(now, &mut self.judge);
        out.append(&mut self.judge.findings);
    }

    /// Something was lost, nobody knows of whom: no open session is judged across this moment, and none that comes up
    /// before its beginning would be too long ago as if its beginning had been seen.
    pub fn interrupt(&mut self, out: &mut Vec<Finding>) {
        self.funnel.interruptions += 1;
        self.interrupted = true;
        self.sequencer.interrupt(&mut self.judge, SessionState::interrupt);
        out.append(&mut self.judge.findings);
    }

    /// Ends every session as cut short: at the end of the input, or when the agent stops.
    pub fn finish(&mut self, out: &mut Vec<Finding>) {
        self.sequencer.finish(&mut self.judge);
        out.append(&mut self.judge.findings);
    }

    /// How many calls went through each stage.
    pub fn funnel(&self) -> Funnel {
        let counts = self.sequencer.counts();
        Funnel {
            sequenced: counts.steps,
            scored: self.judge.scored,
            operations: counts.operations,
            sessions: counts.sessions,
            evicted: counts.evicted,
            open_sessions: self.sequencer.open_sessions() as u64,
            findings: self.judge.found,
            habits_forgotten: self.judge.habits.forgotten(),
            ..self.funnel
        }
    }
}

/// Judges sessions as they unfold and collects the findings.
struct Judge {
    model: Arc<Model>,
    unknowns: Unknowns,
    habits: Habits,
    findings: Vec<Finding>,
    scored: u64,
    found: u64,
    /// Sessions first seen up to here may have begun with calls that were lost.
    headless_until: Option<Nanos>,
}

impl Judge {
    fn report(&mut self, of: SessionOf<'_>, state: &mut SessionState, ended: bool) {
        let detector = Detector::new(&self.model);
        if !state.reported && detector.judge(state).anomalous() {
            state.reported = true;
            self.found += 1;
            self.findings.push(detector.explain(of, state, &self.unknowns, ended));
        }
    }
}

impl Sessions for Judge {
    type State = SessionState;

    fn operation(&mut self, of: SessionOf<'_>, state: &mut SessionState, steps: &[Step]) {
        if state.steps() == 0 && self.headless_until.is_some_and(|until| steps[0].start <= until) {
            state.interrupt();
        }
        let detector = Detector::new(&self.model);
        if state.steps() == 0 {
            detector.begin(state, of.caller, &self.habits);
        }
        detector.observe(state, steps);
        self.scored += steps.len() as u64;
        self.report(of, state, false);
    }

    fn end(&mut self, of: SessionOf<'_>, state: &mut SessionState, complete: bool) {
        if complete {
            Detector::new(&self.model).end(state);
            self.report(of, state, true);
        }
        if !state.reported {
            Detector::new(&self.model).learn(state, &mut self.habits);
        }
        state.reset();
    }
}
