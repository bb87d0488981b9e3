//! The spool: writes recorded calls to disk as Parquet files, within bounds.
//!
//! The schema and the layout of the directory are [`gait_common::spool`]'s. Each file is made whole in memory, written
//! under a temporary name, synced and renamed: a reader or a crash never meets half a file. What cannot be written
//! waits in bounded memory and is tried again; what passes the bound is counted as lost.

mod encode;
mod store;
mod trees;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow_array::RecordBatch;
use gait_common::call::Nanos;
use gait_common::spool::CALLS;
use serde::Serialize;

use crate::config;
use encode::Encoder;
use store::Store;

pub use trees::TreeSpool;

/// Rows of a file, at most; a flush makes smaller ones.
const MAX_ROWS: usize = 1 << 18;
/// Encoded bytes of a file, at most (by about one batch).
const MAX_FILE: usize = 32 << 20;

/// How the spool is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory.
    pub dir: PathBuf,
    /// The table's directory below it.
    pub table: &'static str,
    /// This host's name, a part of the files' names.
    pub host: String,
    /// When the agent started, another part (Unix, ns).
    pub started: Nanos,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// Longest age of a file.
    pub max_age: Duration,
    /// How often rows are written out.
    pub flush_interval: Duration,
    /// Most bytes that wait in memory for the disk.
    pub max_waiting: usize,
}

impl Options {
    /// The options that a configuration asks for.
    pub fn new(config: &config::Spool, host: String, started: Nanos) -> Self {
        Self {
            dir: config.dir.clone(),
            table: CALLS,
            host,
            started,
            max_bytes: config.max_bytes.0,
            max_age: config.max_age.0,
            flush_interval: config.flush_interval.0,
            max_waiting: usize::try_from(config.max_waiting.0).unwrap_or(usize::MAX),
        }
    }
}

/// What became of the rows. `rows_in = rows_written + rows_lost` at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows taken in.
    pub rows_in: u64,
    /// Rows in files on disk.
    pub rows_written: u64,
    /// Rows dropped because they could not be written and no more may wait.
    pub rows_lost: u64,
    /// Files written.
    pub files_written: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Attempts to write a file that failed.
    pub failed_writes: u64,
    /// Old files deleted to stay within the bounds.
    pub files_deleted: u64,
    /// Unfinished files of an earlier run removed.
    pub leftovers_removed: u64,
}

impl Counts {
    /// Adds those of another table.
    fn add(&mut self, other: &Self) {
        let Self {
            rows_in,
            rows_written,
            rows_lost,
            files_written,
            bytes_written,
            failed_writes,
            files_deleted,
            leftovers_removed,
        } = other;
        self.rows_in += rows_in;
        self.rows_written += rows_written;
        self.rows_lost += rows_lost;
        self.files_written += files_written;
        self.bytes_written += bytes_written;
        self.failed_writes += failed_writes;
        self.files_deleted += files_deleted;
        self.leftovers_removed += leftovers_removed;
    }
}

/// Writes batches of one table into the spool's directory. Synchronous; [`Spool::run`] is the loop around it.
#[derive(Debug)]
pub struct Spool {
    store: Store,
    open: Option<Encoder>,
    flush_interval: Duration,
}

impl Spool {
    /// Opens the directory: makes it if missing, removes what a crash left unfinished, and counts what is there.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(options: Options) -> Result<Self> {
        let flush_interval = options.flush_interval;
        Ok(Self { store: Store::open(options)?, open: None, flush_interval })
    }

    /// What became of the rows so far.
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// Takes a batch in; writes a file when one is full, or when the hour has turned.
    ///
    /// # Errors
    /// When the batch is not of the spool's schema.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(first) = encode::first_start(batch) else { return Ok(()) };
        self.store.count_in(batch.num_rows());
        if self.open.as_ref().is_some_and(|open| encode::hour(first) > encode::hour(open.start())) {
            self.flush()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Encoder::new(first, batch)?),
        };
        open.push(batch)?;
        if open.rows() >= MAX_ROWS || open.size() >= MAX_FILE { self.flush() } else { Ok(()) }
    }

    /// Writes out all rows taken in, and what waits from earlier attempts. A disk that refuses is no error here: it is
    /// reported, counted, and tried again with the next flush.
    ///
    /// # Errors
    /// When the rows cannot be encoded, which would be a defect.
    pub fn flush(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.store.queue(open.finish()?);
        }
        self.store.write();
        Ok(())
    }

    /// Writes out everything and gives up what cannot be written.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn finish(mut self) -> Result<Counts> {
        self.flush()?;
        self.store.give_up();
        Ok(self.counts())
    }

    /// Writes what comes through `batches` until its senders are gone.
    ///
    /// # Errors
    /// As [`push`](Self::push) and [`flush`](Self::flush).
    pub fn run(mut self, batches: &Receiver<RecordBatch>) -> Result<Counts> {
        let mut next_flush = Instant::now() + self.flush_interval;
        loop {
            match batches.recv_timeout(next_flush.saturating_duration_since(Instant::now())) {
                Ok(batch) => self.push(&batch)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            if Instant::now() >= next_flush {
                self.flush()?;
                next_flush = Instant::now() + self.flush_interval;
            }
        }
    }
}

#[cfg(test)]
mod tests;
