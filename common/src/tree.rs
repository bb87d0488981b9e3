//! Call trees: which functions called which on the way to one result.
//!
//! A [`Tree`] is one way through a service; its [`Code`] is the same wherever it is computed. What runs is [`Observed`]:
//! by the kernel's coder, which sends codes and sends a tree once, or by a reader of distributed traces, which has both.
//! [`TreeStats`] counts per window of time how often each code ran, failed, and how long it took.
//!
//! Read in this order: [`Tree`], [`Observed`], [`TreeStats`] (`stats`), [`Sketch`] (`sketch`).

mod diff;
mod sketch;
mod stats;

pub use diff::{Edit, MAX_WORK, compare, distance, least_distance};
pub use sketch::{BUCKETS, BadSketch, Sketch, bucket, greatest, least};
pub use stats::{Cell, MAX_CELLS, Tally, TreeStats, WINDOW};

use serde::{Deserialize, Serialize};

use crate::call::Nanos;

/// What a function is known by: a hash of its name, the same on every host. 0 is no function.
pub type FunctionId = u64;

/// Most nodes of a stored tree; what goes beyond is cut and marked.
pub const MAX_NODES: usize = 256;
/// Deepest node of a stored tree, its root being 0 deep.
pub const MAX_DEPTH: u16 = 255;

/// The codes of a tree. Trees are equal when `ordered` is; when only `unordered` is, the same calls were made in another
/// order, or another number of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Code {
    /// Of the calls in their order, loops collapsed.
    pub ordered: u64,
    /// Of the set of calls.
    pub unordered: u64,
}

/// One call of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The function called.
    pub function: FunctionId,
    /// How deep below the root, which is 0.
    pub depth: u16,
}

/// A call tree, its loops collapsed: its calls in the order in which they began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tree {
    nodes: Vec<Node>,
    truncated: bool,
}

/// Nodes that are no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTree {
    /// There is none.
    #[error("a tree has a root at least")]
    Empty,
    /// There are more than a tree may have.
    #[error("{0} nodes are more than a tree may have ({MAX_NODES})")]
    TooMany(usize),
    /// One is deeper than below its predecessor, or a second root.
    #[error("node {at} is {depth} deep, which is nowhere below the one before it")]
    Depth {
        /// Its place.
        at: usize,
        /// Its depth.
        depth: u16,
    },
    /// One calls function 0.
    #[error("node {0} has no function")]
    Function(usize),
}

impl Tree {
    /// A tree of its nodes in preorder. `truncated`: something of it was cut off by a bound, or was not seen.
    ///
    /// # Errors
    /// When the nodes are no tree.
    pub fn new(nodes: Vec<Node>, truncated: bool) -> Result<Self, BadTree> {
        if nodes.len() > MAX_NODES {
            return Err(BadTree::TooMany(nodes.len()));
        }
        let mut before = None;
        for (at, node) in nodes.iter().enumerate() {
            let fits = match before {
                None => node.depth == 0,
                Some(before) => node.depth >= 1 && node.depth <= before + 1 && node.depth <= MAX_DEPTH,
            };
            if !fits {
                return Err(BadTree::Depth { at, depth: node.depth });
            }
            if node.function == 0 {
                return Err(BadTree::Function(at));
            }
            before = Some(node.depth);
        }
        if before.is_none() { Err(BadTree::Empty) } else { Ok(Self { nodes, truncated }) }
    }

    /// Its nodes in preorder; there is at least the root.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The function at its root.
    pub fn root(&self) -> FunctionId {
        self.nodes.first().map_or(0, |root| root.function)
    }

    /// Whether something was cut off by a bound, or was not seen.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

/// One tree that ran: what the kernel's capture and the readers of spans both deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'a> {
    /// When its root was called.
    pub time: Nanos,
    /// Where: a host's or service's name.
    pub source: &'a str,
    /// The interface whose request it served, as [`crate::interface`] names it; `None` when it is not known.
    pub interface: Option<&'a str>,
    /// The function at its root.
    pub root: FunctionId,
    /// Its code.
    pub code: Code,
    /// The tree, where it is at hand: always from spans, once for each code from the kernel.
    pub tree: Option<&'a Tree>,
    /// Something of it was cut off by a bound, or was not seen.
    pub truncated: bool,
    /// How long the root took.
    pub duration: Nanos,
    /// Whether it failed, by its return value or the span's status.
    pub failed: bool,
}
