//! Pattern graphs from sessions: per entry interface the frequent ways (closed patterns) and the weighted edges.

use std::collections::BTreeMap;

use anyhow::Result;
use gait_common::detect::{EdgeData, GraphData, MAX_PATH, PathData, PatternsData, collapse, spelling};
use gait_common::interface::InterfaceId;

use crate::mine::{self, Database, Keep, Params, Support};

/// What a graph is made of.
#[derive(Clone, Copy, Debug)]
pub struct PatternParams {
    /// Least support of a pattern, as a share of the sessions of its entry.
    pub min_support: f64,
    /// Most patterns per graph, best first.
    pub paths: usize,
    /// Share of the cosine in the similarity.
    pub cosine_share: f64,
}

impl Default for PatternParams {
    fn default() -> Self {
        Self { min_support: 0.05, paths: 32, cosine_share: 0.5 }
    }
}

/// Sessions of one entry that are mined; of more, evenly spread ones are taken.
const MAX_MINED: usize = 2048;
/// Most items of a mined pattern.
const MAX_LENGTH: usize = 16;
/// Most patterns mined at once per entry, before the best are chosen.
const MAX_PATTERNS: usize = 4096;
/// Ways that are chosen from, at most: those of most weight.
const MAX_CHOICE: usize = 512;
/// Sessions that ways are chosen by, at most.
const MAX_COMPARED: usize = 512;
/// So many times more patterns than are kept are plenty to choose from.
const PLENTY: usize = 4;

/// By entry, the support down to which patterns were mined, as a share of its sessions.
pub type Levels = BTreeMap<InterfaceId, f64>;

/// The pattern graphs of sessions, and how far down was mined. With the levels of other graphs these are made like those:
/// from much the same sessions come much the same ways, where a search of its own may stop at another level.
///
/// # Errors
/// When the parameters make no sense.
pub fn build<S>(
    sessions: impl Iterator<Item = S>,
    params: &PatternParams,
    like: Option<&Levels>,
) -> Result<(PatternsData, Levels)>
where
    S: Iterator<Item = InterfaceId>,
{
    let mut by_entry: BTreeMap<InterfaceId, Begun> = BTreeMap::new();
    for session in sessions {
        let steps: Vec<InterfaceId> = session.collect();
        let mut ways = collapse(steps.iter().copied());
        ways.truncate(MAX_PATH);
        if let Some(&entry) = ways.first() {
            let begun = by_entry.entry(entry).or_default();
            let again = steps.windows(2).filter(|pair| pair[0] == pair[1] && ways.contains(&pair[0]));
            again.for_each(|pair| *begun.edges.entry((pair[0], pair[0])).or_default() += 1.0);
            for pair in ways.windows(2) {
                *begun.edges.entry((pair[0], pair[1])).or_default() += 1.0;
            }
            begun.sessions.push(ways);
        }
    }
    let (mut graphs, mut levels) = (Vec::with_capacity(by_entry.len()), Levels::new());
    for (entry, begun) in by_entry {
        let (graph, level) =
            graph(entry, begun, params, like.and_then(|levels| levels.get(&entry)).copied())?;
        graphs.push(graph);
        levels.insert(entry, level);
    }
    Ok((PatternsData { cosine_share: params.cosine_share, graphs }, levels))
}

/// What began at one interface.
#[derive(Default)]
struct Begun {
    /// The sessions, their loops collapsed.
    sessions: Vec<Vec<InterfaceId>>,
    /// How often one call followed another, or itself.
    edges: BTreeMap<(InterfaceId, InterfaceId), f64>,
}

fn graph(
    entry: InterfaceId,
    begun: Begun,
    params: &PatternParams,
    level: Option<f64>,
) -> Result<(GraphData, f64)> {
    let Begun { sessions, edges } = begun;
    let stride = sessions.len().div_ceil(MAX_MINED);
    let mut database = Database::new();
    sessions.iter().step_by(stride).for_each(|session| database.push(session.iter().copied()));
    let least = |share: f64| (share * database.len() as f64).ceil().max(2.0) as u32;
    // From frequent to rare, until there are plenty to choose from: where sessions vary much, the rare patterns are
    // too many to mine and none of them would be chosen.
    let mut share = level.unwrap_or_else(|| params.min_support.max(0.4));
    let mined = loop {
        let mined = mine::mine(
            &database,
            &Params {
                keep: Keep::Closed,
                first: Some(entry),
                max_length: Some(MAX_LENGTH),
                max_patterns: MAX_PATTERNS,
                ..Params::new(Support::Sequences(least(share)))
            },
        )?;
        let rarest = least(share) == least(params.min_support);
        if rarest || level.is_some() || !mined.complete || mined.patterns.len() >= PLENTY * params.paths {
            break mined;
        }
        share = (share / 2.0).max(params.min_support);
    };
    let mut support: BTreeMap<Vec<InterfaceId>, u64> = BTreeMap::new();
    for pattern in mined.patterns.iter() {
        let steps = collapse(pattern.items().iter().copied());
        let seen = support.entry(steps).or_default();
        *seen = (*seen).max(u64::from(pattern.support()));
    }
    // Whole sessions that are frequent as they stand.
    let mut whole: BTreeMap<&[InterfaceId], u64> = BTreeMap::new();
    sessions.iter().for_each(|session| *whole.entry(session).or_default() += 1);
    for (&steps, &count) in &whole {
        if count >= u64::from(least(params.min_support)) {
            let seen = support.entry(steps.to_vec()).or_default();
            *seen = (*seen).max(count);
        }
    }
    let mut paths: Vec<PathData> =
        support.into_iter().map(|(steps, support)| PathData { steps, support }).collect();
    // Long and frequent ways say most; ties go by their steps, so that the result is one.
    paths.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.steps.cmp(&b.steps)));
    let paths = cover(paths, &sessions, params.paths);
    let edges = edges.into_iter().map(|((from, to), weight)| EdgeData { from, to, weight }).collect();
    Ok((GraphData { entry, support: sessions.len() as u64, paths, edges }, share))
}

/// Of ways in their order, at most `most` that sessions are nearest to: one after the other the one that brings the sessions
/// nearest on the whole. By weight alone the ways of one kind of caller would take all places.
fn cover(mut ways: Vec<PathData>, sessions: &[Vec<InterfaceId>], most: usize) -> Vec<PathData> {
    if ways.len() <= most {
        return ways;
    }
    ways.truncate(MAX_CHOICE);
    let stride = sessions.len().div_ceil(MAX_COMPARED).max(1);
    let alike: Vec<Vec<f64>> =
        sessions.iter().step_by(stride).map(|session| spelling(session, &ways)).collect();
    let mut nearest = vec![0.0; alike.len()];
    let mut chosen = vec![false; ways.len()];
    for _ in 0..most {
        let gain = |way: usize| -> f64 {
            alike.iter().zip(&nearest).map(|(alike, &nearest)| (alike[way] - nearest).max(0.0)).sum()
        };
        let left = (0..ways.len()).filter(|&way| !chosen[way]);
        let best = left.map(|way| (way, gain(way))).reduce(|a, b| if b.1 > a.1 { b } else { a });
        let Some((way, _)) = best else { break };
        chosen[way] = true;
        alike.iter().zip(&mut nearest).for_each(|(alike, nearest)| *nearest = nearest.max(alike[way]));
    }
    let mut place = 0;
    ways.retain(|_| {
        place += 1;
        chosen[place - 1]
    });
    ways
}

fn weight(path: &PathData) -> u64 {
    path.support * path.steps.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_has_its_frequent_ways_and_edges() {
        let mut sessions = vec![vec![1, 2, 2, 2, 3]; 10];
        sessions.extend(vec![vec![1, 3]; 5]);
        sessions.push(vec![7, 8]);
        let (data, _) = build(sessions.into_iter().map(Vec::into_iter), &PatternParams::default(), None)
            .expect("patterns");
        let entries: Vec<_> = data.graphs.iter().map(|graph| (graph.entry, graph.support)).collect();
        assert_eq!(entries, [(1, 15), (7, 1)]);
        assert_eq!(data.graphs[1].paths, [], "one session is no pattern");
        assert_eq!(data.graphs[0].paths[0], PathData { steps: vec![1, 2, 3], support: 10 });
        assert!(data.graphs[0].paths.contains(&PathData { steps: vec![1, 3], support: 15 }));
        let edges: Vec<_> =
            data.graphs[0].edges.iter().map(|edge| (edge.from, edge.to, edge.weight)).collect();
        assert_eq!(edges, [(1, 2, 10.0), (1, 3, 5.0), (2, 2, 20.0), (2, 3, 10.0)]);
    }
}
