//! Labels: which callers or sessions are known to be anomalous.
//!
//! A file has one `id,label` a line. The id is a caller, a session as `score` prints it (`caller@start`), or the id of a
//! ready-made sequence; what names the session goes before what names its caller. What has no label counts as normal.
//!
//! Anomalous sessions are not learned from, and the threshold is chosen with them ([`Labels::take_out`],
//! [`threshold`]).

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::corpus::{Corpus, Session};

/// Labels by id.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Whether the id is anomalous, and the line that says so.
    of: HashMap<Box<str>, (bool, usize)>,
    name: String,
}

/// Longest line, in bytes.
const MAX_LINE: u64 = 1 << 16;

impl Labels {
    /// Reads a file of labels.
    ///
    /// # Errors
    /// When it cannot be read, or a line is none or contradicts another one; file and line are named.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).with_context(|| format!("failed to read the labels {name}"))?;
        Self::parse(BufReader::new(file), name)
    }

    fn parse(mut lines: impl BufRead, name: String) -> Result<Self> {
        let mut labels = Self { of: HashMap::new(), name };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = std::io::Read::take(&mut lines, MAX_LINE)
                .read_until(b'\n', &mut line)
                .with_context(|| format!("failed to read the labels {}", labels.name))?;
            if read == 0 {
                break;
            }
            let place = format!("{}:{number}", labels.name);
            ensure!((read as u64) < MAX_LINE, "{place}: the line is longer than {MAX_LINE} bytes");
            let text = std::str::from_utf8(&line).with_context(|| format!("{place}: not UTF-8"))?.trim();
            if text.is_empty() || (number == 1 && text.eq_ignore_ascii_case("id,label")) {
                continue;
            }
            labels.add(text, number).with_context(|| place)?;
        }
        ensure!(!labels.of.is_empty(), "there are no labels in {}", labels.name);
        Ok(labels)
    }

    fn add(&mut self, text: &str, number: usize) -> Result<()> {
        let (id, label) = text.rsplit_once(',').context("expected `id,label`")?;
        let anomalous = match label.trim().to_ascii_lowercase().as_str() {
            "normal" | "0" => false,
            "anomalous" | "abnormal" | "1" => true,
            other => bail!("the label must be `normal` or `anomalous`, not {other:?}"),
        };
        let id = id.trim();
        let id = match id.strip_prefix('"').and_then(|id| id.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => id.to_owned(),
        };
        ensure!(!id.is_empty(), "the id is empty");
        match self.of.insert(id.into(), (anomalous, number)) {
            Some((before, line)) if before != anomalous => {
                bail!("line {line} has another label for the same id")
            }
            _ => Ok(()),
        }
    }

    /// Whether a session is known to be anomalous.
    pub fn is_anomalous(&self, corpus: &Corpus, session: &Session) -> bool {
        self.find(corpus, session).is_some_and(|(_, (anomalous, _))| *anomalous)
    }

    fn find(&self, corpus: &Corpus, session: &Session) -> Option<(&str, &(bool, usize))> {
        let caller = &corpus.callers[session.caller as usize];
        let start = corpus.steps(session).first().map_or(0, |step| step.start);
        let of_session = self.of.get_key_value(format!("{caller}@{start}").as_str());
        of_session.or_else(|| self.of.get_key_value(caller)).map(|(id, label)| (id.as_ref(), label))
    }

    /// Takes the anomalous sessions out of a corpus and gives them.
    ///
    /// # Errors
    /// When no label names a caller or session of the corpus, or nothing normal is left.
    pub fn take_out(&self, corpus: &mut Corpus) -> Result<Vec<Session>> {
        let sessions = std::mem::take(&mut corpus.sessions);
        let named = sessions.iter().any(|session| self.find(corpus, session).is_some());
        ensure!(
            named,
            "none of the {} labels in {} names a caller or session of the input",
            self.of.len(),
            self.name
        );
        let (anomalous, normal) =
            sessions.into_iter().partition(|session| self.is_anomalous(corpus, session));
        corpus.sessions = normal;
        ensure!(!corpus.sessions.is_empty(), "by the labels in {} every session is anomalous", self.name);
        Ok(anomalous)
    }
}

/// The threshold that suits labelled sessions, by Neyman and Pearson's criterion (1933): of all thresholds that flag at
/// most `rate` of the held-out normal scores, those that find most of the anomalous ones; of these the one nearest to
/// `quantile`, the threshold without labels, in the middle of its gap where that has to move. `None` when no anomalous
/// session can be told from normal ones at this rate.
pub fn threshold(normal: &[f32], anomalous: &[f64], rate: f64, quantile: f64) -> Option<f64> {
    let mut normal: Vec<f64> = normal.iter().map(|&score| f64::from(score)).collect();
    normal.sort_unstable_by(|a, b| b.total_cmp(a));
    // So many normal sessions may be flagged: the threshold lies above the next one.
    let allowed = (rate * normal.len() as f64).floor() as usize;
    let least = normal.get(allowed).copied().unwrap_or(0.0);
    let lowest = anomalous.iter().copied().filter(|score| *score > least).min_by(f64::total_cmp)?;
    let below = normal.iter().copied().find(|score| *score < lowest).unwrap_or(0.0).max(least);
    if quantile > below && quantile <= lowest { Some(quantile) } else { Some(f64::midpoint(below, lowest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Labels> {
        Labels::parse(text.as_bytes(), "l.csv".to_owned())
    }

    #[test]
    fn labels_are_read_and_mistakes_are_placed() {
        let labels = parse("id,label\na,normal\n\n\"b,\"\"c\"\"\",Anomalous\nd@7,1\n").expect("labels");
        let of = |id: &str| labels.of.get(id).map(|(anomalous, _)| *anomalous);
        assert_eq!(
            (of("a"), of("b,\"c\""), of("d@7"), of("id")),
            (Some(false), Some(true), Some(true), None)
        );
        for (text, message) in [
            ("a,normal\nb,odd\n", "l.csv:2: the label must be `normal` or `anomalous`, not \"odd\""),
            ("a\n", "l.csv:1: expected `id,label`"),
            (",normal\n", "l.csv:1: the id is empty"),
            ("a,normal\nb,1\na,anomalous\n", "l.csv:3: line 1 has another label for the same id"),
            ("\n", "there are no labels in l.csv"),
        ] {
            assert_eq!(format!("{:#}", parse(text).expect_err("a mistake")), message);
        }
        assert!(Labels::parse(&[0xff, b'\n'][..], "l".into()).is_err());
        assert!(parse(&"x".repeat(1 << 17)).is_err());
    }

    #[test]
    fn the_threshold_moves_only_as_far_as_the_labels_ask() {
        let normal: Vec<f32> = (0..1000).map(|at| at as f32 / 250.0).collect();
        // All anomalous ones are above: nothing to move.
        assert_eq!(threshold(&normal, &[9.0, 30.0], 0.001, 5.0), Some(5.0));
        // One lies below, where one normal session in a thousand may be flagged: found.
        let lowered = threshold(&normal, &[4.5, 9.0], 0.001, 5.0).expect("a threshold");
        assert!(lowered <= 4.5 && lowered > 3.99, "{lowered}");
        // One that cannot be told from normal ones does not count; alone it gives no threshold.
        assert_eq!(threshold(&normal, &[1.0, 9.0], 0.001, 5.0), Some(5.0));
        assert_eq!(threshold(&normal, &[1.0], 0.001, 5.0), None);
        // More false alarms than the labels need are avoided.
        let raised = threshold(&normal, &[9.0], 0.01, 3.97).expect("a threshold");
        assert!(raised > 3.996 && raised <= 9.0, "{raised}");
    }
}
