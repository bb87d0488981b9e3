//! Pattern graphs as a store keeps them: with texts in place of a model's numbers, and found by what they share.

use std::collections::BTreeMap;

use gait_common::detect::{EdgeData, GraphData, PathData};
use gait_common::interface::NEW_NAME;
use gait_common::model::ModelData;
use serde::{Deserialize, Serialize};

use super::texts::{TextId, Texts};

/// A graph, its interfaces as text numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Graph {
    pub(super) support: u64,
    /// Steps and support of each way.
    pub(super) paths: Vec<(Vec<TextId>, u64)>,
    /// Ends and weight of each edge.
    pub(super) edges: Vec<(TextId, TextId, f64)>,
}

impl Graph {
    /// Every interface of the graph that begins at `entry`, sorted.
    pub(super) fn nodes(&self, entry: TextId) -> Vec<TextId> {
        let ends = self.edges.iter().flat_map(|&(from, to, _)| [from, to]);
        let steps = self.paths.iter().flat_map(|(steps, _)| steps.iter().copied());
        let mut nodes: Vec<TextId> = ends.chain(steps).chain([entry]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}

/// A graph of a store, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredGraph {
    /// Name of the interface at which it begins.
    pub entry: String,
    /// Sessions that began there.
    pub sessions: u64,
    /// Its ways.
    pub paths: usize,
    /// Its calls and edges.
    pub calls: usize,
    /// See `calls`.
    pub edges: usize,
}

/// The graphs of a model by the text of their entry.
pub(super) fn named(texts: &mut Texts, model: &ModelData) -> BTreeMap<TextId, Graph> {
    let names: Vec<&str> = model.interfaces.iter().map(String::as_str).collect();
    let mut id = |interface: u32| texts.intern(names.get(interface as usize).copied().unwrap_or(NEW_NAME));
    let mut of = |graph: &GraphData| {
        let paths = graph.paths.iter().map(|PathData { steps, support }| {
            (steps.iter().map(|&step| id(step)).collect::<Vec<_>>(), *support)
        });
        let paths = paths.collect();
        let edges = graph.edges.iter().map(|&EdgeData { from, to, weight }| (id(from), id(to), weight));
        let edges = edges.collect();
        (id(graph.entry), Graph { support: graph.support, paths, edges })
    };
    model.patterns.graphs.iter().map(&mut of).collect()
}
