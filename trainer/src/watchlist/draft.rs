//! An identity while a reader puts it together.

use gait_common::identity::{BirthDate, Document, Entity, EntityKind, MAX_NAMES, Name, NameKind};

/// Years before this one are of other calendars: 1402 of the Hijra is 1982.
const FIRST_YEAR: u16 = 1800;

/// An identity that is being put together. Texts are cleaned, what is empty or there already is passed over, and what
/// cannot be understood is remembered.
#[derive(Debug, Default)]
pub(super) struct Draft {
    entity: Entity,
    faults: Vec<(&'static str, String, String)>,
}

impl Draft {
    pub(super) fn new(id: &str, kind: EntityKind) -> Self {
        Self { entity: Entity { id: clean(id), kind, ..Entity::default() }, faults: Vec::new() }
    }

    pub(super) fn id(&self) -> &str {
        &self.entity.id
    }

    pub(super) fn kind(&mut self, kind: EntityKind) {
        self.entity.kind = kind;
    }

    pub(super) fn has_name(&self) -> bool {
        !self.entity.names.is_empty()
    }

    pub(super) fn name(&mut self, text: &str, kind: NameKind) {
        add_name(&mut self.entity, text, kind);
    }

    pub(super) fn birth_date(&mut self, text: &str) {
        let text = clean(text);
        if text.is_empty() {
            return;
        }
        match text.parse() {
            Ok(date) => self.date(date),
            Err(_) => self.fault("birth date", "is no date that can be understood", &text),
        }
    }

    pub(super) fn date(&mut self, date: BirthDate) {
        if date.year < FIRST_YEAR {
            return self.fault("birth date", "is of another calendar, or of nobody alive", &date.to_string());
        }
        push(&mut self.entity.birth_dates, date);
    }

    pub(super) fn country(&mut self, text: &str) {
        push_text(&mut self.entity.countries, text);
    }

    pub(super) fn document(&mut self, kind: &str, number: &str, country: &str) {
        let document = Document { kind: clean(kind), number: clean(number), country: clean(country) };
        if document.number.chars().any(char::is_alphanumeric) {
            push(&mut self.entity.documents, document);
        }
    }

    pub(super) fn address(&mut self, text: &str) {
        push_text(&mut self.entity.addresses, text);
    }

    pub(super) fn program(&mut self, text: &str) {
        push_text(&mut self.entity.programs, text);
    }

    /// Adds to the notes, behind a label where there is one.
    pub(super) fn note(&mut self, label: &str, text: &str) {
        let text = clean(text);
        if text.is_empty() {
            return;
        }
        let notes = &mut self.entity.notes;
        if !notes.is_empty() {
            notes.push_str("; ");
        }
        if !label.is_empty() {
            notes.push_str(label);
            notes.push(' ');
        }
        notes.push_str(&text);
    }

    pub(super) fn fault(&mut self, field: &'static str, reason: &str, value: &str) {
        self.faults.push((field, reason.to_owned(), value.to_owned()));
    }

    pub(super) fn finish(self) -> (Entity, Vec<(&'static str, String, String)>) {
        (self.entity, self.faults)
    }
}

/// Adds a name that is not there yet. Of names that are spelled alike the better kind stays.
pub(super) fn add_name(entity: &mut Entity, text: &str, kind: NameKind) {
    let text = clean(text);
    if !text.chars().any(char::is_alphanumeric) || entity.names.len() > MAX_NAMES {
        return;
    }
    match entity.names.iter_mut().find(|name| name.text == text) {
        Some(there) if there.kind == NameKind::Weak && kind == NameKind::Alias => there.kind = kind,
        Some(_) => {}
        None => entity.names.push(Name::new(text, kind)),
    }
}

pub(super) fn push_text(list: &mut Vec<String>, text: &str) {
    let text = clean(text);
    if text.chars().any(char::is_alphanumeric) {
        push(list, text);
    }
}

/// Adds what is not there yet. One more than allowed is kept, so that the sink sees that there were too many.
fn push<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if list.len() <= MAX_NAMES && !list.contains(&value) {
        list.push(value);
    }
}

/// Text on one line, without control characters, and without more than one blank in a row.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Parts of an address on one line.
pub(super) fn joined<'t>(parts: impl IntoIterator<Item = &'t str>) -> String {
    let parts: Vec<String> = parts.into_iter().map(clean).filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// Whether a text is written in another script than Latin.
pub(super) fn is_foreign(text: &str) -> bool {
    let mut letters = text.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some() && letters.all(|c| !is_latin(c))
}

/// Letters of the Latin blocks of Unicode.
fn is_latin(c: char) -> bool {
    matches!(c, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}'
        | '\u{ab30}'..='\u{ab6f}' | '\u{ff21}'..='\u{ff5a}' | '\u{250}'..='\u{2ff}')
}

/// Text without characters that hide or reorder what stands on a terminal.
pub(super) fn shown(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .flat_map(|c| if hidden(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// What an entity is, in the words of many sources.
pub(super) fn kind_of(text: &str) -> Option<EntityKind> {
    let plain: String =
        text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    Some(match plain.as_str() {
        "person" | "individual" | "human" | "naturalperson" | "p" | "i" => EntityKind::Person,
        "organisation" | "organization" | "company" | "entity" | "publicbody" | "business" | "group"
        | "o" | "legalperson" | "corporate" | "asset" => EntityKind::Organisation,
        "vessel" | "ship" => EntityKind::Vessel,
        "aircraft" | "airplane" | "aeroplane" | "plane" => EntityKind::Aircraft,
        "legalentity" | "unknown" | "" => EntityKind::Unknown,
        _ => return None,
    })
}
