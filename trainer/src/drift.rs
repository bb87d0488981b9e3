//! Drift: whether new traffic is still the traffic a model was trained on.
//!
//! Three questions, each with a bound that says when chance is no longer an answer (`frequencies`, `interfaces` and
//! `scores` give the formulas): are the interfaces called as often as before, have some appeared or vanished, and do
//! sessions score as the held-out ones of training did. Calls of one caller are alike, so callers count as what was
//! sampled, not calls.

mod frequencies;
mod interfaces;
mod scores;

use gait_common::model::ModelData;
use serde::Serialize;

use crate::corpus::{Corpus, Session};

pub use frequencies::Frequencies;
pub use interfaces::{Appeared, Vanished};
pub use scores::ScoreShift;

/// How new sessions differ from those of training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Whether anything below passes its bound.
    pub drifted: bool,
    /// How often the interfaces are called.
    pub frequencies: Frequencies,
    /// Interfaces that training did not know, those that most callers called first.
    pub appeared: Vec<Appeared>,
    /// Interfaces that so much traffic should have called and did not.
    pub vanished: Vec<Vanished>,
    /// What sessions score.
    pub scores: ScoreShift,
}

/// Compares new sessions, each with its score by the model, with what the model says of its training.
pub fn drift(corpus: &Corpus, sessions: &[&Session], scores: &[f64], model: &ModelData) -> Drift {
    let tally = frequencies::Tally::new(corpus, sessions, model);
    let frequencies = tally.frequencies();
    let appeared = interfaces::appeared(corpus, sessions, &tally, model);
    let vanished = interfaces::vanished(&tally, model);
    let scores = scores::shift(scores, tally.callers(), model);
    let drifted = frequencies.drifted
        || scores.drifted
        || !vanished.is_empty()
        || appeared.iter().any(|interface| interface.drifted);
    Drift { drifted, frequencies, appeared, vanished, scores }
}

#[cfg(test)]
mod tests;
