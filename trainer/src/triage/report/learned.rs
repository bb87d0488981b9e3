//! What the seed rule alone would have cost, and what was learned instead.

use maud::{Markup, html};

use super::super::label::Outcome;
use super::super::review::Share;
use super::super::score::Score;
use super::between;
use crate::report::Section;
use crate::report::chart::{count, percent, plain};

/// One way of telling alerts apart, and how it did.
struct Line {
    title: &'static str,
    about: &'static str,
    cells: [Markup; 6],
}

impl Line {
    fn score(title: &'static str, about: &'static str, score: &Score) -> Self {
        let all = score.real.real + score.real.false_alarm + score.real.abstain;
        let harmless = score.false_alarm.real + score.false_alarm.false_alarm + score.false_alarm.abstain;
        let cells = [
            html! { (percent(score.recall())) },
            html! { (percent(score.precision())) },
            html! { (percent(score.false_alarm_precision())) },
            html! { (percent(score.false_alarm_recall())) },
            html! { (percent(score.coverage())) },
            html! { (plain(all)) " + " (plain(harmless)) },
        ];
        Self { title, about, cells }
    }
}

pub(super) fn costs(outcome: &Outcome) -> Section {
    let estimate = &outcome.estimate;
    let known = |share: &Option<Share>| match share {
        Some(share) => html! { (percent(share.share)) br; small class="soft" { (between(share.interval)) } },
        None => html! { "unknown" },
    };
    let nothing = || html! { "–" };
    let mut lines = vec![Line {
        title: "Seed rule",
        about: "estimated from what was reviewed",
        cells: [
            known(&estimate.seed_recall),
            nothing(),
            known(&estimate.seed_false_alarm_precision),
            nothing(),
            html! { "100 %" },
            nothing(),
        ],
    }];
    let (flows, later) = if outcome.seed_rule {
        ("connections held out, by the seed rule's labels", "later alerts, by the seed rule's labels")
    } else {
        ("connections held out, by the labels", "later alerts, by the labels")
    };
    if let Some(scored) = &outcome.scored {
        lines.push(Line::score("Seed rule", "by the truth", &scored.seed_rule));
    }
    lines.push(Line::score("Model", flows, &outcome.learned.held_out));
    lines.extend(outcome.learned.later.as_ref().map(|score| Line::score("Model", later, score)));
    if let Some(scored) = &outcome.scored {
        for (about, score) in [
            ("connections held out, by the truth", &scored.by_flow),
            ("later alerts, by the truth", &scored.by_time),
        ] {
            lines.extend(score.as_ref().map(|score| Line::score("Model", about, score)));
        }
    }
    let measures = [
        "real ones found (recall)",
        "right where it says real",
        "right where it says false alarm",
        "false alarms found",
        "something said of",
        "alerts: real + harmless",
    ];
    let body = html! {
        @if let Some(noise) = &estimate.noise {
            p {
                "Of the " (count(estimate.loose_only as u64)) " alerts that only the loose rules raised, " (count(estimate.reviewed as u64))
                " were reviewed and " (count(estimate.reviewed_real as u64)) " of those are real. Each rule weighted by its alerts, "
                strong { (percent(noise.share)) } " are real (95 % interval: " (between(noise.interval)) "), given that those reviewed "
                "were picked at random within each rule. That often the seed rule, which calls all of them false alarms, is wrong."
            }
        } @else {
            p {
                span class="tag bad" { "unreviewed" } " Nobody has looked at an alert that only the loose rules raised, so nothing is known "
                "of how many of them are real. "
                @if outcome.seed_rule {
                    "The model takes them all for false alarms, as the seed rule does. On traffic that is mostly attacks that is mostly wrong: "
                } @else {
                    "Nothing was learned from them, so what is told of the model below is told of alerts like the labelled ones: "
                }
                a href="#proposed" { "look at the proposed ones" } " and run this again with them."
            }
        }
        @if let Some(scored) = &outcome.scored {
            p {
                "By the truth, which nothing was learned from: " (percent(scored.seed.noise)) " of the alerts that only the loose rules raised "
                "are real; " (count(scored.seed.wrong_words as u64)) " of the labels that people gave are wrong; the truth knows "
                (count(scored.seed.known as u64)) " of the " (count(outcome.pair.loose.len() as u64)) " loose alerts."
            }
        }
        div class="scroll" {
            table {
                thead { tr { th {} @for measure in measures { th class="num wrap" { (measure) } } } }
                tbody {
                    @for line in &lines {
                        tr {
                            td { strong { (line.title) } br; small class="soft" { (line.about) } }
                            @for cell in &line.cells { td class="num" { (cell) } }
                        }
                    }
                }
            }
        }
        p class="soft" {
            "A real alert of which the model says nothing counts as not found. Each held-out alert was judged by a model that learned "
            "from other connections, or from earlier ones."
        }
    };
    Section { id: "noise", title: "What the seed rule would cost", body }
}

pub(super) fn classifier(outcome: &Outcome) -> Section {
    let learned = &outcome.learned;
    let band = learned.band;
    let body = html! {
        p {
            "A logistic model of " (count(learned.features as u64)) " features: what the request holds, which rule it was, how often "
            "its client and its rule alert. From " (count((learned.labelled.0 + learned.labelled.1) as u64)) " labelled, "
            (count((learned.reviewed.0 + learned.reviewed.1) as u64)) " reviewed and " (count(learned.presumed as u64))
            " presumed alerts. Below a probability of " (plain(f64::from(band.false_alarm))) " an alert is called a false alarm, from "
            (plain(f64::from(band.real))) " on real; in between nothing is said."
        }
        div class="scroll" {
            table {
                caption { "Ways of learning from alerts that nobody looked at, on connections held out; the first is used" }
                thead { tr { th { "way" } th class="num" { "log loss" } th class="num" { "Brier score" } th class="num" { "recall" } th class="num" { "precision" } } }
                tbody {
                    @for candidate in &learned.candidates {
                        tr {
                            td { (candidate.method.to_string()) @if candidate.method == learned.method { " " span class="tag good" { "used" } } }
                            td class="num" { (plain(candidate.score.log_loss)) }
                            td class="num" { (plain(candidate.score.brier)) }
                            td class="num" { (percent(candidate.score.recall())) }
                            td class="num" { (percent(candidate.score.precision())) }
                        }
                    }
                }
            }
        }
        div class="scroll" {
            table {
                caption { "Probabilities against labels, on connections held out (" (learned.calibration.to_string()) " calibration)" }
                thead { tr { th { "probability" } th class="num" { "alerts" } th class="num" { "said" } th { } th class="num" { "real" } th { } } }
                tbody {
                    @for bin in &learned.reliability {
                        tr {
                            td { (plain(bin.from)) " to " (plain(bin.to)) }
                            td class="num" { (plain(bin.count)) }
                            td class="num" { (percent(bin.said)) }
                            td { (meter(bin.said)) }
                            td class="num" { (percent(bin.real)) }
                            td { (meter(bin.real)) }
                        }
                    }
                }
            }
        }
    };
    Section { id: "model", title: "The classifier", body }
}

fn meter(share: f64) -> Markup {
    html! { span class="meter" { i style=(format!("width:{:.1}%", 100.0 * share.clamp(0.0, 1.0))) {} } }
}
