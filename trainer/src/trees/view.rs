//! What is known of the trees of one root, laid over each other: what a picture of them shows.
//!
//! The trees of a scope share their beginnings. Laid over each other, a call stands once for all trees that make it: with how
//! many calls of the root made it, what share that is, and how long those took at the median and at the 99th percentile.
//! A call is the same one if it has the same function, the same caller, and is the caller's so-manieth call of that function.

use std::collections::BTreeMap;

use gait_common::call::Nanos;
use gait_common::tree::{CodeData, FunctionId, ScopeData, Sketch, TreeData, TreesData};
use gait_common::wire::tree::NODE_DEAD;
use serde::Serialize;

/// The trees of a root, or of a root and an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// The interface whose requests were served; empty for all trees of the root.
    pub interface: String,
    /// The function at the root.
    pub root: String,
    /// Calls learned from.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Different trees there are.
    pub trees: usize,
    /// The calls, callers before whom they call; the first is the root.
    pub nodes: Vec<NodeView>,
}

/// A call, of all trees that make it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeView {
    /// The function called.
    pub function: String,
    /// How deep below the root.
    pub depth: u8,
    /// Calls of the root in which it is made, loops counting once.
    pub calls: u64,
    /// Their share of all calls of the root.
    pub share: f64,
    /// How long such calls of the root took at the median (ns).
    pub median: Nanos,
    /// And at the 99th percentile (ns).
    pub p99: Nanos,
    /// It never returned.
    pub dead: bool,
}

/// Trees by root and code.
type Trees<'a> = BTreeMap<(FunctionId, u64), &'a TreeData>;

/// Which call of its caller a call is: function, how many of the same stand before it, whether it returned.
type Key = (FunctionId, u32, bool);

#[derive(Default)]
struct Merged {
    /// By what was met first.
    children: Vec<(Key, Merged)>,
    calls: u64,
    durations: Sketch,
}

/// All views of the scopes whose root or interface contains `part`, those with the most calls first.
pub fn views(data: &TreesData, part: Option<&str>) -> Vec<View> {
    let name = |id| name_of(data, id);
    let fits = |scope: &&ScopeData| {
        part.is_none_or(|part| name(scope.root).contains(part) || scope.interface.contains(part))
    };
    let mut scopes: Vec<&ScopeData> = data.scopes.iter().filter(fits).collect();
    scopes.sort_by_key(|scope| (std::cmp::Reverse(scope.calls), name(scope.root), &scope.interface));
    let root = |tree: &TreeData| Some(data.functions.get(tree.nodes.first()?.0 as usize)?.0);
    let trees: Trees<'_> =
        data.trees.iter().filter_map(|tree| Some(((root(tree)?, tree.code), tree))).collect();
    scopes.into_iter().map(|scope| view(data, scope, &trees)).collect()
}

/// The name of a function, or its number where nobody gave a name.
pub fn name_of(data: &TreesData, id: FunctionId) -> String {
    let place = data.functions.binary_search_by_key(&id, |&(id, _)| id).ok();
    match place.map(|place| data.functions[place].1.as_str()) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("function {id:016x}"),
    }
}

fn view(data: &TreesData, scope: &ScopeData, trees: &Trees<'_>) -> View {
    let mut codes: Vec<&CodeData> = scope.codes.iter().collect();
    codes.sort_by_key(|code| (std::cmp::Reverse(code.calls), code.code));
    let mut root = Merged::default();
    for code in codes {
        let at = trees.get(&(scope.root, code.code));
        root.count(code);
        let nodes: Vec<(FunctionId, u8, bool)> = at
            .into_iter()
            .flat_map(|tree| &tree.nodes)
            .filter_map(|&(function, depth)| {
                Some((data.functions.get(function as usize)?.0, depth & !NODE_DEAD, depth & NODE_DEAD != 0))
            })
            .collect();
        root.lay(nodes.get(1..).unwrap_or_default(), 1, code);
    }
    let mut nodes = Vec::new();
    root.list(data, (scope.root, 0, false), 0, scope.calls, &mut nodes);
    View {
        interface: scope.interface.clone(),
        root: name_of(data, scope.root),
        calls: scope.calls,
        failures: scope.codes.iter().map(|code| code.failures).sum(),
        trees: scope.codes.len(),
        nodes,
    }
}

impl Merged {
    fn count(&mut self, code: &CodeData) {
        self.calls += code.calls;
        self.durations.merge(&code.durations);
    }

    /// Lays the calls of a tree (in preorder, those at `depth` being called from here) over what is there.
    fn lay(&mut self, nodes: &[(FunctionId, u8, bool)], depth: u8, code: &CodeData) {
        let mut before: BTreeMap<(FunctionId, bool), u32> = BTreeMap::new();
        let starts: Vec<usize> = (0..nodes.len()).filter(|&at| nodes[at].1 == depth).collect();
        for (place, &start) in starts.iter().enumerate() {
            let end = starts.get(place + 1).copied().unwrap_or(nodes.len());
            let (function, _, dead) = nodes[start];
            let number = before.entry((function, dead)).or_default();
            let key = (function, *number, dead);
            *number += 1;
            let at = self.children.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                self.children.push((key, Merged::default()));
                self.children.len() - 1
            });
            let child = &mut self.children[at].1;
            child.count(code);
            child.lay(&nodes[start + 1..end], depth + 1, code);
        }
    }

    fn list(&self, data: &TreesData, (function, _, dead): Key, depth: u8, all: u64, out: &mut Vec<NodeView>) {
        out.push(NodeView {
            function: name_of(data, function),
            depth,
            calls: self.calls,
            share: self.calls as f64 / all.max(1) as f64,
            median: self.durations.quantile(0.5),
            p99: self.durations.quantile(0.99),
            dead,
        });
        for (key, child) in &self.children {
            child.list(data, *key, depth + 1, all, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trees::Gathered;
    use gait_common::tree::{Node, Observed, Shape, Tree};

    /// Two ways of one root: `a(b, c)` three times, `a(b, c(d))` once and slower.
    #[test]
    fn trees_are_laid_over_each_other() {
        let mut gathered = Gathered::default();
        let ids: Vec<FunctionId> =
            ["a", "b", "c", "d"].iter().map(|name| gathered.shapes.name(name)).collect();
        let tree = |nodes: &[(usize, u8)]| {
            let node =
                |&(function, depth): &(usize, u8)| Node { function: ids[function], depth, dead: false };
            Tree::new(nodes.iter().map(node).collect(), 0).expect("a tree")
        };
        let (short, long) = (tree(&[(0, 0), (1, 1), (2, 1)]), tree(&[(0, 0), (1, 1), (2, 1), (3, 2)]));
        for (number, tree) in [&short, &short, &short, &long].into_iter().enumerate() {
            let code = tree.code();
            gathered.shapes.add(code.ordered, Shape { tree: tree.clone(), unordered: code.unordered });
            gathered.stats.observe(&Observed {
                time: 60_000_000_000 * number as u64,
                source: "s",
                interface: None,
                root: ids[0],
                code: code.ordered,
                tree: None,
                duration: if number == 3 { 1_000_000 } else { 1000 },
                failed: false,
            });
        }
        let data = gathered.learn().expect("trees");
        let views = views(&data, Some("a"));
        let nodes: Vec<_> =
            views[0].nodes.iter().map(|node| (&*node.function, node.depth, node.calls, node.share)).collect();
        assert_eq!(nodes, [("a", 0, 4, 1.0), ("b", 1, 4, 1.0), ("c", 1, 4, 1.0), ("d", 2, 1, 0.25)]);
        assert!(views[0].nodes[3].median > 900_000 && views[0].nodes[0].median < 1100);
        assert!(super::views(&data, Some("z")).is_empty());
    }
}
