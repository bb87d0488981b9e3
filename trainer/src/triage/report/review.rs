//! The rules one by one, what is to be looked at, and what to do then.

use std::collections::BTreeMap;

use anyhow::Result;
use gait_common::alert::{Alert, Class, Raw};
use maud::{Markup, html};

use super::super::label::Outcome;
use super::super::labels::Source;
use super::Names;
use crate::report::Section;
use crate::report::chart::{count, short, shown};

/// Rows that the page shows; the files have all.
const MOST: usize = 40;
/// Characters of a URL.
const URL: usize = 110;

/// What a rule raised.
#[derive(Default)]
struct Rule {
    message: String,
    strict: u64,
    only_loose: u64,
    /// Reviewed false alarms, reviewed real ones.
    reviewed: [u64; 2],
}

pub(super) fn rules(outcome: &Outcome) -> Result<Section> {
    let mut rules: BTreeMap<u32, Rule> = BTreeMap::new();
    for (at, labelled) in outcome.labelling.loose.iter().enumerate() {
        let rule = rules.entry(outcome.pair.loose.key(at).signature).or_default();
        if rule.message.is_empty() {
            rule.message = outcome.pair.loose.alert(at)?.signature.text().into_owned();
        }
        match labelled.source {
            Source::PresumedFalse => rule.only_loose += 1,
            Source::Reviewed => {
                rule.only_loose += 1;
                rule.reviewed[usize::from(labelled.class == Class::Real)] += 1;
            }
            _ => rule.strict += 1,
        }
    }
    let total = rules.len();
    let mut rules: Vec<_> = rules.into_iter().collect();
    rules.sort_by_key(|(sid, rule)| (std::cmp::Reverse(rule.only_loose), *sid));
    let body = html! {
        p { "Rules whose loose form raises most beyond the strict one come first: these are the ones worth tuning or reviewing." }
        div class="scroll" {
            table {
                thead { tr { th { "rule" } th class="num" { "sid" } th class="num" { "strict" } th class="num" { "only loose" } th class="num" { "reviewed" } th class="num" { "of these real" } } }
                tbody {
                    @for (sid, rule) in rules.iter().take(MOST) {
                        @let reviewed: u64 = rule.reviewed.iter().sum();
                        tr {
                            td { (short(&rule.message, 90)) }
                            td class="num" { (sid) }
                            td class="num" { (count(rule.strict)) }
                            td class="num" { (count(rule.only_loose)) }
                            td class="num" { (count(reviewed)) }
                            td class="num" { @if reviewed > 0 { (count(rule.reviewed[1])) } @else { "–" } }
                        }
                    }
                }
            }
        }
        @if total > MOST { p class="soft" { (count((total - MOST) as u64)) " more rules have fewer." } }
    };
    Ok(Section { id: "rules", title: "Rules", body })
}

pub(super) fn proposed(outcome: &Outcome) -> Result<Section> {
    let alerts: Vec<Alert<'_>> = outcome
        .proposed
        .iter()
        .take(MOST)
        .map(|&at| outcome.pair.loose.alert(at))
        .collect::<Result<_, _>>()?;
    let body = html! {
        p {
            "Drawn at random from the alerts that only the loose rules raised and nobody has looked at, each rule in proportion. "
            "All " (count(outcome.proposed.len() as u64)) " are in " code { "review.csv" } ", and as documents for Kibana in "
            code { "review.bulk.ndjson" } "."
        }
        @if !alerts.is_empty() { (requests(&alerts)) }
        @if outcome.proposed.len() > MOST { p class="soft" { "The first " (MOST) " of them." } }
    };
    Ok(Section { id: "proposed", title: "To be reviewed", body })
}

fn requests(alerts: &[Alert<'_>]) -> Markup {
    let text = |raw: Option<Raw<'_>>| raw.map_or_else(String::new, |raw| raw.text().into_owned());
    html! {
        div class="scroll" {
            table {
                thead { tr { th { "request" } th { "rule" } th { "client" } } }
                tbody {
                    @for alert in alerts {
                        @let client = if alert.to_client { alert.key.destination } else { alert.key.source };
                        tr {
                            td { code { (short(&text(alert.http.method), 12)) " " (short(&text(alert.http.url), URL)) } }
                            td { (short(&alert.signature.text(), 60)) }
                            td { code { (client) } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn next(outcome: &Outcome, names: &Names) -> Section {
    let dir = shown(&names.dir);
    let again = format!(
        "gait-trainer triage label --strict-eve {dir}/strict.jsonl --loose-eve {dir}/loose.jsonl --labels {dir}/review.csv --out {dir}-2"
    );
    let body = html! {
        ol class="next" {
            @if !outcome.proposed.is_empty() {
                li {
                    strong { "Review the proposed alerts." }
                    "Write " code { "real" } " or " code { "false_alarm" } " into the column " code { "label" } " of " code { "review.csv" }
                    ", or index " code { "review.bulk.ndjson" } " and set " code { "gait.label" } " in Kibana. Those you leave blank stay unreviewed."
                }
                li {
                    strong { "Learn again with them." }
                    "No Suricata is needed; name the other files of labels too, and rename the review if you keep its directory:"
                    pre { code { (again) } }
                }
            }
            li {
                strong { "Try the model." }
                "It adds a verdict, a probability and reasons to every alert, and changes no line of the log:"
                pre { code { "gait-agent triage --model " (dir) "/model.gait eve.json" } }
            }
        }
    };
    Section { id: "next", title: "What to do next", body }
}
