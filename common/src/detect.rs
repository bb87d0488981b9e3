//! Detection: how unusual a session is, why, and whether that is too much.
//!
//! Scoring is incremental and monotone. Each step adds to a session's [`Evidence`], whose parts never fall; the
//! [`Calibration`] turns the evidence into one score. So a live session is reported the moment it passes the
//! threshold, and the same session read from a log ends with the same score.

mod calibration;
mod counts;
mod explain;
mod groups;
mod markov;
mod patterns;
mod relations;
mod session;
mod similarity;

pub use calibration::{Calibration, CalibrationData, Tail};
pub use counts::{Counts, CountsData, Histogram};
pub use groups::{
    CallerData, Columns, GroupData, Groups, GroupsData, Habit, Habits, MAX_CALLERS, MAX_COLUMNS, MAX_GROUPS,
    MAX_HISTORY, Tally, typical,
};
pub use markov::{BEGIN, Context, END, Gram, MAX_ORDER, Markov, MarkovData, Surprise};
pub use patterns::{
    EdgeData, Edit, GraphData, MAX_PATH, Nearest, PathData, Patterns, PatternsData, align, collapse, spelling,
};
pub use relations::{Relation, Relations};
pub use session::{Detector, SessionState, Verdict};
pub use similarity::{EntryInterval, Interval, SimilarityData};

use serde::{Deserialize, Serialize};

/// One kind of evidence against a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Surprise of the least likely step, in bits.
    RareStep,
    /// Summed surprise beyond what as many steps usually have, in standard deviations.
    UnusualFlow,
    /// Steps whose interface the model does not know.
    NewInterface,
    /// Steps that never followed their predecessor in training.
    NewTransition,
    /// How seldom one interface is called so often in a session, in bits.
    Repetition,
    /// How seldom one interface is called with so many different values, in bits.
    Enumeration,
    /// How seldom a session is this long, in bits.
    Length,
    /// How seldom an ended session has its least likely number of calls to one interface, in bits.
    Balance,
    /// Distance of an ended session from the nearest way, in units of its entry's interval of similarity.
    Pattern,
    /// Distance of the session from what its caller's habits make expect, in units of its group's limit.
    Habits,
    /// By how many bits another group of callers explains the session better than its caller's habits do.
    OtherGroup,
}

impl Part {
    /// Every part, in the order of [`Evidence`].
    pub const ALL: [Self; 11] = [
        Self::RareStep,
        Self::UnusualFlow,
        Self::NewInterface,
        Self::NewTransition,
        Self::Repetition,
        Self::Enumeration,
        Self::Length,
        Self::Balance,
        Self::Pattern,
        Self::Habits,
        Self::OtherGroup,
    ];

    /// The part's name in findings, e.g. `rare_step`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RareStep => "rare_step",
            Self::UnusualFlow => "unusual_flow",
            Self::NewInterface => "new_interface",
            Self::NewTransition => "new_transition",
            Self::Repetition => "repetition",
            Self::Enumeration => "enumeration",
            Self::Length => "length",
            Self::Balance => "balance",
            Self::Pattern => "pattern",
            Self::Habits => "habits",
            Self::OtherGroup => "other_group",
        }
    }
}

/// How much of each [`Part`] a session has shown so far; no part ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence(pub [f32; Part::ALL.len()]);

impl Evidence {
    /// The amount of one part.
    pub fn get(&self, part: Part) -> f32 {
        self.0[part as usize]
    }

    fn raise(&mut self, part: Part, amount: f32) {
        let have = &mut self.0[part as usize];
        *have = have.max(amount);
    }
}
