//! Makes the loose rule set: the same rules without what narrows them down.
//!
//! A loosened rule must still be a rule, and must raise every alert that the strict one raises. Both need more than leaving
//! out options. A sticky buffer without a match, or a variable that nothing sets, is refused by Suricata; `within` counts
//! from where `distance` begins and `depth` from `offset`, so without the one the other may lie elsewhere; and what is
//! relative to a dropped match has lost its place. Whatever hangs on something dropped is therefore dropped with it.

mod plan;

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Serialize;

use super::rules::{Rule, RuleFile};

/// What can be dropped from a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Operator {
    /// A match begins so far after the one before.
    Distance,
    /// A match ends so soon after the one before.
    Within,
    /// A match lies in the first bytes.
    Depth,
    /// A match lies behind the first bytes.
    Offset,
    /// A match is at the beginning.
    Startswith,
    /// A match is at the end.
    Endswith,
    /// Contents that must not be there.
    Negated,
    /// Regular expressions.
    Pcre,
    /// There is, or is no, data at a place.
    Isdataat,
    /// A number in the data is compared.
    ByteTest,
    /// A number in the data says where to go on.
    ByteJump,
    /// A number in the data becomes a variable.
    ByteExtract,
    /// A number in the data is calculated with.
    ByteMath,
    /// The length of the URI.
    Urilen,
    /// The length of a buffer.
    Bsize,
    /// The length of the payload.
    Dsize,
    /// The length of the stream.
    StreamSize,
    /// Limits on how often a rule alerts: one that is used up by other alerts would hide a strict one.
    Threshold,
    /// The number of matches from which on a rule alerts.
    DetectionFilter,
    /// Marks that other rules must have set (not dropped by default).
    Flowbits,
}

impl Operator {
    /// What is dropped when nothing else is asked for: all that narrows down a single request.
    pub fn defaults() -> Vec<Self> {
        Self::value_variants().iter().copied().filter(|operator| *operator != Self::Flowbits).collect()
    }

    /// Its name, as in `--drop`.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How rules are loosened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is dropped.
    pub drop: Vec<Operator>,
    /// A rule whose longest content would have fewer bytes is kept strict: it would match nearly everything.
    pub min_content: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { drop: Operator::defaults(), min_content: 2 }
    }
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Options were dropped: their places in the rule's list, and what they were.
    Loosened(Vec<usize>, Vec<Operator>),
    /// There was nothing to drop.
    Unchanged,
    /// It stays strict, for this reason.
    Kept(&'static str),
}

/// A loosened rule file.
#[derive(Clone, Debug)]
pub struct Loosened {
    /// The new file.
    pub bytes: Vec<u8>,
    /// What was done.
    pub report: Report,
}

/// What was done to a rule file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Active rules in the file.
    pub rules: usize,
    /// Rules that lost an option.
    pub loosened: usize,
    /// Rules that had nothing to lose.
    pub unchanged: usize,
    /// Rules that stay as they are although there was something to drop.
    pub kept: Vec<Kept>,
    /// How many options of each kind were dropped, those included that hung on others.
    pub dropped: BTreeMap<String, usize>,
    /// Version of the Suricata that took every rule; none when none was asked.
    pub checked_by: Option<String>,
    /// Rules whose alerts may not be a part of the loose ones all the same, and why.
    pub cautions: Vec<Kept>,
}

/// A rule that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its line in the file.
    pub line: usize,
    /// Its id.
    pub sid: Option<u64>,
    /// Its message.
    pub message: String,
    /// Why.
    pub reason: String,
}

impl Kept {
    fn new(rule: &Rule, reason: impl Into<String>) -> Self {
        Self { line: rule.line, sid: rule.sid(), message: rule.message(), reason: reason.into() }
    }
}

/// Loosens every rule of a file but those at lines for which `refused` has words: they stay strict.
pub fn loosen(file: &RuleFile, options: &Options, refused: &BTreeMap<usize, String>) -> Loosened {
    let mut report = Report { rules: file.rules.len(), ..Report::default() };
    let bytes = file.rewrite(|_, rule| {
        if let Some(words) = refused.get(&rule.line) {
            report.kept.push(Kept::new(rule, format!("Suricata refuses it loosened: {words}")));
            return None;
        }
        match plan::plan(rule, options) {
            Outcome::Loosened(places, operators) => {
                report.loosened += 1;
                operators
                    .iter()
                    .for_each(|operator| *report.dropped.entry(operator.name()).or_default() += 1);
                caution(rule, &mut report);
                Some(rule.without(&file.bytes, &places))
            }
            Outcome::Unchanged => {
                report.unchanged += 1;
                None
            }
            Outcome::Kept(reason) => {
                report.kept.push(Kept::new(rule, reason));
                None
            }
        }
    });
    Loosened { bytes, report }
}

/// A looser rule that sets a mark may silence another one that wants it unset.
fn caution(rule: &Rule, report: &mut Report) {
    let sets = rule.options().iter().any(|option| {
        matches!(option.name.as_str(), "flowbits" | "xbits" | "hostbits")
            && [&b"set"[..], b"toggle", b"unset"].iter().any(|word| {
                rule.value(option)
                    .split(|byte| *byte == b',')
                    .next()
                    .is_some_and(|what| what.trim_ascii() == *word)
            })
    });
    if sets {
        report.cautions.push(Kept::new(rule, "it sets a mark that other rules may want to be unset"));
    }
}

#[cfg(test)]
mod tests;
