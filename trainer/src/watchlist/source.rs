//! Reads one source.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gait_common::identity::file::{Origin, OriginFile, Part};
use gait_common::identity::{Entity, Source};
use serde::Serialize;

use super::format::Format;
use super::input::{self, Limits, Place, Text};
use super::ofac::{self, Beside};
use super::sink::{Counts, Problems, Sink};
use super::spec::{SourceSpec, is_date};
use super::{ftm, ofac_advanced, ofac_xml, table, un};

/// How sources are read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much may come out of packed files.
    pub limits: Limits,
    /// Share of rejected rows above which a source is refused, 0 to 1.
    pub max_rejected: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), max_rejected: 0.01 }
    }
}

/// A source that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it is.
    pub source: Source,
    /// What it was read from.
    pub origin: Origin,
    /// Whom it lists, in its order.
    pub entities: Vec<Entity>,
    /// What became of its rows.
    pub counts: Counts,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What is said of a source that was read.
#[derive(Debug, Serialize)]
pub struct Summary<'l> {
    source: &'l Source,
    origin: &'l Origin,
    counts: Counts,
    warnings: &'l [String],
}

impl Loaded {
    /// What is said of it.
    pub fn summary(&self) -> Summary<'_> {
        Summary { source: &self.source, origin: &self.origin, counts: self.counts, warnings: &self.warnings }
    }

    /// The same in words.
    pub fn describe(&self) -> String {
        let Self { source, counts, warnings, origin, .. } = self;
        let edition = if source.date.is_empty() { &source.version } else { &source.date };
        let mut text =
            format!("{} ({}, {edition}): {} identities", source.name, origin.format, counts.entities);
        for (count, what) in [
            (counts.attached, "rows of other files added to them"),
            (counts.rejected + counts.detached, "rows rejected"),
            (counts.replaced, "rows replaced by a later one of the same id"),
            (counts.dropped, "values left out"),
            (counts.repaired, "values repaired"),
            (counts.passed_over, "records that are no identities to screen against"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {count} {what}"));
            }
        }
        warnings.iter().for_each(|warning| text.push_str(&format!("\n  note: {warning}")));
        text
    }
}

/// Reads sources; those of one name become one, in which a later file's entities replace an earlier one's of the same id.
///
/// # Errors
/// When one cannot be read.
pub fn load_all(specs: &[SourceSpec], options: &Options, problems: &mut Problems<'_>) -> Result<Vec<Loaded>> {
    let mut all: Vec<Loaded> = Vec::new();
    for spec in specs {
        let loaded = load(spec, options, problems)?;
        match all.iter_mut().find(|other| other.source.name == loaded.source.name) {
            Some(other) => other.merge(loaded),
            None => all.push(loaded),
        }
    }
    Ok(all)
}

/// Reads one source.
///
/// # Errors
/// When a file cannot be read or is refused, nothing is in it, or too many rows are rejected.
pub fn load(spec: &SourceSpec, options: &Options, problems: &mut Problems<'_>) -> Result<Loaded> {
    let places = input::places(&spec.file, &options.limits)?;
    let mut reading =
        Reading { spec, options, sink: Sink::new(problems), origin: Origin::default(), cut_remarks: 0 };
    let mut format = spec.format;
    for place in mains(&places) {
        let at = || format!("failed to read {}", place.name);
        let mut text = place.open(spec.encoding, &options.limits)?;
        let of_this = match format {
            Some(format) => format,
            None => *format.insert(Format::of(&mut text).with_context(at)?),
        };
        reading.main(of_this, text, &place.name).with_context(at)?;
        if of_this == Format::OfacCsv {
            reading.beside(place, &places)?;
        }
    }
    let format = format.with_context(|| format!("{} holds no list", spec.file.display()))?;
    reading.finish(format)
}

/// Reads one source from memory, without other files.
///
/// # Errors
/// As [`load`].
pub fn read(
    bytes: &[u8],
    spec: &SourceSpec,
    options: &Options,
    problems: &mut Problems<'_>,
) -> Result<Loaded> {
    let mut text = Text::of(bytes);
    let mut reading =
        Reading { spec, options, sink: Sink::new(problems), origin: Origin::default(), cut_remarks: 0 };
    let format = spec.format.map_or_else(|| Format::of(&mut text), Ok)?;
    reading.main(format, text, &spec.file.display().to_string())?;
    reading.finish(format)
}

/// The files that are no companions of another.
fn mains(places: &[Place]) -> impl Iterator<Item = &Place> {
    places.iter().filter(|place| {
        let is_companion = |other: &Place| {
            Beside::ALL.iter().any(|what| what.name(other.file_name()).as_deref() == Some(place.file_name()))
        };
        !places.iter().any(is_companion)
    })
}

struct Reading<'s, 'p> {
    spec: &'s SourceSpec,
    options: &'s Options,
    sink: Sink<'p>,
    origin: Origin,
    /// OFAC's remarks that go on in another file.
    cut_remarks: u64,
}

impl Reading<'_, '_> {
    fn main(&mut self, format: Format, mut text: Text, name: &str) -> Result<()> {
        let sink = &mut self.sink;
        sink.begin(name);
        match format {
            Format::OfacCsv => {
                self.cut_remarks += ofac::read(&mut text, sink)?;
                Ok(())
            }
            Format::OfacXml => ofac_xml::read(&mut text.reader, sink),
            Format::OfacAdvanced => ofac_advanced::read(&mut text.reader, sink),
            Format::Un => un::read(&mut text.reader, sink),
            Format::Ftm => ftm::read(&mut text, self.spec.all, sink),
            Format::Csv => table::read_csv(&mut text, &self.spec.fields, sink),
            Format::Json => table::read_json(&mut text, &self.spec.fields, sink),
        }?;
        self.close(text)
    }

    /// OFAC's other files.
    fn beside(&mut self, main: &Place, places: &[Place]) -> Result<()> {
        for what in Beside::ALL {
            let given = match what {
                Beside::Alt => &self.spec.alt,
                Beside::Add => &self.spec.add,
                Beside::Comments => &self.spec.comments,
            };
            let place = match given {
                Some(path) => input::places(path, &self.options.limits)?.into_iter().next(),
                None => main.beside(places, |name| what.name(name)),
            };
            let Some(place) = place else {
                let expected = what.name(main.file_name()).unwrap_or_else(|| "a file of its own".to_owned());
                match what {
                    Beside::Alt => {
                        self.origin.aliases = Part::Missing;
                        self.sink.warnings.push(format!(
                            "other names are not known: {expected} is not beside it (give it with alt=); only those in the remarks are there"
                        ));
                    }
                    Beside::Add => {
                        self.origin.addresses = Part::Missing;
                        self.sink.warnings.push(format!(
                            "addresses are not known: {expected} is not beside it (give it with add=)"
                        ));
                    }
                    Beside::Comments if self.cut_remarks > 0 => self.sink.warnings.push(format!(
                        "{} remarks reach OFAC's limit and go on in {expected}, which is not beside it (give it with comments=)",
                        self.cut_remarks
                    )),
                    Beside::Comments => {}
                }
                continue;
            };
            let at = || format!("failed to read {}", place.name);
            let mut text = place.open(self.spec.encoding, &self.options.limits)?;
            self.sink.begin(&place.name);
            ofac::read_beside(what, &mut text, &mut self.sink).with_context(at)?;
            self.close(text).with_context(at)?;
        }
        Ok(())
    }

    /// A file was read to its end.
    fn close(&mut self, text: Text) -> Result<()> {
        let repairs = std::rc::Rc::clone(&text.repairs);
        self.origin.files.push(text.finish()?);
        let repairs = repairs.borrow();
        for &line in &repairs.lines {
            let reason =
                "bytes that are not UTF-8 were read as Windows-1252; give encoding=latin-1 if all of it is";
            self.sink.repaired(line, "", "text", reason)?;
        }
        let more = repairs.count - repairs.lines.len() as u64;
        self.sink.counts.repaired += more;
        Ok(())
    }

    fn finish(self, format: Format) -> Result<Loaded> {
        let Self { spec, options, sink, mut origin, .. } = self;
        let file = spec.file.display();
        let counts = sink.counts;
        if let Some(count) = sink.published.count {
            ensure!(
                count == counts.rows,
                "{file} says that it has {count} entries, and {} were found: it may be cut short",
                counts.rows
            );
        }
        for (rejected, rows, what) in [
            (counts.rejected, counts.rows, "rows"),
            (counts.detached, counts.attached + counts.detached, "rows of the files beside it"),
        ] {
            if rejected as f64 / rows.max(1) as f64 > options.max_rejected {
                bail!(
                    "{rejected} of {rows} {what} of {file} were rejected, more than a share of {}: see the reasons (--rejects FILE), and raise --max-rejected if they are right",
                    options.max_rejected
                );
            }
        }
        ensure!(!sink.entities.is_empty(), "{file} holds no identities");
        origin.format = format.name();
        (origin.rows, origin.rejected) = (counts.rows, counts.rejected);
        let digest = match &origin.files[..] {
            [only] => only.digest.clone(),
            files => digest(files),
        };
        let or = |given: &Option<String>, published: &str, other: String| match given {
            Some(given) => given.clone(),
            None if published.is_empty() => other,
            None => published.to_owned(),
        };
        let source = Source {
            name: spec.name.clone().unwrap_or_else(|| name(&spec.file, format)),
            version: or(&spec.version, &sink.published.version, format!("blake3:{digest}")),
            date: or(&spec.date, &sink.published.date, date_in_name(&spec.file)),
            licence: spec.licence.clone().unwrap_or_else(|| format.licence().to_owned()),
            url: spec.url.clone().unwrap_or_default(),
        };
        Ok(Loaded { source, origin, entities: sink.entities, counts, warnings: sink.warnings })
    }
}

impl Loaded {
    /// Takes a later file of the same source.
    fn merge(&mut self, later: Self) {
        let mut places: rustc_hash::FxHashMap<String, usize> =
            self.entities.iter().enumerate().map(|(at, entity)| (entity.id.clone(), at)).collect();
        for entity in later.entities {
            match places.get(&entity.id) {
                Some(&at) => {
                    self.entities[at] = entity;
                    self.counts.replaced += 1;
                }
                None => {
                    places.insert(entity.id.clone(), self.entities.len());
                    self.entities.push(entity);
                }
            }
        }
        let (mine, other) = (&mut self.counts, later.counts);
        mine.rows += other.rows;
        mine.rejected += other.rejected;
        mine.replaced += other.replaced;
        mine.attached += other.attached;
        mine.detached += other.detached;
        mine.dropped += other.dropped;
        mine.repaired += other.repaired;
        mine.passed_over += other.passed_over;
        mine.entities = self.entities.len() as u64;
        self.origin.files.extend(later.origin.files);
        self.origin.rows += later.origin.rows;
        self.origin.rejected += later.origin.rejected;
        if later.origin.aliases != Part::Read {
            self.origin.aliases = later.origin.aliases;
        }
        if later.origin.addresses != Part::Read {
            self.origin.addresses = later.origin.addresses;
        }
        // The later file says what edition it is; a digest stands for all files.
        let digest = format!("blake3:{}", digest(&self.origin.files));
        self.source = Source {
            version: if later.source.version.starts_with("blake3:") { digest } else { later.source.version },
            date: later.source.date.max(std::mem::take(&mut self.source.date)),
            ..later.source
        };
        self.warnings.extend(later.warnings);
    }
}

fn digest(files: &[OriginFile]) -> String {
    let digests: Vec<&str> = files.iter().map(|file| file.digest.as_str()).collect();
    blake3::hash(digests.join("\n").as_bytes()).to_hex()[..16].to_owned()
}

/// What a source is called that nobody named.
fn name(file: &Path, format: Format) -> String {
    let file = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match format.source() {
        Some("ofac-sdn") if file.starts_with("cons") => "ofac-consolidated".to_owned(),
        Some(name) => name.to_owned(),
        None => {
            let stem = file.split('.').next().unwrap_or_default();
            let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
            stem.chars().map(plain).collect()
        }
    }
}

/// A date in a file's name, as in `sdn_2024-05-03.csv.gz`.
fn date_in_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let found = (0..name.len()).find_map(|at| name.get(at..at + 10).filter(|part| is_date(part)));
    found.unwrap_or_default().to_owned()
}
