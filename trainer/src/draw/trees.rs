//! Call trees as SVG: a call a line, indented below its caller, with a bar for its share.

use std::fmt::Write as _;

use super::svg::escape;
use crate::trees::view::{NodeView, View};

/// Calls drawn at most; the rarest ones are left out, and counted.
const MAX_NODES: usize = 200;
/// Height of a line, width of a step of depth and of a character, room around all, in pixels.
const LINE: f64 = 20.0;
const STEP: f64 = 18.0;
const CHARACTER: f64 = 7.25;
const MARGIN: f64 = 16.0;
/// Most characters of a name; the whole name is the tool tip.
const MAX_LABEL: usize = 72;
/// Widths of the columns with numbers and of the bar.
const COLUMN: f64 = 84.0;
const BAR: f64 = 90.0;

/// In HTML a style holds for the whole page, so everything is said of this picture's class only.
const STYLE: &str = ".gait-t text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#0f172a}\
.gait-t .gait-r{text-anchor:end;fill:#334155}.gait-t .gait-d{fill:#b91c1c}.gait-t path{stroke:#94a3b8;fill:none}\
.gait-t .gait-b{fill:#2563eb}.gait-t .gait-h{fill:#475569}";

/// A picture of all trees of a root. It is one `<svg>` element, fit for a file and for embedding in HTML.
pub(super) fn picture(view: &View) -> String {
    let nodes = frequent(&view.nodes);
    let label = |node: &NodeView| shortened(&node.function).chars().count() as f64 * CHARACTER;
    let names = nodes.iter().map(|node| f64::from(node.depth) * STEP + label(node)).fold(200.0, f64::max);
    let columns = MARGIN + names + 24.0;
    let width = columns + BAR + 4.0 * COLUMN + MARGIN;
    let height = 2.0 * MARGIN + LINE * (nodes.len() + 2) as f64;
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img" class="gait-t"><title>{}</title><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>"##,
        escape(&format!("call trees of {}", view.root)),
    );
    let left_out = view.nodes.len() - nodes.len();
    let mut head = format!("{} calls, {} different trees", view.calls, view.trees);
    if left_out > 0 {
        let _ = write!(head, ", {left_out} rarer calls left out");
    }
    text(&mut out, MARGIN, MARGIN + 12.0, "gait-h", &head);
    for (place, title) in (1..).zip(["calls", "share", "median", "p99"]) {
        text(&mut out, columns + BAR + f64::from(place) * COLUMN, MARGIN + 12.0, "gait-r", title);
    }
    // Where the last call of each depth stands, for the lines between callers and called.
    let mut above: Vec<f64> = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        let y = MARGIN + LINE * (place as f64 + 2.0);
        let x = MARGIN + f64::from(node.depth) * STEP;
        above.truncate(usize::from(node.depth));
        if let Some(from) = above.last() {
            let _ = write!(
                out,
                r#"<path d="M{:.0} {:.0}V{:.0}H{:.0}"/>"#,
                x - 12.0,
                from + 5.0,
                y - 4.0,
                x - 3.0
            );
        }
        above.push(y);
        let class = if node.dead { "gait-d" } else { "gait-n" };
        let _ = write!(out, "<g><title>{}</title>", escape(&node.function));
        text(&mut out, x, y, class, &shortened(&node.function));
        let _ = write!(
            out,
            r#"<rect class="gait-b" x="{:.0}" y="{:.0}" width="{:.1}" height="8"/>"#,
            columns,
            y - 9.0,
            BAR * node.share.clamp(0.0, 1.0)
        );
        let numbers = [
            node.calls.to_string(),
            format!("{:.1} %", node.share * 100.0),
            duration(node.median),
            duration(node.p99),
        ];
        for (place, number) in (1..).zip(numbers) {
            text(&mut out, columns + BAR + f64::from(place) * COLUMN, y, "gait-r", &number);
        }
        out.push_str("</g>");
    }
    out.push_str("</svg>\n");
    out
}

/// The most frequent calls, in their order. A caller is at least as frequent as whom it calls, so no branch is torn off.
fn frequent(nodes: &[NodeView]) -> Vec<&NodeView> {
    let mut calls: Vec<u64> = nodes.iter().map(|node| node.calls).collect();
    calls.sort_unstable_by(|a, b| b.cmp(a));
    let least = calls.get(MAX_NODES).map_or(0, |&calls| calls + 1);
    let mut kept: Vec<&NodeView> = nodes.iter().filter(|node| node.calls >= least).collect();
    // All are equally frequent: the first ones are as good as any.
    if kept.is_empty() {
        kept = nodes.iter().take(MAX_NODES).collect();
    }
    kept
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(MAX_LABEL) {
        None => name.to_owned(),
        Some(_) => name.chars().take(MAX_LABEL - 1).chain(['…']).collect(),
    }
}

fn text(out: &mut String, x: f64, y: f64, class: &str, words: &str) {
    // Writing to a String cannot fail, here and above.
    let _ = write!(out, r#"<text x="{x:.0}" y="{y:.0}" class="{class}">{}</text>"#, escape(words));
}

/// A length of time in the unit that suits it.
pub(super) fn duration(nanos: u64) -> String {
    let of = |unit: f64, name: &str| format!("{:.3} {name}", nanos as f64 / unit);
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => of(1e3, "µs"),
        1_000_000..1_000_000_000 => of(1e6, "ms"),
        _ => of(1e9, "s"),
    }
}
