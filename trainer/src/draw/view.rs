//! What is drawn of a graph: all of a small one, of a large one the ways walked most.

use gait_common::detect::{GraphData, Relation, Relations};
use gait_common::interface::{InterfaceId, NEW_NAME};

/// Most calls in a picture; more could not be read.
const MAX_NODES: usize = 24;
/// Most edges in a picture, for each of its calls.
const EDGES_PER_NODE: usize = 2;
/// Width of the heaviest edge, in pixels.
const WIDEST: f64 = 7.0;

/// A call in a picture.
pub(super) struct Node {
    pub(super) name: String,
    /// How often it was reached.
    pub(super) reached: f64,
}

/// An edge in a picture, its ends as places among the nodes.
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) weight: f64,
    pub(super) relation: Relation,
}

/// What is drawn.
pub(super) struct View {
    /// Sessions that began at the entry.
    pub(super) support: u64,
    /// The calls, the entry first, earlier ones before later ones.
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// Calls and edges that are not drawn.
    pub(super) hidden: (usize, usize),
    heaviest: f64,
}

impl View {
    /// What is worth drawing.
    pub(super) fn new(graph: &GraphData, names: &[String]) -> Self {
        Self::of(graph, names, MAX_NODES)
    }

    /// Everything.
    pub(super) fn whole(graph: &GraphData, names: &[String]) -> Self {
        Self::of(graph, names, usize::MAX)
    }

    fn of(graph: &GraphData, names: &[String], most: usize) -> Self {
        let relations = Relations::new(graph);
        let mut reached: Vec<f64> = vec![0.0; relations.order().len()];
        let mut place = std::collections::BTreeMap::new();
        place.extend(relations.order().iter().zip(0..).map(|(&call, at): (_, usize)| (call, at)));
        reached[0] = graph.support as f64;
        for edge in graph.edges.iter().filter(|edge| edge.from != edge.to) {
            reached[place[&edge.to]] += edge.weight;
        }
        let (calls, chosen) = choose(graph, relations.order(), most);
        let nodes = calls.iter().map(|call| Node {
            name: names.get(*call as usize).map_or(NEW_NAME, String::as_str).to_owned(),
            reached: reached[place[call]],
        });
        let at = |call| calls.iter().position(|other| *other == call).unwrap_or_default();
        let edges: Vec<Edge> = chosen
            .iter()
            .map(|&edge| Edge {
                from: at(graph.edges[edge].from),
                to: at(graph.edges[edge].to),
                weight: graph.edges[edge].weight,
                relation: relations.edges()[edge],
            })
            .collect();
        Self {
            support: graph.support,
            hidden: (relations.order().len() - calls.len(), graph.edges.len() - edges.len()),
            heaviest: edges.iter().map(|edge| edge.weight).fold(1.0, f64::max),
            nodes: nodes.collect(),
            edges,
        }
    }

    /// An edge's width in pixels.
    pub(super) fn width(&self, edge: &Edge) -> f64 {
        1.0 + (WIDEST - 1.0) * (edge.weight / self.heaviest).sqrt()
    }
}

/// The calls that are drawn, in their order, and the places of the edges. From the entry on, the heaviest edge that
/// leads to another call is taken next, so that every call drawn has a drawn way to it.
fn choose(graph: &GraphData, order: &[InterfaceId], most: usize) -> (Vec<InterfaceId>, Vec<usize>) {
    if order.len() <= most && graph.edges.len() <= EDGES_PER_NODE.saturating_mul(most) {
        return (order.to_vec(), (0..graph.edges.len()).collect());
    }
    let mut heaviest: Vec<usize> = (0..graph.edges.len()).collect();
    heaviest.sort_by(|&a, &b| graph.edges[b].weight.total_cmp(&graph.edges[a].weight).then(a.cmp(&b)));
    let (mut calls, mut chosen) = (vec![graph.entry], Vec::new());
    while calls.len() < most {
        let next = heaviest
            .iter()
            .copied()
            .find(|&at| calls.contains(&graph.edges[at].from) && !calls.contains(&graph.edges[at].to));
        let Some(next) = next else { break };
        calls.push(graph.edges[next].to);
        chosen.push(next);
    }
    for at in heaviest {
        let edge = &graph.edges[at];
        if chosen.len() == EDGES_PER_NODE.saturating_mul(calls.len()) {
            break;
        }
        if calls.contains(&edge.from) && calls.contains(&edge.to) && !chosen.contains(&at) {
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    (order.iter().copied().filter(|call| calls.contains(call)).collect(), chosen)
}
