//! The spool's tables of call trees: one thread writes all of them, each within bounds of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use anyhow::Result;
use arrow_array::RecordBatch;
use gait_common::spool::trees::TreeTable;

use super::{Counts, Options, Spool};

/// The share of the spool's bytes that each table of trees may have.
const SHARE: u64 = 8;
/// How many of those tables there are.
const TABLES: usize = TreeTable::ALL.len();

impl Options {
    /// These options for the calls and for each table of trees, which share the bytes.
    pub fn with_trees(self) -> (Self, [Self; TABLES]) {
        let tables = TreeTable::ALL.map(|table| Self {
            table: table.directory(),
            max_bytes: self.max_bytes / SHARE,
            max_waiting: self.max_waiting / SHARE as usize,
            ..self.clone()
        });
        let calls = Self { max_bytes: self.max_bytes - TABLES as u64 * (self.max_bytes / SHARE), ..self };
        (calls, tables)
    }
}

/// Writes the tables of call trees.
#[derive(Debug)]
pub struct TreeSpool {
    tables: [(TreeTable, Spool); TABLES],
}

impl TreeSpool {
    /// Opens the directories, in the order of [`TreeTable::ALL`].
    ///
    /// # Errors
    /// When one cannot be made or read.
    pub fn open([trees, stats, calls, values]: [Options; TABLES]) -> Result<Self> {
        Ok(Self {
            tables: [
                (TreeTable::Trees, Spool::open(trees)?),
                (TreeTable::Stats, Spool::open(stats)?),
                (TreeTable::Calls, Spool::open(calls)?),
                (TreeTable::Values, Spool::open(values)?),
            ],
        })
    }

    /// Writes what comes through `batches` until its senders are gone; gives the counts of all tables together.
    ///
    /// # Errors
    /// As [`Spool::run`].
    pub fn run(mut self, batches: &Receiver<(TreeTable, RecordBatch)>) -> Result<Counts> {
        let [(_, first), ..] = &self.tables;
        let interval = first.flush_interval;
        let mut next_flush = Instant::now() + interval;
        loop {
            match batches.recv_timeout(next_flush.saturating_duration_since(Instant::now())) {
                Ok((table, batch)) => {
                    let spool = self.tables.iter_mut().find(|(of, _)| *of == table);
                    spool.map_or(Ok(()), |(_, spool)| spool.push(&batch))?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next_flush {
                self.tables.iter_mut().try_for_each(|(_, spool)| spool.flush())?;
                next_flush = Instant::now() + interval;
            }
        }
        let mut counts = Counts::default();
        for (_, spool) in self.tables {
            counts.add(&spool.finish()?);
        }
        Ok(counts)
    }
}
