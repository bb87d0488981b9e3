//! Traces: spans put together, and the call tree of every service that took part.
//!
//! **A tree per service entry.** A trace is cut where a call passes from one service to another. What a service did for one
//! request is a tree of its own: its root is the span with which the service was entered, its inner nodes are the spans of
//! the same service below it, and a call of another service is a leaf that bears the called operation's name. One tree per
//! trace would be the other way: but any change deep down would then make a tree that nobody ever saw, of every service
//! above it; the number of distinct trees is the product of what the services do; and a finding would not say where.
//! [`Entry::caller`] keeps how the trees hang together.
//!
//! **Time.** [`Entry::own`] is what the service itself took: from entering it to leaving it, less the times at which a
//! service that it called was at work. A slow service is slow by itself only, and not in everything above it.
//!
//! **Order.** Spans arrive in any order. Siblings are ordered by their start; those that overlap in time ran in parallel, and
//! are ordered by their codes. So neither the order of arrival nor that in which parallel calls happened to begin shows.
//! A host's clock that differs is corrected as far as it puts a span outside of the one that caused it.
//!
//! **Bounds.** A trace is complete when the input ends, or, of the spans held, too many wait: then the trace that was added
//! to the longest ago is taken for complete. Spans that come after that are late; they are counted and left out. So are
//! duplicates. A span whose parent never came begins a tree that is marked as truncated.

mod forest;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::call::Nanos;
use crate::tree::{Code, FunctionId, Observed, Tree};
use crate::wire::tree::function_id;

use super::spans::Span;

/// Bounds of what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Spans of traces that are not complete: some 80 bytes each.
    pub spans: usize,
    /// Distinct names of services, instances and operations. All others are one, `~other`.
    pub names: usize,
    /// Traces that are known to be complete, by which late spans are told: some 16 bytes each.
    pub complete: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { spans: 1 << 20, names: 1 << 17, complete: 1 << 20 }
    }
}

/// What became of the spans: `spans = duplicates + late + placed`, those in trees being placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans taken in.
    pub spans: u64,
    /// Traces.
    pub traces: u64,
    /// Trees.
    pub trees: u64,
    /// Spans that were there already.
    pub duplicates: u64,
    /// Spans of traces that were taken for complete before.
    pub late: u64,
    /// Spans whose parent is not in their trace, or who are their own ancestors.
    pub orphans: u64,
    /// Traces with more than one beginning, orphans left out.
    pub several_roots: u64,
    /// Spans whose clock was corrected.
    pub skewed: u64,
    /// Traces taken for complete because too many spans waited.
    pub pressed: u64,
    /// Names that there was no room for.
    pub names_passed: u64,
}

/// What one service did for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The service.
    pub service: Arc<str>,
    /// Its instance; empty when it is not known.
    pub instance: Arc<str>,
    /// Name of the tree's root, `service:operation`.
    pub name: Arc<str>,
    /// The entry of this trace that called it, which stands before it.
    pub caller: Option<usize>,
    /// Its caller is not known because a span is missing.
    pub orphan: bool,
    /// When it began, by its own clock.
    pub start: Nanos,
    /// How long it took.
    pub elapsed: Nanos,
    /// How much of that was not spent in services that it called.
    pub own: Nanos,
    /// The span with which it was entered has failed.
    pub failed: bool,
    /// Code of its tree.
    pub code: Code,
    /// Its tree.
    pub tree: Tree,
}

impl Entry {
    /// The entry as statistics take it: of its service, and its own time being its duration.
    pub fn observed(&self) -> Observed<'_> {
        Observed {
            time: self.start,
            source: &self.service,
            interface: None,
            root: self.tree.root(),
            code: self.code.ordered,
            tree: Some(&self.tree),
            duration: self.own,
            failed: self.failed,
        }
    }
}

/// A trace that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: u128,
    /// When its first span began.
    pub start: Nanos,
    /// The entries of services, callers first.
    pub entries: Vec<Entry>,
}

/// Called with each trace when it is complete.
pub type TraceSink<'s> = dyn FnMut(&Trace) -> anyhow::Result<()> + 's;

/// A span as it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    id: u64,
    parent: Option<u64>,
    service: u32,
    instance: u32,
    /// `service:operation`.
    name: u32,
    start: Nanos,
    duration: Nanos,
    failed: bool,
}

#[derive(Debug, Default)]
struct Open {
    spans: Vec<Kept>,
    /// When it was last added to, in spans taken in.
    touched: u64,
}

/// Puts spans together.
#[derive(Debug)]
pub struct Assembler {
    limits: Limits,
    names: Names,
    open: FxHashMap<u128, Open>,
    /// Open traces by when they were last added to.
    by_touch: BTreeMap<u64, u128>,
    waiting: usize,
    complete: FxHashSet<u128>,
    counts: Counts,
    forest: forest::Scratch,
}

impl Assembler {
    /// Nothing yet, within these bounds.
    pub fn new(limits: Limits) -> Self {
        Assembler {
            limits,
            names: Names::new(limits.names),
            open: FxHashMap::default(),
            by_touch: BTreeMap::new(),
            waiting: 0,
            complete: FxHashSet::default(),
            counts: Counts::default(),
            forest: forest::Scratch::default(),
        }
    }

    /// Takes a span in. `sink` gets the traces that must be taken for complete to make room.
    ///
    /// # Errors
    /// When `sink` fails.
    pub fn push(&mut self, span: &Span<'_>, sink: &mut TraceSink<'_>) -> anyhow::Result<()> {
        self.counts.spans += 1;
        if self.complete.contains(&span.trace) {
            self.counts.late += 1;
            return Ok(());
        }
        let kept = Kept {
            id: span.id,
            parent: span.parent,
            service: self.names.number(span.service),
            instance: self.names.number(span.instance),
            name: self.names.operation(span.service, span.operation),
            start: span.start,
            duration: span.duration,
            failed: span.failed,
        };
        let now = self.counts.spans;
        let open = self.open.entry(span.trace).or_default();
        self.by_touch.remove(&open.touched);
        open.touched = now;
        open.spans.push(kept);
        self.by_touch.insert(now, span.trace);
        self.waiting += 1;
        while self.waiting > self.limits.spans
            && let Some((_, id)) = self.by_touch.pop_first()
        {
            self.counts.pressed += 1;
            if self.complete.len() >= self.limits.complete {
                self.complete.clear();
            }
            self.complete.insert(id);
            self.close(id, sink)?;
        }
        Ok(())
    }

    /// Ends the input: the traces that are left come in the order of time.
    ///
    /// # Errors
    /// When `sink` fails.
    pub fn finish(&mut self, sink: &mut TraceSink<'_>) -> anyhow::Result<()> {
        let first = |open: &Open| open.spans.iter().map(|span| span.start).min();
        let mut ids: Vec<_> = self.open.iter().map(|(&id, open)| (first(open), id)).collect();
        ids.sort_unstable();
        self.by_touch.clear();
        for (_, id) in ids {
            self.close(id, sink)?;
        }
        Ok(())
    }

    /// What became of the spans.
    pub fn counts(&self) -> Counts {
        Counts { names_passed: self.names.passed, ..self.counts }
    }

    /// Names of functions met so far: `service:operation`.
    pub fn functions(&self) -> impl Iterator<Item = (FunctionId, &Arc<str>)> {
        self.names
            .texts
            .iter()
            .zip(&self.names.functions)
            .filter(|&(_, &id)| id != 0)
            .map(|(text, &id)| (id, text))
    }

    fn close(&mut self, id: u128, sink: &mut TraceSink<'_>) -> anyhow::Result<()> {
        let Some(open) = self.open.remove(&id) else { return Ok(()) };
        self.waiting -= open.spans.len();
        let trace = self.forest.grow(id, open.spans, &self.names, &mut self.counts);
        self.counts.traces += 1;
        self.counts.trees += trace.entries.len() as u64;
        sink(&trace)
    }
}

/// Names and their numbers.
#[derive(Debug)]
struct Names {
    most: usize,
    texts: Vec<Arc<str>>,
    /// Ids of those that are functions, 0 of the others.
    functions: Vec<FunctionId>,
    numbers: FxHashMap<Arc<str>, u32>,
    passed: u64,
    scratch: String,
}

/// The number of the name of everything that there was no room for.
const OTHER: u32 = 0;

impl Names {
    fn new(most: usize) -> Self {
        let other: Arc<str> = "~other".into();
        Names {
            most,
            functions: vec![function_id(other.as_bytes())],
            numbers: FxHashMap::from_iter([(Arc::clone(&other), OTHER)]),
            texts: vec![other],
            passed: 0,
            scratch: String::new(),
        }
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        if self.texts.len() > self.most {
            self.passed += 1;
            return OTHER;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.texts.push(Arc::clone(&text));
        self.functions.push(0);
        self.numbers.insert(text, number);
        number
    }

    fn operation(&mut self, service: &str, operation: &str) -> u32 {
        let mut name = std::mem::take(&mut self.scratch);
        name.clear();
        name.extend([service, ":", operation]);
        let number = self.number(&name);
        self.functions[number as usize] = function_id(name.as_bytes());
        self.scratch = name;
        number
    }

    fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }

    fn function(&self, number: u32) -> FunctionId {
        self.functions[number as usize]
    }
}

#[cfg(test)]
mod tests;
