//! What the charts share: scales, axes, and how numbers and names are written.

use maud::{Markup, html};

/// Maps values to places on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    /// Values from `low` to `high` lie between the places `from` and `to`.
    pub(super) fn linear(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, from, to, log: false }
    }

    /// Counts from 0 to `high`, as the logarithm of one more.
    pub(super) fn counts(high: f64, from: f64, to: f64) -> Self {
        Self { low: 0.0, high: high.max(1.0), from, to, log: true }
    }

    /// Where a value lies.
    pub(super) fn at(&self, value: f64) -> f64 {
        let squeeze = |x: f64| if self.log { (x + 1.0).ln() } else { x };
        let (low, high) = (squeeze(self.low), squeeze(self.high));
        self.from + (squeeze(value) - low) / (high - low) * (self.to - self.from)
    }

    /// Round values to mark, `about` as many.
    pub(super) fn ticks(&self, about: usize) -> Vec<f64> {
        if self.log {
            let powers = (0..16).map(|power| 10f64.powi(power)).take_while(|&power| power <= self.high);
            let powers: Vec<f64> = powers.collect();
            let stride = powers.len().div_ceil(about.max(1)).max(1);
            return powers.into_iter().step_by(stride).collect();
        }
        let rough = (self.high - self.low) / about.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= rough).unwrap_or(10.0) * power;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|at| at as f64 * step).collect()
    }
}

/// The room of a chart, in the units of its picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Room {
    /// A chart as wide as the page.
    pub(super) const WIDE: Self =
        Self { width: 960.0, height: 270.0, left: 64.0, right: 16.0, top: 30.0, bottom: 44.0 };
    /// One of two side by side.
    pub(super) const HALF: Self =
        Self { width: 460.0, height: 330.0, left: 58.0, right: 24.0, top: 16.0, bottom: 44.0 };
    /// One of several side by side.
    pub(super) const SMALL: Self =
        Self { width: 300.0, height: 140.0, left: 44.0, right: 10.0, top: 10.0, bottom: 34.0 };

    /// A scale along the bottom.
    pub(super) fn x(&self, low: f64, high: f64) -> Scale {
        Scale::linear(low, high, self.left, self.width - self.right)
    }

    /// A scale along the left side.
    pub(super) fn y(&self, low: f64, high: f64) -> Scale {
        Scale::linear(low, high, self.height - self.bottom, self.top)
    }

    /// A scale of counts along the left side.
    pub(super) fn y_counts(&self, high: f64) -> Scale {
        Scale::counts(high, self.height - self.bottom, self.top)
    }

    /// The picture with these contents.
    pub(super) fn picture(&self, about: &str, contents: &Markup) -> Markup {
        html! {
            svg viewBox=(format!("0 0 {} {}", self.width, self.height)) role="img" aria-label=(about) { (contents) }
        }
    }

    /// Both axes: ticks as place and text, and what the axes are of.
    pub(super) fn axes(
        &self,
        x: &[(f64, String)],
        y: &[(f64, String)],
        x_title: &str,
        y_title: &str,
    ) -> Markup {
        let (left, right) = (self.left, self.width - self.right);
        let (top, bottom) = (self.top, self.height - self.bottom);
        let middle = (top + bottom) / 2.0;
        html! {
            @for (place, text) in y {
                line class="grid" x1=(left) x2=(right) y1=(num(*place)) y2=(num(*place)) {}
                text x=(left - 7.0) y=(num(place + 3.5)) text-anchor="end" { (text) }
            }
            line class="axis" x1=(left) x2=(right) y1=(bottom) y2=(bottom) {}
            @for (place, text) in x {
                line class="axis" x1=(num(*place)) x2=(num(*place)) y1=(bottom) y2=(bottom + 4.0) {}
                text x=(num(*place)) y=(bottom + 16.0) text-anchor="middle" { (text) }
            }
            text x=(num((left + right) / 2.0)) y=(self.height - 6.0) text-anchor="middle" { (x_title) }
            @if !y_title.is_empty() {
                text transform=(format!("rotate(-90 12 {middle})")) x="12" y=(num(middle)) text-anchor="middle" {
                    (y_title)
                }
            }
        }
    }
}

/// Ticks of a scale with their texts.
pub(super) fn labelled(scale: &Scale, about: usize, text: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    scale.ticks(about).into_iter().map(|value| (scale.at(value), text(value))).collect()
}

/// A place on the page, to a tenth.
pub(super) fn num(place: f64) -> f64 {
    let rounded = (place * 10.0).round() / 10.0;
    if rounded.is_finite() { rounded } else { 0.0 }
}

/// A whole number with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A whole number in few characters: `950`, `1.2k`, `3M`.
pub(super) fn brief(number: f64) -> String {
    let (scaled, unit) = match number {
        n if n >= 1e9 => (n / 1e9, "G"),
        n if n >= 1e6 => (n / 1e6, "M"),
        n if n >= 1e3 => (n / 1e3, "k"),
        n => (n, ""),
    };
    format!("{}{unit}", plain(scaled))
}

/// A number with as many decimals as say something.
pub(crate) fn plain(number: f64) -> String {
    let decimals = match number.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        n if n >= 0.1 || n == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0001 { "<0.01 %".to_owned() } else { format!("{} %", plain(100.0 * share)) }
}

/// A name that others wrote, without characters that would hide or reorder what stands around it.
pub(crate) fn shown(name: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    name.chars().map(|c| if hides(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// A name cut to `most` characters, its beginning and its end.
pub(crate) fn short(name: &str, most: usize) -> String {
    let name = shown(name);
    let length = name.chars().count();
    if length <= most {
        return name;
    }
    let head: String = name.chars().take(most / 2).collect();
    let tail: String = name.chars().skip(length - (most - most / 2 - 1)).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([count(7), count(1234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([brief(950.0), brief(1200.0), brief(3e6)], ["950", "1.2k", "3M"]);
        assert_eq!([percent(0.0), percent(0.001), percent(0.25)], ["0 %", "0.1 %", "25 %"]);
    }

    #[test]
    fn names_cannot_hide_or_reorder_what_stands_around_them() {
        assert_eq!(shown("a\u{202e}b\n"), "a\\u{202e}b\\u{a}");
        assert_eq!(short("/abcdefghij", 7), "/ab…hij");
    }

    #[test]
    fn ticks_are_round_and_lie_on_the_scale() {
        assert_eq!(Scale::linear(0.0, 9.0, 0.0, 90.0).ticks(5), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(Scale::counts(2000.0, 0.0, 1.0).ticks(5), [1.0, 10.0, 100.0, 1000.0]);
        let scale = Scale::linear(2.0, 4.0, 10.0, 30.0);
        assert_eq!((scale.at(2.0), scale.at(3.0), scale.at(4.0)), (10.0, 20.0, 30.0));
    }
}
