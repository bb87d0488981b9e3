//! Call trees in the engine: what the kernel says of them is counted, judged and recorded.

mod unsettled;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use arrow_array::RecordBatch;
use gait_common::call::{Call, Nanos};
use gait_common::finding::{Tie, TreeFinding};
use gait_common::model::Model;
use gait_common::sequence::SECOND;
use gait_common::spool::trees::{
    CellRows, TreeCall, TreeCallRows, TreeRows, TreeTable, ValueRows, function_text,
};
use gait_common::tree::{
    Cell, FunctionId, Served, Shape, Shapes, Slot, Tally, Tree, TreeCounts as Judged, TreePipeline,
    value_text,
};
use gait_common::wire::tree::{Entry, FAILED, OPEN, UNRETURNED};
use serde::Serialize;

use crate::capture::{Exchange, ProcessSource, Role, TreeEvent};
use unsettled::Unsettled;

/// How long after its end a window is judged: exchanges wait in the kernel for the end of a call for up to a second.
const GRACE: Nanos = 3 * SECOND;
/// How often the kernel is asked what it counted, at most.
const ASK: Nanos = 10 * SECOND;
/// Rows that are handed to the spool at a time, at most.
const ROWS: usize = 4096;
/// How long rows are kept back for more of them.
const ROWS_HELD: Nanos = SECOND;

/// A batch of rows for one of the spool's tables of trees.
pub type TreeBatch = (TreeTable, RecordBatch);

/// What became of call trees. `served = by_thread + by_sender + untied + open + partial`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TreeCounts {
    /// Trees that came with exchanges.
    pub served: u64,
    /// Those tied to their request by the thread that received it: exact.
    pub by_thread: u64,
    /// Those tied by the thread that sent the response: nearly always right.
    pub by_sender: u64,
    /// Those of exchanges that are no calls served here.
    pub untied: u64,
    /// Those that had not ended when their exchange had to be reported.
    pub open: u64,
    /// Those that may lack calls, since points were attached or taken off, or one of their functions was off, while their
    /// exchange went on. They are neither recorded nor judged.
    pub partial: u64,
    /// Trees that were told for the first time.
    pub shapes: u64,
    /// What was told as a tree and is none; anything but 0 is a defect.
    pub malformed: u64,
    /// Calls that the kernel counted, whatever they served.
    pub counted: u64,
    /// Calls that the kernel counted while it was attached somewhere or taken off, or while one of their functions was off: their
    /// trees may lack some calls, and are neither recorded nor judged.
    pub unsettled: u64,
    /// Calls not counted because there were too many codes at a time.
    pub passed: u64,
    /// Arguments and return values that the kernel counted, in how many trees.
    pub values: u64,
    /// Rows handed to the spool.
    pub recorded: u64,
    /// What became of the calls that were judged; absent without a model that knows trees.
    pub judged: Option<Judged>,
}

/// Counts, judges and records trees.
pub(super) struct Trees {
    source: Arc<str>,
    pipeline: TreePipeline,
    /// What trees look like and the names of functions, for the spool.
    shapes: Shapes,
    out: Option<SyncSender<TreeBatch>>,
    tree_rows: TreeRows,
    cell_rows: CellRows,
    call_rows: TreeCallRows,
    value_rows: ValueRows,
    /// What hides the values that are to be hidden.
    key: [u8; 32],
    rows_since: Nanos,
    /// When the kernel was last asked what it counted; 0 before the first time.
    asked: Nanos,
    /// When the next window can be judged.
    next: Nanos,
    unsettled: Unsettled,
    counts: TreeCounts,
}

impl Trees {
    pub(super) fn new(
        source: &str,
        model: Option<&Arc<Model>>,
        false_finding_in: Option<Duration>,
        out: Option<SyncSender<TreeBatch>>,
        key: [u8; 32],
    ) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            source: source.into(),
            pipeline: TreePipeline::new(model, false_finding_in.map(nanos)),
            shapes: Shapes::default(),
            out,
            tree_rows: TreeRows::default(),
            cell_rows: CellRows::default(),
            call_rows: TreeCallRows::default(),
            value_rows: ValueRows::default(),
            key,
            rows_since: 0,
            asked: 0,
            next: 0,
            unsettled: Unsettled::default(),
            counts: TreeCounts::default(),
        }
    }

    pub(super) fn counts(&self) -> TreeCounts {
        TreeCounts { passed: self.pipeline.passed(), judged: self.pipeline.counts(), ..self.counts }
    }

    /// Takes in a function's name.
    pub(super) fn name(&mut self, name: &str) {
        self.shapes.name(name);
        self.pipeline.name(name);
    }

    /// Whether it is time to ask the kernel what it counted.
    pub(super) fn wants_counts(&self, now: Nanos) -> bool {
        now.saturating_sub(self.asked) >= ASK.min(self.pipeline.window() / 2)
    }

    /// Takes in what the kernel's coder says at `now`.
    pub(super) fn event(&mut self, event: &TreeEvent<'_>, now: Nanos) {
        match event {
            TreeEvent::Name { name, .. } => self.name(name),
            TreeEvent::New { start_ns, tree } => {
                let Ok(shape) = Tree::from_wire(tree.nodes(), tree.header.flags) else {
                    self.counts.malformed += 1;
                    return;
                };
                self.counts.shapes += 1;
                let code = tree.code();
                self.pipeline.shape(code, &shape);
                self.unsettled.shape(&shape);
                let shape = Shape { tree: shape, unordered: code.unordered };
                if self.out.is_some() {
                    self.tree_rows.push(*start_ns, &self.source, code.ordered, &shape, &self.shapes);
                }
            }
            TreeEvent::Counts { key, .. } if self.unsettled.lacks(key.root) => self.pass_over(event),
            TreeEvent::Counts { key, counts } => {
                self.counts.counted += counts.calls;
                let from = if self.asked == 0 { now } else { self.asked };
                self.pipeline.counted(&Cell {
                    // Most of what was counted since then was so in the middle.
                    window: u64::midpoint(from, now),
                    source: Arc::clone(&self.source),
                    interface: "".into(),
                    root: key.root,
                    code: key.ordered,
                    tally: Tally::of_kernel(counts, from, now),
                });
            }
            TreeEvent::Value { key, .. } if self.unsettled.lacks(key.root) => {}
            TreeEvent::Value { key, trees } => {
                self.counts.values += trees;
                let from = if self.asked == 0 { now } else { self.asked };
                let text = value_text(&key.value, &self.key);
                let (time, slot) = (u64::midpoint(from, now), Slot::of_kernel(key));
                self.pipeline.valued(time, &self.source, slot, text.as_deref(), *trees);
            }
        }
    }

    /// Passes over what the kernel counted while points were attached or taken off.
    pub(super) fn pass_over(&mut self, event: &TreeEvent<'_>) {
        // Values of such trees are passed over with them.
        if let TreeEvent::Counts { counts, .. } = event {
            self.counts.unsettled += counts.calls;
        }
    }

    /// Points were attached or taken off between two instants.
    pub(super) fn changed(&mut self, from: Nanos, to: Nanos) {
        self.unsettled.changed(from, to);
    }

    /// The breaker keeps these functions off from now on, and no others; what is new of that came to be between two instants.
    pub(super) fn off(&mut self, functions: &[FunctionId], from: Nanos, to: Nanos) {
        self.unsettled.off(functions, from, to);
    }

    /// All counts were taken in.
    pub(super) fn asked(&mut self, now: Nanos) {
        self.asked = now;
    }

    /// Takes in the trees of an exchange; `call` is what was made of it.
    #[cold]
    pub(super) fn served(&mut self, exchange: &Exchange<'_>, call: Option<&Call<'_>>) {
        self.counts.served += exchange.trees.len() as u64;
        let Some(call) = call.filter(|_| exchange.role == Role::Server) else {
            self.counts.untied += exchange.trees.len() as u64;
            return;
        };
        let tie = match exchange.process_source {
            ProcessSource::Sender => Tie::Sender,
            // The kernel ties by threads only: it knew the one that received, whoever was named afterwards.
            ProcessSource::Receiver | ProcessSource::SockDiag | ProcessSource::Unknown => Tie::Thread,
        };
        for &Entry { root, ordered, duration_ns, flags, .. } in exchange.trees {
            if flags & OPEN != 0 {
                self.counts.open += 1;
                continue;
            }
            if self.unsettled.is_partial(root, call.start, call.end()) {
                self.counts.partial += 1;
                continue;
            }
            match tie {
                Tie::Sender => self.counts.by_sender += 1,
                _ => self.counts.by_thread += 1,
            }
            let (failed, source) = (flags & (FAILED | UNRETURNED) != 0, &*self.source);
            self.pipeline.served(&Served {
                source,
                call: *call,
                root,
                code: ordered,
                duration: duration_ns,
                failed,
                tie,
            });
            if self.out.is_some() {
                let root = function_text(root, &self.shapes);
                let (duration, root) = (duration_ns, &*root);
                self.call_rows.push(&TreeCall {
                    source,
                    call: *call,
                    root,
                    code: ordered,
                    duration,
                    failed,
                    tie,
                });
            }
        }
    }

    /// Judges windows that have ended at `now`, and hands rows over when there are many or they have been kept for long.
    ///
    /// # Errors
    /// When the writer of the spool has ended.
    pub(super) fn advance(&mut self, now: Nanos, out: &mut Vec<TreeFinding>) -> Result<()> {
        if now >= self.next {
            let (window, ended) = (self.pipeline.window(), now.saturating_sub(GRACE));
            self.next = (ended - ended % window).saturating_add(window + GRACE);
            self.close(ended, out);
        }
        let rows = self.tree_rows.len() + self.cell_rows.len() + self.call_rows.len() + self.value_rows.len();
        if rows == 0 {
            self.rows_since = now;
        } else if rows >= ROWS || now.saturating_sub(self.rows_since) >= ROWS_HELD {
            self.rows_since = now;
            self.send()?;
        }
        Ok(())
    }

    /// Judges what is left, and hands everything over.
    ///
    /// # Errors
    /// When the writer of the spool has ended.
    pub(super) fn finish(&mut self, out: &mut Vec<TreeFinding>) -> Result<()> {
        self.close(Nanos::MAX, out);
        self.send()
    }

    fn close(&mut self, ended: Nanos, out: &mut Vec<TreeFinding>) {
        let window = self.pipeline.window();
        let (cells, values) = self.pipeline.advance(ended, out);
        if self.out.is_some() {
            // Those of interfaces are in the rows of exchanges, from which training makes them anew.
            let whole = cells.iter().filter(|cell| cell.interface.is_empty());
            whole.for_each(|cell| self.cell_rows.push(cell, window, &self.shapes));
            values.iter().for_each(|cell| self.value_rows.push(cell, window, &self.shapes));
        }
    }

    fn send(&mut self) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let mut batches = Vec::new();
        if !self.tree_rows.is_empty() {
            batches.push((TreeTable::Trees, self.tree_rows.finish()));
        }
        if !self.cell_rows.is_empty() {
            batches.push((TreeTable::Stats, self.cell_rows.finish()));
        }
        if !self.call_rows.is_empty() {
            batches.push((TreeTable::Calls, self.call_rows.finish()));
        }
        if !self.value_rows.is_empty() {
            batches.push((TreeTable::Values, self.value_rows.finish()));
        }
        for (table, batch) in batches {
            let batch = batch.context("failed to make a batch of the spool's trees")?;
            self.counts.recorded += batch.num_rows() as u64;
            out.send((table, batch)).map_err(|_| anyhow!("the writer of the spool's trees has ended"))?;
        }
        Ok(())
    }
}
