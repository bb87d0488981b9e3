//! Findings for people: one paragraph each.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Result;
use gait_common::finding::{Anomaly, Expected, Finding, NearestPattern, Reason};
use jiff::Timestamp;

use super::{Options, Report, Sink, listed, trees};

/// Steps shown before and after the offending one.
const AROUND: usize = 4;
/// Entries of a list that are shown to people; machines get them all.
const SHOWN: usize = 4;

#[derive(Debug)]
struct Paragraphs;

pub(super) fn open(options: &Options) -> Result<Option<Box<dyn Sink>>> {
    Ok(options.pretty.then(|| Box::new(Paragraphs) as Box<dyn Sink>))
}

impl Sink for Paragraphs {
    fn name(&self) -> String {
        "stdout".to_owned()
    }

    fn write(&mut self, report: &Report) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(paragraph(&report.finding).as_bytes())?;
        if let Some(standing) = &report.listed {
            writeln!(out, "  listed:   {}", listed::because(standing))?;
        }
        out.write_all(b"\n")?;
        out.flush()
    }
}

/// A finding as a person would want to read it. Several lines, each with its line end.
pub fn paragraph(anomaly: &Anomaly) -> String {
    match anomaly {
        Anomaly::Session(finding) => of_session(finding),
        Anomaly::Tree(finding) => trees::paragraph(finding),
        Anomaly::Listed(finding) => listed::paragraph(finding),
    }
}

/// A session: who, why, which step, what was to be expected instead. Several lines,
/// each with its line end.
fn of_session(finding: &Finding) -> String {
    let mut out = String::new();
    if finding.time > 0 {
        let seconds = i64::try_from(finding.time / 1_000_000_000).unwrap_or(i64::MAX);
        let time = Timestamp::from_second(seconds).unwrap_or_default();
        push(&mut out, format_args!("{} ", time.strftime("%F %T")));
    }
    push(&mut out, format_args!("{} walks differently", printable(&finding.caller)));
    if !finding.comm.is_empty() {
        push(&mut out, format_args!(" at {}[{}]", printable(&finding.comm), finding.pid));
    }
    push(&mut out, format_args!(" (score {:.2}, threshold {:.2})\n", finding.score, finding.threshold));
    push(&mut out, format_args!("  why:      {}\n", some(&each_reason(finding), "; ")));
    push(&mut out, format_args!("  walk:     {}\n", steps(finding)));
    if let Some(nearest) = &finding.nearest {
        push(&mut out, format_args!("  normally: {}\n", normally(nearest)));
    }
    if !finding.expected.is_empty() {
        push(&mut out, format_args!("  expected: {}\n", expected(&finding.expected)));
    }
    if finding.gap {
        out.push_str("  note:     part of this session was not captured\n");
    }
    out
}

/// The reasons in one line, the weightiest first.
pub(super) fn reasons(finding: &Finding) -> String {
    each_reason(finding).join("; ")
}

fn each_reason(finding: &Finding) -> Vec<String> {
    let text = |r: &Reason| format!("{} ({:.0} %)", printable(&r.text), r.share * 100.0);
    finding.reasons.iter().map(text).collect()
}

/// The first entries of a list, and how many more there are.
fn some(entries: &[String], separator: &str) -> String {
    match entries.len().checked_sub(SHOWN) {
        None | Some(0) => entries.join(separator),
        Some(more) => format!("{}{separator}{more} more", entries[..SHOWN].join(separator)),
    }
}

/// The steps around the offending one, which stands between `>>` and `<<`.
pub(super) fn steps(finding: &Finding) -> String {
    let steps = &finding.steps;
    let offending = steps.iter().position(|step| step.offending);
    let middle = offending.unwrap_or(steps.len().saturating_sub(1));
    let (from, to) = (middle.saturating_sub(AROUND), (middle + AROUND + 1).min(steps.len()));
    let before = finding.earlier_steps as usize + from;
    let mut shown = Vec::new();
    if before > 0 {
        shown.push(format!("({before} earlier)"));
    }
    for step in &steps[from..to] {
        let name = printable(&step.interface);
        shown.push(if step.offending { format!(">> {name} <<") } else { name });
    }
    if to < steps.len() {
        shown.push(format!("({} more)", steps.len() - to));
    }
    shown.join(", ")
}

fn normally(nearest: &NearestPattern) -> String {
    let path: Vec<_> = nearest.path.iter().map(|name| printable(name)).collect();
    let edits: Vec<_> = nearest.edits.iter().map(|edit| printable(edit)).collect();
    let mut text = format!("{} ({:.0} % alike", path.join(", "), nearest.similarity * 100.0);
    if !edits.is_empty() {
        push(&mut text, format_args!("; {}", some(&edits, "; ")));
    }
    text.push(')');
    text
}

fn expected(expected: &[Expected]) -> String {
    let each =
        expected.iter().map(|e| format!("{} ({:.0} %)", printable(&e.interface), e.probability * 100.0));
    each.collect::<Vec<_>>().join(", ")
}

/// Text that came from the network, without what would steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
