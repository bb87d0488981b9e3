//! What was recorded, call by call: the part of a store that models are learned from.
//!
//! A tape plays back what its inputs held, as far as it is kept, so that training reads it like any other input.
//! Recording is idempotent: a call that is on the tape already (same caller, time, request, status) is not recorded
//! again, nor is a named session with the same steps. A request's query values are dropped; nothing else is.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use gait_common::call::{Call, Nanos, Process};
use gait_common::interface::{MAX_PARAMETERS, split};

use super::texts::{TextId, Texts};
use crate::corpus::Source;
use crate::ingest::{self, ReadReport, Record, Tokens};

/// Most moments of loss that are kept, the latest ones.
const MAX_INTERRUPTIONS: usize = 1 << 16;

/// One call. The order is that of time, and of names where that is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) caller: TextId,
    pub(super) method: TextId,
    pub(super) host: TextId,
    pub(super) target: TextId,
    pub(super) start: Nanos,
    pub(super) duration: Nanos,
    pub(super) status: u16,
    pub(super) gap: bool,
}

/// One session that came ready-made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sequence {
    /// How many came before it, ever.
    pub(super) number: u64,
    /// Its name, or its number from 1 where it had none.
    pub(super) id: TextId,
    /// It had a name.
    pub(super) named: bool,
    pub(super) tokens: Vec<TextId>,
}

/// Recorded calls and sessions.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) texts: Texts,
    pub(super) rows: Vec<Row>,
    pub(super) sequences: Vec<Sequence>,
    /// When calls were lost, nobody knows whose; sorted.
    pub(super) interruptions: Vec<Nanos>,
    /// Ready-made sessions that were ever recorded.
    pub(super) numbered: u64,
    /// What the last recording read.
    report: Option<ReadReport>,
}

impl Tape {
    /// Records an input; gives how many calls and sessions it has, and how many of them were there already.
    pub(super) fn record(&mut self, input: &dyn Source) -> Result<(u64, u64)> {
        let (mut rows, mut interruptions, mut known) = (Vec::new(), Vec::new(), 0);
        let there = self.sequences.iter().filter(|sequence| sequence.named);
        let there: HashSet<(TextId, Vec<TextId>)> =
            there.map(|sequence| (sequence.id, sequence.tokens.clone())).collect();
        let report = input.read(&mut |record, _| match record {
            Record::Call(call) => rows.push(row(&mut self.texts, &call)),
            Record::Interruption(time) => interruptions.push(time),
            Record::Sequence { id, tokens } => {
                let tokens: Vec<TextId> = tokens.map(|token| self.texts.intern(token)).collect();
                let id = id.map(|id| self.texts.intern(id));
                if id.is_some_and(|id| there.contains(&(id, tokens.clone()))) {
                    known += 1;
                    return;
                }
                self.numbered += 1;
                let (named, number) = (id.is_some(), self.numbered - 1);
                let id = id.unwrap_or_else(|| self.texts.intern(&self.numbered.to_string()));
                self.sequences.push(Sequence { number, id, named, tokens });
            }
        })?;
        known += self.add(rows);
        self.interruptions.extend(interruptions);
        self.interruptions.sort_unstable();
        self.interruptions.dedup();
        let excess = self.interruptions.len().saturating_sub(MAX_INTERRUPTIONS);
        self.interruptions.drain(..excess);
        let read = report.records;
        self.report = Some(report);
        Ok((read, known))
    }

    /// Adds rows, but for as many of each as are there already.
    fn add(&mut self, rows: Vec<Row>) -> u64 {
        let first = rows.iter().map(|row| row.start).min().unwrap_or(Nanos::MAX);
        let last = rows.iter().map(|row| row.start).max().unwrap_or(0);
        let mut there: HashMap<Row, u32> = HashMap::new();
        for row in self.rows.iter().filter(|row| (first..=last).contains(&row.start)) {
            *there.entry(*row).or_default() += 1;
        }
        let before = rows.len();
        let fresh = |row: &Row| match there.get_mut(row).filter(|left| **left > 0) {
            Some(left) => {
                *left -= 1;
                false
            }
            None => true,
        };
        let held = self.rows.len();
        self.rows.extend(rows.into_iter().filter(fresh));
        let known = before - (self.rows.len() - held);
        self.sort();
        known as u64
    }

    /// Puts the rows into order: by time, then by caller, then as they came.
    pub(super) fn sort(&mut self) {
        let texts = &self.texts;
        self.rows.sort_by(|a, b| {
            a.start.cmp(&b.start).then_with(|| match a.caller == b.caller {
                true => std::cmp::Ordering::Equal,
                false => texts.get(a.caller).cmp(texts.get(b.caller)),
            })
        });
    }
}

fn row(texts: &mut Texts, call: &Call<'_>) -> Row {
    let mut scratch = String::new();
    let target = match call.method.is_empty() {
        // The source names its interfaces itself.
        true => call.target.to_owned(),
        false => without_values(call.target, &mut scratch),
    };
    Row {
        caller: texts.intern(call.caller),
        method: texts.intern(call.method),
        host: texts.intern(call.host),
        target: texts.intern(&target),
        start: call.start,
        duration: call.duration,
        status: call.status,
        gap: call.gap,
    }
}

/// A target as it was sent, with the names of its parameters only.
fn without_values(target: &str, scratch: &mut String) -> String {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let split = split(target, scratch);
    let mut names = [""; MAX_PARAMETERS];
    let names = split.parameters(&mut names).join("&");
    if names.is_empty() { target[..end].to_owned() } else { format!("{}?{names}", &target[..end]) }
}

impl Source for Tape {
    fn read(&self, each: &mut dyn FnMut(Record<'_>, u64)) -> Result<ReadReport> {
        let mut interruptions = self.interruptions.iter().copied().peekable();
        for row in &self.rows {
            while let Some(time) = interruptions.next_if(|time| *time <= row.start) {
                each(Record::Interruption(time), time);
            }
            let call = Call {
                start: row.start,
                duration: row.duration,
                method: self.texts.get(row.method),
                host: self.texts.get(row.host),
                target: self.texts.get(row.target),
                status: row.status,
                caller: self.texts.get(row.caller),
                process: Process::default(),
                gap: row.gap,
            };
            each(Record::Call(call), row.start);
        }
        interruptions.for_each(|time| each(Record::Interruption(time), time));
        let mut text = String::new();
        for sequence in &self.sequences {
            text.clear();
            for token in &sequence.tokens {
                text.push_str(self.texts.get(*token));
                text.push(' ');
            }
            let id = Some(self.texts.get(sequence.id));
            each(Record::Sequence { id, tokens: Tokens::new(&text) }, sequence.number);
        }
        match &self.report {
            Some(report) => Ok(report.clone()),
            // Nothing was read: the report of an empty file.
            None => ingest::read_stream(
                &[][..],
                "",
                ingest::Format::Calls,
                &ingest::Options::default(),
                &mut |_, _| Ok(()),
            ),
        }
    }

    fn name(&self) -> String {
        "the store".to_owned()
    }
}
