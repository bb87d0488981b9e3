//! Findings about call trees: for machines as OCSF, for people as a paragraph.

use std::fmt::Write as _;

use gait_common::finding::{Mark, Tie, TreeFigures, TreeFinding, ValueShift};
use gait_common::tree::TreeKind;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Origin;
use super::pretty::printable;

/// What a finding is about, in a few words.
pub(super) fn title(finding: &TreeFinding) -> String {
    if let Some(together) = &finding.together {
        return format!(
            "{} of {} roots at {} take longer",
            together.slow,
            together.of,
            printable(&finding.source)
        );
    }
    let what = if finding.interface.is_empty() { &finding.root } else { &finding.interface };
    let how = match finding.kind {
        TreeKind::UnseenTree => "runs a call tree never seen before",
        TreeKind::RareTree => "runs a rare call tree more often",
        TreeKind::LatencyShift => "takes longer",
        TreeKind::FailureShift => "fails more often",
        TreeKind::UnseenValue => "has an argument or result never seen before",
        TreeKind::RareValue => "has a rare argument or result more often",
    };
    format!("{} at {} {how}", printable(what), printable(&finding.source))
}

/// What OCSF calls how bad it is: how far past the limit the evidence is.
pub(super) fn severity(finding: &TreeFinding) -> (u8, &'static str) {
    match finding.evidence / finding.limit.max(1.0) {
        over if over >= 4.0 => (4, "High"),
        over if over >= 2.0 => (3, "Medium"),
        _ => (2, "Low"),
    }
}

/// The part of an event that is about trees.
pub(super) fn evidences(finding: &TreeFinding) -> Value {
    let operation = if finding.interface.is_empty() { &finding.root } else { &finding.interface };
    json!([{
        "api": {"operation": operation, "service": {"name": finding.source}},
        "data": match &finding.value {
            None => json!({"root": finding.root, "code": finding.code}),
            Some(value) => json!({"root": finding.root, "code": finding.code, "function": value.function}),
        },
    }])
}

/// What the event says about who found it.
pub(super) fn analytic(origin: &Origin) -> Value {
    json!({"name": "call tree", "type_id": 2, "type": "Behavioral", "uid": origin.model})
}

/// A finding as a person would want to read it. Several lines, each with its line end.
pub(super) fn paragraph(finding: &TreeFinding) -> String {
    let mut out = String::new();
    let seconds = i64::try_from(finding.time / 1_000_000_000).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "{} {} (evidence 10^{:.1}, limit 10^{:.1})",
        time.strftime("%F %T"),
        title(finding),
        finding.evidence,
        finding.limit
    );
    let _ = writeln!(out, "  why:      {}", printable(&finding.text));
    if let Some(value) = &finding.value {
        let _ = writeln!(out, "  now:      {}", seen(value, &finding.now));
        if let Some(before) = &finding.before {
            let _ = writeln!(
                out,
                "  before:   {} times, {:.2} % of what was seen there, {} different values",
                before.calls,
                before.share * 100.0,
                value.distinct_before
            );
        }
        return out;
    }
    let _ = writeln!(out, "  now:      {}", figures(&finding.now));
    if let Some(before) = &finding.before {
        let of = if finding.nearest.is_some() { " (the nearest known tree)" } else { "" };
        let _ = writeln!(out, "  before:   {}{of}", figures(before));
    }
    match finding.tie {
        Tie::Thread => out.push_str("  tied by:  the thread that served the requests (exact)\n"),
        Tie::Sender => out.push_str("  tied by:  the thread that sent the responses (nearly always right)\n"),
        Tie::None => {}
    }
    for (place, line) in finding.tree.iter().enumerate() {
        let head = if place == 0 { "tree:" } else { "" };
        let indent = 2 * usize::from(line.depth);
        let sign = line.mark.sign();
        let _ = writeln!(out, "  {head:<10}{sign}{:indent$}{}", "", printable(&line.function));
    }
    if finding.more_lines > 0 {
        let _ = writeln!(out, "            ({} calls are not shown)", finding.more_lines);
    }
    if finding.tree.iter().any(|line| line.mark != Mark::Same) {
        out.push_str("            + added, - missing, ~ in place of the missing one\n");
    }
    out
}

/// What was seen in an argument or as a result.
fn seen(value: &ValueShift, now: &TreeFigures) -> String {
    let each = value.values.iter().map(|one| format!("{} ({})", printable(&one.value), one.calls));
    let mut all = each.collect::<Vec<_>>().join(", ");
    if value.more > 0 {
        all += &format!(" and {} more", value.more);
    }
    let of = if value.argument == 0 { "result".to_owned() } else { format!("argument {}", value.argument) };
    let (times, percent) = (now.calls, now.share * 100.0);
    let function = printable(&value.function);
    format!("{of} of {function}, {times} of {} times ({percent:.2} %): {all}", value.total)
}

fn figures(figures: &TreeFigures) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    let mut text = format!(
        "{} calls, {:.2} % of all, {:.2} % failed",
        figures.calls,
        figures.share * 100.0,
        figures.failed * 100.0
    );
    if figures.p50 > 0 {
        text += &format!(
            "; {:.3} ms (median), {:.3} ms (9 in 10), {:.3} ms (99 in 100)",
            ms(figures.p50),
            ms(figures.p90),
            ms(figures.p99)
        );
    }
    text
}
