//! The agent's core: exchanges in; rows for the spool and findings out.
//!
//! One synchronous state machine on one thread. A batch is what one emptying of the rings gave: its exchanges are
//! taken in one by one ([`Engine::take`]) and go through the pipeline together ([`Engine::end_batch`]), because only
//! the end of a batch tells whether something is missing from it. What comes out goes through bounded channels; when
//! one is full the engine waits, the rings fill, and the kernel counts what it has to leave out. Once the agent is to
//! stop, findings wait for a sink that hangs no longer than [`PATIENCE`], so that it cannot keep calls from the spool.

mod batch;
mod trees;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use arrow_array::RecordBatch;
use gait_common::call::Nanos;
use gait_common::caller::CallerNamer;
use gait_common::finding::{Anomaly, Finding, TreeFinding};
use gait_common::model::Model;
use gait_common::pipeline::{self, Pipeline};
use gait_common::sequence::{Limits, SECOND};
use gait_common::spool::{Extra, Rows};
use serde::Serialize;

use crate::capture::{Exchange, Role, TreeEvent};
use crate::decode::Decoder;
use crate::screen::Tap;
use crate::triage::link::{self, Sightings};
use batch::Batch;
use trees::Trees;

pub use trees::{TreeBatch, TreeCounts};

/// Rows that are handed to the spool at a time, at most.
const ROWS: usize = 4096;
/// How long rows are kept back for more of them.
const ROWS_HELD: Nanos = SECOND;
/// How long findings wait, in all, for a sink that hangs while the agent is to stop.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How often a sink that hangs is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(1);

/// Where the engine's results go.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// Rows for the spool; `None` when nothing is to be recorded.
    pub rows: Option<SyncSender<RecordBatch>>,
    /// Findings for the sinks.
    pub findings: SyncSender<Anomaly>,
    /// Set when the agent is to stop.
    pub stop: Arc<AtomicBool>,
}

/// What became of the exchanges. `exchanges = unreadable + calls`, and with a model `calls = named + new = sequenced`
/// of the pipeline; at the end also `= scored`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Exchanges taken in.
    pub exchanges: u64,
    /// Exchanges whose head is no HTTP request that can be read.
    pub unreadable: u64,
    /// Calls made of the others.
    pub calls: u64,
    /// Calls handed to the spool.
    pub recorded: u64,
    /// Batches from which something was missing.
    pub interrupted_batches: u64,
    /// Findings given up because the sinks hung while the agent was to stop.
    pub findings_given_up: u64,
}

/// All that an engine counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What became of the exchanges.
    pub counts: Counts,
    /// What became of the calls in the pipeline; `None` without a model.
    pub funnel: Option<pipeline::Funnel>,
    /// What became of call trees; `None` where none are followed.
    pub trees: Option<TreeCounts>,
}

/// Decodes, records and judges.
pub struct Engine {
    decoder: Decoder,
    pipeline: Option<Pipeline>,
    batch: Batch,
    rows: Rows,
    rows_since: Nanos,
    /// Rows that are older than the batch.
    rows_before: usize,
    /// The next row is the first after a loss.
    interrupted: bool,
    found: Vec<Finding>,
    /// Exchanges that alerts may be about; only where alerts are triaged.
    sightings: Option<(Sightings, link::Shared)>,
    /// Only where functions are followed.
    trees: Option<Box<Trees>>,
    found_trees: Vec<TreeFinding>,
    outputs: Outputs,
    /// Since when the sinks have been keeping the agent from stopping.
    kept_since: Option<Instant>,
    counts: Counts,
}

impl Engine {
    /// An engine that judges by `model`, or only records without one.
    pub fn new(namer: CallerNamer, model: Option<Arc<Model>>, limits: Limits, outputs: Outputs) -> Self {
        Self {
            decoder: Decoder::new(namer),
            pipeline: model.map(|model| Pipeline::new(model, limits)),
            batch: Batch::default(),
            rows: Rows::default(),
            rows_since: 0,
            rows_before: 0,
            interrupted: false,
            found: Vec::new(),
            sightings: None,
            trees: None,
            found_trees: Vec::new(),
            outputs,
            kept_since: None,
            counts: Counts::default(),
        }
    }

    /// Ties exchanges and findings to alerts.
    pub fn link_alerts(&mut self, links: link::Shared) {
        self.sightings = Some((Sightings::default(), links));
    }

    /// Takes call trees in too, of this host; `rows` gets what is to be recorded of them. A finding about them that has no
    /// cause comes once in `false_finding_in` at most; `key` hides arguments that are to be hidden.
    pub fn follow_trees(
        &mut self,
        host: &str,
        false_finding_in: Option<Duration>,
        rows: Option<SyncSender<TreeBatch>>,
        key: [u8; 32],
    ) {
        let model = self.pipeline.as_ref().map(Pipeline::model);
        self.trees = Some(Box::new(Trees::new(host, model, false_finding_in, rows, key)));
    }

    /// Hands the names of callers on to be screened.
    pub fn screen_callers(&mut self, tap: Tap) {
        self.decoder.screen(tap);
    }

    /// What became of call trees; `None` where none are followed.
    pub fn tree_counts(&self) -> Option<TreeCounts> {
        self.trees.as_ref().map(|trees| trees.counts())
    }

    /// Takes in the name of a function that is followed.
    pub fn name_function(&mut self, name: &str) {
        if let Some(trees) = &mut self.trees {
            trees.name(name);
        }
    }

    /// Takes in what the kernel's tree coder says at `now` (Unix, ns).
    pub fn tree_event(&mut self, event: &TreeEvent<'_>, now: Nanos) {
        if let Some(trees) = &mut self.trees {
            trees.event(event, now);
        }
    }

    /// Passes over what the kernel counted while points were attached or taken off: such trees may lack calls.
    pub fn pass_over(&mut self, event: &TreeEvent<'_>) {
        if let Some(trees) = &mut self.trees {
            trees.pass_over(event);
        }
    }

    /// Points were attached or taken off between two instants: trees of exchanges that went on meanwhile may lack calls.
    pub fn functions_changed(&mut self, from: Nanos, to: Nanos) {
        if let Some(trees) = &mut self.trees {
            trees.changed(from, to);
        }
    }

    /// The breaker keeps these functions off, and no others, as of some instant between two: trees that call them lack calls.
    pub fn functions_off(&mut self, functions: &[u64], from: Nanos, to: Nanos) {
        if let Some(trees) = &mut self.trees {
            trees.off(functions, from, to);
        }
    }

    /// Whether it is time to ask the kernel how often codes ran, and to hand over what it says.
    pub fn wants_tree_counts(&self, now: Nanos) -> bool {
        self.trees.as_ref().is_some_and(|trees| trees.wants_counts(now))
    }

    /// The kernel was asked at `now`, and all that it said was handed over.
    pub fn end_tree_counts(&mut self, now: Nanos) {
        if let Some(trees) = &mut self.trees {
            trees.asked(now);
        }
    }

    /// What became of the exchanges so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What became of the calls in the pipeline; `None` without a model.
    pub fn funnel(&self) -> Option<pipeline::Funnel> {
        self.pipeline.as_ref().map(Pipeline::funnel)
    }

    /// Takes one exchange into the current batch.
    pub fn take(&mut self, exchange: &Exchange<'_>) {
        self.counts.exchanges += 1;
        let decoded = self.decoder.decode(exchange);
        if !exchange.trees.is_empty()
            && let Some(trees) = &mut self.trees
        {
            trees.served(exchange, decoded.as_ref());
        }
        let Some(call) = decoded else {
            self.counts.unreadable += 1;
            return;
        };
        self.counts.calls += 1;
        if let Some((sightings, _)) = &mut self.sightings {
            sightings.add(&call, exchange.local, exchange.peer, exchange.ordinal);
        }
        if self.pipeline.is_some() {
            self.batch.push(&call);
        }
        if self.outputs.rows.is_none() {
            return;
        }
        let extra = Extra {
            interrupted: std::mem::take(&mut self.interrupted),
            role: match exchange.role {
                Role::Server => "server",
                Role::Client => "client",
            },
            local: Some(exchange.local),
            peer: Some(exchange.peer.ip()),
            cgroup: exchange.cgroup,
        };
        self.rows.push(&call, &extra);
    }

    /// Ends a batch at `now` (Unix, ns). `lost` says that something is missing from it, nobody knows of whom.
    ///
    /// # Errors
    /// When a receiver of the results has ended.
    pub fn end_batch(&mut self, now: Nanos, lost: bool) -> Result<()> {
        // What is missing may have come before any call of this batch, or after it: no session is judged across either.
        if lost {
            self.counts.interrupted_batches += 1;
            self.interrupt();
        }
        self.record(now)?;
        if let Some((sightings, links)) = &mut self.sightings {
            sightings.tell(links);
        }
        if let Some(pipeline) = &mut self.pipeline {
            self.batch.each_chunk(|calls| pipeline.process(calls, &mut self.found));
        }
        self.batch.clear();
        if lost {
            self.interrupt();
        }
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.advance(now, &mut self.found);
        }
        if let Some(trees) = &mut self.trees {
            trees.advance(now, &mut self.found_trees)?;
        }
        self.send_findings()
    }

    /// Ends all sessions and hands over everything that is left.
    ///
    /// # Errors
    /// When a receiver of the results has ended.
    pub fn finish(mut self) -> Result<Account> {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.finish(&mut self.found);
        }
        if let Some(trees) = &mut self.trees {
            trees.finish(&mut self.found_trees)?;
        }
        self.send_findings()?;
        self.send_rows()?;
        Ok(Account { counts: self.counts, funnel: self.funnel(), trees: self.tree_counts() })
    }

    fn interrupt(&mut self) {
        if self.rows_before < self.rows.len() {
            self.rows.interrupt(self.rows_before)
        } else {
            self.interrupted = true
        }
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.interrupt(&mut self.found);
        }
    }

    /// Hands the rows over when there are many or they have been kept for long.
    fn record(&mut self, now: Nanos) -> Result<()> {
        if self.rows_before == 0 {
            self.rows_since = now;
        }
        if self.rows.len() >= ROWS || now.saturating_sub(self.rows_since) >= ROWS_HELD {
            self.send_rows()?;
        }
        self.rows_before = self.rows.len();
        Ok(())
    }

    fn send_rows(&mut self) -> Result<()> {
        let Some(out) = &self.outputs.rows else { return Ok(()) };
        if self.rows.is_empty() {
            return Ok(());
        }
        let batch = self.rows.finish().context("failed to make a batch of the spool")?;
        self.counts.recorded += batch.num_rows() as u64;
        out.send(batch).map_err(|_| anyhow!("the writer of the spool has ended"))
    }

    fn send_findings(&mut self) -> Result<()> {
        let mut found = std::mem::take(&mut self.found);
        if let Some((_, links)) = &self.sightings
            && !found.is_empty()
        {
            let mut links = link::lock(links);
            found.iter_mut().for_each(|finding| links.finding(finding));
        }
        found.drain(..).try_for_each(|finding| self.send_finding(finding.into()))?;
        self.found = found;
        let mut found = std::mem::take(&mut self.found_trees);
        found.drain(..).try_for_each(|finding| self.send_finding(finding.into()))?;
        self.found_trees = found;
        Ok(())
    }

    fn send_finding(&mut self, mut finding: Anomaly) -> Result<()> {
        loop {
            finding = match self.outputs.findings.try_send(finding) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => bail!("the writer of findings has ended"),
                Err(TrySendError::Full(back)) => back,
            };
            if self.outputs.stop.load(Ordering::Relaxed)
                && self.kept_since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
            {
                self.counts.findings_given_up += 1;
                return Ok(());
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }
}

#[cfg(test)]
mod tests;
