//! The corpus: every session of the input, named and cut as detection will name and cut it.
//!
//! Two passes over the input. The first learns the interface names; the second names each call, sorts the calls by
//! time (files of several hosts overlap) and runs them through the same [`Sequencer`] the agent uses.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use gait_common::call::{Call, Nanos, Process};
use gait_common::interface::{InterfaceId, Interfaces, Learner, NEW, Naming, Unknowns};
use gait_common::sequence::{Limits, Sequencer, SessionOf, Sessions, Step, Timing};
use tempfile::TempDir;

use crate::ingest::{self, Format, ReadReport, Record};
use crate::timing;

/// Where the input is and how it is read.
#[derive(Clone, Debug)]
pub struct Input {
    /// Files, directories and globs.
    pub paths: Vec<String>,
    /// Their format.
    pub format: Format,
    /// Bounds of reading.
    pub options: ingest::Options,
    /// The part that is taken: times of calls (Unix, ns), or where sessions are ready-made their places from 0.
    pub window: Range<u64>,
    /// Where standard input is kept, once it is.
    pub(crate) kept: Option<Arc<TempDir>>,
}

impl Input {
    /// All of an input.
    pub fn new(paths: Vec<String>, format: Format, options: ingest::Options) -> Self {
        Self { paths, format, options, window: 0..u64::MAX, kept: None }
    }

    /// The same input, to be read more than once: what comes through standard input is kept in a file first.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn kept(mut self) -> Result<Self> {
        let Some(piped) = self.paths.iter_mut().find(|path| *path == "-") else { return Ok(self) };
        let keep = || -> std::io::Result<TempDir> {
            let dir = tempfile::Builder::new().prefix("gait-").tempdir()?;
            std::io::copy(&mut std::io::stdin().lock(), &mut File::create(dir.path().join("stdin"))?)?;
            Ok(dir)
        };
        let dir = keep().context(
            "failed to keep standard input in a temporary file, for it is read twice: free some space or set TMPDIR",
        )?;
        *piped = dir.path().join("stdin").display().to_string();
        self.kept = Some(Arc::new(dir));
        Ok(self)
    }

    /// Hands on each record of the window, with its time or place.
    pub(crate) fn read(&self, mut each: impl FnMut(Record<'_>, u64)) -> Result<ReadReport> {
        let mut sessions = 0;
        ingest::read(&self.paths, self.format, &self.options, &mut |record, _| {
            let at = match &record {
                Record::Call(call) => call.start,
                Record::Interruption(time) => *time,
                Record::Sequence { .. } => {
                    sessions += 1;
                    sessions - 1
                }
            };
            if self.window.contains(&at) {
                each(record, at);
            }
            Ok(())
        })
    }
}

/// What calls and sessions are read from, as often as is asked.
pub trait Source {
    /// Hands on each record, with its time or place.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, each: &mut dyn FnMut(Record<'_>, u64)) -> Result<ReadReport>;

    /// What to call it in messages.
    fn name(&self) -> String;
}

impl Source for Input {
    fn read(&self, each: &mut dyn FnMut(Record<'_>, u64)) -> Result<ReadReport> {
        Input::read(self, each)
    }

    fn name(&self) -> String {
        self.paths.join(", ")
    }
}

/// With fewer callers than this every session speaks for itself.
const FEW_CALLERS: usize = 20;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Place of its caller in [`Corpus::callers`]; for ready-made sequences, of its id.
    pub caller: u32,
    /// Its steps' range in [`Corpus::steps`].
    steps: Range<usize>,
    /// Its operations' ends, as a range in [`Corpus::operations`].
    operations: Range<usize>,
    /// It was seen from its beginning to its end.
    pub complete: bool,
}

/// Sessions and what they are made of.
#[derive(Debug, Default)]
pub struct Corpus {
    /// The callers' names.
    pub callers: Vec<Box<str>>,
    /// The sessions, in the order in which they ended.
    pub sessions: Vec<Session>,
    /// All sessions' steps.
    pub steps: Vec<Step>,
    /// For each operation, where in `steps` it ends.
    operations: Vec<usize>,
    /// Names of calls the model does not know.
    pub unknowns: Unknowns,
    /// Start of the earliest call, 0 when the input has no times.
    pub first_call: Nanos,
    /// Start of the latest call.
    pub last_call: Nanos,
}

impl Corpus {
    /// A session's steps.
    pub fn steps(&self, session: &Session) -> &[Step] {
        &self.steps[session.steps.clone()]
    }

    /// A session's interfaces in order.
    pub fn interfaces(&self, session: &Session) -> impl DoubleEndedIterator<Item = InterfaceId> + '_ {
        self.steps(session).iter().map(|step| step.interface)
    }

    /// Who witnesses a session's behaviour: its caller, or where there are few callers, the session itself.
    pub fn witness(&self, session: &Session) -> u32 {
        if self.callers.len() >= FEW_CALLERS { session.caller } else { session.operations.start as u32 }
    }

    /// Whether part of a session was not captured.
    pub fn has_gap(&self, session: &Session) -> bool {
        self.steps(session).iter().any(|step| step.gap)
    }

    /// A session's operations, each a run of steps.
    pub fn operations(&self, session: &Session) -> impl Iterator<Item = &[Step]> + '_ {
        let mut from = session.steps.start;
        self.operations[session.operations.clone()].iter().map(move |&end| {
            let steps = &self.steps[from..end];
            from = end;
            steps
        })
    }

    fn push(&mut self, caller: u32, steps: &[Step], operations: &[usize], complete: bool) {
        let base = self.steps.len();
        self.steps.extend_from_slice(steps);
        let first = self.operations.len();
        self.operations.extend(operations.iter().map(|end| base + end));
        self.sessions.push(Session {
            caller,
            steps: base..self.steps.len(),
            operations: first..self.operations.len(),
            complete,
        });
    }
}

/// What the first pass found: the names, and how the input's calls are spread in time.
#[derive(Debug)]
pub struct Survey {
    /// Interface names, as a model stores them.
    pub names: Vec<String>,
    /// Calls there are.
    pub calls: u64,
    /// What was read.
    pub report: ReadReport,
}

/// First pass: learns the interface names.
///
/// # Errors
/// When the input cannot be read.
pub fn survey(input: &dyn Source, naming: &Naming, explicit: &[String]) -> Result<Survey> {
    let (mut learner, mut calls) = (Learner::new(naming.clone(), explicit.to_vec()), 0);
    let report = input.read(&mut |record, _| match record {
        Record::Call(call) => {
            calls += 1;
            learner.observe(&call);
        }
        Record::Sequence { tokens, .. } => tokens.for_each(|token| {
            calls += 1;
            learner.observe_token(token);
        }),
        Record::Interruption(_) => {}
    })?;
    if calls == 0 {
        bail!("there is nothing to learn from in {}: {report}", input.name());
    }
    Ok(Survey { names: learner.finish(), calls, report })
}

/// One call between naming and sequencing; without a caller, a moment at which the capture lost something.
struct Row {
    caller: Option<u32>,
    step: Step,
}

/// Second pass: names and cuts. Without `timing` the operation gap is derived from the gaps between calls.
///
/// # Errors
/// When the input cannot be read.
pub fn collect(input: &dyn Source, interfaces: &Interfaces, timing: Choice) -> Result<(Corpus, Timing)> {
    let mut corpus = Corpus::default();
    let mut index: HashMap<Box<str>, u32> = HashMap::new();
    let (mut rows, mut scratch): (Vec<Row>, _) = (Vec::new(), String::new());
    let mut steps = Vec::new();
    input.read(&mut |record, _| match record {
        Record::Call(call) => {
            let caller = intern(&mut index, &mut corpus.callers, call.caller);
            rows.push(Row {
                caller: Some(caller),
                step: name(interfaces, &call, &mut scratch, &mut corpus.unknowns),
            });
        }
        Record::Sequence { id, tokens } => {
            steps.clear();
            for token in tokens {
                let call = Call { target: token, ..Call::default() };
                steps.push(name(interfaces, &call, &mut scratch, &mut corpus.unknowns));
            }
            let id = id.map_or_else(|| (corpus.sessions.len() + 1).to_string(), str::to_owned);
            corpus.callers.push(id.into());
            corpus.push(corpus.callers.len() as u32 - 1, &steps, &[steps.len()], true);
        }
        Record::Interruption(time) => {
            rows.push(Row { caller: None, step: Step { start: time, end: time, ..Step::default() } });
        }
    })?;
    sort(&mut rows, &mut corpus);
    corpus.first_call = rows.first().map_or(0, |row| row.step.start);
    corpus.last_call = rows.last().map_or(0, |row| row.step.start);
    let timing = match timing {
        Choice::Fixed(timing) => timing,
        Choice::Derived { session_idle } => {
            let gaps =
                timing::gaps(rows.iter().filter_map(|row| Some((row.caller?, row.step.start, row.step.end))));
            Timing { operation_gap: timing::operation_gap(&gaps, session_idle), session_idle }
        }
    };
    cut(rows, timing, &mut corpus);
    Ok((corpus, timing))
}

/// How calls are cut into operations and sessions.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// As a model says.
    Fixed(Timing),
    /// The operation gap comes from the data.
    Derived {
        /// Idle time that ends a session.
        session_idle: Nanos,
    },
}

/// Puts calls in the order of time, and those of one time in the order of their callers' names, and numbers the callers
/// anew in that order: neither the order of an input's files nor how a log interleaves its callers changes a model.
fn sort(rows: &mut [Row], corpus: &mut Corpus) {
    let names = &corpus.callers;
    let name = |row: &Row| row.caller.map(|caller| &names[caller as usize]);
    rows.sort_by(|a, b| {
        let caller = || if a.caller == b.caller { Ordering::Equal } else { name(a).cmp(&name(b)) };
        a.step.start.cmp(&b.step.start).then_with(caller)
    });
    // Ready-made sessions have their callers' numbers already.
    if !corpus.sessions.is_empty() {
        return;
    }
    let mut order: Vec<Option<u32>> = vec![None; corpus.callers.len()];
    let mut ordered = Vec::with_capacity(corpus.callers.len());
    for caller in rows.iter_mut().filter_map(|row| row.caller.as_mut()) {
        let old = *caller as usize;
        *caller = *order[old].get_or_insert_with(|| {
            ordered.push(std::mem::take(&mut corpus.callers[old]));
            ordered.len() as u32 - 1
        });
    }
    corpus.callers = ordered;
}

fn name(interfaces: &Interfaces, call: &Call<'_>, scratch: &mut String, unknowns: &mut Unknowns) -> Step {
    let named = interfaces.name_call(call, scratch);
    if named.id == NEW {
        unknowns.remember(named.value, call);
    }
    Step::new(call, named)
}

fn intern(index: &mut HashMap<Box<str>, u32>, names: &mut Vec<Box<str>>, name: &str) -> u32 {
    if let Some(&id) = index.get(name) {
        return id;
    }
    names.push(name.into());
    index.insert(name.into(), names.len() as u32 - 1);
    names.len() as u32 - 1
}

/// Runs the calls through the sequencer, and what was lost between them.
fn cut(rows: Vec<Row>, timing: Timing, corpus: &mut Corpus) {
    let callers = std::mem::take(&mut corpus.callers);
    let limits = Limits { callers: usize::MAX, ..Limits::default() };
    let mut sequencer = Sequencer::new(timing, limits);
    let places = callers.iter().zip(0..).map(|(name, place)| (name.clone(), place)).collect();
    let mut collector = Collector { corpus: std::mem::take(corpus), places, headless_until: None };
    for Row { caller, step } in rows {
        match caller {
            Some(caller) => {
                sequencer.push(&callers[caller as usize], Process::default(), step, &mut collector);
            }
            None => {
                sequencer.interrupt(&mut collector, |open| open.interrupted = true);
                collector.headless_until = Some(step.start.saturating_add(timing.session_idle));
            }
        }
        sequencer.advance(step.start, &mut collector);
    }
    sequencer.finish(&mut collector);
    *corpus = Corpus { callers, ..collector.corpus };
}

struct Collector {
    corpus: Corpus,
    places: HashMap<Box<str>, u32>,
    /// Sessions first seen up to here may have begun with calls that were lost.
    headless_until: Option<Nanos>,
}

#[derive(Default)]
struct Open {
    steps: Vec<Step>,
    operations: Vec<usize>,
    /// Something may be missing behind the last step.
    interrupted: bool,
}

impl Sessions for Collector {
    type State = Open;

    fn operation(&mut self, _: SessionOf<'_>, open: &mut Open, steps: &[Step]) {
        let first = open.steps.len();
        open.steps.extend_from_slice(steps);
        let headless = first == 0 && self.headless_until.is_some_and(|until| steps[0].start <= until);
        if std::mem::take(&mut open.interrupted) || headless {
            open.steps[first].gap = true;
        }
        open.operations.push(open.steps.len());
    }

    fn end(&mut self, of: SessionOf<'_>, open: &mut Open, complete: bool) {
        let caller = self.places.get(of.caller).copied().unwrap_or_default();
        self.corpus.push(caller, &open.steps, &open.operations, complete && !open.interrupted);
        open.steps.clear();
        open.operations.clear();
        open.interrupted = false;
    }
}
