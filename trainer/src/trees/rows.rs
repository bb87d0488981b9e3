//! Traces as evaluation keeps them: a few numbers for each service entry, the trees themselves once.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Result, ensure};
use gait_common::call::Nanos;
use gait_common::ingest::traces::Trace;
use gait_common::tree::{Code, FunctionId, Observed, Shape, Shapes};

use super::{Gathered, Read, traces};
use crate::corpus::Input;

/// Entries that are kept at most, some 64 bytes each.
const MAX_ENTRIES: usize = 20_000_000;

/// A service entry.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Place of its service in [`Rows::names`].
    pub service: u32,
    /// Place of its instance's name, or of the service's where the instance is not known.
    pub instance: u32,
    /// Its caller, by how many rows that stands before it; 0 for none.
    pub caller: u32,
    /// The span with which it was entered has failed.
    pub failed: bool,
    /// The function at its root.
    pub root: FunctionId,
    /// Its code.
    pub code: Code,
    /// Its own time.
    pub own: Nanos,
}

/// Every trace of an input.
#[derive(Debug, Default)]
pub struct Rows {
    /// Names of services and instances.
    pub names: Vec<Box<str>>,
    /// What the trees look like, and the names of functions.
    pub shapes: Shapes,
    /// The service of each instance.
    services: BTreeMap<u32, u32>,
    /// Beginning of each trace and its rows, by time.
    traces: Vec<(Nanos, Range<usize>)>,
    rows: Vec<Row>,
}

impl Rows {
    /// Reads all traces.
    ///
    /// # Errors
    /// When the input cannot be read, or is too large to be kept.
    pub fn read(input: &Input) -> Result<(Self, Read)> {
        let (mut all, mut numbers, mut names) = (Self::default(), BTreeMap::new(), Shapes::default());
        let read = traces(input, &mut names, &mut |trace| all.add(trace, &mut numbers))?;
        all.shapes.merge(&names);
        all.traces.sort_by_key(|(start, _)| *start);
        Ok((all, read))
    }

    fn add(&mut self, trace: &Trace, numbers: &mut BTreeMap<Box<str>, u32>) -> Result<()> {
        ensure!(
            self.rows.len() + trace.entries.len() <= MAX_ENTRIES,
            "more than {MAX_ENTRIES} service entries: evaluate a shorter time"
        );
        let mut number = |name: &str| {
            let next = numbers.len() as u32;
            *numbers.entry(name.into()).or_insert_with(|| {
                self.names.push(name.into());
                next
            })
        };
        let first = self.rows.len();
        for (place, entry) in trace.entries.iter().enumerate() {
            let root = entry.tree.root();
            if self.shapes.get(root, entry.code.ordered).is_none() {
                let shape = Shape { tree: entry.tree.clone(), unordered: entry.code.unordered };
                self.shapes.add(entry.code.ordered, shape);
            }
            let known = if entry.instance.is_empty() { &entry.service } else { &entry.instance };
            let (service, instance) = (number(&entry.service), number(known));
            self.services.insert(instance, service);
            self.rows.push(Row {
                service,
                instance,
                caller: entry.caller.map_or(0, |caller| (place - caller) as u32),
                failed: entry.failed,
                root,
                code: entry.code,
                own: entry.own,
            });
        }
        self.traces.push((trace.start, first..self.rows.len()));
        Ok(())
    }

    /// When the traces began, by time.
    pub fn starts(&self) -> impl DoubleEndedIterator<Item = Nanos> + '_ {
        self.traces.iter().map(|(start, _)| *start)
    }

    /// The service of an instance.
    pub fn service_of(&self, instance: u32) -> Option<&str> {
        self.services.get(&instance).map(|&service| &*self.names[service as usize])
    }

    /// The traces that began in a time, each as its rows.
    pub fn within(&self, time: &Range<Nanos>) -> impl Iterator<Item = (Nanos, &[Row])> + Clone {
        let from = self.traces.partition_point(|(start, _)| *start < time.start);
        let to = self.traces.partition_point(|(start, _)| *start < time.end);
        self.traces[from..to.max(from)].iter().map(|(start, rows)| (*start, &self.rows[rows.clone()]))
    }

    /// Counts the entries of a time. `at`: all count at this time instead of their own; `by_instance`: their instance, not
    /// their service, is where they count.
    pub fn count(&self, time: &Range<Nanos>, at: Option<Nanos>, by_instance: bool, into: &mut Gathered) {
        for (start, rows) in self.within(time) {
            for row in rows {
                let source = if by_instance { row.instance } else { row.service };
                into.stats.observe(&Observed {
                    time: at.unwrap_or(start),
                    source: &self.names[source as usize],
                    interface: None,
                    root: row.root,
                    code: row.code.ordered,
                    tree: None,
                    duration: row.own,
                    failed: row.failed,
                });
            }
        }
    }
}
