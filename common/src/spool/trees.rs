//! The spool's tables of call trees.
//!
//! They lie beside the calls, in directories and files of the same form, and are written only where functions are
//! followed. Functions stand by name, or by `~` and sixteen hexadecimal digits where nobody knew it; codes are sixteen
//! hexadecimal digits. No column is ever null.
//!
//! `trees`: what trees look like, each once after the agent's start.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `start` | timestamp, µs, UTC | when the tree was first seen |
//! | `source` | text | the host |
//! | `code`, `unordered` | text | the tree's codes |
//! | `flags` | int32 | what is missing of it: 1 calls, 2 nodes of what is stored here, 4 children of the unordered code |
//! | `functions` | list of text | the calls in the order in which they began; the first is the root |
//! | `depths` | list of int32 | how deep each is below the root; 128 more where it never returned |
//!
//! `tree_stats`: how often each code ran in a window of time, whatever it served. Rows of one window and code add up.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `start` | timestamp, µs, UTC | when the window began |
//! | `window_us` | int64 | its length |
//! | `source`, `root`, `code` | text | where, the function at the root, the tree's code |
//! | `calls`, `failures` | int64 | how often it ran, and failed |
//! | `total_ns` | int64 | the summed durations |
//! | `first`, `last` | timestamp, µs, UTC | when it first and last ran in the window, as far as known |
//! | `buckets` | list of int32 | buckets of durations ([`crate::tree::Sketch`] has their bounds) |
//! | `counts` | list of int64 | how many durations each of these buckets holds |
//!
//! `tree_calls`: the trees that ran within an HTTP exchange, one row for each.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `start` | timestamp, µs, UTC | when the request began |
//! | `source` | text | the host |
//! | `method`, `host`, `target` | text | as in `calls` |
//! | `root`, `code` | text | the function at the root, the tree's code |
//! | `duration_ns` | int64 | how long the root took; 0 when it never returned |
//! | `failed` | bool | whether it failed |
//! | `tie` | text | how it was tied to the request: `thread` (exact), `sender` (nearly always right), `none` |
//!
//! `tree_values`: in how many trees of a code, in a window of time, an argument or return value was seen that the
//! configuration names. Rows of one window, code, argument and value add up.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `start` | timestamp, µs, UTC | when the window began |
//! | `window_us` | int64 | its length |
//! | `source`, `root`, `code` | text | where, the function at the root, the tree's code |
//! | `function` | text | the function that was called |
//! | `argument` | int32 | the number of its argument from 1 on, 0 for its return value |
//! | `value` | text | the value: a number, a string in quotes, `null`, `#` and a keyed hash; `*` for those beyond a bound |
//! | `trees` | int64 | in how many trees it was seen |

mod rows;
mod view;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use rows::{CellRows, TreeCallRows, TreeRows, ValueRows};
pub use view::{TreeRecord, function, read_trees};

use super::{ZONE, column};
use crate::call::{Call, Nanos};
use crate::finding::Tie;
use crate::tree::{FunctionId, Shapes, code_text};

/// A table of call trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TreeTable {
    /// What trees look like.
    Trees,
    /// How often each code ran.
    Stats,
    /// Trees within exchanges.
    Calls,
    /// Arguments and return values.
    Values,
}

impl TreeTable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Trees, Self::Stats, Self::Calls, Self::Values];

    /// Its directory, below that of the spool.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Trees => "trees",
            Self::Stats => "tree_stats",
            Self::Calls => "tree_calls",
            Self::Values => "tree_values",
        }
    }

    /// Its schema.
    pub fn schema(self) -> SchemaRef {
        let field = |name: &str, kind: DataType| Field::new(name, kind, false);
        let text = |name| field(name, DataType::Utf8);
        let time = |name| field(name, DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())));
        let number = |name| field(name, DataType::Int64);
        let list = |name, kind| field(name, DataType::List(Arc::new(Field::new("item", kind, false))));
        Arc::new(Schema::new(match self {
            Self::Trees => vec![
                time(column::START),
                text("source"),
                text("code"),
                text("unordered"),
                field("flags", DataType::Int32),
                list("functions", DataType::Utf8),
                list("depths", DataType::Int32),
            ],
            Self::Stats => vec![
                time(column::START),
                number("window_us"),
                text("source"),
                text("root"),
                text("code"),
                number("calls"),
                number("failures"),
                number("total_ns"),
                time("first"),
                time("last"),
                list("buckets", DataType::Int32),
                list("counts", DataType::Int64),
            ],
            Self::Calls => vec![
                time(column::START),
                text("source"),
                text(column::METHOD),
                text(column::HOST),
                text(column::TARGET),
                text("root"),
                text("code"),
                number("duration_ns"),
                field("failed", DataType::Boolean),
                text("tie"),
            ],
            Self::Values => vec![
                time(column::START),
                number("window_us"),
                text("source"),
                text("root"),
                text("code"),
                text("function"),
                field("argument", DataType::Int32),
                text("value"),
                number("trees"),
            ],
        }))
    }
}

/// How values beyond a bound stand in the spool.
const OTHERS: &str = "*";

/// How a function stands in the spool.
pub fn function_text(id: FunctionId, names: &Shapes) -> String {
    names.name_of(id).map_or_else(|| format!("~{}", code_text(id)), str::to_owned)
}

/// A tree that ran within an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TreeCall<'a> {
    /// The host.
    pub source: &'a str,
    /// The call that the exchange was: start, method, host and target.
    pub call: Call<'a>,
    /// The function at the root, as it stands in the spool.
    pub root: &'a str,
    /// The tree's code.
    pub code: u64,
    /// How long the root took (ns); 0 when it never returned.
    pub duration: Nanos,
    /// Whether it failed.
    pub failed: bool,
    /// How it was tied to the request.
    pub tie: Tie,
}

#[cfg(test)]
mod tests;
