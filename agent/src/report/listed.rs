//! Findings about callers on a list, and what such a caller's other findings gain in weight.

use std::fmt::Write as _;

use gait_common::finding::ListedFinding;
use gait_common::identity::Decision;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pretty::printable;
use crate::screen::{Standing, field_name, word};

/// OCSF's severities, from the first.
const SEVERITIES: [&str; 5] = ["Informational", "Low", "Medium", "High", "Critical"];

/// What a finding is about, in a few words.
pub(super) fn title(finding: &ListedFinding) -> String {
    let near = match finding.decision {
        Decision::Block => "is listed as",
        _ => "may be listed as",
    };
    let name = finding.hits.first().map_or("", |hit| &hit.name);
    format!("{} {near} {}", printable(&finding.caller), printable(name))
}

/// The nearest hit field by field.
pub(super) fn why(finding: &ListedFinding) -> String {
    let Some(hit) = finding.hits.first() else { return String::new() };
    let fields = hit.fields.iter().map(|field| {
        let (name, points) = (field_name(field.field), field.score * field.weight * 100.0);
        format!("{name} {points:.0} points: {}", printable(&field.reason))
    });
    format!("score {:.0} of 100; {}", hit.score * 100.0, fields.collect::<Vec<_>>().join("; "))
}

/// Which list, of when.
pub(super) fn lists(finding: &ListedFinding) -> String {
    let of_hits = finding.lists.iter().filter(|list| finding.hits.iter().any(|hit| hit.source == list.name));
    let each = of_hits.map(|list| {
        let date = if list.date.is_empty() { "of unknown date" } else { &list.date };
        format!("{} {date}, version {}", printable(&list.name), printable(&list.version))
    });
    each.collect::<Vec<_>>().join("; ")
}

/// A name that is as good as certainly listed weighs high, one that a person must look at medium.
pub(super) fn severity(finding: &ListedFinding) -> (u8, &'static str) {
    match finding.decision {
        Decision::Block => (4, "High"),
        Decision::Review => (3, "Medium"),
        Decision::Pass => (2, "Low"),
    }
}

/// The severity of what a listed caller does: one step up where a person must look at the name, two where it is as good as
/// certain, critical at most.
pub(super) fn raised(severity: (u8, &'static str), standing: &Standing) -> (u8, &'static str) {
    let steps = match standing.decision {
        Decision::Pass => 0,
        Decision::Review => 1,
        Decision::Block => 2,
    };
    let id = (severity.0 + steps).min(5);
    (id, SEVERITIES[usize::from(id) - 1])
}

/// What makes a listed caller's finding weigh more, in words.
pub(super) fn because(standing: &Standing) -> String {
    format!(
        "the caller's name is that of {} ({} {}) by {:.0} of 100: {}",
        printable(&standing.name),
        printable(&standing.source),
        printable(&standing.id),
        standing.score * 100.0,
        word(standing.decision)
    )
}

/// The part of an event that is about the caller.
pub(super) fn evidences(finding: &ListedFinding) -> Value {
    json!([{
        "actor": {"user": {"name": finding.caller}},
        "process": {"pid": finding.pid, "name": finding.comm},
        "data": {"identity": finding.identity, "name": finding.name, "channel": finding.channel},
    }])
}

/// What the event says about who found it.
pub(super) fn analytic(finding: &ListedFinding) -> Value {
    json!({"name": "identity screening", "type_id": 1, "type": "Rule", "uid": finding.list})
}

/// A finding as a person would want to read it. Several lines, each with its line end.
pub(super) fn paragraph(finding: &ListedFinding) -> String {
    let mut out = String::new();
    let seconds = i64::try_from(finding.time / 1_000_000_000).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "{} {} ({})", time.strftime("%F %T"), title(finding), word(finding.decision));
    let _ = writeln!(out, "  name:     {} in {}", printable(&finding.name), printable(&finding.identity));
    let _ = writeln!(out, "  why:      {}", why(finding));
    let _ = writeln!(out, "  list:     {}", lists(finding));
    for hit in finding.hits.iter().skip(1) {
        let (name, source, id) = (printable(&hit.name), printable(&hit.source), printable(&hit.id));
        let _ = writeln!(out, "  also:     {name} ({source} {id}), {:.0} of 100", hit.score * 100.0);
    }
    if finding.more > 0 {
        let _ = writeln!(out, "            ({} more are not shown)", finding.more);
    }
    out
}
