//! The ink: a placed graph as SVG.

use std::fmt::Write as _;

use gait_common::detect::Relation;

use super::colour;
use super::layout::Layout;
use super::view::{Edge, View};

/// Most characters of a name in its box; the whole name is the box's tool tip.
const MAX_LABEL: usize = 30;
/// Width of a character of the labels, height of a box, room between columns and around all, in pixels.
const CHARACTER: f64 = 7.25;
const BOX: f64 = 28.0;
const GAP: f64 = 84.0;
const MARGIN: f64 = 24.0;
/// Least width, for the legend.
const LEAST_WIDTH: f64 = 560.0;
/// Heights of the head line and of the legend.
const HEAD: f64 = 34.0;
const LEGEND: f64 = 46.0;
/// How far below the middle of its box an edge back ends.
const BACK: f64 = 8.0;

const STYLE: &str = "text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#0f172a}\
.gait-n{font-size:10px;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:3px;fill:#334155}\
.gait-e{fill:none;stroke-linecap:round}.gait-box{stroke:#64748b}";

/// The picture of a view.
pub(super) fn picture(view: &View) -> String {
    let layout = Layout::new(view);
    Picture { view, x: columns(view, &layout), layout, out: String::new() }.draw()
}

/// Left and right edge of each column, in pixels.
fn columns(view: &View, layout: &Layout) -> Vec<(f64, f64)> {
    let mut widths = vec![0_usize; layout.columns];
    for (node, spot) in view.nodes.iter().zip(&layout.spots) {
        widths[spot.column] = widths[spot.column].max(short(&node.name).chars().count());
    }
    let mut left = MARGIN;
    let place = |width: usize| {
        let right = left + (width as f64 * CHARACTER + 18.0).max(36.0);
        let column = (left, right);
        left = right + GAP;
        column
    };
    widths.into_iter().map(place).collect()
}

struct Picture<'a> {
    view: &'a View,
    layout: Layout,
    x: Vec<(f64, f64)>,
    out: String,
}

impl Picture<'_> {
    fn draw(mut self) -> String {
        // Writing to a String cannot fail, here and below.
        let right = self.x.last().map_or(0.0, |column| column.1);
        let width = (right + MARGIN + 24.0).max(LEAST_WIDTH);
        let bottom = HEAD + self.layout.height + MARGIN;
        let height = bottom + LEGEND;
        let _ = write!(
            self.out,
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img"><title>{}</title><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/><defs>"##,
            escape(&format!("pattern graph of {}", self.view.nodes[0].name)),
        );
        for relation in Relation::ALL {
            let _ = write!(
                self.out,
                r#"<marker id="gait-{}" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" refX="9" refY="5" orient="auto"><path d="M0 0 10 5 0 10 2.5 5z" fill="{}"/></marker>"#,
                relation.name(),
                colour(relation)
            );
        }
        self.out.push_str("</defs>");
        self.head();
        let mut lightest: Vec<usize> = (0..self.view.edges.len()).collect();
        lightest.sort_by(|&a, &b| self.view.edges[a].weight.total_cmp(&self.view.edges[b].weight));
        lightest.iter().for_each(|&at| self.edge(at));
        (0..self.view.nodes.len()).for_each(|at| self.node(at));
        lightest.iter().for_each(|&at| self.number(at));
        self.legend(bottom);
        self.out.push_str("</svg>\n");
        self.out
    }

    fn head(&mut self) {
        let (calls, edges) = self.view.hidden;
        let hidden = match (calls, edges) {
            (0, 0) => String::new(),
            _ => format!("; not drawn: {calls} rarer calls, {edges} rarer edges"),
        };
        let _ =
            write!(self.out, r#"<text x="{MARGIN}" y="20">{} sessions{hidden}</text>"#, self.view.support);
    }

    fn y(&self, spot: usize) -> f64 {
        HEAD + MARGIN / 2.0 + self.layout.spots[spot].y
    }

    fn column(&self, spot: usize) -> (f64, f64) {
        self.x[self.layout.spots[spot].column]
    }

    fn node(&mut self, at: usize) {
        let node = &self.view.nodes[at];
        let (y, (left, right)) = (self.y(at), self.column(at));
        // The share of the sessions that come here gives the tint.
        let share = (node.reached / (self.view.support as f64).max(1.0)).min(1.0);
        let light = |dark: f64| (255.0 - (255.0 - dark) * share).round();
        let stroke = if at == 0 { 2.5 } else { 1.0 };
        let _ = write!(
            self.out,
            r#"<g><title>{}: reached {:.0} times</title><rect class="gait-box" x="{left:.1}" y="{:.1}" width="{:.1}" height="{BOX}" rx="6" fill="rgb({},{},{})" stroke-width="{stroke}"/><text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text></g>"#,
            escape(&node.name),
            node.reached,
            y - BOX / 2.0,
            right - left,
            light(214.0),
            light(228.0),
            light(246.0),
            f64::midpoint(left, right),
            y + 4.0,
            escape(&short(&node.name)),
        );
    }

    fn edge(&mut self, at: usize) {
        let edge = &self.view.edges[at];
        let dashes = match edge.relation {
            Relation::Serial | Relation::Choice => "",
            Relation::Parallel => r#" stroke-dasharray="9 6""#,
            Relation::Loop => r#" stroke-dasharray="1 7""#,
        };
        let way = self.way(at);
        let names = [edge.from, edge.to].map(|end| escape(&self.view.nodes[end].name));
        let _ = write!(
            self.out,
            r#"<path class="gait-e" d="{way}" stroke="{}" stroke-width="{:.1}"{dashes} marker-end="url(#gait-{})"><title>{} to {}: {}, {} times</title></path>"#,
            colour(edge.relation),
            self.view.width(edge),
            edge.relation.name(),
            names[0],
            names[1],
            edge.relation.name(),
            round(edge.weight),
        );
    }

    /// The line of an edge.
    fn way(&self, at: usize) -> String {
        let edge = &self.view.edges[at];
        let (y, (left, right)) = (self.y(edge.from), self.column(edge.from));
        if edge.from == edge.to {
            let (from, to, top) =
                (f64::midpoint(left, right) + 11.0, f64::midpoint(left, right) - 11.0, y - BOX / 2.0);
            return format!(
                "M{from:.1} {top:.1}C{:.1} {:.1} {:.1} {:.1} {to:.1} {:.1}",
                from + 9.0,
                top - 17.0,
                to - 9.0,
                top - 17.0,
                top - 2.0
            );
        }
        let (end, (end_left, end_right)) = (self.y(edge.to), self.column(edge.to));
        match self.column_of(edge.from).cmp(&self.column_of(edge.to)) {
            std::cmp::Ordering::Equal => {
                // Side by side: round the right side, the other order round the left one.
                let down = end > y;
                let (x, bow) = if down { (right, 26.0) } else { (left, -26.0) };
                let bow = bow * (1.0 + (end - y).abs() / 300.0);
                let tip = x + 2.0 * bow.signum();
                format!("M{x:.1} {y:.1}C{:.1} {y:.1} {:.1} {end:.1} {tip:.1} {end:.1}", x + bow, x + bow)
            }
            std::cmp::Ordering::Less => {
                self.line(&self.layout.ways[at], (right, y), (end_left - 2.0, end), 0.0)
            }
            std::cmp::Ordering::Greater => {
                self.line(&self.layout.ways[at], (left, y + BACK), (end_right + 2.0, end + BACK), BACK / 2.0)
            }
        }
    }

    /// A line through the bends of a way.
    fn line(&self, way: &[usize], from: (f64, f64), to: (f64, f64), below: f64) -> String {
        let rightwards = to.0 > from.0;
        let mut line = format!("M{:.1} {:.1}", from.0, from.1);
        let (mut x, mut y) = from;
        let curve = |line: &mut String, from: (f64, f64), to: (f64, f64)| {
            let middle = f64::midpoint(from.0, to.0);
            let _ =
                write!(line, "C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", from.1, to.1, to.0, to.1);
        };
        for &bend in way.iter().skip(1).take(way.len().saturating_sub(2)) {
            let (left, right) = self.column(bend);
            let (near, far) = if rightwards { (left, right) } else { (right, left) };
            let height = self.y(bend) + below;
            curve(&mut line, (x, y), (near, height));
            let _ = write!(line, "H{far:.1}");
            (x, y) = (far, height);
        }
        curve(&mut line, (x, y), to);
        line
    }

    fn column_of(&self, spot: usize) -> usize {
        self.layout.spots[spot].column
    }

    /// The weight of an edge, beside its line.
    fn number(&mut self, at: usize) {
        let edge = &self.view.edges[at];
        let (x, y) = self.number_at(at, edge);
        let _ =
            write!(self.out, r#"<text class="gait-n" x="{x:.1}" y="{y:.1}">{}</text>"#, round(edge.weight));
    }

    fn number_at(&self, at: usize, edge: &Edge) -> (f64, f64) {
        let (left, right) = self.column(edge.from);
        let y = self.y(edge.from);
        let way = &self.layout.ways[at];
        let Some(&next) = way.get(1) else { return (f64::midpoint(left, right) + 26.0, y - BOX / 2.0 - 6.0) };
        let there = self.y(next);
        match self.column_of(edge.from).cmp(&self.column_of(next)) {
            std::cmp::Ordering::Equal if there > y => (right + 24.0, f64::midpoint(y, there) + 3.0),
            std::cmp::Ordering::Equal => (left - 24.0, f64::midpoint(y, there) + 3.0),
            // Nearer to where the edge's own line is alone: its next bend, or its end.
            std::cmp::Ordering::Less => {
                (right + 0.6 * (self.column(next).0 - right), y + 0.72 * (there - y) - 3.0)
            }
            std::cmp::Ordering::Greater => {
                (left - 0.6 * (left - self.column(next).1), y + BACK + 0.72 * (there - y) + 10.0)
            }
        }
    }

    fn legend(&mut self, top: f64) {
        let y = top + 12.0;
        let mut x = MARGIN;
        for relation in Relation::ALL {
            let dashes = match relation {
                Relation::Serial | Relation::Choice => "",
                Relation::Parallel => r#" stroke-dasharray="9 6""#,
                Relation::Loop => r#" stroke-dasharray="1 7""#,
            };
            let _ = write!(
                self.out,
                r#"<path class="gait-e" d="M{x} {y}h42" stroke="{}" stroke-width="3"{dashes} marker-end="url(#gait-{})"/><text x="{}" y="{}">{}</text>"#,
                colour(relation),
                relation.name(),
                x + 50.0,
                y + 4.0,
                relation.name()
            );
            x += 50.0 + 8.0 * CHARACTER + 20.0;
        }
        let _ = write!(
            self.out,
            r#"<text x="{MARGIN}" y="{}" style="font-size:10px">wider and numbered: how often; darker: how many sessions come there</text>"#,
            y + 24.0
        );
    }
}

/// A weight as it is read: whole from ten on.
fn round(weight: f64) -> String {
    if weight >= 10.0 || weight.fract() == 0.0 { format!("{weight:.0}") } else { format!("{weight:.1}") }
}

/// A name that fits its box: its beginning and its end, which tell most.
fn short(name: &str) -> String {
    let count = name.chars().count();
    if count <= MAX_LABEL {
        return name.to_owned();
    }
    let head = MAX_LABEL / 3;
    let tail = MAX_LABEL - head - 1;
    let begin: String = name.chars().take(head).collect();
    let end: String = name.chars().skip(count - tail).collect();
    format!("{begin}…{end}")
}

/// Text for XML: what it cannot hold is replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
