//! What is drawn of a graph: all of a small one, of a large one the ways walked most.

use std::collections::BTreeMap;

use gait_common::detect::{GraphData, Relation, Relations};
use gait_common::interface::{InterfaceId, NEW_NAME};

/// Most calls in a picture; more could not be read.
const MAX_NODES: usize = 24;
/// Most edges in a picture, for each of its calls.
const EDGES_PER_NODE: usize = 2;
/// So many edges are readable however few calls there are.
const FREE: usize = 32;
/// Edges with less than this share of the heaviest one's weight are not drawn.
const ACCIDENT: f64 = 0.02;
/// Where the heaviest edge has at least this weight, what was seen once is not drawn either.
const FEW: f64 = 10.0;
/// Width of the heaviest edge, in pixels.
const WIDEST: f64 = 5.5;

/// A call in a picture.
pub(super) struct Node {
    pub(super) name: String,
    /// How often it was reached.
    pub(super) reached: f64,
}

/// An edge in a picture, its ends as places among the nodes. The two orders of a parallel pair are one edge.
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) weight: f64,
    /// How often the other order was seen, where the two are one edge.
    pub(super) back: Option<f64>,
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
        let place: BTreeMap<InterfaceId, usize> = relations.order().iter().copied().zip(0..).collect();
        reached[0] = graph.support as f64;
        for edge in graph.edges.iter().filter(|edge| edge.from != edge.to) {
            reached[place[&edge.to]] += edge.weight;
        }
        let (calls, chosen) = choose(graph, relations.order(), most);
        // The weight of a drawn parallel edge.
        let weight = |from: InterfaceId, to: InterfaceId| {
            let at = graph.edges.binary_search_by_key(&(from, to), |edge| (edge.from, edge.to)).ok()?;
            let drawn = chosen.binary_search(&at).is_ok() && relations.edges()[at] == Relation::Parallel;
            drawn.then_some(graph.edges[at].weight)
        };
        let nodes = calls.iter().map(|call| Node {
            name: names.get(*call as usize).map_or(NEW_NAME, String::as_str).to_owned(),
            reached: reached[place[call]],
        });
        let drawn: BTreeMap<InterfaceId, usize> = calls.iter().copied().zip(0..).collect();
        let at = |call| drawn.get(&call).copied().unwrap_or_default();
        let edges: Vec<Edge> = chosen
            .iter()
            .filter_map(|&edge| {
                let (relation, edge) = (relations.edges()[edge], &graph.edges[edge]);
                let back = weight(edge.to, edge.from).filter(|_| relation == Relation::Parallel);
                let (from, to) = (at(edge.from), at(edge.to));
                // Of a pair the one that leads from the earlier call stands for both.
                (back.is_none() || from < to).then_some(Edge {
                    from,
                    to,
                    weight: edge.weight,
                    back,
                    relation,
                })
            })
            .collect();
        Self {
            support: graph.support,
            hidden: (relations.order().len() - calls.len(), graph.edges.len() - chosen.len()),
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

/// How often an edge was walked, as it is read: whole from ten on; of a pair both orders.
pub(super) fn number(edge: &Edge) -> String {
    let round = |weight: f64| match weight >= 10.0 || weight.fract() == 0.0 {
        true => format!("{weight:.0}"),
        false => format!("{weight:.1}"),
    };
    let back = edge.back.map(|back| format!(":{}", round(back)));
    format!("{}{}", round(edge.weight), back.unwrap_or_default())
}

/// The calls that are drawn, in their order, and the places of the edges, sorted. From the entry on, the heaviest edge that
/// leads to another call is taken next, so that every call drawn has a drawn way to it.
fn choose(graph: &GraphData, order: &[InterfaceId], most: usize) -> (Vec<InterfaceId>, Vec<usize>) {
    if most == usize::MAX {
        return (order.to_vec(), (0..graph.edges.len()).collect());
    }
    let between = graph.edges.iter().filter(|edge| edge.from != edge.to);
    let most_walked = between.map(|edge| edge.weight).fold(0.0, f64::max);
    let least = (ACCIDENT * most_walked).max(if most_walked < FEW { 0.0 } else { 1.5 });
    let mut heaviest: Vec<usize> =
        (0..graph.edges.len()).filter(|&at| graph.edges[at].weight >= least).collect();
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
    let most = EDGES_PER_NODE.saturating_mul(calls.len()).max(FREE);
    for at in heaviest {
        let edge = &graph.edges[at];
        if chosen.len() == most {
            break;
        }
        if calls.contains(&edge.from) && calls.contains(&edge.to) && !chosen.contains(&at) {
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    (order.iter().copied().filter(|call| calls.contains(call)).collect(), chosen)
}
