//! Collects trees, their statistics and those of exchanges as columns.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BooleanArray, GenericListArray, PrimitiveArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field};

use super::super::ZONE;
use super::super::rows::{Texts, int64, numbers, take};
use super::{OTHERS, TreeCall, TreeTable, function_text};
use crate::call::Nanos;
use crate::tree::{Cell, Shape, Shapes, ValueCell, code_text};
use crate::wire::tree::NODE_DEAD;

/// Rows of the table `trees`.
#[derive(Debug, Default)]
pub struct TreeRows {
    start: Vec<i64>,
    source: Texts,
    code: Texts,
    unordered: Texts,
    flags: Vec<i32>,
    functions: ListBuilder<StringBuilder>,
    depths: ListBuilder<PrimitiveBuilder<Int32Type>>,
}

impl TreeRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Adds a tree.
    pub fn push(&mut self, first: Nanos, source: &str, code: u64, shape: &Shape, names: &Shapes) {
        self.start.push(int64(first / 1000));
        self.source.push(source);
        self.code.push(&code_text(code));
        self.unordered.push(&code_text(shape.unordered));
        self.flags.push(shape.tree.flags() as i32);
        for node in shape.tree.nodes() {
            self.functions.values().append_value(function_text(node.function, names));
            let dead = if node.dead { i32::from(NODE_DEAD) } else { 0 };
            self.depths.values().append_value(i32::from(node.depth) + dead);
        }
        self.functions.append(true);
        self.depths.append(true);
    }

    /// Takes the rows out as one batch of the schema.
    ///
    /// # Errors
    /// When a column's text is longer than its offsets can say (2 GiB).
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            times(&mut self.start),
            self.source.finish()?,
            self.code.finish()?,
            self.unordered.finish()?,
            numbers::<Int32Type>(&mut self.flags),
            items(self.functions.finish(), DataType::Utf8)?,
            items(self.depths.finish(), DataType::Int32)?,
        ];
        RecordBatch::try_new(TreeTable::Trees.schema(), columns)
    }
}

/// Rows of the table `tree_stats`.
#[derive(Debug, Default)]
pub struct CellRows {
    start: Vec<i64>,
    window: Vec<i64>,
    source: Texts,
    root: Texts,
    code: Texts,
    calls: Vec<i64>,
    failures: Vec<i64>,
    total: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    buckets: ListBuilder<PrimitiveBuilder<Int32Type>>,
    counts: ListBuilder<PrimitiveBuilder<Int64Type>>,
}

impl CellRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Adds a cell of windows of this length (ns). Its interface is left out: cells in the spool have none.
    pub fn push(&mut self, cell: &Cell, window: Nanos, names: &Shapes) {
        self.start.push(int64(cell.window / 1000));
        self.window.push(int64(window / 1000));
        self.source.push(&cell.source);
        self.root.push(&function_text(cell.root, names));
        self.code.push(&code_text(cell.code));
        self.calls.push(int64(cell.tally.calls));
        self.failures.push(int64(cell.tally.failures));
        self.total.push(int64(cell.tally.total));
        self.first.push(int64(cell.tally.first / 1000));
        self.last.push(int64(cell.tally.last / 1000));
        for &(bucket, count) in cell.tally.durations.buckets() {
            self.buckets.values().append_value(i32::from(bucket));
            self.counts.values().append_value(int64(count));
        }
        self.buckets.append(true);
        self.counts.append(true);
    }

    /// Takes the rows out as one batch of the schema.
    ///
    /// # Errors
    /// When a column's text is longer than its offsets can say (2 GiB).
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            times(&mut self.start),
            numbers::<Int64Type>(&mut self.window),
            self.source.finish()?,
            self.root.finish()?,
            self.code.finish()?,
            numbers::<Int64Type>(&mut self.calls),
            numbers::<Int64Type>(&mut self.failures),
            numbers::<Int64Type>(&mut self.total),
            times(&mut self.first),
            times(&mut self.last),
            items(self.buckets.finish(), DataType::Int32)?,
            items(self.counts.finish(), DataType::Int64)?,
        ];
        RecordBatch::try_new(TreeTable::Stats.schema(), columns)
    }
}

/// Rows of the table `tree_calls`.
#[derive(Debug, Default)]
pub struct TreeCallRows {
    start: Vec<i64>,
    source: Texts,
    method: Texts,
    host: Texts,
    target: Texts,
    root: Texts,
    code: Texts,
    duration: Vec<i64>,
    failed: Vec<bool>,
    tie: Texts,
}

impl TreeCallRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Adds a tree.
    pub fn push(&mut self, tree: &TreeCall<'_>) {
        self.start.push(int64(tree.call.start / 1000));
        self.source.push(tree.source);
        self.method.push(tree.call.method);
        self.host.push(tree.call.host);
        self.target.push(tree.call.target);
        self.root.push(tree.root);
        self.code.push(&code_text(tree.code));
        self.duration.push(int64(tree.duration));
        self.failed.push(tree.failed);
        self.tie.push(tree.tie.name());
    }

    /// Takes the rows out as one batch of the schema.
    ///
    /// # Errors
    /// When a column's text is longer than its offsets can say (2 GiB).
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            times(&mut self.start),
            self.source.finish()?,
            self.method.finish()?,
            self.host.finish()?,
            self.target.finish()?,
            self.root.finish()?,
            self.code.finish()?,
            numbers::<Int64Type>(&mut self.duration),
            Arc::new(BooleanArray::from(take(&mut self.failed))),
            self.tie.finish()?,
        ];
        RecordBatch::try_new(TreeTable::Calls.schema(), columns)
    }
}

/// Rows of the table `tree_values`.
#[derive(Debug, Default)]
pub struct ValueRows {
    start: Vec<i64>,
    window: Vec<i64>,
    source: Texts,
    root: Texts,
    code: Texts,
    function: Texts,
    argument: Vec<i32>,
    value: Texts,
    trees: Vec<i64>,
}

impl ValueRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Adds a cell of windows of this length (ns): a row for each of its values.
    pub fn push(&mut self, cell: &ValueCell, window: Nanos, names: &Shapes) {
        let values = cell.seen.values.iter().map(|(value, &trees)| (&**value, trees));
        let others = (cell.seen.others > 0).then_some((OTHERS, cell.seen.others));
        for (value, trees) in values.chain(others) {
            self.start.push(int64(cell.window / 1000));
            self.window.push(int64(window / 1000));
            self.source.push(&cell.source);
            self.root.push(&function_text(cell.slot.root, names));
            self.code.push(&code_text(cell.slot.code));
            self.function.push(&function_text(cell.slot.function, names));
            self.argument.push(cell.slot.which.into());
            self.value.push(value);
            self.trees.push(int64(trees));
        }
    }

    /// Takes the rows out as one batch of the schema.
    ///
    /// # Errors
    /// When a column's text is longer than its offsets can say (2 GiB).
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            times(&mut self.start),
            numbers::<Int64Type>(&mut self.window),
            self.source.finish()?,
            self.root.finish()?,
            self.code.finish()?,
            self.function.finish()?,
            numbers::<Int32Type>(&mut self.argument),
            self.value.finish()?,
            numbers::<Int64Type>(&mut self.trees),
        ];
        RecordBatch::try_new(TreeTable::Values.schema(), columns)
    }
}

fn times(column: &mut Vec<i64>) -> ArrayRef {
    let times = PrimitiveArray::<TimestampMicrosecondType>::from(take(column));
    Arc::new(times.with_timezone(ZONE))
}

/// A list whose items are never null, as the schema says.
fn items(list: GenericListArray<i32>, kind: DataType) -> Result<ArrayRef, ArrowError> {
    let (_, offsets, values, nulls) = list.into_parts();
    Ok(Arc::new(GenericListArray::try_new(
        Arc::new(Field::new("item", kind, false)),
        offsets,
        values,
        nulls,
    )?))
}
