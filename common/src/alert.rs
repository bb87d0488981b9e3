//! Alerts of Suricata, and what is to be thought of them: real, a false alarm, or not to be said.
//!
//! [`Alert::parse`] reads one line of an `eve.json` and borrows from it; [`Key`] names the alert across runs and files;
//! [`Triage`] is the learned classifier, which gives a [`Judgement`]. Nothing here does I/O or reads a clock: the time of
//! an alert is what its line says.

mod explain;
mod features;
mod json;
mod key;
pub mod labels;
mod line;
mod model;
mod rates;
mod raw;
pub mod rules;
mod sketch;
mod text;
mod tokens;

pub use features::{Scratch, TRAITS, hash, look};
pub use key::{Key, KeyError, Protocol};
pub use line::{Alert, Http, Line, Malformed};
pub use model::{Band, Exemplar, MAX_EXEMPLARS, Origin, SKETCH, SPACE, Triage, TriageData, interpolate};
pub use rates::{Rate, Rates};
pub use raw::Raw;
pub use sketch::{Nearest, alike, sketch};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// An attack.
    Real,
    /// Something harmless that looks like one to the rule.
    FalseAlarm,
}

impl Class {
    /// As files and reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Real => "real",
            Class::FalseAlarm => "false_alarm",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A class that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the class must be `real` or `false_alarm`")]
pub struct ClassError;

impl FromStr for Class {
    type Err = ClassError;

    fn from_str(text: &str) -> Result<Self, ClassError> {
        match text {
            "real" => Ok(Class::Real),
            "false_alarm" => Ok(Class::FalseAlarm),
            _ => Err(ClassError),
        }
    }
}

/// What the classifier says of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An attack, at the stated error rate.
    Real,
    /// A false alarm, at the stated error rate.
    FalseAlarm,
    /// Neither can be said at the stated error rates.
    Abstain,
}

impl Verdict {
    /// As files and reports spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Real => "real",
            Verdict::FalseAlarm => "false_alarm",
            Verdict::Abstain => "abstain",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the classifier says of an alert, and why. It borrows from the scratch that it was made in.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'s> {
    /// Real, a false alarm, or not to be said.
    pub verdict: Verdict,
    /// That the alert is real, calibrated.
    pub probability: f32,
    /// What spoke the loudest for either, the strongest first; each displays itself in words.
    pub reasons: &'s [Reason],
    /// The labelled alert that is the most like it; none where none is half alike.
    pub nearest: Option<Nearest<'s>>,
}

/// One reason of a [`Judgement`].
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// In words.
    pub words: String,
    /// By how much it raises the score of being real; negative where it speaks for a false alarm.
    pub weight: f32,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
