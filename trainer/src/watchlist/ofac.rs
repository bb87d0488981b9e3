//! OFAC's lists as CSV: `sdn.csv` with `alt.csv`, `add.csv` and `sdn_comments.csv` beside it; the consolidated list has the
//! same files under other names. There is no header, and `-0-` stands for nothing.

mod remarks;

use anyhow::{Context, Result};
use gait_common::identity::{EntityKind, NameKind};

use super::draft::{Draft, add_name, clean, joined, push_text};
use super::input::Text;
use super::rows::{Csv, Record};
use super::sink::Sink;

/// Fields of a row of the main file, and of the others.
pub(super) const SDN_FIELDS: usize = 12;
pub(super) const ALT_FIELDS: usize = 5;
pub(super) const ADD_FIELDS: usize = 6;
const COMMENT_FIELDS: usize = 2;
/// Remarks of this length are cut; the rest stands in the comments.
const REMARKS_LIMIT: usize = 1000;
/// OFAC ends its files with DOS's end mark.
const END: &str = "\u{1a}";

/// What stands in a file beside the main one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// What remarks are continued with.
    Comments,
    /// Other names.
    Alt,
    /// Addresses.
    Add,
}

impl Beside {
    pub(super) const ALL: [Self; 3] = [Self::Comments, Self::Alt, Self::Add];

    /// The name of the file, made of that of the main file: `sdn_2024.csv.gz` has `alt_2024.csv.gz` beside it.
    pub(super) fn name(self, main: &str) -> Option<String> {
        let lower = main.to_ascii_lowercase();
        let upper = main.starts_with(|c: char| c.is_ascii_uppercase());
        let cased = |word: &str| if upper { word.to_ascii_uppercase() } else { word.to_owned() };
        if lower.starts_with("sdn") && !lower.starts_with("sdn_comments") {
            let rest = &main[3..];
            return Some(match self {
                Self::Comments => format!("{}{rest}", cased("sdn_comments")),
                Self::Alt => format!("{}{rest}", cased("alt")),
                Self::Add => format!("{}{rest}", cased("add")),
            });
        }
        let at = lower.find("prim")?;
        let word = match self {
            Self::Comments => "comments",
            Self::Alt => "alt",
            Self::Add => "add",
        };
        Some(format!("{}{}{}", &main[..at], cased(word), &main[at + 4..]))
    }
}

/// Reads the main file. How many remarks are cut, whose rest stands in the comments.
pub(super) fn read(text: &mut Text, sink: &mut Sink<'_>) -> Result<u64> {
    let mut cut = 0_u64;
    let ended = rows(text, SDN_FIELDS, sink, |line, row, sink| match row {
        Ok(row) => {
            cut += u64::from(row[11].len() >= REMARKS_LIMIT);
            match draft(&row) {
                Ok(draft) => sink.accept(line, draft),
                Err((field, reason)) => sink.reject(line, &row[0], field, reason, &row[1]),
            }
        }
        Err((reason, start)) => sink.reject(line, "", "row", reason, &start),
    })?;
    if !ended {
        sink.warnings.push(
            "it does not end with the end mark that OFAC writes (0x1A): see that it is not cut short"
                .to_owned(),
        );
    }
    Ok(cut)
}

/// Reads a file beside it, whose rows belong to identities that are there.
pub(super) fn read_beside(what: Beside, text: &mut Text, sink: &mut Sink<'_>) -> Result<()> {
    let fields = match what {
        Beside::Comments => COMMENT_FIELDS,
        Beside::Alt => ALT_FIELDS,
        Beside::Add => ADD_FIELDS,
    };
    rows(text, fields, sink, |line, row, sink| {
        let row = match row {
            Ok(row) => row,
            Err((reason, start)) => return sink.detach(line, "", "row", reason, &start),
        };
        let Some(entity) = sink.entity(&row[0]) else {
            return sink.detach(line, &row[0], "id", "is of no identity in the main file", &row[1]);
        };
        match what {
            Beside::Alt => add_name(entity, &row[3], NameKind::Alias),
            Beside::Add => {
                push_text(&mut entity.addresses, &joined([&*row[2], &row[3], &row[4]]));
                push_text(&mut entity.countries, &row[4]);
            }
            Beside::Comments => {
                let mut more = Draft::new(&row[0], entity.kind);
                remarks::read(&row[1], &mut more);
                let (more, _) = more.finish();
                more.names.iter().for_each(|name| add_name(entity, &name.text, name.kind));
                more.countries.iter().for_each(|country| push_text(&mut entity.countries, country));
                entity.documents.extend(more.documents);
                entity.birth_dates.extend(more.birth_dates);
                entity.notes.push_str(&row[1]);
            }
        }
        sink.counts.attached += 1;
        Ok(())
    })?;
    Ok(())
}

/// A row, or why it is none and how it begins.
type Row = Result<Vec<String>, (String, String)>;

/// Walks the rows, with empty texts for what is null. Whether the end mark was seen.
fn rows(
    text: &mut Text,
    fields: usize,
    sink: &mut Sink<'_>,
    mut visit: impl FnMut(u64, Row, &mut Sink<'_>) -> Result<()>,
) -> Result<bool> {
    let mut csv = Csv::new(&mut text.reader, ',', Some(fields));
    let mut ended = false;
    while let Some((line, record)) = csv.next().context("failed to read on")? {
        let row = match record {
            Record::Fields(row) if row.len() == 1 && row[0].trim() == END => {
                ended = true;
                continue;
            }
            Record::Fields(row) if row.len() == fields => Ok(row
                .iter()
                .map(|field| clean(field))
                .map(|field| if field == "-0-" { String::new() } else { field })
                .collect()),
            Record::Fields(row) => Err((
                format!("has {} fields where {fields} belong; it may be cut short", row.len()),
                row.join(","),
            )),
            Record::Bad(reason, start) => Err((reason.to_owned(), start)),
        };
        visit(line, row, sink)?;
    }
    Ok(ended)
}

/// An identity of a row: number, name, type, programmes, title, call sign, type of vessel, tonnage, gross tonnage, flag,
/// owner, remarks.
fn draft(row: &[String]) -> Result<Draft, (&'static str, &'static str)> {
    let [id, name, kind, programs, title, call_sign, vessel, tonnage, gross, flag, owner, remarks] = row
    else {
        return Err(("row", "has not the fields of a row"));
    };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(("id", "is no number"));
    }
    if !name.chars().any(char::is_alphanumeric) {
        return Err(("name", "is empty"));
    }
    let mut draft = Draft::new(id, EntityKind::Organisation);
    match kind.to_ascii_lowercase().as_str() {
        "" | "entity" => {}
        "individual" => draft.kind(EntityKind::Person),
        "vessel" => draft.kind(EntityKind::Vessel),
        "aircraft" => draft.kind(EntityKind::Aircraft),
        _ => {
            draft.kind(EntityKind::Unknown);
            draft.fault("kind", "is none of individual, vessel, aircraft", kind);
        }
    }
    draft.name(name, NameKind::Primary);
    programs.split("] [").for_each(|program| draft.program(program.trim_matches(['[', ']', ' '])));
    draft.country(flag);
    draft.document("Call Sign", call_sign, "");
    for (label, text) in [
        ("title", title),
        ("vessel type", vessel),
        ("tonnage", tonnage),
        ("gross tonnage", gross),
        ("owner", owner),
    ] {
        draft.note(label, text);
    }
    remarks::read(remarks, &mut draft);
    draft.note("", remarks);
    Ok(draft)
}

#[cfg(test)]
mod tests;
