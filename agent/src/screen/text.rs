//! An answer for people at a terminal.

use std::fmt::Write as _;

use gait_common::identity::{Answer, Decision, Field, FieldScore, Hit, Script};

use super::{Screened, word};

/// The answer in lines, each with its line end.
pub(super) fn answer(name: &str, screened: &Screened) -> String {
    let Answer { decision, hits, more, notes, lists } = &screened.answer;
    let mut out = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "{}  {}", word(*decision).to_uppercase(), printable(name));
    if hits.is_empty() {
        let _ = writeln!(out, "  no listed identity comes near enough");
    }
    hits.iter().for_each(|hit| push_hit(&mut out, hit));
    if *more > 0 {
        let _ = writeln!(out, "  {more} more are not shown");
    }
    for cleared in &screened.cleared {
        let (id, by) = (printable(&cleared.id), printable(&cleared.by));
        let note = printable(&cleared.note);
        let _ = writeln!(out, "  cleared: {} {id} by {by} on {}: {note}", cleared.source, cleared.time);
    }
    notes.iter().for_each(|note| {
        let _ = writeln!(out, "  note: {}", printable(note));
    });
    for list in lists {
        let date = if list.date.is_empty() { "of unknown date" } else { &list.date };
        let _ =
            writeln!(out, "  asked: {} {date}, version {}", printable(&list.name), printable(&list.version));
    }
    let _ = writeln!(out, "  list {}, policy {}", screened.list, screened.policy);
    out
}

fn push_hit(out: &mut String, hit: &Hit) {
    let kind = serde_json::to_value(hit.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
    let _ = writeln!(
        out,
        "\n  {:>5.1} %  {}  ({kind}; {} {}; {})",
        hit.score * 100.0,
        printable(&hit.name),
        printable(&hit.source),
        printable(&hit.id),
        word(hit.decision)
    );
    for field in &hit.fields {
        push_field(out, field);
    }
}

fn push_field(out: &mut String, field: &FieldScore) {
    let FieldScore { weight, score, query, listed, forms, reason, .. } = field;
    let name = field_name(field.field);
    let _ = writeln!(
        out,
        "    {name:<13} {:>3.0} % x {weight:.2}  {} | {}  {}",
        score * 100.0,
        printable(query),
        printable(listed),
        printable(reason)
    );
    for form in forms {
        let script = script_name(form.script);
        let _ = writeln!(out, "      {script:<11} {} | {}", printable(&form.query), printable(&form.listed));
    }
}

/// A field as people call it.
pub(crate) fn field_name(field: Field) -> &'static str {
    match field {
        Field::Name => "name",
        Field::Alias => "other name",
        Field::BirthDate => "birth date",
        Field::Country => "country",
        Field::Document => "document",
        Field::Address => "address",
    }
}

/// A writing as people call it.
pub(crate) fn script_name(script: Script) -> &'static str {
    match script {
        Script::Han => "Han",
        Script::Pinyin => "Pinyin",
        Script::Latin => "Latin",
    }
}

/// The exit code of a query: scripts can tell decisions apart.
pub(super) fn code(decision: Decision) -> u8 {
    match decision {
        Decision::Pass => crate::exit::OK,
        Decision::Review => crate::exit::REVIEW,
        Decision::Block => crate::exit::BLOCK,
    }
}

/// Text that others wrote, without what would steer a terminal or reorder what stands there.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
