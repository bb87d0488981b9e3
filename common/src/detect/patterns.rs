//! Pattern graphs: the frequent ways through the system, per entry interface, and how near a session comes to them.
//!
//! A graph holds paths (frequent sequential patterns) and weighted edges (how often one call followed another). A
//! session, its loops collapsed, is compared with the graph of its entry interface, or else with the graphs that share
//! most interfaces with it. Similarity mixes the normalised Damerau-Levenshtein similarity to the nearest path
//! (optimal string alignment; Damerau, 1964) with the cosine between the session's and the graph's edge weights.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::interface::InterfaceId;

/// Longest path, and longest part of a session that is compared with one, in steps.
pub const MAX_PATH: usize = 64;
/// Graphs compared when no graph begins as the session does.
const CANDIDATES: usize = 3;

/// One frequent way, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathData {
    /// The interfaces in order; no step equals its neighbour.
    pub steps: Vec<InterfaceId>,
    /// Sessions that contain it.
    pub support: u64,
}

/// One edge of a graph, as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeData {
    /// The call before.
    pub from: InterfaceId,
    /// The call after.
    pub to: InterfaceId,
    /// How often the one followed the other.
    pub weight: f64,
}

/// The ways that begin at one interface, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphData {
    /// The interface at which the sessions begin.
    pub entry: InterfaceId,
    /// Sessions that began there.
    pub support: u64,
    /// The frequent ways, best supported first.
    pub paths: Vec<PathData>,
    /// The edges, sorted by their ends. An edge from a call to itself says how often it was repeated; similarity, which
    /// reads a loop of any length as one, passes over it.
    pub edges: Vec<EdgeData>,
}

/// All graphs, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PatternsData {
    /// Share of the cosine in the similarity, 0 to 1; learned.
    pub cosine_share: f64,
    /// The graphs, sorted by entry.
    pub graphs: Vec<GraphData>,
}

/// All graphs, ready for use.
#[derive(Debug, Default)]
pub struct Patterns {
    cosine_share: f64,
    graphs: Vec<GraphData>,
    norms: Vec<f64>,
    /// The graphs each interface occurs in.
    of_interface: FxHashMap<InterfaceId, Vec<u32>>,
}

/// The way that comes nearest to a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Place of the graph.
    pub graph: usize,
    /// Place of the path in its graph.
    pub path: usize,
    /// Similarity, 0 to 1: the two below, mixed.
    pub similarity: f64,
    /// Likeness in spelling: 1 less the edit distance over the longer one's length.
    pub spelling: f64,
    /// Cosine of the edges' weights.
    pub cosine: f64,
}

impl Patterns {
    /// Checks stored data and indexes it.
    ///
    /// # Errors
    /// What is wrong with the data.
    pub fn new(data: PatternsData, interfaces: u32) -> Result<Self, &'static str> {
        if !(0.0..=1.0).contains(&data.cosine_share) {
            return Err("the cosine's share is not between 0 and 1");
        }
        if !data.graphs.is_sorted_by(|a, b| a.entry < b.entry) {
            return Err("the pattern graphs are not sorted by entry");
        }
        let mut of_interface: FxHashMap<InterfaceId, Vec<u32>> = FxHashMap::default();
        for (place, graph) in (0..).zip(&data.graphs) {
            let steps = graph.paths.iter().flat_map(|path| path.steps.iter().copied());
            let ends = graph.edges.iter().flat_map(|edge| [edge.from, edge.to]);
            let mut nodes: Vec<_> = steps.chain(ends).chain([graph.entry]).collect();
            nodes.sort_unstable();
            nodes.dedup();
            if nodes.last().is_some_and(|&last| last >= interfaces) {
                return Err("a pattern graph names an interface that does not exist");
            }
            nodes.into_iter().for_each(|node| of_interface.entry(node).or_default().push(place));
            if graph.paths.iter().any(|path| path.steps.is_empty() || path.steps.len() > MAX_PATH) {
                return Err("a path of a pattern graph is empty or too long");
            }
            if graph.edges.iter().any(|edge| !edge.weight.is_finite() || edge.weight <= 0.0) {
                return Err("an edge's weight is not a positive number");
            }
            if !graph.edges.is_sorted_by(|a, b| (a.from, a.to) < (b.from, b.to)) {
                return Err("the edges of a pattern graph are not sorted");
            }
        }
        let norm = |graph: &GraphData| {
            let between = graph.edges.iter().filter(|edge| edge.from != edge.to);
            between.map(|edge| edge.weight * edge.weight).sum::<f64>().sqrt()
        };
        let norms = data.graphs.iter().map(norm).collect();
        Ok(Self { cosine_share: data.cosine_share, graphs: data.graphs, norms, of_interface })
    }

    /// The graphs, sorted by entry.
    pub fn graphs(&self) -> &[GraphData] {
        &self.graphs
    }

    /// The way nearest to a collapsed session; `None` when there are no paths to compare with.
    pub fn nearest(&self, session: &[InterfaceId]) -> Option<Nearest> {
        let session = &session[..session.len().min(MAX_PATH)];
        let (&entry, mut best) = (session.first()?, None::<Nearest>);
        let masks = Masks::new(session);
        let mut compare = |graph: usize| {
            let cosine = self.cosine(graph, session);
            let mix = |spelled: f64| (1.0 - self.cosine_share) * spelled + self.cosine_share * cosine;
            for (path, data) in self.graphs[graph].paths.iter().enumerate() {
                let (shortest, longest) =
                    (session.len().min(data.steps.len()), session.len().max(data.steps.len()));
                // Even if all the shorter one's steps match, the rest of the longer one does not.
                if best.is_some_and(|best| mix(shortest as f64 / longest as f64) <= best.similarity) {
                    continue;
                }
                let spelling = masks.similarity(&data.steps);
                let similarity = mix(spelling);
                if best.is_none_or(|best| similarity > best.similarity) {
                    best = Some(Nearest { graph, path, similarity, spelling, cosine });
                }
            }
        };
        match self.graphs.binary_search_by_key(&entry, |graph| graph.entry) {
            Ok(graph) => compare(graph),
            Err(_) => self.candidates(session).into_iter().for_each(compare),
        }
        best
    }

    fn candidates(&self, session: &[InterfaceId]) -> Vec<usize> {
        let mut nodes = session.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        let mut shared: FxHashMap<u32, u32> = FxHashMap::default();
        for graph in nodes.iter().filter_map(|node| self.of_interface.get(node)).flatten() {
            *shared.entry(*graph).or_default() += 1;
        }
        let mut ranked: Vec<_> = shared.into_iter().collect();
        ranked.sort_unstable_by_key(|&(graph, shared)| (std::cmp::Reverse(shared), graph));
        ranked.into_iter().take(CANDIDATES).map(|(graph, _)| graph as usize).collect()
    }

    fn cosine(&self, graph: usize, session: &[InterfaceId]) -> f64 {
        let mut room = [(0, 0); MAX_PATH];
        let pairs = &mut room[..session.len().saturating_sub(1)];
        for (pair, steps) in pairs.iter_mut().zip(session.windows(2)) {
            *pair = (steps[0], steps[1]);
        }
        pairs.sort_unstable();
        let (mut dot, mut square) = (0.0, 0.0);
        for group in pairs.chunk_by(|a, b| a == b) {
            let edges = &self.graphs[graph].edges;
            let weight = edges
                .binary_search_by_key(&group[0], |edge| (edge.from, edge.to))
                .map_or(0.0, |place| edges[place].weight);
            let count = group.len() as f64;
            dot += count * weight;
            square += count * count;
        }
        let norm = square.sqrt() * self.norms[graph];
        if norm > 0.0 { (dot / norm).min(1.0) } else { f64::from(u8::from(session.len() < 2)) }
    }
}

/// How alike a collapsed session and each path are in spelling: 1 less the Damerau-Levenshtein distance over the longer
/// one's length.
pub fn spelling(session: &[InterfaceId], paths: &[PathData]) -> Vec<f64> {
    let session = &session[..session.len().min(MAX_PATH)];
    if session.is_empty() {
        return vec![0.0; paths.len()];
    }
    let masks = Masks::new(session);
    paths.iter().map(|path| masks.similarity(&path.steps)).collect()
}

/// Drops every step that repeats the one before it: a loop of any length reads as one.
pub fn collapse(steps: impl IntoIterator<Item = InterfaceId>) -> Vec<InterfaceId> {
    let mut out: Vec<InterfaceId> = steps.into_iter().collect();
    out.dedup();
    out
}

/// The beginning of a session without repetitions, cut to [`MAX_PATH`] steps; `room` holds it.
pub(super) fn collapse_into(
    steps: impl Iterator<Item = InterfaceId>,
    room: &mut [InterfaceId; MAX_PATH],
) -> &[InterfaceId] {
    let mut len = 0;
    for step in steps {
        if len > 0 && room[len - 1] == step {
            continue;
        }
        if len == MAX_PATH {
            break;
        }
        room[len] = step;
        len += 1;
    }
    &room[..len]
}

/// A session prepared for comparison with many paths: where each of its interfaces stands, one bit per step.
///
/// The distance is found a whole column of the dynamic programme at a time, as bits of one word (Hyyro, 2003, for the
/// optimal string alignment distance).
struct Masks {
    of: [(InterfaceId, u64); MAX_PATH],
    len: usize,
    steps: usize,
}

impl Masks {
    /// For a session of 1 to [`MAX_PATH`] steps.
    fn new(session: &[InterfaceId]) -> Self {
        let mut masks = Self { of: [(0, 0); MAX_PATH], len: 0, steps: session.len() };
        for (place, &step) in session.iter().enumerate() {
            let known = masks.of[..masks.len].iter_mut().find(|(interface, _)| *interface == step);
            match known {
                Some((_, mask)) => *mask |= 1 << place,
                None => {
                    masks.of[masks.len] = (step, 1 << place);
                    masks.len += 1;
                }
            }
        }
        masks
    }

    fn of(&self, step: InterfaceId) -> u64 {
        let known = self.of[..self.len].iter().find(|(interface, _)| *interface == step);
        known.map_or(0, |(_, mask)| *mask)
    }

    /// 1 less the distance over the longer one's length.
    fn similarity(&self, path: &[InterfaceId]) -> f64 {
        1.0 - f64::from(self.distance(path)) / self.steps.max(path.len()) as f64
    }

    /// Damerau-Levenshtein distance (optimal string alignment) between the session and a path.
    fn distance(&self, path: &[InterfaceId]) -> u32 {
        let last = 1u64 << (self.steps - 1);
        let (mut up, mut down, mut same, mut before) = (u64::MAX, 0u64, 0u64, 0u64);
        let mut cost = self.steps as u32;
        for &step in path {
            let here = self.of(step);
            let swapped = ((!same & here) << 1) & before;
            same = ((here & up).wrapping_add(up) ^ up) | here | down | swapped;
            let right = down | !(same | up);
            let left = up & same;
            cost = cost + u32::from(right & last != 0) - u32::from(left & last != 0);
            let right = right << 1 | 1;
            up = left << 1 | !(same | right);
            down = right & same;
            before = here;
        }
        cost
    }
}

/// One step of the way from a pattern's path to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Both have it.
    Keep(InterfaceId),
    /// Only the session has it.
    Added(InterfaceId),
    /// Only the path has it.
    Missing(InterfaceId),
    /// The session has the second where the path has the first.
    Replaced(InterfaceId, InterfaceId),
    /// The session has these two in this order, the path in the other.
    Swapped(InterfaceId, InterfaceId),
}

/// The edits that turn `path` into `session`, fewest possible. Both are cut to [`MAX_PATH`] steps.
pub fn align(session: &[InterfaceId], path: &[InterfaceId]) -> Vec<Edit> {
    let a = &session[..session.len().min(MAX_PATH)];
    let b = &path[..path.len().min(MAX_PATH)];
    let width = b.len() + 1;
    let mut cost = vec![0u32; (a.len() + 1) * width];
    let swap = |i: usize, j: usize| i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            let at = |i: usize, j: usize| cost[i * width + j];
            cost[i * width + j] = match (i, j) {
                (0, _) => j as u32,
                (_, 0) => i as u32,
                _ => {
                    let same = u32::from(a[i - 1] != b[j - 1]);
                    let best = (at(i - 1, j - 1) + same).min(at(i - 1, j) + 1).min(at(i, j - 1) + 1);
                    if swap(i, j) { best.min(at(i - 2, j - 2) + 1) } else { best }
                }
            };
        }
    }
    let (mut i, mut j, mut edits) = (a.len(), b.len(), Vec::new());
    while i > 0 || j > 0 {
        let here = cost[i * width + j];
        let from = |di: usize, dj: usize, by: u32| {
            i >= di && j >= dj && cost[(i - di) * width + j - dj] + by == here
        };
        if i > 0 && j > 0 && a[i - 1] == b[j - 1] && from(1, 1, 0) {
            edits.push(Edit::Keep(a[i - 1]));
            (i, j) = (i - 1, j - 1);
        } else if swap(i, j) && from(2, 2, 1) {
            edits.push(Edit::Swapped(a[i - 2], a[i - 1]));
            (i, j) = (i - 2, j - 2);
        } else if i > 0 && j > 0 && from(1, 1, 1) {
            edits.push(Edit::Replaced(b[j - 1], a[i - 1]));
            (i, j) = (i - 1, j - 1);
        } else if from(1, 0, 1) {
            edits.push(Edit::Added(a[i - 1]));
            i -= 1;
        } else {
            edits.push(Edit::Missing(b[j - 1]));
            j -= 1;
        }
    }
    edits.reverse();
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(steps: &[u32], support: u64) -> PathData {
        PathData { steps: steps.to_vec(), support }
    }

    fn edge(from: u32, to: u32, weight: f64) -> EdgeData {
        EdgeData { from, to, weight }
    }

    fn patterns() -> Patterns {
        let graph = GraphData {
            entry: 1,
            support: 10,
            paths: vec![path(&[1, 2, 3, 4], 8), path(&[1, 5], 2)],
            edges: vec![edge(1, 2, 8.0), edge(1, 5, 2.0), edge(2, 3, 8.0), edge(3, 4, 8.0)],
        };
        Patterns::new(PatternsData { cosine_share: 0.5, graphs: vec![graph] }, 10).expect("sound")
    }

    #[test]
    fn the_walked_path_is_nearest_and_others_are_farther() {
        let patterns = patterns();
        let similarity = |session: &[u32]| patterns.nearest(session).expect("a path").similarity;
        assert_eq!(patterns.nearest(&[1, 5]).map(|nearest| nearest.path), Some(1));
        let (whole, swapped, strange) =
            (similarity(&[1, 2, 3, 4]), similarity(&[1, 3, 2, 4]), similarity(&[9, 8, 7, 1]));
        assert!(whole > 0.9 && whole > swapped && swapped > strange, "{whole} {swapped} {strange}");
    }

    #[test]
    fn how_often_calls_repeat_changes_no_similarity() {
        let graph = |edges| GraphData { entry: 1, support: 10, edges, paths: vec![path(&[1, 2, 3], 8)] };
        let similarity = |edges| {
            let data = PatternsData { cosine_share: 0.5, graphs: vec![graph(edges)] };
            let patterns = Patterns::new(data, 10).expect("sound");
            patterns.nearest(&[1, 2, 4]).expect("a path").similarity
        };
        let plain = vec![edge(1, 2, 8.0), edge(2, 3, 8.0)];
        let looped = vec![edge(1, 1, 70.0), edge(1, 2, 8.0), edge(2, 2, 9.0), edge(2, 3, 8.0)];
        assert_eq!(similarity(plain), similarity(looped));
    }

    #[test]
    fn edits_name_what_differs() {
        use Edit::{Added, Keep, Missing, Replaced, Swapped};
        assert_eq!(align(&[1, 3, 4], &[1, 2, 3, 4]), [Keep(1), Missing(2), Keep(3), Keep(4)]);
        assert_eq!(align(&[1, 3, 2, 4], &[1, 2, 3, 4]), [Keep(1), Swapped(3, 2), Keep(4)]);
        assert_eq!(align(&[1, 9, 2], &[1, 2]), [Keep(1), Added(9), Keep(2)]);
        assert_eq!(align(&[1, 9], &[1, 2]), [Keep(1), Replaced(2, 9)]);
    }

    proptest! {
        #[test]
        fn the_edits_cost_the_distance(a in prop::collection::vec(0u32..5, 1..=MAX_PATH), b in prop::collection::vec(0u32..5, 0..=MAX_PATH)) {
            let edits = align(&a, &b).into_iter().filter(|edit| !matches!(edit, Edit::Keep(_))).count();
            prop_assert_eq!(edits as u32, Masks::new(&a).distance(&b));
        }
    }
}
