//! Call trees as the kernel codes them, and how they leave it.
//!
//! [`Fold`] is the one implementation of a tree's code: the kernel runs it over the calls of a thread, the agent and
//! the trainer over trees they read. Calls are announced by [`Fold::enter`] and [`Fold::leave`]; when the outermost one
//! has ended, [`Fold::code`] is the tree's [`Code`] and [`Fold::nodes`] what it looked like. `fold/` has the algorithm,
//! [`resync`](Fold::is_dead) what the kernel does about calls whose end is never seen.
//!
//! A function is a number made of its name ([`function_id`]), so codes made on different hosts, or from spans, are
//! equal where the names are. A tree is told by its outermost function and its ordered code; the unordered one stands beside it.

pub mod counter;
mod fold;
mod hash;
pub mod point;
mod record;
mod resync;
mod statistics;
pub mod value;

pub use fold::{Code, DEAD, Fold, INNER, NONE, RETURNED, ROOT};
pub use hash::{NAME_BYTES, START, function_id, id_of_words, step};
pub use record::{
    ENTRY_BYTES, Entry, HEADER_BYTES, Header, KIND_NAME, KIND_TREE, MAX_ENTRIES, NAME_RECORD_BYTES, Name,
    NewTree,
};
pub use statistics::{BUCKETS, Key, Statistics, bucket, bucket_floor};

/// Most calls open at a time; deeper ones are cut off.
pub const MAX_DEPTH: usize = 128;
/// Most nodes of a tree's shape.
pub const MAX_NODES: usize = 255;
/// Most open calls that have children of their own already.
pub const MAX_FAMILIES: usize = 64;
/// Most distinct children that the unordered code takes in.
pub const MAX_DISTINCT: usize = 16;
/// The longest loop body, in calls, whose repetitions count once.
pub const MAX_PERIOD: usize = 4;

/// Calls were cut off, for the tree was too deep or too rich: its code stands for what is left.
pub const TRUNCATED: u32 = 1;
/// The shape lacks nodes, for there were more than [`MAX_NODES`]. The code is whole.
pub const SHAPE_CUT: u32 = 1 << 1;
/// A call had more than [`MAX_DISTINCT`] distinct children: the unordered code stands for the first of them.
pub const WIDE: u32 = 1 << 2;
/// The outermost call was left by an exception, a long jump or the thread's end; how long it took is not known.
pub const UNRETURNED: u32 = 1 << 3;
/// A call broke the rule that says what it returns when it succeeds.
pub const FAILED: u32 = 1 << 4;
/// The tree was still open when its request's record had to leave: there is neither code nor duration.
pub const OPEN: u32 = 1 << 5;
/// More trees ended within the request than its record has room for.
pub const MORE: u32 = 1 << 6;
/// All flags there are.
pub const FLAGS: u32 = (1 << 7) - 1;

/// In a node's depth: the call never returned.
pub const NODE_DEAD: u8 = 1 << 7;

#[cfg(test)]
mod tests;
