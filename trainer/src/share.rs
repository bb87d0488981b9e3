//! A share of a source's callers: how input of any size is learned from in bounded memory.
//!
//! A caller is taken whole or not at all, by a hash of its name, so that what is learned of it is true and the callers
//! taken are a fair sample of all; the same seed takes the same callers on every machine.

use anyhow::Result;

use crate::corpus::Source;
use crate::ingest::{ReadReport, Record};

/// The part of a source whose callers' hashes are low enough.
pub struct Share<'a> {
    source: &'a dyn Source,
    share: f64,
    below: u64,
    seed: u64,
}

impl<'a> Share<'a> {
    /// The callers that make about `most` of a source's `calls`; all of them, if those are no more.
    #[must_use]
    pub fn new(source: &'a dyn Source, calls: u64, most: u64, seed: u64) -> Self {
        let share = if calls > most { most as f64 / calls as f64 } else { 1.0 };
        // The conversion saturates, which takes all.
        Self { source, share, below: (share * 2.0_f64.powi(64)) as u64, seed }
    }

    /// The share of the callers that is taken, 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    fn takes(&self, name: &[u8]) -> bool {
        // Multiplied (Fibonacci hashing), the low bits decide about the high ones.
        self.below == u64::MAX || hash(name, !self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) < self.below
    }
}

impl Source for Share<'_> {
    fn read(&self, each: &mut dyn FnMut(Record<'_>, u64)) -> Result<ReadReport> {
        self.source.read(&mut |record, at| {
            let taken = match &record {
                Record::Call(call) => self.takes(call.caller.as_bytes()),
                Record::Sequence { id: Some(id), .. } => self.takes(id.as_bytes()),
                Record::Sequence { id: None, .. } => self.takes(&at.to_le_bytes()),
                Record::Interruption(_) => true,
            };
            if taken {
                each(record, at);
            }
        })
    }

    fn name(&self) -> String {
        self.source.name()
    }
}

/// A number for a name (FNV-1a with a seed): the same on every machine. Its low bits are spread evenly.
#[must_use]
pub fn hash(name: &[u8], seed: u64) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), mix);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Input;
    use crate::ingest::{Format, Options};

    /// Which of a thousand callers with ten sessions each are taken, and with how many.
    fn taken(most: u64, seed: u64) -> std::collections::BTreeMap<String, u32> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("sessions.txt").display().to_string();
        let lines = (0..10_000).map(|at| format!("10.0.{}.{},a b\n", at % 1000 / 250, at % 250));
        std::fs::write(&path, lines.collect::<String>()).expect("file");
        let crowd = Input::new(vec![path], Format::Sequences, Options::default());
        let mut sessions = std::collections::BTreeMap::new();
        let mut count = |record: Record<'_>, _| {
            if let Record::Sequence { id: Some(id), .. } = record {
                *sessions.entry(id.to_owned()).or_default() += 1;
            }
        };
        Share::new(&crowd, 10_000, most, seed).read(&mut count).expect("sequences");
        sessions
    }

    #[test]
    fn callers_are_taken_whole_and_in_the_share_asked_for() {
        let some = taken(3000, 0);
        assert!(some.values().all(|&calls| calls == 10));
        // Three deviations of a draw of 1000 with this share are 43.
        assert!((257..=343).contains(&some.len()), "{} of 1000 callers", some.len());
        assert_eq!(some, taken(3000, 0));
        assert_ne!(some, taken(3000, 1));
        assert_eq!(taken(10_000, 0).len(), 1000);
    }
}
