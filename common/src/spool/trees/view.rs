//! Reads trees, their statistics and those of exchanges back from columns.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, BooleanArray, GenericListArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use super::super::view::{boolean, find, nanos, primitive, text};
use super::super::{BadSpool, column};
use super::{OTHERS, TreeCall, TreeTable};
use crate::call::{Call, Nanos};
use crate::finding::Tie;
use crate::tree::{
    Cell, FunctionId, MAX_NODES, MAX_VALUE_TEXT, Node, Seen, Shape, Shapes, Sketch, Slot, Tally, Tree,
    ValueCell,
};
use crate::wire::tree::NODE_DEAD;

/// What is read back of the tables.
#[derive(Clone, Debug, PartialEq)]
pub enum TreeRecord<'a> {
    /// A tree, with its ordered code.
    Tree(u64, Shape),
    /// How often a code ran in a window of this length (ns).
    Cell(Cell, Nanos),
    /// A tree that ran within an exchange.
    Call(TreeCall<'a>),
    /// What was seen in a slot in a window; one value, or those beyond a bound.
    Value(ValueCell),
}

/// Hands over the rows of a batch; `names` gets the functions' names. Rows that no agent writes are passed over; gives
/// how many.
///
/// # Errors
/// When a column is missing or has another type, or `each` fails.
pub fn read_trees<E: From<BadSpool>>(
    table: TreeTable,
    batch: &RecordBatch,
    names: &mut Shapes,
    each: &mut dyn FnMut(TreeRecord<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut refused = 0;
    let mut hand_over = |record: Option<TreeRecord<'_>>| match record {
        Some(record) => each(record),
        None => {
            refused += 1;
            Ok(())
        }
    };
    match table {
        TreeTable::Trees => {
            let view = Trees::new(batch)?;
            (0..batch.num_rows()).try_for_each(|row| hand_over(view.tree(row, names)))?;
        }
        TreeTable::Stats => {
            let view = Stats::new(batch)?;
            (0..batch.num_rows()).try_for_each(|row| hand_over(view.cell(row, names)))?;
        }
        TreeTable::Calls => {
            let view = TreeCalls::new(batch)?;
            (0..batch.num_rows()).try_for_each(|row| hand_over(view.call(row)))?;
        }
        TreeTable::Values => {
            let view = Values::new(batch)?;
            (0..batch.num_rows()).try_for_each(|row| hand_over(view.value(row, names)))?;
        }
    }
    Ok(refused)
}

/// The function of a text of the spool; its name is noted if it has one. `None` for an empty one.
pub fn function(text: &str, names: &mut Shapes) -> Option<FunctionId> {
    match text.strip_prefix('~').and_then(code) {
        Some(id) => Some(id),
        None if text.is_empty() => None,
        None => Some(names.name(text)),
    }
    .filter(|&id| id != 0)
}

fn code(text: &str) -> Option<u64> {
    if text.len() == 16 { u64::from_str_radix(text, 16).ok() } else { None }
}

struct Trees<'a> {
    code: &'a StringArray,
    unordered: &'a StringArray,
    flags: &'a Int32Array,
    functions: &'a GenericListArray<i32>,
    depths: &'a GenericListArray<i32>,
}

impl<'a> Trees<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, BadSpool> {
        Ok(Self {
            code: text(batch, "code")?,
            unordered: text(batch, "unordered")?,
            flags: primitive::<Int32Type>(batch, "flags")?,
            functions: list(batch, "functions")?,
            depths: list(batch, "depths")?,
        })
    }

    fn tree(&self, row: usize, names: &mut Shapes) -> Option<TreeRecord<'static>> {
        let (functions, depths) = (self.functions.value(row), self.depths.value(row));
        let functions = functions.as_string_opt::<i32>()?;
        let depths = depths.as_primitive_opt::<Int32Type>()?;
        if functions.len() != depths.len() || functions.len() > MAX_NODES {
            return None;
        }
        let node = |at: usize| {
            let depth = u8::try_from(depths.value(at)).ok()?;
            let function = function(functions.value(at), names)?;
            Some(Node { function, depth: depth & !NODE_DEAD, dead: depth & NODE_DEAD != 0 })
        };
        let nodes = (0..functions.len()).map(node).collect::<Option<Vec<_>>>()?;
        let tree = Tree::new(nodes, u32::try_from(self.flags.value(row)).ok()?).ok()?;
        let unordered = code(self.unordered.value(row))?;
        Some(TreeRecord::Tree(code(self.code.value(row))?, Shape { tree, unordered }))
    }
}

struct Stats<'a> {
    start: &'a TimestampMicrosecondArray,
    window: &'a Int64Array,
    source: &'a StringArray,
    root: &'a StringArray,
    code: &'a StringArray,
    calls: &'a Int64Array,
    failures: &'a Int64Array,
    total: &'a Int64Array,
    first: &'a TimestampMicrosecondArray,
    last: &'a TimestampMicrosecondArray,
    buckets: &'a GenericListArray<i32>,
    counts: &'a GenericListArray<i32>,
}

impl<'a> Stats<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, BadSpool> {
        Ok(Self {
            start: primitive::<TimestampMicrosecondType>(batch, column::START)?,
            window: primitive::<Int64Type>(batch, "window_us")?,
            source: text(batch, "source")?,
            root: text(batch, "root")?,
            code: text(batch, "code")?,
            calls: primitive::<Int64Type>(batch, "calls")?,
            failures: primitive::<Int64Type>(batch, "failures")?,
            total: primitive::<Int64Type>(batch, "total_ns")?,
            first: primitive::<TimestampMicrosecondType>(batch, "first")?,
            last: primitive::<TimestampMicrosecondType>(batch, "last")?,
            buckets: list(batch, "buckets")?,
            counts: list(batch, "counts")?,
        })
    }

    fn cell(&self, row: usize, names: &mut Shapes) -> Option<TreeRecord<'static>> {
        let (buckets, counts) = (self.buckets.value(row), self.counts.value(row));
        let buckets = buckets.as_primitive_opt::<Int32Type>()?;
        let counts = counts.as_primitive_opt::<Int64Type>()?;
        let pairs = buckets.values().iter().zip(counts.values());
        let pairs =
            pairs.map(|(&bucket, &count)| Some((u16::try_from(bucket).ok()?, u64::try_from(count).ok()?)));
        let durations = Sketch::from_buckets(pairs.collect::<Option<Vec<_>>>()?).ok()?;
        let number = |column: &Int64Array| u64::try_from(column.value(row)).ok();
        let (calls, failures) = (number(self.calls)?, number(self.failures)?);
        if buckets.len() != counts.len() || failures > calls || durations.count() > calls {
            return None;
        }
        let tally = Tally {
            calls,
            failures,
            total: number(self.total)?,
            durations,
            first: nanos(self.first.value(row)),
            last: nanos(self.last.value(row)),
        };
        let cell = Cell {
            window: nanos(self.start.value(row)),
            source: self.source.value(row).into(),
            interface: "".into(),
            root: function(self.root.value(row), names)?,
            code: code(self.code.value(row))?,
            tally,
        };
        let window = nanos(self.window.value(row));
        (window > 0).then_some(TreeRecord::Cell(cell, window))
    }
}

struct TreeCalls<'a> {
    start: &'a TimestampMicrosecondArray,
    source: &'a StringArray,
    method: &'a StringArray,
    host: &'a StringArray,
    target: &'a StringArray,
    root: &'a StringArray,
    code: &'a StringArray,
    duration: &'a Int64Array,
    failed: &'a BooleanArray,
    tie: &'a StringArray,
}

impl<'a> TreeCalls<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, BadSpool> {
        Ok(Self {
            start: primitive::<TimestampMicrosecondType>(batch, column::START)?,
            source: text(batch, "source")?,
            method: text(batch, column::METHOD)?,
            host: text(batch, column::HOST)?,
            target: text(batch, column::TARGET)?,
            root: text(batch, "root")?,
            code: text(batch, "code")?,
            duration: primitive::<Int64Type>(batch, "duration_ns")?,
            failed: boolean(batch, "failed")?,
            tie: text(batch, "tie")?,
        })
    }

    fn call(&self, row: usize) -> Option<TreeRecord<'a>> {
        Some(TreeRecord::Call(TreeCall {
            source: self.source.value(row),
            call: Call {
                start: nanos(self.start.value(row)),
                method: self.method.value(row),
                host: self.host.value(row),
                target: self.target.value(row),
                ..Call::default()
            },
            root: self.root.value(row),
            code: code(self.code.value(row))?,
            duration: u64::try_from(self.duration.value(row)).ok()?,
            failed: self.failed.value(row),
            tie: Tie::of(self.tie.value(row)),
        }))
    }
}

struct Values<'a> {
    start: &'a TimestampMicrosecondArray,
    source: &'a StringArray,
    root: &'a StringArray,
    code: &'a StringArray,
    function: &'a StringArray,
    argument: &'a Int32Array,
    value: &'a StringArray,
    trees: &'a Int64Array,
}

impl<'a> Values<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, BadSpool> {
        Ok(Self {
            start: primitive::<TimestampMicrosecondType>(batch, column::START)?,
            source: text(batch, "source")?,
            root: text(batch, "root")?,
            code: text(batch, "code")?,
            function: text(batch, "function")?,
            argument: primitive::<Int32Type>(batch, "argument")?,
            value: text(batch, "value")?,
            trees: primitive::<Int64Type>(batch, "trees")?,
        })
    }

    fn value(&self, row: usize, names: &mut Shapes) -> Option<TreeRecord<'static>> {
        let (value, trees) = (self.value.value(row), u64::try_from(self.trees.value(row)).ok()?);
        let seen = match value {
            OTHERS => Seen { others: trees, ..Seen::default() },
            value => Seen { values: [(value.into(), trees)].into(), ..Seen::default() },
        };
        let slot = Slot {
            root: function(self.root.value(row), names)?,
            code: code(self.code.value(row))?,
            function: function(self.function.value(row), names)?,
            which: u8::try_from(self.argument.value(row)).ok()?,
        };
        let (window, source) = (nanos(self.start.value(row)), self.source.value(row).into());
        let sound = !value.is_empty() && value.len() <= MAX_VALUE_TEXT && trees > 0;
        sound.then_some(TreeRecord::Value(ValueCell { window, source, slot, seen }))
    }
}

fn list<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a GenericListArray<i32>, BadSpool> {
    find(batch, name)?.as_list_opt::<i32>().ok_or(BadSpool::Type(name))
}
