//! Histograms of amounts, with the thresholds drawn.

use maud::{Markup, html};

use super::activity::columns;
use super::chart::{Room, brief, count, labelled, num, plain};

/// A threshold to draw, in the order of the style sheet's rules: held-out quantile, mean + 2σ, mean + 3σ.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) at: f64,
}

/// What is counted, and how it is named.
pub(super) struct Histogram<'a> {
    pub(super) values: &'a [f64],
    pub(super) rules: &'a [Rule],
    pub(super) x_title: &'a str,
    pub(super) y_title: &'a str,
    /// How many columns.
    pub(super) bars: usize,
}

/// The mean and standard deviation of a sample.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}

/// The share of a sample that reaches a value.
pub(super) fn share_from(values: &[f64], from: f64) -> f64 {
    values.iter().filter(|value| **value >= from).count() as f64 / values.len().max(1) as f64
}

impl Histogram<'_> {
    /// The picture. Counts are on a logarithmic scale: the few high amounts are what matters.
    pub(super) fn draw(&self, room: &Room) -> Markup {
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let farthest = self.rules.iter().map(|rule| rule.at).filter(|at| at.is_finite());
        let high = finite().chain(farthest).fold(0.0, f64::max).max(1e-9) * 1.04;
        let width = high / self.bars as f64;
        let mut bars = vec![0u64; self.bars];
        finite().for_each(|value| bars[((value.max(0.0) / width) as usize).min(self.bars - 1)] += 1);
        let most = bars.iter().copied().max().unwrap_or(1);
        let (x, y) = (room.x(0.0, high), room.y_counts(most as f64));
        let ground = room.height - room.bottom;
        let columns_of = bars.iter().enumerate().map(|(at, &number)| {
            let (from, to) = (at as f64 * width, (at + 1) as f64 * width);
            let about = format!("{} to {}: {} {}", plain(from), plain(to), count(number), self.y_title);
            (from, to, number as f64, about)
        });
        let contents = html! {
            (room.axes(&labelled(&x, (room.width / 80.0) as usize, plain), &labelled(&y, 4, brief), self.x_title,
                if room.top > 20.0 { self.y_title } else { "" }))
            (columns(columns_of, |value| x.at(value), |number| y.at(number), ground))
            @for (place, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.at.is_finite()) {
                line class=(format!("rule rule-{place}")) x1=(num(x.at(rule.at))) x2=(num(x.at(rule.at)))
                    y1=(room.top - 4.0) y2=(ground) { title { (rule.name) ": " (plain(rule.at)) } }
            }
            @if room.top > 20.0 { (self.names(room, |at| x.at(at))) }
        };
        room.picture(&format!("histogram of {}", self.x_title), &contents)
    }

    /// The rules' names above the picture, each at its line, moved aside where they would overlap.
    fn names(&self, room: &Room, x: impl Fn(f64) -> f64) -> Markup {
        let mut rules: Vec<_> = self.rules.iter().filter(|rule| rule.at.is_finite()).collect();
        rules.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut free = f64::NEG_INFINITY;
        let placed = rules.into_iter().map(|rule| {
            let text = format!("{} {}", rule.name, plain(rule.at));
            let half = text.len() as f64 * 3.1;
            let wanted = x(rule.at).clamp(room.left + half, room.width - room.right - half);
            let middle = wanted.max(free + half);
            free = middle + half + 10.0;
            (middle, text)
        });
        html! {
            @for (middle, text) in placed.collect::<Vec<_>>() {
                text class="label" x=(num(middle)) y=(room.top - 10.0) text-anchor="middle" { (text) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_in_a_column_and_every_threshold_is_drawn() {
        let values = [0.0, 0.0, 1.0, 2.5, f64::NAN];
        let rules = [Rule { name: "quantile", at: 3.0 }, Rule { name: "nowhere", at: f64::INFINITY }];
        let histogram =
            Histogram { values: &values, rules: &rules, x_title: "score", y_title: "sessions", bars: 10 };
        let picture = histogram.draw(&Room::WIDE).into_string();
        assert_eq!(picture.matches(r#"<rect class="bar""#).count(), 3);
        assert_eq!(picture.matches(r#"class="rule rule-0""#).count(), 1);
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }

    #[test]
    fn moments_are_those_of_the_definitions() {
        assert_eq!(moments(&[1.0, 3.0]), (2.0, 1.0));
        assert_eq!((share_from(&[1.0, 3.0], 3.0), share_from(&[], 0.0)), (0.5, 0.0));
    }
}
