//! What trees look like and what their functions are called: sent once, kept beside the statistics.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{FunctionId, Tree};
use crate::wire::tree::function_id;

/// Most trees kept by default: some 40 MB of the largest, 4 MB of usual ones.
pub const MAX_SHAPES: usize = 20_000;
/// Most functions named.
pub const MAX_NAMES: usize = 1 << 17;
/// Longest name kept, in bytes; a longer one is cut there, though its id is that of the whole.
pub const MAX_NAME: usize = 512;

/// A tree as it was sent. Its code is kept with it: where the tree is cut it cannot be made of the nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// The tree.
    pub tree: Tree,
    /// The unordered code, equal for trees that make the same calls in another order.
    pub unordered: u64,
}

/// Trees by root and ordered code, and the names of functions. Merging is associative and commutative as long as no
/// bound is passed.
#[derive(Clone, Debug)]
pub struct Shapes {
    max: usize,
    shapes: BTreeMap<(FunctionId, u64), Shape>,
    names: BTreeMap<FunctionId, String>,
    passed: u64,
}

impl Default for Shapes {
    fn default() -> Self {
        Self::new(MAX_SHAPES)
    }
}

impl Shapes {
    /// At most so many trees.
    pub fn new(max: usize) -> Self {
        Self { max, shapes: BTreeMap::new(), names: BTreeMap::new(), passed: 0 }
    }

    /// Takes in a tree and its ordered code. Of two that claim the same code the one with more nodes is kept.
    pub fn add(&mut self, code: u64, shape: Shape) {
        let key = (shape.tree.root(), code);
        let rank = |shape: &Shape| (shape.tree.nodes().len(), !shape.tree.flags());
        let room = self.shapes.len() < self.max;
        match self.shapes.entry(key) {
            Entry::Occupied(mut known) => {
                if (rank(&shape), &shape) > (rank(known.get()), known.get()) {
                    known.insert(shape);
                }
            }
            Entry::Vacant(place) if room => drop(place.insert(shape)),
            Entry::Vacant(_) => self.passed = self.passed.saturating_add(1),
        }
    }

    /// Takes in a function's name; gives its id.
    pub fn name(&mut self, name: &str) -> FunctionId {
        let id = function_id(name.as_bytes());
        if self.names.len() < MAX_NAMES && !self.names.contains_key(&id) {
            self.names.insert(id, name[..name.floor_char_boundary(MAX_NAME)].to_owned());
        }
        id
    }

    /// Adds what others have.
    pub fn merge(&mut self, other: &Self) {
        other.shapes.iter().for_each(|(key, shape)| self.add(key.1, shape.clone()));
        for name in other.names.values() {
            self.name(name);
        }
        self.passed = self.passed.saturating_add(other.passed);
    }

    /// A tree.
    pub fn get(&self, root: FunctionId, code: u64) -> Option<&Shape> {
        self.shapes.get(&(root, code))
    }

    /// The name of a function; `None` when nobody gave it.
    pub fn name_of(&self, id: FunctionId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.values().map(String::as_str)
    }

    /// All trees, by root and code.
    pub fn iter(&self) -> impl Iterator<Item = (FunctionId, u64, &Shape)> {
        self.shapes.iter().map(|(&(root, code), shape)| (root, code, shape))
    }

    /// How many trees there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Trees that were not kept because there were too many.
    pub fn passed(&self) -> u64 {
        self.passed
    }
}
