//! What follows what: a heat map of the order-1 probabilities.

use gait_common::detect::{BEGIN, END};
use gait_common::interface::InterfaceId;
use maud::{Markup, html};
use rustc_hash::FxHashMap;

use super::chart::{count, num, percent, short, shown};
use super::{Section, View};

/// Interfaces in the map.
const MOST: usize = 20;
const CELL: f64 = 30.0;
/// Width of a character of the names, and how far a slanted name rises for each.
const CHARACTER: f64 = 6.4;
const RISE: f64 = 4.9;
/// Characters of a name beside the map, and above it.
const NAME: usize = 42;
const SLANTED: usize = 30;
/// Transitions in the table.
const LISTED: usize = 15;

/// What one call is followed by, as the model counted it.
struct Follow {
    from: InterfaceId,
    total: u64,
    to: FxHashMap<InterfaceId, u64>,
}

pub(super) fn section(view: &View<'_>) -> Section {
    let follows = follows(view);
    let mut listed: Vec<_> = follows
        .iter()
        .flat_map(|follow| {
            follow
                .to
                .iter()
                .map(move |(&to, &times)| (follow.from, to, times, times as f64 / follow.total as f64))
        })
        .collect();
    listed.sort_by_key(|&(from, to, times, _)| (std::cmp::Reverse(times), from, to));
    let body = html! {
        p {
            "Each row tells where callers go from one interface, as shares of all that followed it in training. Rows and "
            "columns are the most called interfaces; a row whose cells are pale goes on in many ways, or to interfaces "
            "further down the list. The model also looks at longer contexts, up to order "
            (view.trained.model.markov.backoff.len().saturating_sub(1)) "."
        }
        figure class="scroll" {
            (map(view, &follows))
            figcaption { "Read along a row. Point at a cell for its numbers." }
        }
        details {
            summary { "The most frequent transitions as a table" }
            div class="scroll" {
                table {
                    thead { tr { th { "From" } th { "To" } th class="num" { "Times" } th class="num" { "Share of what followed" } } }
                    tbody {
                        @for (from, to, times, share) in listed.into_iter().take(LISTED) {
                            tr {
                                td { code { (shown(name(view, from))) } } td { code { (shown(name(view, to))) } }
                                td class="num" { (count(times)) } td class="num" { (percent(share)) }
                            }
                        }
                    }
                }
            }
        }
    };
    Section { id: "transitions", title: "Transitions", body }
}

/// The rows: the beginning, then the most called interfaces.
fn follows(view: &View<'_>) -> Vec<Follow> {
    let grams = &view.trained.model.markov.grams;
    let firsts: Vec<_> = (1u32..).zip(grams).take_while(|(_, gram)| gram.parent == 0).collect();
    let mut of_node: FxHashMap<u32, Follow> = firsts
        .iter()
        .map(|(node, gram)| (*node, Follow { from: gram.symbol, total: 0, to: FxHashMap::default() }))
        .collect();
    for gram in grams.iter().filter(|gram| gram.parent > 0) {
        if let Some(follow) = of_node.get_mut(&gram.parent) {
            follow.total += gram.count;
            follow.to.insert(gram.symbol, gram.count);
        }
    }
    let begin = firsts.iter().find(|(_, gram)| gram.symbol == BEGIN);
    let mut called: Vec<_> = firsts.iter().filter(|(_, gram)| gram.symbol < END - 1).collect();
    called.sort_by_key(|(_, gram)| (std::cmp::Reverse(gram.count), gram.symbol));
    begin
        .into_iter()
        .chain(called.into_iter().take(MOST))
        .filter_map(|(node, _)| of_node.remove(node))
        .collect()
}

fn name<'a>(view: &'a View<'_>, interface: InterfaceId) -> &'a str {
    match interface {
        BEGIN => "(begin)",
        END => "(end)",
        _ => view.model.interfaces.name(interface),
    }
}

fn map(view: &View<'_>, follows: &[Follow]) -> Markup {
    let columns: Vec<InterfaceId> =
        follows.iter().map(|follow| follow.from).filter(|&from| from != BEGIN).chain([END]).collect();
    let longest = |most: usize| {
        let names = follows.iter().map(|follow| short(name(view, follow.from), most).chars().count());
        names.max().unwrap_or_default().max(7) as f64
    };
    let (left, top) = (longest(NAME) * CHARACTER + 16.0, longest(SLANTED) * RISE + 20.0);
    let (width, height) =
        (left + columns.len() as f64 * CELL + 110.0, top + follows.len() as f64 * CELL + 8.0);
    let middle = |at: usize| (at as f64 + 0.5) * CELL;
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="heat map of transitions"
            style=(format!("max-width:{width:.0}px")) {
            @for (at, &to) in columns.iter().enumerate() {
                @let (x, y) = (left + middle(at) - 2.0, top - 8.0);
                text class="name label" x=(num(x)) y=(y) transform=(format!("rotate(-50 {} {y})", num(x))) {
                    (short(name(view, to), SLANTED)) title { (shown(name(view, to))) }
                }
            }
            @for (row, follow) in follows.iter().enumerate() {
                @let y = top + row as f64 * CELL;
                text class="name label" x=(left - 8.0) y=(num(y + CELL / 2.0 + 3.5)) text-anchor="end" {
                    (short(name(view, follow.from), NAME)) title { (shown(name(view, follow.from))) }
                }
                @for (column, to) in columns.iter().enumerate() {
                    (cell(view, follow, *to, left + column as f64 * CELL, y))
                }
            }
        }
    }
}

fn cell(view: &View<'_>, follow: &Follow, to: InterfaceId, x: f64, y: f64) -> Markup {
    let times = follow.to.get(&to).copied().unwrap_or_default();
    let share = times as f64 / follow.total.max(1) as f64;
    // A share of one in a hundred must be seen beside one of a half: opacity goes with the square root.
    let opacity = if times > 0 { 0.06 + 0.94 * share.sqrt() } else { 0.0 };
    html! {
        @if times == 0 {
            rect class="empty" x=(num(x)) y=(num(y)) width=(CELL - 2.0) height=(CELL - 2.0) rx="3" {}
        } @else {
            rect class="cell" x=(num(x)) y=(num(y)) width=(CELL - 2.0) height=(CELL - 2.0) rx="3"
                fill-opacity=(format!("{opacity:.2}")) {
                title {
                    (shown(name(view, follow.from))) " → " (shown(name(view, to))) ": " (count(times)) " times, "
                    (percent(share))
                }
            }
            @if share >= 0.1 {
                text class=(if opacity > 0.6 { "on-cell" } else { "label" }) x=(num(x + CELL / 2.0 - 1.0))
                    y=(num(y + CELL / 2.0 + 2.5)) text-anchor="middle" pointer-events="none" { (format!("{:.0}", 100.0 * share)) }
            }
        }
    }
}
