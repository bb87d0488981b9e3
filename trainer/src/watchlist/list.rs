//! Joins sources to a list, and puts new editions in the place of old ones.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gait_common::identity::file::{self, ListFile, Origin, Part};
use gait_common::identity::{Entity, ListData, MAX_ENTITIES, MAX_SOURCES, NameKind, Source};
use rustc_hash::FxHashMap;

use super::draft::{add_name, push_text};
use super::links;
use super::source::Loaded;

/// How an update goes about what a new edition lacks.
#[derive(Clone, Copy, Debug)]
pub struct UpdateOptions {
    /// Keep other names and addresses of an earlier edition where the new one comes without the files that hold them.
    pub keep: bool,
    /// Share of an edition's entities that may be missing from the next, 0 to 1.
    pub max_removed: f64,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self { keep: true, max_removed: 0.5 }
    }
}

/// Reads a list file.
///
/// # Errors
/// When the file cannot be read or holds no list.
pub fn load(path: &Path) -> Result<ListFile> {
    use std::io::Read as _;
    let context = || format!("failed to read the watchlist {}", path.display());
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).with_context(context)?;
    // One byte more than a list may have, so that an oversized file is refused by its size.
    opened.take(file::MAX_SIZE + 1).read_to_end(&mut bytes).with_context(context)?;
    file::read(&bytes).with_context(context)
}

/// Writes a list file, whole or not at all, and gives its fingerprint.
///
/// # Errors
/// When the list cannot be encoded or the file not written.
pub fn save(path: &Path, list: &ListFile) -> Result<String> {
    let bytes =
        file::write(list).with_context(|| format!("failed to write the watchlist {}", path.display()))?;
    crate::whole::write(path, &bytes, "the watchlist")?;
    Ok(file::fingerprint(&bytes))
}

/// A list of sources.
///
/// # Errors
/// When there are more sources or entities than a list can hold.
pub fn build(sources: Vec<Loaded>) -> Result<ListFile> {
    join(sources.into_iter().map(|loaded| (loaded.source, loaded.origin, loaded.entities)).collect())
}

fn join(parts: Vec<(Source, Origin, Vec<Entity>)>) -> Result<ListFile> {
    ensure!(parts.len() <= MAX_SOURCES, "there are {} sources, {MAX_SOURCES} are the most", parts.len());
    let mut list = ListFile::default();
    for (at, (source, origin, mut entities)) in parts.into_iter().enumerate() {
        entities.iter_mut().for_each(|entity| entity.source = at as u16);
        list.data.sources.push(source);
        list.origins.push(origin);
        list.data.entities.append(&mut entities);
    }
    let count = list.data.entities.len();
    ensure!(count <= MAX_ENTITIES, "there are {count} identities, {MAX_ENTITIES} are the most");
    let linked = links::find(&list.data.entities);
    list.data.same = linked.groups;
    list.links = linked.links;
    Ok(list)
}

/// A list in which the given sources stand in the place of their earlier editions, new ones behind the others; and what is
/// said of each.
///
/// # Errors
/// When an edition lacks so much of the earlier one that it is more likely broken than right.
pub fn update(
    old: &ListFile,
    sources: Vec<Loaded>,
    options: &UpdateOptions,
) -> Result<(ListFile, Vec<String>)> {
    let mut parts = split(old);
    let mut said = Vec::new();
    for mut loaded in sources {
        let Some(part) = parts.iter_mut().find(|(source, ..)| source.name == loaded.source.name) else {
            said.push(loaded.describe());
            parts.push((loaded.source, loaded.origin, loaded.entities));
            continue;
        };
        let there: FxHashMap<&str, ()> =
            loaded.entities.iter().map(|entity| (entity.id.as_str(), ())).collect();
        let removed = part.2.iter().filter(|entity| !there.contains_key(entity.id.as_str())).count();
        let share = removed as f64 / part.2.len().max(1) as f64;
        if share > options.max_removed {
            bail!(
                "{removed} of the {} entries of {} are not in the new edition: it may be cut short or another list; raise --max-removed if that is right",
                part.2.len(),
                loaded.source.name
            );
        }
        if options.keep {
            keep(part, &mut loaded);
        }
        said.push(loaded.describe());
        *part = (loaded.source, loaded.origin, loaded.entities);
    }
    Ok((join(parts)?, said))
}

/// The list's sources, each with its own.
fn split(list: &ListFile) -> Vec<(Source, Origin, Vec<Entity>)> {
    let ListData { sources, entities, .. } = &list.data;
    let mut parts: Vec<_> = sources
        .iter()
        .zip(&list.origins)
        .map(|(source, origin)| (source.clone(), origin.clone(), Vec::new()))
        .collect();
    for entity in entities {
        parts[usize::from(entity.source)].2.push(entity.clone());
    }
    parts
}

/// Keeps what the new edition does not say because a file of it is not there. That an alias is not given is no sign that it
/// was withdrawn; without it, who is known by it would pass.
fn keep(old: &(Source, Origin, Vec<Entity>), new: &mut Loaded) {
    let (source, origin, entities) = old;
    let edition = |part: &Part| match part {
        Part::Read => Part::Kept { version: source.version.clone(), date: source.date.clone() },
        other => other.clone(),
    };
    let missing = |part: &Part| *part == Part::Missing;
    let (aliases, addresses) = (missing(&new.origin.aliases), missing(&new.origin.addresses));
    if !aliases && !addresses {
        return;
    }
    let earlier: FxHashMap<&str, &Entity> =
        entities.iter().map(|entity| (entity.id.as_str(), entity)).collect();
    let mut kept = [0_u64; 2];
    for entity in &mut new.entities {
        let Some(before) = earlier.get(entity.id.as_str()) else { continue };
        if aliases {
            let there = entity.names.len();
            for name in before.names.iter().filter(|name| has_own_file(name.kind)) {
                add_name(entity, &name.text, name.kind);
            }
            kept[0] += (entity.names.len() - there) as u64;
        }
        if addresses {
            for address in &before.addresses {
                push_text(&mut entity.addresses, address);
                // The country of an address is its last part, and counted among the entity's own.
                let country = before.countries.iter().find(|country| address.ends_with(country.as_str()));
                country.into_iter().for_each(|country| push_text(&mut entity.countries, country));
                kept[1] += 1;
            }
        }
    }
    for (missing, what, part, of, kept) in [
        (aliases, "other names", &mut new.origin.aliases, &origin.aliases, kept[0]),
        (addresses, "addresses", &mut new.origin.addresses, &origin.addresses, kept[1]),
    ] {
        if missing {
            *part = edition(of);
            new.warnings.retain(|warning| !warning.starts_with(what));
            if *part == Part::Missing {
                new.warnings.push(format!("{what} are not known, and were not in the edition before either"));
            }
            if let Part::Kept { version, date } = &*part {
                let edition = if date.is_empty() { version } else { date };
                new.warnings.push(format!(
                    "{kept} {what} of the edition of {edition} were kept for entries that are still listed; whether they changed is not known, and entries that are new have none"
                ));
            }
        }
    }
}

/// Whether names of a kind stand in a file of their own, where a source has one.
pub(super) fn has_own_file(kind: NameKind) -> bool {
    matches!(kind, NameKind::Alias | NameKind::OriginalScript)
}
