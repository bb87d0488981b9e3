//! Shows what is in a list.

use gait_common::identity::file::{ListFile, Origin, Part};
use gait_common::identity::{Entity, EntityKind, NameKind, Source};
use serde::Serialize;

use super::diff::kind_name;
use super::draft::shown;

/// What a list holds.
#[derive(Debug, Serialize)]
pub struct Summary<'l> {
    sources: Vec<SourceSummary<'l>>,
    entities: usize,
    names: usize,
    /// Groups of entries that are held to be the same across sources.
    linked: usize,
}

#[derive(Debug, Serialize)]
struct SourceSummary<'l> {
    source: &'l Source,
    origin: &'l Origin,
    entities: usize,
    persons: usize,
    organisations: usize,
    vessels: usize,
    aircraft: usize,
    unknown: usize,
    names: usize,
    in_original_script: usize,
    with_birth_date: usize,
    documents: usize,
    addresses: usize,
}

impl<'l> Summary<'l> {
    /// Counts what a list holds.
    pub fn new(list: &'l ListFile) -> Self {
        let sources = list.data.sources.iter().zip(&list.origins).enumerate();
        let sources = sources.map(|(at, (source, origin))| {
            let own: Vec<&Entity> =
                list.data.entities.iter().filter(|e| usize::from(e.source) == at).collect();
            let kind = |kind: EntityKind| own.iter().filter(|entity| entity.kind == kind).count();
            let total = |of: fn(&Entity) -> usize| own.iter().map(|entity| of(entity)).sum();
            SourceSummary {
                source,
                origin,
                entities: own.len(),
                persons: kind(EntityKind::Person),
                organisations: kind(EntityKind::Organisation),
                vessels: kind(EntityKind::Vessel),
                aircraft: kind(EntityKind::Aircraft),
                unknown: kind(EntityKind::Unknown),
                names: total(|entity| entity.names.len()),
                in_original_script: total(|entity| {
                    usize::from(entity.names.iter().any(|name| name.kind == NameKind::OriginalScript))
                }),
                with_birth_date: total(|entity| usize::from(!entity.birth_dates.is_empty())),
                documents: total(|entity| entity.documents.len()),
                addresses: total(|entity| entity.addresses.len()),
            }
        });
        Self {
            sources: sources.collect(),
            entities: list.data.entities.len(),
            names: list.data.name_count(),
            linked: list.data.same.len(),
        }
    }

    /// The same in words.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "{} entries with {} names from {} sources; {} stand on more than one\n",
            self.entities,
            self.names,
            self.sources.len(),
            self.linked
        );
        for of in &self.sources {
            let Source { name, version, date, licence, url } = of.source;
            let or =
                |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
            text.push_str(&format!(
                "\n{name}\n  version  {version}\n  date     {}\n  licence  {}\n",
                or(date, "not stated"),
                or(licence, "not stated")
            ));
            if !url.is_empty() {
                text.push_str(&format!("  from     {url}\n"));
            }
            for file in &of.origin.files {
                text.push_str(&format!("  file     {} ({} bytes, {})\n", file.name, file.bytes, file.digest));
            }
            text.push_str(&format!(
                "  entries  {}: {} persons, {} organisations, {} vessels, {} aircraft, {} of unknown kind\n",
                of.entities, of.persons, of.organisations, of.vessels, of.aircraft, of.unknown
            ));
            text.push_str(&format!(
                "  with     {} names, {} in the original script, {} birth dates, {} documents, {} addresses\n",
                of.names, of.in_original_script, of.with_birth_date, of.documents, of.addresses
            ));
            if of.origin.rejected > 0 {
                text.push_str(&format!("  rejected {} of {} rows\n", of.origin.rejected, of.origin.rows));
            }
            for (what, part) in [("other names", &of.origin.aliases), ("addresses", &of.origin.addresses)] {
                match part {
                    Part::Read => {}
                    Part::Missing => text.push_str(&format!(
                        "  note     its {what} are not known: their file was not there\n"
                    )),
                    Part::Kept { version, date } => text.push_str(&format!(
                        "  note     its {what} are those of the edition of {}\n",
                        if date.is_empty() { version } else { date }
                    )),
                }
            }
        }
        text
    }
}

/// An entry with what it is linked to.
#[derive(Debug, Serialize)]
pub struct Entry<'l> {
    source: &'l str,
    entity: &'l Entity,
    also_on: Vec<AlsoOn<'l>>,
}

#[derive(Debug, Serialize)]
struct AlsoOn<'l> {
    source: &'l str,
    id: &'l str,
    name: &'l str,
    /// Why; empty where the link goes through a third entry.
    reason: &'l str,
}

/// The entries of an identifier, or with a name that holds a text; no more than `most`, and how many there are.
pub fn find<'l>(
    list: &'l ListFile,
    id: Option<&str>,
    name: Option<&str>,
    most: usize,
) -> (Vec<Entry<'l>>, usize) {
    let name = name.map(str::to_lowercase);
    let fits = |entity: &Entity| {
        id.is_none_or(|id| entity.id == id)
            && name
                .as_deref()
                .is_none_or(|name| entity.names.iter().any(|n| n.text.to_lowercase().contains(name)))
    };
    let found: Vec<(u32, &Entity)> =
        (0..).zip(&list.data.entities).filter(|(_, entity)| fits(entity)).collect();
    let count = found.len();
    (found.into_iter().take(most).map(|(at, entity)| Entry::new(list, at, entity)).collect(), count)
}

impl<'l> Entry<'l> {
    fn new(list: &'l ListFile, at: u32, entity: &'l Entity) -> Self {
        let source = |entity: &Entity| list.data.sources[usize::from(entity.source)].name.as_str();
        let group = list.data.same.iter().find(|group| group.contains(&at));
        let others = group.into_iter().flatten().filter(|&&other| other != at);
        let also_on = others.map(|&other| {
            let pair = (at.min(other), at.max(other));
            let link = list.links.iter().find(|link| (link.first, link.second) == pair);
            let entity = &list.data.entities[other as usize];
            AlsoOn {
                source: source(entity),
                id: &entity.id,
                name: entity.title(),
                reason: link.map_or("", |link| &link.reason),
            }
        });
        Self { source: source(entity), entity, also_on: also_on.collect() }
    }

    /// The entry in words.
    pub fn describe(&self) -> String {
        let Self { source, entity, also_on } = self;
        let mut text = format!("{source} {} ({})\n", entity.id, kind_name(entity.kind));
        for name in &entity.names {
            let kind = match name.kind {
                NameKind::Primary => "name",
                NameKind::Alias => "alias",
                NameKind::Weak => "weak alias",
                NameKind::OriginalScript => "original script",
            };
            text.push_str(&format!("  {kind}: {}\n", shown(&name.text)));
        }
        entity.birth_dates.iter().for_each(|date| text.push_str(&format!("  born: {date}\n")));
        for (label, values) in
            [("country", &entity.countries), ("address", &entity.addresses), ("programme", &entity.programs)]
        {
            values.iter().for_each(|value| text.push_str(&format!("  {label}: {}\n", shown(value))));
        }
        for document in &entity.documents {
            let kind = if document.kind.is_empty() { "document" } else { &document.kind };
            let country =
                if document.country.is_empty() { String::new() } else { format!(" ({})", document.country) };
            text.push_str(&format!("  {}: {}{}\n", shown(kind), shown(&document.number), shown(&country)));
        }
        if !entity.notes.is_empty() {
            text.push_str(&format!("  notes: {}\n", shown(&entity.notes)));
        }
        for other in also_on {
            let why = if other.reason.is_empty() { String::new() } else { format!(": {}", other.reason) };
            text.push_str(&format!(
                "  also on {} {} {}{}\n",
                other.source,
                other.id,
                shown(other.name),
                shown(&why)
            ));
        }
        text
    }
}
