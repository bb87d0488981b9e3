//! What was read, how the two logs fit together, and whose labels they got.

use std::collections::BTreeMap;

use gait_common::alert::Class;
use maud::{Markup, html};

use super::super::label::Outcome;
use super::super::labels::Source;
use super::super::logs::Counts;
use super::table;
use crate::report::Section;
use crate::report::chart::{count, shown};

pub(super) fn section(outcome: &Outcome) -> Section {
    let about = &outcome.pair.about;
    let body = html! {
        @if let (Some(version), Some(pcap)) = (&about.suricata, &about.pcap) {
            p {
                "Suricata " (version) " decoded all " (count(about.packets)) " packets of " code { (shown(pcap)) }
                " in both runs, each in a fresh directory with every error fatal."
            }
            @if let Some(cut) = &about.cut {
                p { span class="tag bad" { "cut capture" } " " (shown(cut)) ". What comes before it was used." }
            }
            @if about.overflown > 0 {
                p { span class="tag bad" { "alerts lost" } " Single packets raised more alerts than Suricata keeps: " (count(about.overflown)) " were dropped." }
            }
            table {
                thead { tr { th { "rules" } th class="num" { "in the file" } th class="num" { "loaded" } } }
                tbody {
                    @for set in &about.rules {
                        tr {
                            td { code { (shown(&set.file)) } }
                            td class="num" { (count(set.rules as u64)) }
                            td class="num" { (count(set.loaded as u64)) }
                        }
                    }
                }
            }
            @if !about.stand_ins.is_empty() {
                p {
                    "Suricata refuses " (about.stand_ins.len()) " of the loose rules. In their place the strict ones of the same "
                    "ids ran, so that nothing of the strict log can be missing for that reason:"
                }
                div class="scroll" {
                    table {
                        thead { tr { th { "Suricata's words" } th class="num" { "sid" } th class="num" { "line" } } }
                        tbody {
                            @for rule in &about.stand_ins {
                                tr { td { (shown(&rule.words)) } td class="num" { (rule.sid) } td class="num" { (rule.line) } }
                            }
                        }
                    }
                }
            }
        } @else {
            p { "Read from finished logs; no Suricata was run." }
        }
        h3 { "Lines" }
        (lines([&outcome.pair.strict.counts, &outcome.pair.loose.counts]))
        @for counts in [&outcome.pair.strict.counts, &outcome.pair.loose.counts] {
            @if !counts.samples.is_empty() {
                details {
                    summary { "Malformed lines of " (shown(&counts.file)) }
                    ul { @for sample in &counts.samples { li { code { (shown(sample)) } } } }
                }
            }
        }
    };
    Section { id: "input", title: "What was read", body }
}

fn lines(both: [&Counts; 2]) -> Markup {
    type Of = fn(&Counts) -> u64;
    let rows: [(&str, Of); 8] = [
        ("lines", |counts| counts.lines),
        ("alerts about HTTP, taken", |counts| counts.alerts),
        ("alerts about something else", |counts| counts.no_http),
        ("from or to excluded addresses", |counts| counts.excluded),
        ("repeated", |counts| counts.repeated),
        ("events of other types", |counts| counts.other.values().sum()),
        ("malformed", Counts::faults),
        ("blank", |counts| counts.blank),
    ];
    html! {
        div class="scroll" {
            table {
                thead { tr { th {} th class="num" { "strict log" } th class="num" { "loose log" } } }
                tbody {
                    @for (name, of) in rows {
                        tr { td { (name) } @for counts in both { td class="num" { (count(of(counts))) } } }
                    }
                }
            }
        }
    }
}

pub(super) fn join(outcome: &Outcome) -> Section {
    let found = &outcome.join.found;
    let body = html! {
        p {
            "Alerts are equal when time, both ends, transaction and rule are. Every strict alert should be in the loose log: "
            @if found.lost() == 0 && found.moved == 0 {
                "all " (count(found.strict as u64)) " are."
            } @else {
                (count(found.equal as u64)) " of " (count(found.strict as u64)) " are, " (count(found.moved as u64))
                " more were raised in the same transaction at another packet, and " (count(found.lost() as u64)) " are missing. "
                "The missing ones are labelled, but not learned from."
            }
        }
        @for (reason, missing) in &found.missing {
            p { span class="tag bad" { (count(missing.count as u64)) " missing" } " " (reason.words()) }
            details {
                summary { "Examples" }
                ul { @for example in &missing.examples { li { code { (shown(example)) } } } }
            }
        }
    };
    Section { id: "join", title: "How the logs fit together", body }
}

pub(super) fn labels(outcome: &Outcome) -> Section {
    let (read, applied) = (&outcome.words.read, &outcome.labelling.applied);
    let mut by_source: BTreeMap<Source, [u64; 2]> = BTreeMap::new();
    for labelled in &outcome.labelling.loose {
        by_source.entry(labelled.source).or_default()[usize::from(labelled.class == Class::Real)] += 1;
    }
    let body = html! {
        div class="scroll" {
            table {
                caption { "The loose log by whose word it is labelled" }
                thead { tr { th { "label" } th class="num" { "real" } th class="num" { "false alarm" } } }
                tbody {
                    @for (source, [false_alarms, real]) in &by_source {
                        tr {
                            td { (words(*source)) }
                            td class="num" { (count(*real)) }
                            td class="num" { (count(*false_alarms)) }
                        }
                    }
                }
            }
        }
        (table("Files of labels", "file", read.files.iter().map(|(file, _, number)| (file.as_str(), *number))))
        @if applied.overruled > 0 {
            p { (count(applied.overruled)) " words about single alerts overrule what their rule or the seed rule says." }
        }
        @if applied.unknown_alerts > 0 {
            p { (count(applied.unknown_alerts)) " words are about alerts that are in neither log." }
        }
        @if !applied.unknown_rules.is_empty() {
            p { (count(applied.unknown_rules.len() as u64)) " words are about rules without a strict alert." }
        }
        @if read.contradictions > 0 {
            p { span class="tag bad" { (count(read.contradictions)) " contradictions" } " Of two words about the same thing the later one counts." }
            ul { @for text in &read.contradicting { li { (shown(text)) } } }
        }
    };
    Section { id: "labels", title: "Labels", body }
}

fn words(source: Source) -> &'static str {
    match source {
        Source::Said => "said of this alert",
        Source::Reviewed => "only the loose rules raised it, and it was reviewed",
        Source::Copied => "copied from the word about its strict rule",
        Source::PresumedReal => "the strict rules raised it, nobody said anything: taken for real",
        Source::PresumedFalse => {
            "only the loose rules raised it, nobody looked: a false alarm by the seed rule"
        }
    }
}
