//! Drawing pattern graphs, as SVG and as Graphviz' DOT, and call trees as SVG.
//!
//! `view` chooses what is worth drawing of a large graph, `layout` places it, and the rest is ink. The pictures
//! need no font, style sheet or script from elsewhere, and the same graph gives the same bytes.

mod layout;
mod svg;
mod trees;
mod view;

use std::fmt::Write as _;

use gait_common::detect::{GraphData, Relation};

use view::View;

/// A picture of a graph: the entry at the left, an edge's width by its weight, its colour and dashes by its relation,
/// with a legend. `names` are the interfaces' names by their number, as a model stores them. Of a large graph the
/// ways walked most are drawn, and the picture says how much is left out.
///
/// The picture is one `<svg>` element with its size in pixels, fit for a file and for embedding in HTML.
pub fn svg(graph: &GraphData, names: &[String]) -> String {
    svg::picture(&View::new(graph, names))
}

/// A picture of all call trees of a root: a call a line, with how many calls of the root make it and how long those take.
pub fn trees(view: &crate::trees::view::View) -> String {
    trees::picture(view)
}

/// A length of time in the unit that suits it.
pub fn duration(nanos: gait_common::call::Nanos) -> String {
    trees::duration(nanos)
}

/// A graph in the language of Graphviz, whole.
pub fn dot(graph: &GraphData, names: &[String]) -> String {
    let view = View::whole(graph, names);
    let mut out = String::from(
        "digraph pattern {\n  rankdir=LR; node [shape=box, style=rounded, fontname=\"sans-serif\"]; \
         edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    // Writing to a String cannot fail.
    for (place, node) in view.nodes.iter().enumerate() {
        let entry = if place == 0 { ", penwidth=2" } else { "" };
        let _ = writeln!(out, "  n{place} [label={}{entry}];", quoted(&node.name));
    }
    for edge in &view.edges {
        let style = match (edge.relation, edge.back) {
            (Relation::Parallel, Some(_)) => ", style=dashed, dir=both",
            (Relation::Parallel, None) => ", style=dashed",
            (Relation::Loop, _) => ", style=dotted",
            (Relation::Serial | Relation::Choice, _) => "",
        };
        let _ = writeln!(
            out,
            "  n{} -> n{} [label=\"{} {}\", color=\"{}\", penwidth={:.1}{style}];",
            edge.from,
            edge.to,
            edge.relation.name(),
            view::number(edge),
            colour(edge.relation),
            view.width(edge)
        );
    }
    out.push_str("}\n");
    out
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, "\u{fffd}"))
}

/// Colours that stand apart for colour-blind eyes too; dashes tell the rest.
fn colour(relation: Relation) -> &'static str {
    match relation {
        Relation::Serial => "#475569",
        Relation::Choice => "#2563eb",
        Relation::Parallel => "#15803d",
        Relation::Loop => "#c2410c",
    }
}

#[cfg(test)]
mod tests;
