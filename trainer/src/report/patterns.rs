//! The frequent ways through the service.

use maud::html;

use super::chart::{count, percent, shown};
use super::{Section, View};

/// Ways listed at once, and at all.
const FIRST: usize = 12;
const MOST: usize = 60;

pub(super) fn section(view: &View<'_>) -> Section {
    let graphs = &view.trained.model.patterns.graphs;
    // One call alone is no way.
    let mut ways: Vec<_> = graphs
        .iter()
        .flat_map(|graph| graph.paths.iter().filter(|path| path.steps.len() > 1).map(move |path| (graph, path)))
        .collect();
    ways.sort_by(|(_, a), (_, b)| (b.support, b.steps.len()).cmp(&(a.support, a.steps.len())).then_with(|| a.steps.cmp(&b.steps)));
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
            "allowed, and that no longer way of the same frequency contains. A session far from all of them is unusual. "
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
    };
    Section { id: "patterns", title: "Patterns", body }
}
