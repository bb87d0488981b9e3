//! What is different between two lists, source by source and field by field.
//!
//! Where an edition came without the files of its other names or addresses, nothing is said of these: what is not known is
//! no change.

use gait_common::identity::file::{ListFile, Part};
use gait_common::identity::{Entity, EntityKind, NameKind};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::draft::shown;
use super::list::has_own_file;

/// What is different.
#[derive(Debug, Default, Serialize)]
pub struct Diff {
    /// Source by source, in the order of the newer list; sources that are gone come last.
    pub sources: Vec<SourceDiff>,
}

/// What is different in one source.
#[derive(Debug, Serialize)]
pub struct SourceDiff {
    /// The source.
    pub name: String,
    /// The older edition, if it is on the older list.
    pub old: Option<Edition>,
    /// The newer edition, if it is on the newer list.
    pub new: Option<Edition>,
    /// How many entries there are of each kind of difference.
    pub counts: DiffCounts,
    /// What cannot be told.
    pub unknown: Vec<String>,
    /// Entries that are only in the newer edition.
    pub added: Vec<Listed>,
    /// Entries that are in both and not the same.
    pub changed: Vec<Changed>,
    /// Entries that are only in the older edition.
    pub removed: Vec<Listed>,
}

/// How many entries there are of each kind of difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffCounts {
    /// Only in the newer edition.
    pub added: usize,
    /// In both and not the same.
    pub changed: usize,
    /// Only in the older edition.
    pub removed: usize,
    /// In both and the same.
    pub same: usize,
}

/// An edition of a source.
#[derive(Debug, Serialize)]
pub struct Edition {
    /// Its version.
    pub version: String,
    /// Its date.
    pub date: String,
    /// How many entries it has.
    pub entities: usize,
}

/// An entry.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The source's own identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntityKind,
    /// Programmes it is listed under.
    pub programs: Vec<String>,
}

/// An entry that changed.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// The source's own identifier.
    pub id: String,
    /// Its name in the newer edition.
    pub name: String,
    /// What changed.
    pub fields: Vec<FieldChange>,
}

/// A field that changed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The field.
    pub field: &'static str,
    /// Values that are gone.
    pub removed: Vec<String>,
    /// Values that are new.
    pub added: Vec<String>,
}

/// Finds the differences.
pub fn diff(old: &ListFile, new: &ListFile) -> Diff {
    let find = |list: &ListFile, name: &str| list.data.sources.iter().position(|source| source.name == name);
    let mut sources = Vec::new();
    for (at, source) in new.data.sources.iter().enumerate() {
        sources.push(source_diff(&source.name, find(old, &source.name).map(|o| (old, o)), Some((new, at))));
    }
    for (at, source) in old.data.sources.iter().enumerate() {
        if find(new, &source.name).is_none() {
            sources.push(source_diff(&source.name, Some((old, at)), None));
        }
    }
    Diff { sources }
}

fn of_source(list: Option<(&ListFile, usize)>) -> Vec<&Entity> {
    let Some((list, at)) = list else { return Vec::new() };
    list.data.entities.iter().filter(|entity| usize::from(entity.source) == at).collect()
}

fn source_diff(name: &str, old: Option<(&ListFile, usize)>, new: Option<(&ListFile, usize)>) -> SourceDiff {
    let (before, after) = (of_source(old), of_source(new));
    let edition = |list: Option<(&ListFile, usize)>, entities: usize| {
        list.map(|(list, at)| {
            let source = &list.data.sources[at];
            Edition { version: source.version.clone(), date: source.date.clone(), entities }
        })
    };
    let both = old.zip(new);
    let lacks = |part: fn(&ListFile, usize) -> &Part| {
        both.is_some_and(|((old, o), (new, n))| {
            *part(old, o) == Part::Missing || *part(new, n) == Part::Missing
        })
    };
    let known = Known {
        aliases: !lacks(|list, at| &list.origins[at].aliases),
        addresses: !lacks(|list, at| &list.origins[at].addresses),
    };
    let mut unknown = Vec::new();
    let added_count = |part: fn(&ListFile, usize) -> &Part| match both {
        Some((_, (new, n))) => matches!(part(new, n), Part::Kept { .. }),
        None => false,
    };
    for (known, kept, what) in [
        (known.aliases, added_count(|list, at| &list.origins[at].aliases), "other names"),
        (known.addresses, added_count(|list, at| &list.origins[at].addresses), "addresses"),
    ] {
        if kept {
            unknown.push(format!(
                "{what} are those of an earlier edition, since the newer one came without their file: entries may have gained or lost some, and added entries have none"
            ));
        } else if !known {
            unknown.push(format!("{what} are not compared, since one edition came without their file"));
        }
    }
    let earlier: FxHashMap<&str, &Entity> =
        before.iter().map(|entity| (entity.id.as_str(), *entity)).collect();
    let later: FxHashMap<&str, ()> = after.iter().map(|entity| (entity.id.as_str(), ())).collect();
    let (mut added, mut changed, mut same) = (Vec::new(), Vec::new(), 0);
    for entity in &after {
        match earlier.get(entity.id.as_str()) {
            None => added.push(Listed::new(entity)),
            Some(before) => match fields(before, entity, known) {
                fields if fields.is_empty() => same += 1,
                fields => {
                    changed.push(Changed { id: entity.id.clone(), name: entity.title().to_owned(), fields });
                }
            },
        }
    }
    let removed: Vec<Listed> =
        before.iter().filter(|e| !later.contains_key(e.id.as_str())).map(|e| Listed::new(e)).collect();
    let counts = DiffCounts { added: added.len(), changed: changed.len(), removed: removed.len(), same };
    SourceDiff {
        name: name.to_owned(),
        old: edition(old, before.len()),
        new: edition(new, after.len()),
        counts,
        unknown,
        added,
        changed,
        removed,
    }
}

impl Listed {
    fn new(entity: &Entity) -> Self {
        Self {
            id: entity.id.clone(),
            name: entity.title().to_owned(),
            kind: entity.kind,
            programs: entity.programs.clone(),
        }
    }
}

/// What both editions know.
#[derive(Clone, Copy)]
struct Known {
    aliases: bool,
    addresses: bool,
}

/// The fields that differ; the order of values does not count.
fn fields(old: &Entity, new: &Entity, known: Known) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let mut compare = |field, old: Vec<String>, new: Vec<String>| {
        let only = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|value| !b.contains(value)).cloned().collect()
        };
        let (removed, added) = (only(&old, &new), only(&new, &old));
        if !removed.is_empty() || !added.is_empty() {
            changes.push(FieldChange { field, removed, added });
        }
    };
    let kind = |entity: &Entity| vec![kind_name(entity.kind).to_owned()];
    compare("kind", kind(old), kind(new));
    let names = |entity: &Entity, of: fn(NameKind) -> bool| -> Vec<String> {
        entity.names.iter().filter(|name| of(name.kind)).map(|name| name.text.clone()).collect()
    };
    compare(
        "name",
        names(old, |kind| kind == NameKind::Primary),
        names(new, |kind| kind == NameKind::Primary),
    );
    if known.aliases {
        compare("other names", names(old, has_own_file), names(new, has_own_file));
    }
    compare(
        "weak names",
        names(old, |kind| kind == NameKind::Weak),
        names(new, |kind| kind == NameKind::Weak),
    );
    let dates = |entity: &Entity| entity.birth_dates.iter().map(ToString::to_string).collect();
    compare("birth dates", dates(old), dates(new));
    if known.addresses {
        compare("addresses", old.addresses.clone(), new.addresses.clone());
        compare("countries", old.countries.clone(), new.countries.clone());
    } else {
        // Countries of addresses are among the entity's own: one that is gone may be one of these.
        let there = |country: &String| new.countries.contains(country);
        let kept: Vec<String> = old.countries.iter().filter(|country| there(country)).cloned().collect();
        let bare = old.addresses.is_empty() && new.addresses.is_empty();
        compare("countries", if bare { old.countries.clone() } else { kept }, new.countries.clone());
    }
    let documents = |entity: &Entity| -> Vec<String> {
        let text = |d: &gait_common::identity::Document| {
            let country = if d.country.is_empty() { String::new() } else { format!(" ({})", d.country) };
            format!("{} {}{country}", d.kind, d.number).trim().to_owned()
        };
        entity.documents.iter().map(text).collect()
    };
    compare("documents", documents(old), documents(new));
    compare("programmes", old.programs.clone(), new.programs.clone());
    let notes = |entity: &Entity| {
        let clauses = entity.notes.split("; ").map(|clause| clause.trim_end_matches('.').to_owned());
        clauses.filter(|clause| !clause.is_empty()).collect()
    };
    compare("notes", notes(old), notes(new));
    changes
}

/// The word for a kind.
pub(super) fn kind_name(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Person => "person",
        EntityKind::Organisation => "organisation",
        EntityKind::Vessel => "vessel",
        EntityKind::Aircraft => "aircraft",
        EntityKind::Unknown => "unknown",
    }
}

impl Diff {
    /// The differences as text; no more than `most` entries of each kind.
    pub fn describe(&self, most: usize) -> String {
        let mut text = String::new();
        for source in &self.sources {
            source.describe(most, &mut text);
        }
        text
    }
}

impl SourceDiff {
    fn describe(&self, most: usize, text: &mut String) {
        let edition = |edition: &Option<Edition>| match edition {
            None => "not on the list".to_owned(),
            Some(Edition { version, date, entities }) => {
                let name = if date.is_empty() { version } else { date };
                format!("{name} ({entities} entries)")
            }
        };
        let DiffCounts { added, changed, removed, same } = self.counts;
        text.push_str(&format!("{}: {} -> {}\n", self.name, edition(&self.old), edition(&self.new)));
        text.push_str(&format!("  {added} added, {changed} changed, {removed} removed, {same} the same\n"));
        self.unknown.iter().for_each(|unknown| text.push_str(&format!("  not known: {unknown}\n")));
        let listed = |sign: char, entries: &[Listed], text: &mut String| {
            for Listed { id, name, kind, programs } in entries.iter().take(most) {
                text.push_str(&format!(
                    "{sign} {id} {} ({}) {}\n",
                    shown(name),
                    kind_name(*kind),
                    shown(&programs.join(", "))
                ));
            }
            more(sign, entries.len(), most, text);
        };
        listed('+', &self.added, text);
        listed('-', &self.removed, text);
        for Changed { id, name, fields } in self.changed.iter().take(most) {
            text.push_str(&format!("~ {id} {}\n", shown(name)));
            for FieldChange { field, removed, added } in fields {
                removed.iter().for_each(|value| text.push_str(&format!("    {field}: - {}\n", shown(value))));
                added.iter().for_each(|value| text.push_str(&format!("    {field}: + {}\n", shown(value))));
            }
        }
        more('~', self.changed.len(), most, text);
    }
}

fn more(sign: char, count: usize, most: usize, text: &mut String) {
    if count > most && most > 0 {
        text.push_str(&format!("{sign} and {} more\n", count - most));
    }
}
