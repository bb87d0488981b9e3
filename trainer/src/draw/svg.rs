//! The ink: a placed graph as SVG.

use std::cmp::Ordering;
use std::fmt::Write as _;

use gait_common::detect::Relation;

use super::colour;
use super::layout::{Layout, Room};
use super::view::{Edge, View, number};

/// Most characters of a name in its box; the whole name is the box's tool tip.
const MAX_LABEL: usize = 30;
/// Width of a character of the labels, height of a box, room between boxes of a column, between columns that run to the
/// right and down, and around all, in pixels.
const CHARACTER: f64 = 7.25;
const BOX: f64 = 28.0;
const BETWEEN: f64 = 18.0;
const GAP: f64 = 84.0;
const GAP_DOWN: f64 = 48.0;
const MARGIN: f64 = 24.0;
/// A wider picture is turned if that makes it narrower.
const WIDE: f64 = 1500.0;
/// Least width, for the legend.
const LEAST_WIDTH: f64 = 560.0;
/// Heights of the head line and of the legend.
const HEAD: f64 = 34.0;
const LEGEND: f64 = 46.0;
/// How far below the middle of its box an edge back ends.
const BACK: f64 = 8.0;

/// In HTML a style holds for the whole page, so everything is said of this picture's class only.
const STYLE: &str = ".gait-g text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#0f172a}\
.gait-g .gait-n{font-size:10px;paint-order:stroke;stroke:#fff;stroke-width:3px;fill:#334155}\
.gait-g .gait-e{fill:none;stroke-linecap:round}.gait-g .gait-box{stroke:#64748b}";

/// The picture of a view: from left to right, or from top to bottom where that would be too wide.
pub(super) fn picture(view: &View) -> String {
    let across = Picture::new(view, false);
    if across.end() <= WIDE {
        return across.draw();
    }
    let down = Picture::new(view, true);
    if down.layout.height < across.end() { down.draw() } else { across.draw() }
}

/// A placed view. Places are written as (along, beside): along the columns from the entry on, and within a column.
struct Picture<'a> {
    view: &'a View,
    layout: Layout,
    /// The columns run from top to bottom, not from left to right.
    down: bool,
    /// Where each column begins and ends.
    columns: Vec<(f64, f64)>,
    out: String,
}

impl<'a> Picture<'a> {
    fn new(view: &'a View, down: bool) -> Self {
        let widths = || view.nodes.iter().map(|node| width(&node.name));
        let widest = widths().fold(0.0, f64::max);
        let room = match down {
            true => Room { call: widest + 30.0, bend: 40.0, columns: 12 },
            false => Room { call: BOX + BETWEEN, bend: 16.0, columns: (WIDE / (widest + GAP)) as usize },
        };
        let layout = Layout::new(view, room);
        let mut extents = vec![BOX; layout.columns];
        if !down {
            for (width, spot) in widths().zip(&layout.spots) {
                extents[spot.column] = extents[spot.column].max(width);
            }
        }
        let mut begin = if down { HEAD + MARGIN / 2.0 } else { MARGIN };
        let columns = extents.into_iter().map(|extent| {
            let column = (begin, begin + extent);
            begin = column.1 + if down { GAP_DOWN } else { GAP };
            column
        });
        Self { view, columns: columns.collect(), layout, down, out: String::new() }
    }

    /// Where the last column ends.
    fn end(&self) -> f64 {
        self.columns.last().map_or(0.0, |column| column.1)
    }

    fn draw(mut self) -> String {
        // Writing to a String cannot fail, here and below.
        let (width, bottom) = match self.down {
            true => (self.layout.height + 2.0 * MARGIN, self.end() + MARGIN),
            false => (self.end() + MARGIN + 24.0, HEAD + self.layout.height + MARGIN),
        };
        let (width, height) = (width.max(LEAST_WIDTH), bottom + LEGEND);
        let _ = write!(
            self.out,
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img" class="gait-g"><title>{}</title><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/><defs>"##,
            escape(&format!("pattern graph of {}", self.view.nodes[0].name)),
        );
        for relation in Relation::ALL {
            let _ = write!(
                self.out,
                r#"<marker id="gait-{}" markerUnits="userSpaceOnUse" markerWidth="12" markerHeight="12" refX="9" refY="5" viewBox="0 0 10 10" orient="auto-start-reverse"><path d="M0 0 10 5 0 10 2 5z" fill="{}"/></marker>"#,
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
        let hidden = match self.view.hidden {
            (0, 0) => String::new(),
            (calls, edges) => format!("; not drawn: {calls} rarer calls, {edges} rarer edges"),
        };
        let _ =
            write!(self.out, r#"<text x="{MARGIN}" y="20">{} sessions{hidden}</text>"#, self.view.support);
    }

    /// The middle of a spot within its column.
    fn beside(&self, spot: usize) -> f64 {
        self.layout.spots[spot].y + if self.down { MARGIN } else { HEAD + MARGIN / 2.0 }
    }

    fn column_of(&self, spot: usize) -> usize {
        self.layout.spots[spot].column
    }

    /// Where a spot begins and ends along the columns.
    fn along(&self, spot: usize) -> (f64, f64) {
        self.columns[self.column_of(spot)]
    }

    /// A place as x and y.
    fn place(&self, (along, beside): (f64, f64)) -> (f64, f64) {
        if self.down { (beside, along) } else { (along, beside) }
    }

    fn point(&self, place: (f64, f64)) -> String {
        let (x, y) = self.place(place);
        format!("{x:.1} {y:.1}")
    }

    fn node(&mut self, at: usize) {
        let node = &self.view.nodes[at];
        let (begin, end) = self.along(at);
        let (x, y) = self.place((f64::midpoint(begin, end), self.beside(at)));
        let wide = if self.down { width(&node.name) } else { end - begin };
        // The share of the sessions that come here gives the tint.
        let share = (node.reached / (self.view.support as f64).max(1.0)).min(1.0);
        let light = |dark: f64| (255.0 - (255.0 - dark) * share).round();
        let stroke = if at == 0 { 2.5 } else { 1.0 };
        let _ = write!(
            self.out,
            r#"<g><title>{}: reached {:.0} times</title><rect class="gait-box" x="{:.1}" y="{:.1}" width="{wide:.1}" height="{BOX}" rx="6" fill="rgb({},{},{})" stroke-width="{stroke}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text></g>"#,
            escape(&node.name),
            node.reached,
            x - wide / 2.0,
            y - BOX / 2.0,
            light(214.0),
            light(228.0),
            light(246.0),
            y + 4.0,
            escape(&short(&node.name)),
        );
    }

    fn edge(&mut self, at: usize) {
        let edge = &self.view.edges[at];
        let start = match edge.back {
            Some(_) => format!(r#" marker-start="url(#gait-{})""#, edge.relation.name()),
            None => String::new(),
        };
        let (line, (link, kind)) = (self.line(at), words(edge));
        let names = [edge.from, edge.to].map(|end| escape(&self.view.nodes[end].name));
        let _ = write!(
            self.out,
            r#"<path class="gait-e" d="{line}" stroke="{}" stroke-width="{:.1}"{}{start} marker-end="url(#gait-{})"><title>{} {link} {}: {kind}, {} times</title></path>"#,
            colour(edge.relation),
            self.view.width(edge),
            dashes(edge.relation),
            edge.relation.name(),
            names[0],
            names[1],
            number(edge),
        );
    }

    /// The line of an edge.
    fn line(&self, at: usize) -> String {
        let edge = &self.view.edges[at];
        if edge.from == edge.to {
            return self.round(edge.from);
        }
        let (begin, end) = (self.along(edge.from), self.along(edge.to));
        let (from, to) = (self.beside(edge.from), self.beside(edge.to));
        match self.column_of(edge.from).cmp(&self.column_of(edge.to)) {
            Ordering::Less => self.through(&self.layout.ways[at], (begin.1, from), (end.0 - 2.0, to), 0.0),
            Ordering::Greater => self.through(
                &self.layout.ways[at],
                (begin.0, from + BACK),
                (end.1 + 2.0, to + BACK),
                BACK / 2.0,
            ),
            Ordering::Equal => {
                // Side by side: a bow behind both, the other order in front of both.
                let (side, bow) = self.bow(edge);
                let tip = side + 2.0 * (bow - side).signum();
                format!(
                    "M{}C{} {} {}",
                    self.point((tip, from)),
                    self.point((bow, from)),
                    self.point((bow, to)),
                    self.point((tip, to))
                )
            }
        }
    }

    /// Where an edge within a column leaves its calls along the columns, and how far it bows out: behind them, or for the
    /// way back in front of them, the further the longer it is.
    fn bow(&self, edge: &Edge) -> (f64, f64) {
        let (begin, end) = self.along(edge.from);
        let span = self.beside(edge.to) - self.beside(edge.from);
        let out = (16.0 + 0.25 * span.abs()).min(if self.down { GAP_DOWN } else { GAP } - 6.0);
        if span > 0.0 { (end, end + out) } else { (begin, begin - out) }
    }

    /// The line of an edge from a call to itself: over it, or to the right of it.
    fn round(&self, call: usize) -> String {
        let (begin, end) = self.along(call);
        let (x, y) = self.place((f64::midpoint(begin, end), self.beside(call)));
        if self.down {
            let side = x + width(&self.view.nodes[call].name) / 2.0;
            let (out, tip) = (side + 20.0, side + 2.0);
            let (top, bottom) = (y - 8.0, y + 8.0);
            return format!(
                "M{side:.1} {top:.1}C{out:.1} {:.1} {out:.1} {:.1} {tip:.1} {bottom:.1}",
                top - 6.0,
                bottom + 6.0
            );
        }
        let (top, left, right) = (y - BOX / 2.0, x - 11.0, x + 11.0);
        let over = top - 17.0;
        format!(
            "M{right:.1} {top:.1}C{:.1} {over:.1} {:.1} {over:.1} {left:.1} {:.1}",
            right + 9.0,
            left - 9.0,
            top - 2.0
        )
    }

    /// A line through the bends of a way, `shift` beside them.
    fn through(&self, way: &[usize], from: (f64, f64), to: (f64, f64), shift: f64) -> String {
        let mut line = format!("M{}", self.point(from));
        let curve = |line: &mut String, from: (f64, f64), to: (f64, f64)| {
            let middle = f64::midpoint(from.0, to.0);
            let (leave, reach) = (self.point((middle, from.1)), self.point((middle, to.1)));
            let _ = write!(line, "C{leave} {reach} {}", self.point(to));
        };
        let mut here = from;
        for &bend in way.iter().skip(1).take(way.len().saturating_sub(2)) {
            let (begin, end) = self.along(bend);
            let (near, far) = if to.0 > from.0 { (begin, end) } else { (end, begin) };
            let beside = self.beside(bend) + shift;
            curve(&mut line, here, (near, beside));
            here = (far, beside);
            let _ = write!(line, "L{}", self.point(here));
        }
        curve(&mut line, here, to);
        line
    }

    /// The weight of an edge, where its line is alone: over its first bend, or at the end where fewer lines meet.
    fn number(&mut self, at: usize) {
        let (x, y, anchor) = self.number_at(at);
        let _ = write!(
            self.out,
            r#"<text class="gait-n" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            number(&self.view.edges[at])
        );
    }

    fn number_at(&self, at: usize) -> (f64, f64, &'static str) {
        let edge = &self.view.edges[at];
        let way = &self.layout.ways[at];
        let (begin, end) = (self.along(edge.from), self.along(edge.to));
        let (from, to) = (self.beside(edge.from), self.beside(edge.to));
        let order = self.column_of(edge.from).cmp(&self.column_of(edge.to));
        if edge.from == edge.to {
            let (x, y) = self.place((f64::midpoint(begin.0, begin.1), from));
            return match self.down {
                true => (x + width(&self.view.nodes[edge.from].name) / 2.0 + 20.0, y + 4.0, "start"),
                false => (x + 19.0, y - BOX / 2.0 - 4.0, "start"),
            };
        }
        if order == Ordering::Equal {
            // A cubic curve comes three quarters of the way to its control points.
            let (side, bow) = self.bow(edge);
            let (x, y) = self.place((side + 0.75 * (bow - side), f64::midpoint(from, to)));
            return (x, y + 3.0, "middle");
        }
        let back = order == Ordering::Greater;
        if let [_, bend, .., _] = way[..] {
            let (begin, end) = self.along(bend);
            let shift = if back { BACK / 2.0 } else { 0.0 };
            let (x, y) = self.place((f64::midpoint(begin, end), self.beside(bend) + shift));
            return (x, y + 3.0, "middle");
        }
        let meet =
            |end: fn(&Edge) -> usize| self.view.edges.iter().filter(|other| end(other) == end(edge)).count();
        let at_end = meet(|edge| edge.to) <= meet(|edge| edge.from);
        let sign = if back { -1.0 } else { 1.0 };
        let (along, beside) = match (at_end, back) {
            (true, false) => (end.0, to),
            (true, true) => (end.1, to + BACK),
            (false, false) => (begin.1, from),
            (false, true) => (begin.0, from + BACK),
        };
        // Clear of the arrow's head.
        let along = along + if at_end { -15.0 * sign } else { 12.0 * sign };
        let (x, y) = self.place((along, beside));
        match (self.down, at_end == back) {
            (true, _) => (x + 6.0, y + if at_end && !back { 2.0 } else { 6.0 }, "start"),
            (false, start) => (x, y + if back { 11.0 } else { -4.0 }, if start { "start" } else { "end" }),
        }
    }

    fn legend(&mut self, top: f64) {
        let y = top + 12.0;
        let mut x = MARGIN;
        for relation in Relation::ALL {
            let _ = write!(
                self.out,
                r#"<path class="gait-e" d="M{x} {y}h42" stroke="{}" stroke-width="3"{} marker-end="url(#gait-{})"/><text x="{}" y="{}">{}</text>"#,
                colour(relation),
                dashes(relation),
                relation.name(),
                x + 50.0,
                y + 4.0,
                relation.name()
            );
            x += 50.0 + 8.0 * CHARACTER + 20.0;
        }
        let _ = write!(
            self.out,
            r#"<text x="{MARGIN}" y="{}" style="font-size:10px">wider and numbered: how often; darker: reached in more sessions</text>"#,
            y + 24.0
        );
    }
}

/// What stands between the two calls of an edge, and what it is.
fn words(edge: &Edge) -> (&'static str, &'static str) {
    match edge.back {
        Some(_) => ("and", "parallel, in either order"),
        None => ("to", edge.relation.name()),
    }
}

/// Dashes tell relations apart where colours do not.
fn dashes(relation: Relation) -> &'static str {
    match relation {
        Relation::Serial | Relation::Choice => "",
        Relation::Parallel => r#" stroke-dasharray="9 6""#,
        Relation::Loop => r#" stroke-dasharray="1 7""#,
    }
}

/// Width of a call's box.
fn width(name: &str) -> f64 {
    (short(name).chars().count() as f64 * CHARACTER + 18.0).max(36.0)
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
pub(super) fn escape(text: &str) -> String {
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
