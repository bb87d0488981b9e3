//! Call trees: which functions called which on the way to one result.
//!
//! A [`Tree`] is one way through a service; its [`Code`] is the same wherever the [`Fold`] computes it. What runs is [`Observed`]:
//! by the kernel's coder, which sends codes and sends a tree once, or by a reader of distributed traces, which has both.
//! [`TreeStats`] counts per window of time how often each code ran, failed, and how long it took.
//!
//! [`learn`] makes of them what a model knows ([`Trees`]), and [`TreeDetector`] judges windows by it; [`TreePipeline`] is the
//! whole chain. Chosen arguments and return values are counted beside them ([`ValueStats`]) and judged by the same tests.
//! How a tree differs from another is in `diff`, the tests are in `rate` and `pace`.

mod detect;
mod diff;
mod known;
mod learn;
mod model;
mod pace;
mod pipeline;
mod rate;
mod shapes;
mod sketch;
mod stats;
mod values;

pub use detect::{FALSE_FINDING_IN, Limits, Sign, TreeCounts, TreeDetector};
pub use diff::{Edit, MAX_WORK, compare, distance, least_distance};
pub use known::{KnownValue, MAX_LISTED, SlotData, ValuesData};
pub use learn::learn;
pub use model::{
    CodeData, Durations, LEVELS, MAX_TREES, Novelty, ScopeData, TREE_TESTS, TreeData, TreeKind, Trees,
    TreesData, code_text,
};
pub use pace::Pace;
pub use pipeline::{Served, TreePipeline};
pub use rate::{Rate, Watch, evidence, temper};
pub use shapes::{MAX_NAME, MAX_NAMES, MAX_SHAPES, Shape, Shapes};
pub use sketch::{BUCKETS, BadSketch, Sketch, bucket, greatest, least};
pub use stats::{Cell, MAX_CELLS, Tally, TreeStats, WINDOW};
pub use values::{MAX_VALUE_TEXT, MAX_VALUES, Seen, Slot, ValueCell, ValueStats, value_text};

use serde::{Deserialize, Serialize};

use crate::call::Nanos;
use crate::wire::tree::{DEAD, Fold, NODE_DEAD, RETURNED, SHAPE_CUT, TRUNCATED, WIDE};

pub use crate::wire::tree::{Code, MAX_DEPTH, MAX_NODES};

/// What a function is known by: [`crate::wire::tree::function_id`] of its name, the same on every host. 0 is no function.
pub type FunctionId = u64;

/// One call of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The function called.
    pub function: FunctionId,
    /// How deep below the root, which is 0.
    pub depth: u8,
    /// The call never returned: it was left by an exception, a long jump or its thread's end.
    pub dead: bool,
}

/// A call tree, its loops collapsed: its calls in the order in which they began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tree {
    nodes: Vec<Node>,
    flags: u32,
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
        depth: u8,
    },
    /// One calls function 0.
    #[error("node {0} has no function")]
    Function(usize),
}

impl Tree {
    /// A tree of its nodes in preorder. Of `flags` those are kept that say what is missing: [`TRUNCATED`],
    /// [`SHAPE_CUT`] and [`WIDE`].
    ///
    /// # Errors
    /// When the nodes are no tree.
    pub fn new(nodes: Vec<Node>, flags: u32) -> Result<Self, BadTree> {
        if nodes.len() > MAX_NODES {
            return Err(BadTree::TooMany(nodes.len()));
        }
        let mut before = None;
        for (at, node) in nodes.iter().enumerate() {
            let fits = match before {
                None => node.depth == 0,
                Some(before) => (1..=before + 1).contains(&node.depth),
            };
            if !fits || usize::from(node.depth) >= MAX_DEPTH {
                return Err(BadTree::Depth { at, depth: node.depth });
            }
            if node.function == 0 {
                return Err(BadTree::Function(at));
            }
            before = Some(node.depth);
        }
        let flags = flags & (TRUNCATED | SHAPE_CUT | WIDE);
        if before.is_none() { Err(BadTree::Empty) } else { Ok(Self { nodes, flags }) }
    }

    /// A tree of nodes as the kernel writes them, [`NODE_DEAD`] in their depth.
    ///
    /// # Errors
    /// When they are no tree.
    pub fn from_wire(nodes: impl Iterator<Item = (FunctionId, u8)>, flags: u32) -> Result<Self, BadTree> {
        let node =
            |(function, depth)| Node { function, depth: depth & !NODE_DEAD, dead: depth & NODE_DEAD != 0 };
        Self::new(nodes.take(MAX_NODES + 1).map(node).collect(), flags)
    }

    /// The tree whose calls a fold has just seen to their end, as [`Fold::leave`] says by `ROOT`.
    ///
    /// # Errors
    /// When it has seen none.
    pub fn folded(fold: &Fold) -> Result<Self, BadTree> {
        Self::from_wire(fold.nodes(), fold.flags())
    }

    /// The code of these nodes: what a fold makes of them. Where the tree is [`SHAPE_CUT`] it is not that of the calls that
    /// were made.
    pub fn code(&self) -> Code {
        let mut fold = Fold::new();
        let mut open: Vec<&Node> = Vec::new();
        let leave = |fold: &mut Fold, node: &Node| fold.leave(if node.dead { DEAD } else { RETURNED });
        for node in &self.nodes {
            while open.len() > usize::from(node.depth)
                && let Some(ended) = open.pop()
            {
                leave(&mut fold, ended);
            }
            fold.enter(node.function);
            open.push(node);
        }
        while let Some(ended) = open.pop() {
            leave(&mut fold, ended);
        }
        fold.code()
    }

    /// Its nodes in preorder; there is at least the root.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The function at its root.
    pub fn root(&self) -> FunctionId {
        self.nodes.first().map_or(0, |root| root.function)
    }

    /// What is missing of it: [`TRUNCATED`], [`SHAPE_CUT`], [`WIDE`].
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether calls of it were cut off by a bound, or were not seen.
    pub fn is_truncated(&self) -> bool {
        self.flags & TRUNCATED != 0
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
    /// Its ordered code.
    pub code: u64,
    /// The tree, where it is at hand: always from spans, once for each code from the kernel.
    pub tree: Option<&'a Tree>,
    /// How long the root took; 0 when it is not known, as it never returned.
    pub duration: Nanos,
    /// Whether it failed, by its return value or the span's status.
    pub failed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What the kernel sends is not trusted.
        #[test]
        fn hostile_nodes_are_refused_or_a_tree(nodes in proptest::collection::vec((0_u64..4, any::<u8>()), 0..300)) {
            if let Ok(tree) = Tree::from_wire(nodes.iter().copied(), u32::MAX) {
                prop_assert_eq!(tree.nodes().len(), nodes.len());
                prop_assert_eq!(tree.root(), nodes[0].0);
                tree.code();
            }
        }

        /// A tree that was folded, stored and read back has its code still.
        #[test]
        fn a_folded_tree_keeps_its_code(calls in proptest::collection::vec((1_u64..4, 0_usize..4, any::<bool>()), 1..40)) {
            let mut fold = Fold::new();
            let mut open = 0;
            for (function, leave, dead) in calls {
                for _ in 0..leave.min(open - usize::from(open > 0)) {
                    fold.leave(if dead { DEAD } else { RETURNED });
                    open -= 1;
                }
                fold.enter(function);
                open += 1;
            }
            for _ in 0..open {
                fold.leave(RETURNED);
            }
            let tree = Tree::folded(&fold).expect("a tree");
            let again = Tree::new(tree.nodes().to_vec(), tree.flags()).expect("the same tree");
            prop_assert_eq!(again.code(), fold.code());
        }
    }
}
