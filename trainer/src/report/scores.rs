//! How unusual normal sessions look to a model that has not seen them, and where the thresholds lie.

use gait_common::detect::{Part, Tail};
use maud::{Markup, html};

use super::chart::{Room, count, percent, plain};
use super::histogram::{Histogram, Rule, moments, share_from};
use super::{Section, View};

/// Shares of a normal distribution above its mean + 2σ and + 3σ.
const ABOVE_TWO: f64 = 0.022_750_131_948_179_2;
const ABOVE_THREE: f64 = 0.001_349_898_031_630_1;

pub(super) fn section(view: &View<'_>) -> Section {
    let held_out = &view.trained.held_out;
    let scores: Vec<f64> = held_out.scores.iter().map(|&score| f64::from(score)).collect();
    let (mean, deviation) = moments(&scores);
    let rate = view.false_alarm_rate();
    let rules = [
        Rule { name: "threshold", at: view.model.threshold() },
        Rule { name: "mean + 2σ", at: mean + 2.0 * deviation },
        Rule { name: "mean + 3σ", at: mean + 3.0 * deviation },
    ];
    let stated = [rate, ABOVE_TWO, ABOVE_THREE];
    let histogram = Histogram {
        values: &scores,
        rules: &rules,
        x_title: "score",
        y_title: "sessions (log scale)",
        bars: 80,
    };
    let body = html! {
        p {
            "Each session was judged by a model that was trained without its caller, so these are the scores that new "
            "normal sessions get. "
            @if view.trained.labelled.as_ref().is_some_and(|known| known.chosen) {
                "The threshold was chosen with the labels, so that it flags at most " (percent(rate)) " of them. "
            } @else {
                "The threshold is the score that " (percent(rate)) " of them are expected to reach: read off the highest "
                "scores, or where too few sessions reach it, off the tail that fits the twenty highest. "
            }
            "The sigma rules are shown beside it: scores are not normally distributed, so their nominal rates do not hold."
        }
        figure class="scroll" { (histogram.draw(&Room::WIDE)) }
        table {
            thead {
                tr {
                    th { "Rule" } th class="num" { "Score from" } th class="num" { "Rate it promises" }
                    th class="num" { "Held-out sessions above" } th class="num" { "That is" }
                }
            }
            tbody {
                @for (place, (rule, stated)) in rules.iter().zip(stated).enumerate() {
                    @let share = share_from(&scores, rule.at);
                    tr {
                        td { span class=(format!("key key-{place}")) {} (rule.name) @if place == 0 { " " span class="tag good" { "used" } } }
                        td class="num" { (plain(rule.at)) } td class="num" { (percent(stated)) }
                        td class="num" { (count((share * scores.len() as f64).round() as u64)) } td class="num" { (percent(share)) }
                    }
                }
            }
        }
        (parts(view))
    };
    Section { id: "scores", title: "Scores and thresholds", body }
}

/// A small histogram for each kind of evidence.
fn parts(view: &View<'_>) -> Markup {
    let evidence = &view.trained.held_out.evidence;
    let rate = view.false_alarm_rate();
    html! {
        h3 { "What the score is made of" }
        p {
            "The amounts of each kind of evidence among the same held-out sessions. An amount counts by how few normal "
            "sessions reach it. Lines: "
            span class="key key-0" {} (percent(rate)) " quantile, " span class="key key-1" {} "mean + 2σ, "
            span class="key key-2" {} "mean + 3σ."
        }
        div class="small" {
            @for part in Part::ALL {
                @let amounts: Vec<f32> = evidence.iter().map(|evidence| evidence.get(part)).collect();
                @let (title, unit) = about(part);
                figure {
                    figcaption { (title) span { (unit) } }
                    @if amounts.iter().all(|amount| *amount == 0.0) {
                        p class="soft" { "No held-out session shows any." }
                    } @else {
                        (small(&amounts, rate))
                    }
                }
            }
        }
    }
}

fn small(amounts: &[f32], rate: f64) -> Markup {
    let values: Vec<f64> = amounts.iter().map(|&amount| f64::from(amount)).collect();
    let (mean, deviation) = moments(&values);
    let quantile = f64::from(Tail::quantile(amounts, rate, f32::MIN_POSITIVE));
    let rules = [
        Rule { name: "quantile", at: quantile },
        Rule { name: "mean + 2σ", at: mean + 2.0 * deviation },
        Rule { name: "mean + 3σ", at: mean + 3.0 * deviation },
    ];
    Histogram { values: &values, rules: &rules, x_title: "", y_title: "sessions", bars: 40 }
        .draw(&Room::SMALL)
}

/// What a kind of evidence is called, and what its amount is.
pub(super) fn about(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::RareStep => ("Rare step", "bits of the least likely step"),
        Part::UnusualFlow => ("Unusual flow", "all steps, in σ beyond the usual"),
        Part::NewInterface => ("New interface", "calls to unknown interfaces"),
        Part::NewTransition => ("New transition", "steps never seen in this order"),
        Part::Repetition => ("Repetition", "bits of one call made so often"),
        Part::Enumeration => ("Enumeration", "bits of one call with so many values"),
        Part::Length => ("Length", "bits of a session so long"),
        Part::Balance => ("Balance", "bits of a call made just so often"),
        Part::Pattern => ("Pattern distance", "from the nearest way, 1 is the end of the entry's interval"),
        Part::Habits => ("Habits", "from the caller's habits, 1 is the limit"),
        Part::OtherGroup => ("Other group", "bits by which another group fits better"),
    }
}
