//! The frequent ways through the service.

use gait_common::detect::{GraphData, PathData};
use maud::{Markup, PreEscaped, html};

use super::chart::{count, percent, shown};
use super::{Section, View};

/// Ways listed at once, and at all.
const FIRST: usize = 12;
const MOST: usize = 60;
/// Graphs drawn at once, and at all.
const OPEN: usize = 3;
const DRAWN: usize = 10;

pub(super) fn section(view: &View<'_>) -> Section {
    let graphs = &view.trained.model.patterns.graphs;
    // One call alone is no way.
    let mut ways: Vec<_> = graphs
        .iter()
        .flat_map(|graph| {
            graph.paths.iter().filter(|path| path.steps.len() > 1).map(move |path| (graph, path))
        })
        .collect();
    // Long and frequent ways say most.
    let weight = |path: &PathData| path.support * path.steps.len() as u64;
    ways.sort_by(|(_, a), (_, b)| weight(b).cmp(&weight(a)).then_with(|| a.steps.cmp(&b.steps)));
    let name = |interface| shown(view.model.interfaces.name(interface));
    let table = |from: usize, to: usize| {
        html! {
            div class="scroll" {
                table {
                    thead { tr { th { "Way" } th class="num" { "Sessions" } th class="num" { "Of those that begin so" } } }
                    tbody {
                        @for (graph, path) in ways.iter().take(to).skip(from) {
                            tr {
                                td {
                                    @for (at, step) in path.steps.iter().enumerate() {
                                        @if at > 0 { " → " } code { (name(*step)) }
                                    }
                                }
                                td class="num" { (count(path.support)) }
                                td class="num" { (percent(path.support as f64 / graph.support.max(1) as f64)) }
                            }
                        }
                    }
                }
            }
        }
    };
    let body = html! {
        p {
            "Closed sequential patterns: ways that many sessions take in this order, other calls between the steps "
            "allowed, and that no longer way of the same frequency contains. A session far from all of them is unusual: "
            "how far differs from entry to entry, and is learned for each. Similarity is "
            (percent(view.trained.model.patterns.cosine_share)) " the edges\' and the rest the spelling\'s, which sets "
            "sessions that nobody made apart best. "
            (count(graphs.len() as u64)) " entry interfaces have " (count(ways.len() as u64)) " ways of two steps or more."
        }
        @if ways.is_empty() {
            p { strong { "No way is frequent enough." } " Sessions are too short or too different for patterns to say much." }
        } @else {
            (table(0, FIRST))
            @if ways.len() > FIRST {
                details { summary { "More ways" } (table(FIRST, MOST)) }
            }
        }
        (pictures(view))
    };
    Section { id: "patterns", title: "Patterns", body }
}

/// The graphs of the entries where most sessions begin.
fn pictures(view: &View<'_>) -> Markup {
    let mut graphs: Vec<_> =
        view.trained.model.patterns.graphs.iter().filter(|graph| !graph.edges.is_empty()).collect();
    graphs.sort_by_key(|graph| (std::cmp::Reverse(graph.support), graph.entry));
    let names: Vec<String> = view.trained.model.interfaces.iter().map(|name| shown(name)).collect();
    let picture = |graph: &GraphData| {
        let least = view.trained.model.similarity.of(graph.entry).0.least_similarity();
        html! {
            figure class="graph" {
                figcaption {
                    "Sessions that begin with " code { (shown(view.model.interfaces.name(graph.entry))) } ": "
                    (count(graph.support))
                    @if least >= 0.01 {
                        ". Normal ones are at least " (percent(least)) " like the nearest way."
                    } @else {
                        ". Normal ones may be unlike every way."
                    }
                }
                // The picture escapes the names itself.
                (PreEscaped(crate::draw::svg(graph, &names)))
            }
        }
    };
    html! {
        @if !graphs.is_empty() {
            h3 { "Graphs of the most used entries" }
            @for graph in graphs.iter().take(OPEN) { (picture(graph)) }
            @if graphs.len() > OPEN {
                details {
                    summary { "The next " (graphs.len().min(DRAWN) - OPEN) }
                    @for graph in graphs.iter().take(DRAWN).skip(OPEN) { (picture(graph)) }
                }
            }
        }
    }
}
