//! Groups of callers with like habits: how many there are, where they lie, and how far callers are from their centres.

use maud::{Markup, html};

use super::chart::{Room, Scale, count, labelled, num, percent, plain, short, shown};
use super::histogram::{Histogram, Rule};
use super::pca::Components;
use super::{Section, View};
use crate::groups::{GroupBands, Grouped, GroupsReport};

/// Callers drawn, evenly picked, and colours to draw them in.
const DRAWN: usize = 2000;
const COLOURS: usize = 8;
/// Habits listed of each group.
const HABITS: usize = 3;

/// The section; none when the callers were not grouped.
pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let groups = view.trained.groups.as_ref().filter(|groups| !groups.groups.is_empty())?;
    let body = html! {
        p {
            (count(groups.callers.len() as u64)) " callers fall into " (groups.groups.len()) " groups by what they call how often: "
            (groups.columns.len()) " frequent call groups are the columns of a matrix, k-means puts like rows together. A "
            "caller far from every group behaves like nobody else."
        }
        div class="pair" {
            figure {
                (indices(groups))
                figcaption { "Davies-Bouldin index for each number of groups that was tried; the lowest was taken." }
            }
            figure {
                @let components = components(groups);
                (scatter(groups, &components))
                figcaption {
                    "The callers in two dimensions (principal components, " (percent(components.explained[0])) " and "
                    (percent(components.explained[1])) " of the variance). Ringed: beyond mean + 3σ of the own group."
                }
            }
        }
        (table(view, groups))
        h3 { "Distances from the centre" }
        p {
            "Lines: " span class="key key-0" {} "held-out quantile at the stated rate, " span class="key key-1" {}
            "mean + 2σ (anomalous), " span class="key key-2" {} "mean + 3σ (extreme)."
        }
        div class="small" {
            @for (place, bands) in groups.groups.iter().enumerate() {
                @let distances = distances(groups, place);
                @if !distances.is_empty() {
                    figure {
                        figcaption { "Group " (place + 1) span { (count(distances.len() as u64)) @if distances.len() == 1 { " caller" } @else { " callers" } } }
                        (Histogram { values: &distances, rules: &rules(bands), x_title: "", y_title: "callers", bars: 40 }.draw(&Room::SMALL))
                    }
                }
            }
        }
    };
    Some(Section { id: "groups", title: "Groups of callers", body })
}

fn rules(bands: &GroupBands) -> [Rule; 3] {
    [
        Rule { name: "quantile", at: bands.limit },
        Rule { name: "mean + 2σ", at: bands.mean + 2.0 * bands.deviation },
        Rule { name: "mean + 3σ", at: bands.mean + 3.0 * bands.deviation },
    ]
}

/// The share of a sample above a value: a group of one lies on its centre, and not over any bound.
fn share_over(values: &[f64], bound: f64) -> f64 {
    values.iter().filter(|value| **value > bound).count() as f64 / values.len().max(1) as f64
}

fn distances(groups: &GroupsReport, group: usize) -> Vec<f64> {
    groups.callers.iter().filter(|caller| caller.group == group).map(|caller| caller.distance).collect()
}

fn indices(groups: &GroupsReport) -> Markup {
    let room = Room::HALF;
    let chosen = groups.groups.len();
    let tried: Vec<(f64, f64)> = groups
        .tried
        .iter()
        .filter(|(_, index)| index.is_finite())
        .map(|&(k, index)| (k as f64, index))
        .collect();
    let bound = |from: f64, pick: fn(f64, f64) -> f64, of: fn(&(f64, f64)) -> f64| {
        tried.iter().map(of).fold(from, pick)
    };
    let x =
        room.x(bound(f64::INFINITY, f64::min, |p| p.0).min(2.0) - 0.5, bound(2.0, f64::max, |p| p.0) + 0.5);
    let y = room.y(0.0, bound(0.0, f64::max, |p| p.1) * 1.1);
    let points: Vec<String> =
        tried.iter().map(|(k, index)| format!("{},{}", num(x.at(*k)), num(y.at(*index)))).collect();
    let whole: Vec<_> = labelled(&x, 8, plain).into_iter().filter(|(_, text)| !text.contains('.')).collect();
    let contents = html! {
        (room.axes(&whole, &labelled(&y, 4, plain), "number of groups k", "Davies-Bouldin index"))
        polyline class="curve" points=(points.join(" ")) {}
        @for (k, index) in &tried {
            circle class=(if *k == chosen as f64 { "dot chosen" } else { "dot" }) cx=(num(x.at(*k))) cy=(num(y.at(*index)))
                r=(if *k == chosen as f64 { 7 } else { 4 }) { title { "k = " (k) ": " (plain(*index)) } }
            @if *k == chosen as f64 {
                text class="strong" x=(num(x.at(*k))) y=(num(y.at(*index) + 22.0)) text-anchor="middle" { (k) ": " (plain(*index)) }
            }
        }
    };
    room.picture("Davies-Bouldin index over the number of groups", &contents)
}

/// The callers that are drawn, each with its row.
fn drawn(groups: &GroupsReport) -> impl Iterator<Item = (&Grouped, &[f32])> {
    let stride = groups.callers.len().div_ceil(DRAWN).max(1);
    let rows = groups.matrix.chunks(groups.columns.len().max(1));
    groups.callers.iter().zip(rows).step_by(stride)
}

fn components(groups: &GroupsReport) -> Components {
    let rows: Vec<&[f32]> = drawn(groups).map(|(_, row)| row).collect();
    Components::fit(&rows)
}

fn scatter(groups: &GroupsReport, components: &Components) -> Markup {
    let room = Room { left: 24.0, ..Room::HALF };
    let callers: Vec<_> = drawn(groups).map(|(caller, row)| (caller, components.project(row))).collect();
    let centres: Vec<_> = groups.groups.iter().map(|bands| components.project(&bands.centre)).collect();
    let places = || callers.iter().map(|(_, place)| *place).chain(centres.iter().copied());
    let scale = |of: fn((f64, f64)) -> f64, from: f64, to: f64| {
        let (low, high) = places()
            .map(of)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let space = 0.06 * (high - low).max(1e-6);
        Scale::linear(low - space, high + space, from, to)
    };
    let x = scale(|place| place.0, room.left, room.width - room.right);
    let y = scale(|place| place.1, room.height - room.bottom, room.top);
    let contents = html! {
        rect class="frame" x=(room.left) y=(room.top) width=(room.width - room.left - room.right)
            height=(room.height - room.top - room.bottom) rx="4" {}
        @for (caller, place) in &callers {
            @let bands = groups.groups.get(caller.group);
            @let far = bands.is_some_and(|bands| caller.distance > bands.mean + 3.0 * bands.deviation);
            circle class=(format!("point c{}{}", caller.group % COLOURS, if far { " far" } else { "" }))
                cx=(num(x.at(place.0))) cy=(num(y.at(place.1))) r=(if far { 4.5 } else { 3.0 }) {
                title { (short(&caller.caller, 60)) ", group " (caller.group + 1) ", distance " (plain(caller.distance)) }
            }
        }
        @for (at, place) in centres.iter().enumerate() {
            circle class="centre" cx=(num(x.at(place.0))) cy=(num(y.at(place.1))) r="9" {}
            text class="strong" x=(num(x.at(place.0))) y=(num(y.at(place.1) + 4.0)) text-anchor="middle" { (at + 1) }
        }
        text x=(num((room.left + room.width - room.right) / 2.0)) y=(room.height - 24.0) text-anchor="middle" { "first component" }
        text transform=(format!("rotate(-90 12 {})", room.height / 2.0)) x="12" y=(room.height / 2.0) text-anchor="middle" { "second component" }
    };
    room.picture("callers in two dimensions, by group", &contents)
}

fn table(view: &View<'_>, groups: &GroupsReport) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead {
                    tr {
                        th { "Group" } th class="num" { "Callers" } th { "Habits that set it apart" } th class="num" { "Mean distance" }
                        th class="num" { "Over quantile" } th class="num" { "Over 2σ" } th class="num" { "Over 3σ" }
                    }
                }
                tbody {
                    @for (place, bands) in groups.groups.iter().enumerate() {
                        @let distances = distances(groups, place);
                        tr {
                            td { i class=(format!("swatch c{}", place % COLOURS)) {} (place + 1) }
                            td class="num" { (count(distances.len() as u64)) }
                            td { (habits(view, groups, bands)) }
                            td class="num" { (plain(bands.mean)) }
                            @for rule in rules(bands) { td class="num" { (percent(share_over(&distances, rule.at))) } }
                        }
                    }
                }
            }
        }
    }
}

/// The columns in which a group's centre exceeds the mean of all callers most.
fn habits(view: &View<'_>, groups: &GroupsReport, bands: &GroupBands) -> Markup {
    let width = groups.columns.len().max(1);
    let rows = groups.callers.len().max(1) as f32;
    let mut mean = vec![0.0f32; width];
    for row in groups.matrix.chunks(width) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / rows);
    }
    let mut apart: Vec<(usize, f32)> = bands
        .centre
        .iter()
        .zip(&mean)
        .map(|(centre, mean)| centre - mean)
        .enumerate()
        .filter(|(_, more)| *more > 0.0)
        .collect();
    apart.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    html! {
        @for (place, (column, _)) in apart.iter().take(HABITS).enumerate() {
            @if place > 0 { br; }
            @for (at, interface) in groups.columns[*column].iter().enumerate() {
                @if at > 0 { " → " }
                code title=(shown(view.model.interfaces.name(*interface))) { (short(view.model.interfaces.name(*interface), 40)) }
            }
        }
    }
}
