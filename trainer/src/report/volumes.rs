//! How much each interface was called.

use gait_common::interface::InterfaceId;
use rustc_hash::FxHashSet;

use crate::train::Trained;

/// How much one interface was called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Volume {
    pub(super) interface: InterfaceId,
    pub(super) calls: u64,
    pub(super) sessions: u64,
    pub(super) callers: u64,
    /// Calls answered with a status, and those of them answered with 400 or above.
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// The model learned it: more than one witness called it.
    pub(super) learned: bool,
}

/// The volumes of all interfaces that were called, the most called first.
pub(super) fn count(trained: &Trained) -> Vec<Volume> {
    let corpus = &trained.corpus;
    let mut volumes: Vec<Volume> = (0..trained.model.interfaces.len() as u32)
        .map(|interface| Volume { interface, ..Volume::default() })
        .collect();
    // The session that called an interface last, one more than its place; and who called what.
    let mut latest = vec![0; volumes.len()];
    let mut callers: FxHashSet<(u32, InterfaceId)> = FxHashSet::default();
    for (session, place) in corpus.sessions.iter().zip(1usize..) {
        for step in corpus.steps(session) {
            let volume = &mut volumes[step.interface as usize];
            volume.calls += 1;
            volume.answered += u64::from(step.status > 0);
            volume.failed += u64::from(step.status >= 400);
            if std::mem::replace(&mut latest[step.interface as usize], place) != place {
                volume.sessions += 1;
                volume.callers += u64::from(callers.insert((session.caller, step.interface)));
            }
        }
    }
    for gram in trained.model.markov.grams.iter().take_while(|gram| gram.parent == 0) {
        if let Some(volume) = volumes.get_mut(gram.symbol as usize) {
            volume.learned = true;
        }
    }
    volumes.retain(|volume| volume.calls > 0);
    volumes.sort_by_key(|volume| (std::cmp::Reverse(volume.calls), volume.interface));
    volumes
}
