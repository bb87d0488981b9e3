//! Call trees: which roots there are, and what they do.

use gait_common::tree::TreesData;
use maud::{Markup, PreEscaped, html};

use super::chart::{count, percent, shown};
use super::{Section, View};
use crate::draw;
use crate::trees::view::{NodeView, View as TreeView, views};

/// Roots listed, and those of them that are drawn.
const LISTED: usize = 40;
const DRAWN: usize = 12;

/// The section; none when the model knows no trees.
pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let data = view.trained.model.trees.as_ref()?;
    let views: Vec<TreeView> = views(data, None).into_iter().map(readable).collect();
    let body = html! {
        p {
            (count(data.trees.len() as u64)) " different call trees of " (count(views.len() as u64)) " roots were learned: which "
            "functions, or operations of a service, one call leads to. A tree that is not among them, a rare one that becomes "
            "frequent, and one that takes longer or fails more often are reported."
            @if view.trained.corpus.sessions.is_empty() {
                " Times are a service's own: those at which a service that it called was at work are left out."
            }
        }
        (table(data, &views))
        @for view in views.iter().take(DRAWN) {
            details {
                summary { code { (view.root) } @if !view.interface.is_empty() { " for " code { (view.interface) } } }
                div class="scroll" { (PreEscaped(draw::trees(view))) }
            }
        }
        p class="soft" {
            "Drawn are all trees of a root, laid over each other: how many calls of the root make a call, and how long those "
            "take as a whole."
        }
    };
    Some(Section { id: "trees", title: "Call trees", body })
}

fn table(data: &TreesData, views: &[TreeView]) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead {
                    tr {
                        th { "Root" } th { "Serves" } th class="num" { "Calls" } th class="num" { "Trees" }
                        th class="num" { "Failed" } th class="num" { "Median" } th class="num" { "p99" }
                    }
                }
                tbody {
                    @for view in views.iter().take(LISTED) {
                        @let root = view.nodes.first();
                        tr {
                            td { code { (view.root) } }
                            td { code { (view.interface) } }
                            td class="num" { (count(view.calls)) }
                            td class="num" { (count(view.trees as u64)) }
                            td class="num" { (percent(view.failures as f64 / view.calls.max(1) as f64)) }
                            td class="num" { (draw::duration(root.map_or(0, |root| root.median))) }
                            td class="num" { (draw::duration(root.map_or(0, |root| root.p99))) }
                        }
                    }
                }
            }
        }
        @if views.len() > LISTED {
            p class="soft" { (views.len() - LISTED) " more roots: " code { "gait-trainer inspect MODEL" } "." }
        }
        p class="soft" {
            "From " (count(data.windows)) " windows of " (data.window / 1_000_000_000) " seconds, counted for each source."
        }
    }
}

/// Names come from what others wrote.
fn readable(view: TreeView) -> TreeView {
    let nodes = view.nodes.into_iter();
    TreeView {
        interface: shown(&view.interface),
        root: shown(&view.root),
        nodes: nodes.map(|node| NodeView { function: shown(&node.function), ..node }).collect(),
        ..view
    }
}
