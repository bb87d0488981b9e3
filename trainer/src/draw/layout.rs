//! Placing a graph in columns, from left to right (Sugiyama, Tagawa and Toda, 1981).
//!
//! Each call stands in the column after the last call that leads to it. An edge over several columns gets a bend in
//! each between. The columns are put into an order with few crossings by repeated sweeps of barycentres, and heights
//! are chosen near those of the neighbours, as near as the order and the room between allow.

use gait_common::detect::Relation;

use super::view::View;

/// Sweeps over the columns, there and back.
const SWEEPS: usize = 12;
/// Shares of what reaches a call from which on an edge is weighty; the first that gives few enough columns is taken.
const WEIGHTY: [f64; 5] = [0.0, 0.1, 0.2, 0.35, 0.5];

/// Something that has a place: a call, or a bend of an edge.
pub(super) struct Spot {
    pub(super) column: usize,
    /// Height of its middle in pixels, from the top.
    pub(super) y: f64,
    bend: bool,
}

/// Where everything stands.
pub(super) struct Layout {
    /// The calls in the view's order, then the bends.
    pub(super) spots: Vec<Spot>,
    /// The spots that each edge passes, from its start to its end; empty for an edge to itself.
    pub(super) ways: Vec<Vec<usize>>,
    /// How many columns there are.
    pub(super) columns: usize,
    /// Height of all in pixels.
    pub(super) height: f64,
    room: Room,
}

/// How much room there is, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Room that a call takes in its column.
    pub(super) call: f64,
    /// Room that a bend takes in its column.
    pub(super) bend: f64,
    /// Columns that fit. Where there are more, only the weightier edges decide where a call stands.
    pub(super) columns: usize,
}

impl Layout {
    /// Places a view.
    pub(super) fn new(view: &View, room: Room) -> Self {
        let column = columns(view, room.columns);
        let mut spots: Vec<Spot> =
            column.iter().map(|&column| Spot { column, y: 0.0, bend: false }).collect();
        let mut ways = Vec::with_capacity(view.edges.len());
        for edge in &view.edges {
            let mut way = Vec::new();
            if edge.from != edge.to {
                let (left, right) =
                    (column[edge.from].min(column[edge.to]), column[edge.from].max(column[edge.to]));
                way.push(if column[edge.from] <= column[edge.to] { edge.from } else { edge.to });
                for column in left + 1..right {
                    way.push(spots.len());
                    spots.push(Spot { column, y: 0.0, bend: true });
                }
                way.push(if column[edge.from] <= column[edge.to] { edge.to } else { edge.from });
                if column[edge.from] > column[edge.to] {
                    way.reverse();
                }
            }
            ways.push(way);
        }
        let columns = column.iter().max().map_or(1, |last| last + 1);
        let mut layout = Self { spots, ways, columns, height: 0.0, room };
        layout.arrange();
        layout
    }

    /// Orders the columns and sets the heights.
    fn arrange(&mut self) {
        let mut neighbours = vec![Vec::new(); self.spots.len()];
        for pair in self.ways.iter().flat_map(|way| way.windows(2)) {
            if self.spots[pair[0]].column != self.spots[pair[1]].column {
                neighbours[pair[0]].push(pair[1]);
                neighbours[pair[1]].push(pair[0]);
            }
        }
        let mut columns = vec![Vec::new(); self.columns];
        for (at, spot) in self.spots.iter().enumerate() {
            columns[spot.column].push(at);
        }
        columns.iter().for_each(|column| self.stack(column, None));
        let mut best: Option<(usize, Vec<Vec<usize>>)> = None;
        for sweep in 0..SWEEPS {
            let forward = sweep % 2 == 0;
            for step in 1..columns.len() {
                let at = if forward { step } else { columns.len() - 1 - step };
                let beside = if forward { at - 1 } else { at + 1 };
                let mut wanted: Vec<(f64, usize)> = columns[at]
                    .iter()
                    .map(|&spot| (self.mean(spot, &neighbours, Some(beside)), spot))
                    .collect();
                wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
                columns[at] = wanted.into_iter().map(|(_, spot)| spot).collect();
                self.stack(&columns[at], None);
            }
            let crossings = self.crossings(&columns);
            if best.as_ref().is_none_or(|(least, _)| crossings < *least) {
                best = Some((crossings, columns.clone()));
            }
        }
        let columns = best.map_or(columns, |(_, columns)| columns);
        columns.iter().for_each(|column| self.stack(column, None));
        for sweep in 0..2 * SWEEPS {
            for step in 0..columns.len() {
                let at = if sweep % 2 == 0 { step } else { columns.len() - 1 - step };
                let wanted: Vec<f64> =
                    columns[at].iter().map(|&spot| self.mean(spot, &neighbours, None)).collect();
                self.stack(&columns[at], Some(&wanted));
            }
        }
        let top = self.spots.iter().map(|spot| spot.y - self.room(spot) / 2.0).fold(f64::INFINITY, f64::min);
        self.spots.iter_mut().for_each(|spot| spot.y -= top);
        let bottom = self.spots.iter().map(|spot| spot.y + self.room(spot) / 2.0);
        self.height = bottom.fold(0.0, f64::max);
    }

    fn room(&self, spot: &Spot) -> f64 {
        if spot.bend { self.room.bend } else { self.room.call }
    }

    /// Mean height of a spot's neighbours, in one column or all; its own where it has none.
    fn mean(&self, spot: usize, neighbours: &[Vec<usize>], column: Option<usize>) -> f64 {
        let near = neighbours[spot].iter().map(|&other| &self.spots[other]);
        let heights: Vec<f64> = near
            .filter(|near| column.is_none_or(|column| near.column == column))
            .map(|near| near.y)
            .collect();
        if heights.is_empty() {
            self.spots[spot].y
        } else {
            heights.iter().sum::<f64>() / heights.len() as f64
        }
    }

    /// Sets the heights of a column in its order: around the middle, or as near to what is wanted as the room between
    /// allows (least squares, by pooling those that would overlap).
    fn stack(&mut self, column: &[usize], wanted: Option<&[f64]>) {
        let mut offsets = Vec::with_capacity(column.len());
        let mut end = 0.0;
        for &spot in column {
            let room = self.room(&self.spots[spot]);
            offsets.push(end + room / 2.0);
            end += room;
        }
        let mut blocks: Vec<(f64, usize)> = Vec::new();
        for (at, offset) in offsets.iter().enumerate() {
            let mut block = (wanted.map_or(-end / 2.0, |wanted| wanted[at] - offset), 1);
            while let Some(&(before, size)) = blocks.last().filter(|before| before.0 >= block.0) {
                let all = size + block.1;
                block = ((before * size as f64 + block.0 * block.1 as f64) / all as f64, all);
                blocks.pop();
            }
            blocks.push(block);
        }
        let shifts = blocks.iter().flat_map(|&(shift, size)| std::iter::repeat_n(shift, size));
        for ((&spot, offset), shift) in column.iter().zip(offsets).zip(shifts) {
            self.spots[spot].y = offset + shift;
        }
    }

    fn crossings(&self, columns: &[Vec<usize>]) -> usize {
        let mut place = vec![0; self.spots.len()];
        columns.iter().flat_map(|column| column.iter().enumerate()).for_each(|(at, &spot)| place[spot] = at);
        let mut between = vec![Vec::new(); columns.len()];
        for pair in self.ways.iter().flat_map(|way| way.windows(2)) {
            let (a, b) = (&self.spots[pair[0]], &self.spots[pair[1]]);
            match a.column.cmp(&b.column) {
                std::cmp::Ordering::Less => between[a.column].push((place[pair[0]], place[pair[1]])),
                std::cmp::Ordering::Greater => between[b.column].push((place[pair[1]], place[pair[0]])),
                std::cmp::Ordering::Equal => {}
            }
        }
        let crossed = |pairs: &Vec<(usize, usize)>| {
            let of = |(at, a): (usize, &(usize, usize))| {
                pairs[at + 1..]
                    .iter()
                    .filter(|b| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1))
                    .count()
            };
            pairs.iter().enumerate().map(of).sum::<usize>()
        };
        between.iter().map(crossed).sum()
    }
}

/// The column of each call.
fn columns(view: &View, most: usize) -> Vec<usize> {
    let mut reaching = vec![0.0; view.nodes.len()];
    let forward = || view.edges.iter().filter(|edge| edge.relation != Relation::Loop && edge.from < edge.to);
    forward().for_each(|edge| reaching[edge.to] += edge.weight);
    let mut best: Option<Vec<usize>> = None;
    for share in WEIGHTY {
        let mut column = vec![0; view.nodes.len()];
        // The view's order is one in which forward edges lead from earlier to later calls.
        for node in 0..view.nodes.len() {
            let leading = || forward().filter(|edge| edge.to == node && edge.back.is_none());
            let heaviest = leading().max_by(|a, b| a.weight.total_cmp(&b.weight).then(b.from.cmp(&a.from)));
            let heaviest = heaviest.map(|edge| edge.from);
            let weighty =
                leading().filter(|edge| edge.weight >= share * reaching[node] || Some(edge.from) == heaviest);
            column[node] = weighty.map(|edge| column[edge.from] + 1).max().unwrap_or(usize::from(node > 0));
        }
        let count = column.iter().max().map_or(0, |last| last + 1);
        if best.as_ref().is_none_or(|best| best.iter().max().map_or(0, |last| last + 1) > count) {
            best = Some(column);
        }
        if count <= most {
            break;
        }
    }
    best.unwrap_or_default()
}
