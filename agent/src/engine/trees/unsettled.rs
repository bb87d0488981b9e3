//! When trees cannot be trusted, because not all that they call was followed.
//!
//! While points are attached or taken off, a tree that is under way is seen in part. While the breaker keeps a function off, every
//! tree that calls it lacks that call, and what a function calls that is a root itself becomes roots. Such trees are
//! neither judged nor recorded: a missing call would be reported, or learned, that was made.

use gait_common::call::Nanos;
use gait_common::tree::{FunctionId, Tree};
use rustc_hash::{FxHashMap, FxHashSet};

/// Times that are remembered; beyond it the two that ended first become one.
const TIMES: usize = 64;
/// Pairs of a root and a function in its trees; beyond it every function may be in every tree.
const PAIRS: usize = 1 << 18;

/// A time, from one instant to another.
#[derive(Clone, Copy, Debug)]
struct Time {
    from: Nanos,
    /// `Nanos::MAX` while it lasts.
    to: Nanos,
    /// The function that is off; none where any tree may be seen in part.
    off: Option<FunctionId>,
}

/// What is not to be trusted, and when.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    times: Vec<Time>,
    /// The functions in the trees of each root.
    members: FxHashMap<FunctionId, FxHashSet<FunctionId>>,
    pairs: usize,
}

impl Unsettled {
    /// Takes in what a tree looks like.
    pub(super) fn shape(&mut self, tree: &Tree) {
        if self.pairs >= PAIRS {
            return;
        }
        let members = self.members.entry(tree.root()).or_default();
        let before = members.len();
        members.extend(tree.nodes().iter().map(|node| node.function));
        self.pairs += members.len() - before;
    }

    /// Points were attached or taken off.
    pub(super) fn changed(&mut self, from: Nanos, to: Nanos) {
        self.push(Time { from, to, off: None });
    }

    /// These functions are off from now on, and no others; they were taken off, or attached again, between two instants.
    pub(super) fn off(&mut self, functions: &[FunctionId], from: Nanos, to: Nanos) {
        self.changed(from, to);
        let mut lasting = Vec::new();
        for time in self.times.iter_mut().filter(|time| time.to == Nanos::MAX) {
            match time.off {
                Some(function) if !functions.contains(&function) => time.to = to,
                off => lasting.extend(off),
            }
        }
        let new = functions.iter().filter(|function| !lasting.contains(function));
        new.for_each(|&function| self.push(Time { from, to: Nanos::MAX, off: Some(function) }));
    }

    fn push(&mut self, time: Time) {
        self.times.push(time);
        // Those that last are no more than functions are off, and stay apart, for each ends by itself.
        while self.times.iter().filter(|time| time.to != Nanos::MAX).count() > TIMES {
            self.times.sort_by_key(|time| (time.to, time.from));
            let first = self.times.remove(0);
            let joined = &mut self.times[0];
            *joined = Time { from: first.from.min(joined.from), to: first.to.max(joined.to), off: None };
        }
    }

    /// Whether trees of a root that ran between two instants may lack calls.
    pub(super) fn is_partial(&self, root: FunctionId, from: Nanos, to: Nanos) -> bool {
        let overlaps = |time: &&Time| time.from <= to && from <= time.to;
        self.times
            .iter()
            .filter(overlaps)
            .any(|time| time.off.is_none_or(|function| self.is_in(function, root)))
    }

    /// Whether trees of a root lack calls now, because a function is off.
    pub(super) fn lacks(&self, root: FunctionId) -> bool {
        let lasting = self.times.iter().filter(|time| time.to == Nanos::MAX);
        lasting.filter_map(|time| time.off).any(|function| self.is_in(function, root))
    }

    /// Whether a function's being off changes the trees of a root, or makes it one.
    fn is_in(&self, function: FunctionId, root: FunctionId) -> bool {
        let has = |root, function| self.members.get(&root).is_some_and(|members| members.contains(&function));
        self.pairs >= PAIRS || has(root, function) || has(function, root)
    }
}

#[cfg(test)]
mod tests {
    use gait_common::tree::Node;

    use super::*;

    fn tree(functions: &[u64]) -> Tree {
        let node = |(at, &function): (usize, &u64)| Node { function, depth: u8::from(at > 0), dead: false };
        Tree::new(functions.iter().enumerate().map(node).collect(), 0).expect("a tree")
    }

    #[test]
    fn what_was_under_way_while_points_changed_is_partial() {
        let mut unsettled = Unsettled::default();
        unsettled.changed(100, 200);
        for (from, to, partial) in
            [(0, 99, false), (0, 100, true), (150, 160, true), (200, 300, true), (201, 300, false)]
        {
            assert_eq!(unsettled.is_partial(1, from, to), partial, "{from} to {to}");
        }
        assert!(!unsettled.lacks(1));
    }

    #[test]
    fn while_a_function_is_off_only_trees_that_have_it_are_partial() {
        let mut unsettled = Unsettled::default();
        unsettled.shape(&tree(&[1, 2, 3]));
        unsettled.shape(&tree(&[4, 5]));
        unsettled.off(&[2], 100, 110);
        assert!(unsettled.lacks(1) && !unsettled.lacks(4));
        assert!(unsettled.is_partial(1, 500, 510) && !unsettled.is_partial(4, 500, 510));
        // What 4 calls is a root while 4 is off.
        unsettled.off(&[2, 4], 600, 610);
        assert!(unsettled.lacks(5) && unsettled.lacks(4) && unsettled.lacks(1));
        unsettled.off(&[4], 700, 710);
        assert!(!unsettled.lacks(1) && unsettled.lacks(5));
        assert!(unsettled.is_partial(1, 690, 705) && !unsettled.is_partial(1, 711, 720));
        unsettled.off(&[], 800, 810);
        assert!(
            !unsettled.lacks(4) && unsettled.is_partial(5, 790, 900) && !unsettled.is_partial(5, 811, 900)
        );
    }

    /// However often points change, little is kept, and nothing partial is trusted.
    #[test]
    fn times_are_bounded_and_none_is_forgotten() {
        let mut unsettled = Unsettled::default();
        unsettled.shape(&tree(&[1, 2]));
        unsettled.off(&[2], 5, 6);
        for n in 1..1000 {
            unsettled.changed(n * 10, n * 10 + 1);
        }
        assert!(unsettled.times.len() <= TIMES + 1 && unsettled.lacks(1));
        assert!((1..1000).all(|n| unsettled.is_partial(9, n * 10, n * 10)));
        assert!(!unsettled.is_partial(9, 9985, 9986));
    }
}
