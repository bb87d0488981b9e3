//! What the edges of a pattern graph mean: one call after the other, one of several, in either order, or round again.
//!
//! Everything is read off the weighted edges, heaviest evidence first:
//!
//! * An edge to itself is a *loop*.
//! * Two calls that often follow one another in both orders are *parallel*, unless they go round. In parallel each
//!   pass through the pair was entered from outside once; in a loop the edges between the two are walked more often
//!   than the pair was entered. Often means that the rarer order has at least a third of the other's weight, a
//!   dependency of at most one half in the sense of the heuristics miner (Weijters and Ribeiro, 2011).
//! * An edge back to a call that every way to its start leads through is a *loop* (a natural loop, as compilers find
//!   them: its target dominates its source). Edges that are rare at both their ends do not count as ways here: one
//!   odd session must not open a loop. What circles are left are opened at their lightest edge.
//! * The rest leads forward. It is *serial* where nearly all go that way, a *parallel* split where they go to calls
//!   that are parallel to each other, and else a *choice*.

use petgraph::acyclic::Acyclic;
use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

use super::{EdgeData, GraphData};
use crate::interface::InterfaceId;

/// The rarer of two orders has at least this share of the other's weight where both are frequent.
const BOTH_ORDERS: f64 = 1.0 / 3.0;
/// An order seen less often than this is an accident.
const LEAST_SEEN: f64 = 2.0;
/// A pair that is walked more often than this per entry from outside goes round.
const ROUND: f64 = 1.25;
/// An edge with less than this share of what leaves its start and of what reaches its end is rare.
const RARE: f64 = 0.05;
/// An edge with at least this share of what leads forward from its start is the way, not a choice.
const NEARLY_ALL: f64 = 0.9;

/// So many of the heaviest edges are searched for circles; lighter ones follow the order that these give.
const SEARCHED: usize = 10_000;

/// What an edge of a pattern graph means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The one call follows the other.
    Serial,
    /// The call is one of several that follow.
    Choice,
    /// The order is free: between two calls that come in either order, or from the call before them to both.
    Parallel,
    /// The way leads round again, to the same call or to an earlier one.
    Loop,
}

impl Relation {
    /// Every relation, in the order in which they are listed and drawn.
    pub const ALL: [Self; 4] = [Self::Serial, Self::Choice, Self::Parallel, Self::Loop];

    /// Its name, e.g. `serial`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Choice => "choice",
            Self::Parallel => "parallel",
            Self::Loop => "loop",
        }
    }
}

/// The relations of a pattern graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relations {
    edges: Vec<Relation>,
    order: Vec<InterfaceId>,
}

impl Relations {
    /// Finds the relations of a graph whose edges are sorted by their ends and have positive weights.
    pub fn new(graph: &GraphData) -> Self {
        let flow = Flow::new(graph);
        let mut relations: Vec<Option<Relation>> = graph.edges.iter().map(|edge| flow.pair(edge)).collect();
        let dominators = flow.dominators(&relations);
        for (relation, edge) in relations.iter_mut().zip(&graph.edges) {
            let (from, to) = flow.ends(edge);
            if relation.is_none() && (to == flow.entry || dominates(&dominators, to, from)) {
                *relation = Some(Relation::Loop);
            }
        }
        let order = flow.open_circles(&mut relations);
        let ahead = flow.ahead(&relations);
        let relation = |(place, edge): (usize, &EdgeData)| {
            relations[place].unwrap_or_else(|| flow.forward(edge, &relations, &ahead))
        };
        Self { edges: graph.edges.iter().enumerate().map(relation).collect(), order }
    }

    /// The relation of each edge, in the graph's order.
    pub fn edges(&self) -> &[Relation] {
        &self.edges
    }

    /// The calls, the entry first, such that serial edges and choices lead from earlier to later ones.
    pub fn order(&self) -> &[InterfaceId] {
        &self.order
    }
}

fn dominates(dominators: &Dominators<NodeIndex>, node: NodeIndex, of: NodeIndex) -> bool {
    dominators.dominators(of).is_some_and(|mut all| all.any(|dominator| dominator == node))
}

/// A graph with what flows through its calls.
struct Flow<'a> {
    graph: &'a GraphData,
    nodes: Vec<InterfaceId>,
    entry: NodeIndex,
    /// Weight that reaches each call, and that leaves it, from and to others.
    reaching: Vec<f64>,
    leaving: Vec<f64>,
}

impl<'a> Flow<'a> {
    fn new(graph: &'a GraphData) -> Self {
        let ends = graph.edges.iter().flat_map(|edge| [edge.from, edge.to]);
        let mut nodes: Vec<InterfaceId> = ends.chain([graph.entry]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let none = vec![0.0; nodes.len()];
        let entry = NodeIndex::default();
        let mut flow = Self { graph, nodes, entry, reaching: none.clone(), leaving: none };
        flow.entry = flow.node(graph.entry);
        flow.reaching[flow.entry.index()] = graph.support as f64;
        for edge in graph.edges.iter().filter(|edge| edge.from != edge.to) {
            let (from, to) = flow.ends(edge);
            flow.leaving[from.index()] += edge.weight;
            flow.reaching[to.index()] += edge.weight;
        }
        flow
    }

    fn node(&self, interface: InterfaceId) -> NodeIndex {
        NodeIndex::new(self.nodes.binary_search(&interface).unwrap_or_default())
    }

    fn ends(&self, edge: &EdgeData) -> (NodeIndex, NodeIndex) {
        (self.node(edge.from), self.node(edge.to))
    }

    fn place(&self, from: InterfaceId, to: InterfaceId) -> Option<usize> {
        self.graph.edges.binary_search_by_key(&(from, to), |edge| (edge.from, edge.to)).ok()
    }

    /// What an edge and its opposite say by themselves.
    fn pair(&self, edge: &EdgeData) -> Option<Relation> {
        if edge.from == edge.to {
            return Some(Relation::Loop);
        }
        let back = self.graph.edges[self.place(edge.to, edge.from)?].weight;
        let (less, more) = (edge.weight.min(back), edge.weight.max(back));
        if less < LEAST_SEEN || less < BOTH_ORDERS * more {
            return None;
        }
        let (from, to) = self.ends(edge);
        let walked = edge.weight + back;
        let entered = self.reaching[from.index()] + self.reaching[to.index()] - walked;
        (walked <= ROUND * entered).then_some(Relation::Parallel)
    }

    /// Which calls every way from the entry to a call leads through. Rare edges are no ways.
    fn dominators(&self, relations: &[Option<Relation>]) -> Dominators<NodeIndex> {
        let mut ways = self.calls();
        for (edge, _) in self.graph.edges.iter().zip(relations).filter(|(_, relation)| relation.is_none()) {
            let (from, to) = self.ends(edge);
            let most = self.leaving[from.index()].min(self.reaching[to.index()]);
            if edge.weight >= RARE * most {
                ways.add_edge(from, to, ());
            }
        }
        simple_fast(&ways, self.entry)
    }

    /// Takes the lightest edge of every circle that is left for a loop; gives the calls in the order of what is left.
    fn open_circles(&self, relations: &mut [Option<Relation>]) -> Vec<InterfaceId> {
        let edges = &self.graph.edges;
        let mut heaviest: Vec<usize> = (0..edges.len()).filter(|&at| relations[at].is_none()).collect();
        heaviest.sort_by(|&a, &b| edges[b].weight.total_cmp(&edges[a].weight).then(a.cmp(&b)));
        let mut forward = Acyclic::try_from_graph(self.calls()).unwrap_or_default();
        let (searched, light) = heaviest.split_at(heaviest.len().min(SEARCHED));
        for &at in searched {
            let (from, to) = self.ends(&edges[at]);
            if forward.try_add_edge(from, to, ()).is_err() {
                relations[at] = Some(Relation::Loop);
            }
        }
        for &at in light {
            let (from, to) = self.ends(&edges[at]);
            if forward.get_position(from) > forward.get_position(to) {
                relations[at] = Some(Relation::Loop);
            }
        }
        let later = forward.nodes_iter().filter(|&node| node != self.entry);
        // Every edge back to the entry is a loop already, so it may stand first.
        [self.entry].into_iter().chain(later).map(|node| self.nodes[node.index()]).collect()
    }

    fn calls(&self) -> DiGraph<(), ()> {
        let mut calls = DiGraph::with_capacity(self.nodes.len(), self.graph.edges.len());
        for _ in &self.nodes {
            calls.add_node(());
        }
        calls
    }

    /// Weight of what leads forward from each call: the edges that are neither loops nor between parallel calls.
    fn ahead(&self, relations: &[Option<Relation>]) -> Vec<f64> {
        let mut ahead = vec![0.0; self.nodes.len()];
        for (edge, _) in self.graph.edges.iter().zip(relations).filter(|(_, relation)| relation.is_none()) {
            ahead[self.node(edge.from).index()] += edge.weight;
        }
        ahead
    }

    /// What an edge that leads forward is, beside the others that lead forward from its start.
    fn forward(&self, edge: &EdgeData, relations: &[Option<Relation>], ahead: &[f64]) -> Relation {
        let edges = &self.graph.edges;
        // The calls that are parallel to its end, of which those count that its start leads to as well.
        let first = edges.partition_point(|other| other.from < edge.to);
        let beyond = (first..edges.len()).take_while(|&at| edges[at].from == edge.to);
        let parallel = beyond.filter(|&at| relations[at] == Some(Relation::Parallel));
        let beside = parallel.filter_map(|at| self.place(edge.from, edges[at].to));
        let (mut group, mut alone) = (edge.weight, true);
        for at in beside.filter(|&at| relations[at].is_none()) {
            group += edges[at].weight;
            alone = false;
        }
        match (group >= NEARLY_ALL * ahead[self.node(edge.from).index()], alone) {
            (true, true) => Relation::Serial,
            (true, false) => Relation::Parallel,
            (false, _) => Relation::Choice,
        }
    }
}

#[cfg(test)]
mod tests;
