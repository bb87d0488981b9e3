//! Interfaces that appeared, and interfaces that vanished.
//!
//! Both compare the share p of callers (or sessions) that call an interface. One that M callers of training never called
//! has `p <= 1 - 0.01^(1/M)` in ninety-nine of a hundred cases; one that appeared has drifted when the lower end of its
//! interval (Wilson, 1927) among the new callers is above that. One that a share p of training's sessions called is
//! missed by N independent ones with the chance `(1 - p)^N`; it has vanished when that is below one in a hundred, divided
//! by the number of interfaces looked at (Bonferroni). N is the number of new callers.

use std::collections::BTreeMap;

use gait_common::interface::NEW;
use gait_common::model::ModelData;
use rustc_hash::FxHashSet;
use serde::Serialize;

use super::frequencies::Tally;
use crate::corpus::{Corpus, Session};
use crate::evaluate::wilson;

/// The chance that a bound is passed without a cause.
const CHANCE: f64 = 0.01;
/// Interfaces listed.
const MOST: usize = 50;

/// An interface that the model does not know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Appeared {
    /// Its name, or what was called.
    pub interface: String,
    /// Calls to it.
    pub calls: u64,
    /// Callers that called it.
    pub callers: usize,
    /// So many callers call it that training would have seen it.
    pub drifted: bool,
}

/// An interface that was usual in training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vanished {
    /// Its name.
    pub interface: String,
    /// Share of the sessions that called it in training.
    pub share_in_training: f64,
}

pub(super) fn appeared(
    corpus: &Corpus,
    sessions: &[&Session],
    tally: &Tally,
    model: &ModelData,
) -> Vec<Appeared> {
    let mut found: BTreeMap<&str, (u64, FxHashSet<u32>)> = BTreeMap::new();
    for session in sessions {
        for step in corpus.steps(session).iter().filter(|step| !tally.knows(step.interface)) {
            let spelled = if step.interface == NEW { corpus.unknowns.get(step.value as u32) } else { None };
            let name = spelled.or_else(|| model.interfaces.get(step.interface as usize).map(String::as_str));
            let (calls, callers) = found.entry(name.unwrap_or_default()).or_default();
            *calls += 1;
            callers.insert(session.caller);
        }
    }
    let missed = 1.0 - CHANCE.powf(1.0 / model.meta.callers.max(1) as f64);
    let mut appeared: Vec<Appeared> = found
        .into_iter()
        .map(|(interface, (calls, callers))| Appeared {
            interface: interface.to_owned(),
            calls,
            callers: callers.len(),
            drifted: callers.len() > 1 && wilson(callers.len(), tally.callers()).0 > missed,
        })
        .collect();
    appeared.sort_by(|a, b| {
        (b.callers, b.calls).cmp(&(a.callers, a.calls)).then_with(|| a.interface.cmp(&b.interface))
    });
    appeared.truncate(MOST);
    appeared
}

pub(super) fn vanished(tally: &Tally, model: &ModelData) -> Vec<Vanished> {
    let sessions = model.counts.sessions.max(1) as f64;
    let bound = CHANCE / model.interfaces.len().max(1) as f64;
    let mut vanished: Vec<Vanished> = (0u32..)
        .zip(model.interfaces.iter().zip(&model.counts.calls))
        .filter(|(interface, _)| tally.knows(*interface) && !tally.called(*interface))
        .map(|(_, (name, calls))| Vanished {
            interface: name.clone(),
            share_in_training: (calls.total() as f64 / sessions).min(1.0),
        })
        .filter(|gone| (1.0 - gone.share_in_training).powf(tally.callers() as f64) < bound)
        .collect();
    vanished.sort_by(|a, b| {
        b.share_in_training.total_cmp(&a.share_in_training).then_with(|| a.interface.cmp(&b.interface))
    });
    vanished.truncate(MOST);
    vanished
}
