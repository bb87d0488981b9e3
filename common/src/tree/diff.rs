//! How two trees differ: the fewest calls to add, leave out or replace that make one of the other.
//!
//! The distance is that of ordered labelled trees with every edit costing 1 (Zhang and Shasha, 1989), which makes it a
//! metric. Time is bounded: a pair of trees whose shapes would take longer than [`MAX_WORK`] is not compared.

use super::{FunctionId, Node, Tree};

/// Most steps of one comparison: some 20 ms. Trees of 256 nodes need that many only when both are deep combs.
pub const MAX_WORK: u64 = 10_000_000;

/// One line of a comparison; the numbers are places in the nodes of the known and of the new tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The same call in both.
    Same(usize, usize),
    /// Another call at the same place.
    Changed(usize, usize),
    /// A call that only the known tree has.
    Missing(usize),
    /// A call that only the new tree has.
    Added(usize),
}

/// What is compared of a node: a call that did not return is another one.
type Call = (FunctionId, bool);

fn call(node: &Node) -> Call {
    (node.function, node.dead)
}

/// A tree in postorder, as the algorithm walks it.
struct Post {
    calls: Vec<Call>,
    /// Place of each node in preorder.
    pre: Vec<usize>,
    /// The leftmost leaf below each node.
    left: Vec<usize>,
    /// Nodes that have an elder sibling, and the root.
    key: Vec<usize>,
}

impl Post {
    fn new(tree: &Tree) -> Self {
        let nodes = tree.nodes();
        let mut post = Self { calls: Vec::new(), pre: Vec::new(), left: Vec::new(), key: Vec::new() };
        let mut open: Vec<(usize, usize)> = Vec::new();
        for at in 0..=nodes.len() {
            let depth = nodes.get(at).map_or(0, |node| usize::from(node.depth));
            while open.len() > depth
                && let Some((at, left)) = open.pop()
            {
                post.calls.push(call(&nodes[at]));
                post.pre.push(at);
                post.left.push(left);
            }
            // The first node to close from here on is the leftmost leaf of all that are open and of those that open now.
            open.push((at, post.calls.len()));
        }
        for at in 0..post.left.len() {
            if !post.left[at + 1..].contains(&post.left[at]) {
                post.key.push(at);
            }
        }
        post
    }

    fn len(&self) -> usize {
        self.calls.len()
    }

    /// The summed sizes of the subtrees at key nodes.
    fn work(&self) -> u64 {
        self.key.iter().map(|&at| (at + 1 - self.left[at]) as u64).sum()
    }
}

/// Distances between all pairs of subtrees, and room for those between forests.
struct Table<'a> {
    a: &'a Post,
    b: &'a Post,
    trees: Vec<u32>,
    forests: Vec<u32>,
}

impl Table<'_> {
    /// Distances between the forests that begin with the leftmost leaves of `i` and `j` and end at any node up to them.
    fn fill(&mut self, i: usize, j: usize) {
        let (a, b) = (self.a, self.b);
        let (from_a, from_b) = (a.left[i], b.left[j]);
        let width = j + 2 - from_b;
        self.forests.clear();
        self.forests.resize((i + 2 - from_a) * width, 0);
        for y in 1..width {
            self.forests[y] = y as u32;
        }
        for x in from_a..=i {
            let row = (x + 1 - from_a) * width;
            self.forests[row] = (x + 1 - from_a) as u32;
            for y in from_b..=j {
                let at = row + y + 1 - from_b;
                let one_less = self.forests[at - width].min(self.forests[at - 1]) + 1;
                let whole = a.left[x] == from_a && b.left[y] == from_b;
                let both = if whole {
                    self.forests[at - width - 1] + u32::from(a.calls[x] != b.calls[y])
                } else {
                    let before = (a.left[x] - from_a) * width + b.left[y] - from_b;
                    self.forests[before] + self.trees[x * b.len() + y]
                };
                self.forests[at] = one_less.min(both);
                if whole {
                    self.trees[x * b.len() + y] = self.forests[at];
                }
            }
        }
    }

    fn distance(&mut self) -> u32 {
        for &i in &self.a.key {
            for &j in &self.b.key {
                self.fill(i, j);
            }
        }
        self.trees.last().copied().unwrap_or(0)
    }

    /// Pairs of nodes that correspond, by their places in preorder, ascending.
    fn pairs(&mut self) -> Vec<(usize, usize)> {
        let (a, b) = (self.a, self.b);
        let mut pairs = Vec::new();
        let mut todo = vec![(a.len() - 1, b.len() - 1)];
        while let Some((i, j)) = todo.pop() {
            self.fill(i, j);
            let (from_a, from_b) = (a.left[i], b.left[j]);
            let width = j + 2 - from_b;
            let (mut x, mut y) = (i + 1, j + 1);
            while x > from_a && y > from_b {
                let at = (x - from_a) * width + y - from_b;
                let here = self.forests[at];
                let (node, other) = (x - 1, y - 1);
                let whole = a.left[node] == from_a && b.left[other] == from_b;
                let changed = u32::from(a.calls[node] != b.calls[other]);
                if whole && here == self.forests[at - width - 1] + changed {
                    pairs.push((a.pre[node], b.pre[other]));
                    (x, y) = (node, other);
                    continue;
                }
                let before = (a.left[node] - from_a) * width + b.left[other] - from_b;
                if !whole && here == self.forests[before] + self.trees[node * b.len() + other] {
                    todo.push((node, other));
                    (x, y) = (a.left[node], b.left[other]);
                } else if here == self.forests[at - width] + 1 {
                    x = node;
                } else {
                    y = other;
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }
}

/// A bound below the distance that takes no time to find: calls that have no counterpart of the same name.
#[must_use]
pub fn least_distance(known: &Tree, new: &Tree) -> u32 {
    let sorted = |tree: &Tree| {
        let mut functions: Vec<_> = tree.nodes().iter().map(call).collect();
        functions.sort_unstable();
        functions
    };
    let (a, b) = (sorted(known), sorted(new));
    let (mut at, mut common) = (0, 0);
    for function in &a {
        while b.get(at).is_some_and(|other| other < function) {
            at += 1;
        }
        if b.get(at) == Some(function) {
            at += 1;
            common += 1;
        }
    }
    (a.len().max(b.len()) - common) as u32
}

/// The distance of two trees and what makes it up, in the order of a walk through both; `None` when they are too large
/// to be compared.
#[must_use]
pub fn compare(known: &Tree, new: &Tree) -> Option<(u32, Vec<Edit>)> {
    let (a, b) = (Post::new(known), Post::new(new));
    if a.work() * b.work() > MAX_WORK {
        return None;
    }
    let mut table = Table { a: &a, b: &b, trees: vec![0; a.len() * b.len()], forests: Vec::new() };
    let distance = table.distance();
    let mut edits = Vec::with_capacity(a.len().max(b.len()));
    let (mut x, mut y) = (0, 0);
    for (in_a, in_b) in table.pairs() {
        edits.extend((x..in_a).map(Edit::Missing));
        edits.extend((y..in_b).map(Edit::Added));
        let same = call(&known.nodes()[in_a]) == call(&new.nodes()[in_b]);
        edits.push(if same { Edit::Same(in_a, in_b) } else { Edit::Changed(in_a, in_b) });
        (x, y) = (in_a + 1, in_b + 1);
    }
    edits.extend((x..a.len()).map(Edit::Missing));
    edits.extend((y..b.len()).map(Edit::Added));
    Some((distance, edits))
}

/// The distance of two trees; `None` when they are too large to be compared.
#[must_use]
pub fn distance(known: &Tree, new: &Tree) -> Option<u32> {
    let (a, b) = (Post::new(known), Post::new(new));
    let mut table = Table { a: &a, b: &b, trees: vec![0; a.len() * b.len()], forests: Vec::new() };
    (a.work() * b.work() <= MAX_WORK).then(|| table.distance())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{MAX_DEPTH, MAX_NODES};
    use proptest::prelude::*;

    /// A tree of (function, depth), depths cut to what is possible.
    fn tree(nodes: &[(u64, u8)]) -> Tree {
        let mut before = None;
        let nodes = nodes.iter().map(|&(function, depth)| {
            let depth = before.map_or(0, |before: u8| depth.clamp(1, before + 1));
            before = Some(depth);
            Node { function: function + 1, depth, dead: false }
        });
        Tree::new(nodes.collect(), 0).expect("a tree")
    }

    fn trees(most: usize) -> impl Strategy<Value = Tree> {
        proptest::collection::vec((0_u64..3, 0_u8..4), 1..most).prop_map(|nodes| tree(&nodes))
    }

    /// The definition: the cheapest way to take one forest to the other, node by node. Forests are lists of nodes.
    fn by_definition(a: &[(u64, u8)], b: &[(u64, u8)]) -> u32 {
        if a.is_empty() || b.is_empty() {
            return (a.len() + b.len()) as u32;
        }
        // The first tree of each: its root is the first node, its end where the depth is the root's again.
        let end = |f: &[(u64, u8)]| f[1..].iter().position(|n| n.1 <= f[0].1).map_or(f.len(), |at| at + 1);
        let without_root = |f: &[(u64, u8)]| {
            let end = end(f);
            let raised = f[1..end].iter().map(|&(function, depth)| (function, depth - 1));
            raised.chain(f[end..].iter().copied()).collect::<Vec<_>>()
        };
        let (end_a, end_b) = (end(a), end(b));
        let both = by_definition(&a[1..end_a], &b[1..end_b])
            + by_definition(&a[end_a..], &b[end_b..])
            + u32::from(a[0].0 != b[0].0);
        let (less_a, less_b) = (without_root(a), without_root(b));
        both.min(by_definition(&less_a, b) + 1).min(by_definition(a, &less_b) + 1)
    }

    fn plain(tree: &Tree) -> Vec<(u64, u8)> {
        tree.nodes().iter().map(|node| (node.function, node.depth)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn it_is_the_distance_by_definition(a in trees(7), b in trees(7)) {
            let (found, edits) = compare(&a, &b).expect("small");
            prop_assert_eq!(found, by_definition(&plain(&a), &plain(&b)));
            prop_assert_eq!(distance(&a, &b), Some(found));
            // The edits make up the distance, and name every node of both once.
            let cost = edits.iter().filter(|edit| !matches!(edit, Edit::Same(..))).count();
            prop_assert_eq!(cost as u32, found);
            let count = |is: fn(&Edit) -> bool| edits.iter().filter(|e| is(e)).count();
            prop_assert_eq!(count(|e| !matches!(e, Edit::Added(_))), a.nodes().len());
            prop_assert_eq!(count(|e| !matches!(e, Edit::Missing(_))), b.nodes().len());
            prop_assert!(least_distance(&a, &b) <= found);
        }

        #[test]
        fn it_is_a_metric(a in trees(20), b in trees(20), c in trees(20)) {
            let d = |x: &Tree, y: &Tree| distance(x, y).expect("small");
            prop_assert_eq!(d(&a, &a), 0);
            prop_assert_eq!(d(&a, &b) == 0, a == b);
            prop_assert_eq!(d(&a, &b), d(&b, &a));
            prop_assert!(d(&a, &c) <= d(&a, &b) + d(&b, &c));
        }
    }

    #[test]
    fn an_added_call_is_named_at_its_place() {
        let known = tree(&[(0, 0), (1, 1), (2, 2), (1, 1)]);
        let new = tree(&[(0, 0), (1, 1), (2, 2), (7, 2), (1, 1)]);
        let (distance, edits) = compare(&known, &new).expect("small");
        let same = Edit::Same;
        assert_eq!(distance, 1);
        assert_eq!(edits, [same(0, 0), same(1, 1), same(2, 2), Edit::Added(3), same(3, 4)]);
    }

    /// The largest trees there are, of every shape, take bounded time or are refused.
    #[test]
    fn large_trees_are_compared_or_refused_at_once() {
        let flat: Vec<_> = (0..MAX_NODES as u64).map(|n| (n % 7, 1)).collect();
        let chain: Vec<_> =
            (0..MAX_NODES as u64).map(|n| (n % 7, n.min(MAX_DEPTH as u64 - 1) as u8)).collect();
        let comb: Vec<_> =
            (0..MAX_NODES as u64).map(|n| (n % 7, n.div_ceil(2).min(MAX_DEPTH as u64 - 1) as u8)).collect();
        let begun = std::time::Instant::now();
        assert_eq!(distance(&tree(&flat), &tree(&flat)), Some(0));
        assert_eq!(distance(&tree(&chain), &tree(&chain)), Some(0));
        let _ = compare(&tree(&comb), &tree(&comb));
        let _ = compare(&tree(&comb), &tree(&flat));
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
