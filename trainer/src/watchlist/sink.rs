//! Where readers put what they find, and say of every row what could not be used.

use std::fmt;

use anyhow::{Result, bail};
use gait_common::identity::{Entity, MAX_ENTITIES, MAX_NAMES, MAX_TEXT};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::draft::Draft;

/// Most bytes of text that one source may hold: what is beyond does not fit into a list file anyway.
const MAX_BYTES: usize = 256 << 20;
/// Longest excerpt of a value in a report, in characters.
const EXCERPT: usize = 80;

/// What became of a row with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The row is not in the list.
    Rejected,
    /// The row is in the list without the value that is named.
    Dropped,
    /// The row is in the list with a value that was put right.
    Repaired,
}

/// A fault of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What became of the row.
    pub outcome: Outcome,
    /// The file.
    pub file: String,
    /// The line the row begins at, from 1.
    pub line: u64,
    /// The row's identifier; empty when it has none.
    pub id: String,
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
    /// The beginning of its value.
    pub value: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { outcome, file, line, id, field, reason, value } = self;
        let outcome = match outcome {
            Outcome::Rejected => "rejected",
            Outcome::Dropped => "left out",
            Outcome::Repaired => "repaired",
        };
        write!(f, "{file}:{line}: {outcome}: {field}: {reason}")?;
        if !value.is_empty() {
            write!(f, ": {value:?}")?;
        }
        if !id.is_empty() {
            write!(f, " (id {id})")?;
        }
        Ok(())
    }
}

/// Who is told of every fault.
pub type Problems<'p> = dyn FnMut(&Problem) -> Result<()> + 'p;

/// How many rows there were, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that should be identities.
    pub rows: u64,
    /// Of these, those that are in the list.
    pub entities: u64,
    /// Of these, those that were rejected.
    pub rejected: u64,
    /// Of these, those that a later row with the same identifier replaced.
    pub replaced: u64,
    /// Rows of other names and of addresses that stand in files of their own, and were added to an identity.
    pub attached: u64,
    /// Of such rows, those that were rejected.
    pub detached: u64,
    /// Values that were left out of a row that is in the list.
    pub dropped: u64,
    /// Values that were put right.
    pub repaired: u64,
    /// Records that are no identities to screen against, as their source says.
    pub passed_over: u64,
}

/// Who published what is read, as far as the files say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Version, or date and time of publication.
    pub version: String,
    /// Date of publication, `YYYY-MM-DD`.
    pub date: String,
    /// How many entities the publisher says there are.
    pub count: Option<u64>,
}

/// Where readers put what they find.
pub struct Sink<'p> {
    /// The entities, in the order they came.
    pub entities: Vec<Entity>,
    /// What became of the rows.
    pub counts: Counts,
    /// What the files say of themselves.
    pub published: Published,
    /// What the user should know, but is no fault of a row.
    pub warnings: Vec<String>,
    places: FxHashMap<String, usize>,
    file: String,
    bytes: usize,
    problems: &'p mut Problems<'p>,
}

impl<'p> Sink<'p> {
    /// An empty one.
    pub fn new(problems: &'p mut Problems<'p>) -> Self {
        Self {
            entities: Vec::new(),
            counts: Counts::default(),
            published: Published::default(),
            warnings: Vec::new(),
            places: FxHashMap::default(),
            file: String::new(),
            bytes: 0,
            problems,
        }
    }

    /// What comes next is of this file.
    pub(super) fn begin(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    /// Takes an identity, or rejects it.
    pub(super) fn accept(&mut self, line: u64, draft: Draft) -> Result<()> {
        self.counts.rows += 1;
        let (mut entity, faults) = draft.finish();
        for (field, reason, value) in faults {
            self.dropped(line, &entity.id, field, reason, &value)?;
        }
        self.shorten(line, &mut entity)?;
        // The place of its source is not known here.
        entity.source = 0;
        if let Err(reason) = entity.check(1) {
            let (id, title) = (entity.id.clone(), entity.title().to_owned());
            return self.refuse(line, &id, "row", reason.to_owned(), &title);
        }
        self.bytes += size(&entity);
        if self.bytes > MAX_BYTES || self.entities.len() >= MAX_ENTITIES {
            bail!(
                "{}:{line}: there is more than a list can hold: {MAX_ENTITIES} identities or {} MiB of text",
                self.file,
                MAX_BYTES >> 20
            );
        }
        match self.places.get(&entity.id) {
            Some(&place) => {
                self.counts.replaced += 1;
                let reason = "an earlier row has the same id; this one replaces it".to_owned();
                let id = entity.id.clone();
                self.entities[place] = entity;
                self.tell(Outcome::Repaired, line, &id, "id", reason, "")
            }
            None => {
                self.places.insert(entity.id.clone(), self.entities.len());
                self.entities.push(entity);
                self.counts.entities += 1;
                Ok(())
            }
        }
    }

    /// The identity of an id, to add to it.
    pub(super) fn entity(&mut self, id: &str) -> Option<&mut Entity> {
        self.places.get(id).map(|&place| &mut self.entities[place])
    }

    /// A row that is no identity.
    pub(super) fn reject(
        &mut self,
        line: u64,
        id: &str,
        field: &'static str,
        reason: impl Into<String>,
        value: &str,
    ) -> Result<()> {
        self.counts.rows += 1;
        self.refuse(line, id, field, reason.into(), value)
    }

    fn refuse(
        &mut self,
        line: u64,
        id: &str,
        field: &'static str,
        reason: String,
        value: &str,
    ) -> Result<()> {
        self.counts.rejected += 1;
        self.tell(Outcome::Rejected, line, id, field, reason, value)
    }

    /// A row of another file that belongs to no identity or cannot be read.
    pub(super) fn detach(
        &mut self,
        line: u64,
        id: &str,
        field: &'static str,
        reason: impl Into<String>,
        value: &str,
    ) -> Result<()> {
        self.counts.detached += 1;
        self.tell(Outcome::Rejected, line, id, field, reason.into(), value)
    }

    /// A value that is left out.
    pub(super) fn dropped(
        &mut self,
        line: u64,
        id: &str,
        field: &'static str,
        reason: impl Into<String>,
        value: &str,
    ) -> Result<()> {
        self.counts.dropped += 1;
        self.tell(Outcome::Dropped, line, id, field, reason.into(), value)
    }

    /// A value that was put right.
    pub(super) fn repaired(&mut self, line: u64, id: &str, field: &'static str, reason: &str) -> Result<()> {
        self.counts.repaired += 1;
        self.tell(Outcome::Repaired, line, id, field, reason.to_owned(), "")
    }

    fn tell(
        &mut self,
        outcome: Outcome,
        line: u64,
        id: &str,
        field: &'static str,
        reason: String,
        value: &str,
    ) -> Result<()> {
        let (file, id) = (self.file.clone(), excerpt(id));
        (self.problems)(&Problem { outcome, file, line, id, field, reason, value: excerpt(value) })
    }

    /// Leaves out what is longer than a list may hold, so that one oversized value does not cost the identity.
    fn shorten(&mut self, line: u64, entity: &mut Entity) -> Result<()> {
        let id = entity.id.clone();
        let too_long = |size: usize| format!("has {size} bytes, and {MAX_TEXT} are the most");
        let mut long = Vec::new();
        let mut fits = |field, text: &str| {
            let fits = text.len() <= MAX_TEXT;
            if !fits {
                long.push((field, too_long(text.len()), excerpt(text)));
            }
            fits
        };
        entity.names.retain(|name| fits("name", &name.text));
        entity
            .documents
            .retain(|document| fits("document", &document.number) && fits("document", &document.kind));
        entity.addresses.retain(|address| fits("address", address));
        entity.countries.retain(|country| fits("country", country));
        entity.programs.retain(|program| fits("program", program));
        for (field, over) in [
            ("name", over(&mut entity.names)),
            ("document", over(&mut entity.documents)),
            ("address", over(&mut entity.addresses)),
            ("country", over(&mut entity.countries)),
            ("program", over(&mut entity.programs)),
            ("birth date", over(&mut entity.birth_dates)),
        ] {
            if over {
                long.push((field, format!("there are more than {MAX_NAMES}: the rest"), String::new()));
            }
        }
        for (field, reason, value) in long {
            self.dropped(line, &id, field, reason, &value)?;
        }
        if entity.notes.len() > MAX_TEXT {
            let mut end = MAX_TEXT - 4;
            while !entity.notes.is_char_boundary(end) {
                end -= 1;
            }
            entity.notes.truncate(end);
            entity.notes.push_str(" ...");
            self.repaired(line, &id, "notes", &format!("shortened to {MAX_TEXT} bytes"))?;
        }
        Ok(())
    }
}

/// Cuts a list to what an entity may have; whether there was more.
fn over<T>(list: &mut Vec<T>) -> bool {
    let over = list.len() > MAX_NAMES;
    list.truncate(MAX_NAMES);
    over
}

fn size(entity: &Entity) -> usize {
    let names: usize = entity.names.iter().map(|name| name.text.len() + 4).sum();
    let documents: usize =
        entity.documents.iter().map(|d| d.kind.len() + d.number.len() + d.country.len() + 4).sum();
    let texts = [&entity.countries, &entity.addresses, &entity.programs];
    let texts: usize = texts.into_iter().flatten().map(|text| text.len() + 1).sum();
    names + documents + texts + entity.id.len() + entity.notes.len() + 8 * entity.birth_dates.len() + 16
}

/// The beginning of a value, on one line.
fn excerpt(text: &str) -> String {
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push_str("...");
    }
    short
}
