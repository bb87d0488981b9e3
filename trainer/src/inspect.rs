//! Showing what a model knows.

mod groups;
mod trees;

use std::fmt::Write as _;

use gait_common::detect::{GraphData, Relation, Relations};
use gait_common::interface::{InterfaceId, NEW_NAME};
use gait_common::model::{Meta, ModelData};
use serde::Serialize;

use crate::store::Contents;
use crate::trees::view::{View, views};

pub use trees::describe as describe_trees;

/// Interfaces and ways shown of each, at most.
const SHOWN: usize = 10;

/// A model in words. With `interface`, only the graphs that begin at an interface whose name contains it.
pub fn describe(model: &ModelData, interface: Option<&str>) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match interface {
        None => overview(model, &mut out).and_then(|()| graphs(model, None, &mut out)),
        Some(part) => graphs(model, Some(part), &mut out),
    };
    out
}

fn overview(model: &ModelData, out: &mut String) -> std::fmt::Result {
    let meta = &model.meta;
    writeln!(out, "trained by gait-trainer {} with seed {}", meta.trainer, meta.seed)?;
    writeln!(out, "from {} calls in {} sessions of {} callers", meta.calls, meta.sessions, meta.callers)?;
    for (name, value) in &meta.parameters {
        writeln!(out, "  {name} = {value}")?;
    }
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    writeln!(
        out,
        "operations end after {:.3} s, sessions after {:.0} s of silence",
        seconds(model.timing.operation_gap),
        seconds(model.timing.session_idle)
    )?;
    let calibration = &model.calibration;
    if calibration.threshold == f64::MAX {
        writeln!(out, "no session was learned from: none is ever anomalous")?;
        return model.trees.as_ref().map_or(Ok(()), |data| trees::overview(data, out));
    }
    writeln!(
        out,
        "a session is anomalous from a score of {:.2} on, for a false-alarm rate of {}",
        calibration.threshold, calibration.false_alarm_rate
    )?;
    writeln!(out, "markov model: {} n-grams, back-off {:?}", model.markov.grams.len(), model.markov.backoff)?;
    let mut calls: Vec<(u64, &str)> = model
        .markov
        .grams
        .iter()
        .filter(|gram| gram.parent == 0)
        .filter_map(|gram| Some((gram.count, model.interfaces.get(gram.symbol as usize)?.as_str())))
        .collect();
    calls.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    writeln!(out, "{} interfaces, the most called:", model.interfaces.len().saturating_sub(1))?;
    for (count, name) in calls.iter().take(2 * SHOWN) {
        writeln!(out, "{count:>10}  {name}")?;
    }
    groups::groups(model, out)?;
    model.trees.as_ref().map_or(Ok(()), |data| trees::overview(data, out))
}

/// The graphs that begin at an interface whose name contains `part`, all without; those most sessions begin in first.
pub fn graphs_of<'a>(model: &'a ModelData, part: Option<&str>) -> Vec<&'a GraphData> {
    let fits = |graph: &&GraphData| part.is_none_or(|part| name(model, graph.entry).contains(part));
    let mut graphs: Vec<_> = model.patterns.graphs.iter().filter(fits).collect();
    graphs.sort_by_key(|graph| (std::cmp::Reverse(graph.support), graph.entry));
    graphs
}

fn name(model: &ModelData, id: InterfaceId) -> &str {
    model.interfaces.get(id as usize).map_or(NEW_NAME, String::as_str)
}

fn graphs(model: &ModelData, part: Option<&str>, out: &mut String) -> std::fmt::Result {
    let graphs = graphs_of(model, part);
    write!(out, "{} pattern graphs", graphs.len())?;
    if !graphs.is_empty() {
        let share = model.patterns.cosine_share;
        write!(out, "; similarity is {share:.2} cosine of edges, the rest spelling")?;
    }
    writeln!(out)?;
    for graph in graphs.iter().take(if part.is_some() { usize::MAX } else { SHOWN }) {
        let from = 100.0 * model.similarity.of(graph.entry).0.least_similarity();
        let (entry, sessions) = (name(model, graph.entry), graph.support);
        writeln!(out, "\nfrom {entry} ({sessions} sessions)")?;
        if from >= 1.0 {
            writeln!(out, "            normal ones are at least {from:.0} % like the nearest way")?;
        } else {
            writeln!(out, "            normal ones may be unlike every way")?;
        }
        for path in graph.paths.iter().take(SHOWN) {
            let steps: Vec<_> = path.steps.iter().map(|&step| name(model, step)).collect();
            writeln!(out, "{:>10}  {}", path.support, steps.join(" > "))?;
        }
        relations(model, graph, if part.is_some() { usize::MAX } else { SHOWN }, out)?;
    }
    Ok(())
}

/// The edges of a graph by their relation, at most `most` of each, the heaviest first.
fn relations(model: &ModelData, graph: &GraphData, most: usize, out: &mut String) -> std::fmt::Result {
    let relations = Relations::new(graph);
    for relation in Relation::ALL {
        let mut edges: Vec<_> = graph
            .edges
            .iter()
            .zip(relations.edges())
            .filter_map(|(edge, found)| (*found == relation).then_some(edge))
            .collect();
        edges.sort_by(|a, b| b.weight.total_cmp(&a.weight).then((a.from, a.to).cmp(&(b.from, b.to))));
        for edge in edges.iter().take(most) {
            let (from, to) = (name(model, edge.from), name(model, edge.to));
            let weight = (edge.weight * 10.0).round() / 10.0;
            match relation {
                Relation::Loop if edge.from == edge.to => writeln!(out, "{weight:>10}  loop: {from} again")?,
                Relation::Loop => writeln!(out, "{weight:>10}  loop: {from} back to {to}")?,
                Relation::Serial | Relation::Choice | Relation::Parallel => {
                    writeln!(out, "{weight:>10}  {}: {from} > {to}", relation.name())?;
                }
            }
        }
        if edges.len() > most {
            writeln!(out, "            {}: {} more", relation.name(), edges.len() - most)?;
        }
    }
    Ok(())
}

/// A store in words; of its graphs `all`, or the largest.
pub fn describe_store(contents: &Contents, all: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = store(contents, all, &mut out);
    out
}

fn store(contents: &Contents, all: bool, out: &mut String) -> std::fmt::Result {
    let Contents { path, bytes, runs, sessions, texts, graphs } = contents;
    writeln!(out, "{}: {bytes} bytes, {sessions} sessions, {texts} texts", path.display())?;
    writeln!(out, "{} runs{}", runs.len(), if runs.len() > SHOWN { ", the last:" } else { "" })?;
    for (number, run) in runs.iter().enumerate().skip(runs.len().saturating_sub(SHOWN)) {
        let decay = run.half_life.map_or("no decay".to_owned(), |days| format!("half-life {days} days"));
        writeln!(
            out,
            "  run {}: read {} records, {} known; kept {} calls in {} sessions of {} callers, {} graphs; {decay}{}",
            number + 1,
            run.read,
            run.known,
            run.calls,
            run.sessions,
            run.callers,
            run.graphs,
            period(run.first_call, run.last_call)
        )?;
    }
    writeln!(out, "{} graphs", graphs.len())?;
    for graph in graphs.iter().take(if all { usize::MAX } else { SHOWN }) {
        writeln!(
            out,
            "{:>10}  {} ({} ways, {} calls, {} edges)",
            graph.sessions, graph.entry, graph.paths, graph.calls, graph.edges
        )?;
    }
    Ok(())
}

fn period(first: u64, last: u64) -> String {
    let time = |nanos: u64| jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok().filter(|_| nanos > 0);
    match (time(first), time(last)) {
        (Some(first), Some(last)) => format!("; {first:.0} to {last:.0}"),
        _ => String::new(),
    }
}

/// A model as `inspect --json` prints it: what it was made from, and its pattern graphs with names in place of numbers.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    meta: &'a Meta,
    interfaces: usize,
    operation_gap_ns: u64,
    session_idle_ns: u64,
    threshold: f64,
    false_alarm_rate: f64,
    cosine_share: f64,
    graphs: Vec<Graph<'a>>,
    trees: Vec<View>,
}

#[derive(Debug, Serialize)]
struct Graph<'a> {
    entry: &'a str,
    sessions: u64,
    /// The similarity that normal sessions have at least.
    least_similarity: f64,
    paths: Vec<Path<'a>>,
    edges: Vec<Edge<'a>>,
}

#[derive(Debug, Serialize)]
struct Path<'a> {
    steps: Vec<&'a str>,
    support: u64,
}

#[derive(Debug, Serialize)]
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    weight: f64,
    relation: Relation,
}

impl<'a> Summary<'a> {
    /// With `interface`, only the graphs that begin at an interface whose name contains it.
    pub fn new(model: &'a ModelData, interface: Option<&str>) -> Self {
        let graph = |graph: &'a GraphData| Graph {
            entry: name(model, graph.entry),
            sessions: graph.support,
            least_similarity: model.similarity.of(graph.entry).0.least_similarity(),
            paths: graph
                .paths
                .iter()
                .map(|path| Path {
                    steps: path.steps.iter().map(|&step| name(model, step)).collect(),
                    support: path.support,
                })
                .collect(),
            edges: graph
                .edges
                .iter()
                .zip(Relations::new(graph).edges())
                .map(|(edge, &relation)| Edge {
                    from: name(model, edge.from),
                    to: name(model, edge.to),
                    weight: edge.weight,
                    relation,
                })
                .collect(),
        };
        Self {
            meta: &model.meta,
            interfaces: model.interfaces.len().saturating_sub(1),
            operation_gap_ns: model.timing.operation_gap,
            session_idle_ns: model.timing.session_idle,
            threshold: model.calibration.threshold,
            false_alarm_rate: model.calibration.false_alarm_rate,
            cosine_share: model.patterns.cosine_share,
            graphs: graphs_of(model, interface).into_iter().map(graph).collect(),
            trees: model.trees.as_ref().map(|data| views(data, interface)).unwrap_or_default(),
        }
    }
}
