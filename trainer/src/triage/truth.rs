//! Scores against a truth that is known of connections, as test captures have it. Nothing is learned from it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gait_common::alert::{Class, Key};
use serde::{Deserialize, Serialize};

use super::labels::Labelling;
use super::logs::Log;
use crate::ingest::unpacked;

/// Longest line, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// What connections are, by the client's address and port.
#[derive(Clone, Debug, Default)]
pub struct Truth(HashMap<SocketAddr, Class>);

#[derive(Deserialize)]
struct Row {
    src_ip: IpAddr,
    src_port: u16,
    label: String,
}

impl Truth {
    /// Reads JSON lines of `src_ip`, `src_port` and `label` (`anom` or `norm`); plain, gzip or zstd.
    ///
    /// # Errors
    /// When it cannot be read, or a line is none; it is named.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("failed to read {}", path.display());
        let file = File::open(path).with_context(failed)?;
        let bytes: Box<dyn Read> =
            match unpacked(file.try_clone().with_context(failed)?).with_context(failed)? {
                Some(bytes) => bytes,
                None => Box::new(file),
            };
        let mut lines = BufReader::new(bytes);
        let mut truth = HashMap::new();
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            if lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).with_context(failed)? == 0 {
                break;
            }
            let place = || format!("{}:{number}", path.display());
            let row: Row = serde_json::from_slice(&line).with_context(place)?;
            let class = match row.label.as_str() {
                "anom" | "real" => Class::Real,
                "norm" | "false_alarm" => Class::FalseAlarm,
                other => bail!("{}: the label must be `anom` or `norm`, not {other:?}", place()),
            };
            truth.insert(SocketAddr::new(row.src_ip, row.src_port), class);
        }
        ensure!(!truth.is_empty(), "there is nothing in {}", path.display());
        Ok(Self(truth))
    }

    /// What an alert is, if its connection is known.
    pub fn of(&self, key: &Key) -> Option<Class> {
        self.0.get(&key.source).or_else(|| self.0.get(&key.destination)).copied()
    }
}

/// How right labels are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Exact {
    /// Alerts of which the truth is known.
    pub known: usize,
    /// Real ones among alerts that only the loose rules raised: the seed rule's label noise.
    pub noise: f64,
    /// Share of the real alerts that the seed rule takes for real.
    pub seed_recall: f64,
    /// Share of what it takes for real that is.
    pub seed_precision: f64,
    /// Share of what it takes for a false alarm that is one.
    pub seed_false_alarm_precision: f64,
    /// Of the labels that a person gave: how many are not what the truth says.
    pub wrong_words: usize,
}

/// Scores the seed rule's labels of a loose log.
pub fn exact(loose: &Log, labelling: &Labelling, truth: &Truth) -> Exact {
    let mut exact = Exact::default();
    // Taken for real or not, and really so or not.
    let (mut seed, mut only) = ([[0_usize; 2]; 2], [0_usize; 2]);
    for (key, labelled) in loose.keys().zip(&labelling.loose) {
        let Some(class) = truth.of(key) else { continue };
        exact.known += 1;
        let real = usize::from(class == Class::Real);
        seed[usize::from(labelled.seed == Class::Real)][real] += 1;
        if matches!(labelled.source, super::labels::Source::PresumedFalse | super::labels::Source::Reviewed) {
            only[real] += 1;
        }
        exact.wrong_words += usize::from(labelled.source.is_given() && labelled.class != class);
    }
    let share = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    exact.noise = share(only[1], only[0] + only[1]);
    exact.seed_recall = share(seed[1][1], seed[1][1] + seed[0][1]);
    exact.seed_precision = share(seed[1][1], seed[1][1] + seed[1][0]);
    exact.seed_false_alarm_precision = share(seed[0][0], seed[0][0] + seed[0][1]);
    exact
}

#[cfg(test)]
mod tests {
    use super::super::join::join;
    use super::super::labels::{Words, apply};
    use super::super::logs::tests::{line, log};
    use super::*;

    #[test]
    fn the_seed_rule_is_scored_by_the_truth() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("truth.jsonl");
        let row = |port: u32, label: &str| {
            format!("{{\"src_ip\":\"203.0.113.9\",\"src_port\":{port},\"label\":\"{label}\",\"x\":1}}\n")
        };
        std::fs::write(&file, [row(1, "anom"), row(2, "norm"), row(3, "anom"), row(4, "norm")].concat())
            .expect("a file");
        let truth = Truth::read(&file).expect("a truth");
        let strict = log(&[line(1, 1, 7), line(2, 2, 7)]);
        let loose = log(&[line(1, 1, 7), line(2, 2, 7), line(3, 3, 7), line(4, 4, 7), line(5, 5, 7)]);
        let labelling = apply(&Words::default(), &strict, &loose, &join(&strict, &loose));
        let found = exact(&loose, &labelling, &truth);
        let wanted = Exact {
            known: 4,
            noise: 0.5,
            seed_recall: 0.5,
            seed_precision: 0.5,
            seed_false_alarm_precision: 0.5,
            wrong_words: 0,
        };
        assert_eq!(found, wanted);
        std::fs::write(&file, row(1, "odd")).expect("a file");
        assert!(format!("{:#}", Truth::read(&file).expect_err("no label")).contains("truth.jsonl:1"));
    }
}
