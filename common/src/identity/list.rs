//! What a list file holds: sources, and the identities they list, as plain data.

use serde::{Deserialize, Serialize};

use super::BirthDate;

/// Most sources of one list.
pub const MAX_SOURCES: usize = 4096;
/// Most entities of one list.
pub const MAX_ENTITIES: usize = 4_000_000;
/// Most names of one entity.
pub const MAX_NAMES: usize = 4096;
/// Longest name, document number, address or note, in bytes.
pub const MAX_TEXT: usize = 4096;

/// Where entities come from: one publication of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Short name, e.g. `ofac-sdn`; the risk matrix speaks of sources by it.
    pub name: String,
    /// The publisher's version, or a digest of the files where it states none.
    pub version: String,
    /// Date of publication, `YYYY-MM-DD`; empty when unknown.
    pub date: String,
    /// Under what terms the data may be used.
    pub licence: String,
    /// Where it was published; empty when unknown.
    pub url: String,
}

/// What an entity is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A human being.
    Person,
    /// A company, authority, group or any other body.
    Organisation,
    /// A ship.
    Vessel,
    /// An aeroplane.
    Aircraft,
    /// The source does not say.
    #[default]
    Unknown,
}

/// How good a name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// The name that the source lists first.
    #[default]
    Primary,
    /// Another name of good quality.
    Alias,
    /// A name that the source itself calls weak: a nickname, or one shared by many.
    Weak,
    /// The name as its bearer writes it.
    OriginalScript,
}

/// One name of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// As the source spells it.
    pub text: String,
    /// How good it is.
    pub kind: NameKind,
    /// Language as a BCP 47 tag; empty when unknown. A hint only: the script decides first.
    pub lang: String,
}

impl Name {
    /// A primary name of unknown language.
    pub fn primary(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A name of the given kind and unknown language.
    pub fn new(text: impl Into<String>, kind: NameKind) -> Self {
        Self { text: text.into(), kind, lang: String::new() }
    }
}

/// A document that names its holder: a passport, a tax or registration number, a ship's IMO number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is, in the source's words; empty when unknown.
    pub kind: String,
    /// Its number.
    pub number: String,
    /// The country that issued it, as code or name; empty when unknown.
    pub country: String,
}

/// One listed identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The source's own identifier, unique within the source.
    pub id: String,
    /// Place of its source in [`ListData::sources`].
    pub source: u16,
    /// What it is.
    pub kind: EntityKind,
    /// Its names, one or more.
    pub names: Vec<Name>,
    /// Known or supposed dates of birth.
    pub birth_dates: Vec<BirthDate>,
    /// Countries it is tied to (nationality, residence, flag), as codes or names.
    pub countries: Vec<String>,
    /// Its documents.
    pub documents: Vec<Document>,
    /// Its addresses, each on one line.
    pub addresses: Vec<String>,
    /// Programmes it is listed under.
    pub programs: Vec<String>,
    /// Whatever else the source says.
    pub notes: String,
}

/// A list as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListData {
    /// The sources; entities name them by place.
    pub sources: Vec<Source>,
    /// The entities, by source and in the source's order.
    pub entities: Vec<Entity>,
    /// Groups of entities (by place, ascending) that are held to be one and the same across sources.
    pub same: Vec<Vec<u32>>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ListError {
    /// There is more of something than a list may hold.
    #[error("the list has {count} {what}, over the limit of {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        count: usize,
        /// How much there may be.
        limit: usize,
    },
    /// An entity contradicts the rest.
    #[error("entity {id} of the list is not sound: {reason}")]
    Entity {
        /// The source's identifier of the entity.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A group of equal entities names one that is not there, or is out of order.
    #[error("group {0} of equal entities is not an ascending list of places in the list")]
    Same(usize),
}

impl ListData {
    /// Whether the data keeps to its bounds and every reference leads somewhere.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ListError> {
        cap("sources", self.sources.len(), MAX_SOURCES)?;
        cap("entities", self.entities.len(), MAX_ENTITIES)?;
        for entity in &self.entities {
            entity
                .check(self.sources.len())
                .map_err(|reason| ListError::Entity { id: entity.id.chars().take(64).collect(), reason })?;
        }
        for (at, group) in self.same.iter().enumerate() {
            let ascending = group.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascending || group.last().is_some_and(|&last| last as usize >= self.entities.len()) {
                return Err(ListError::Same(at));
            }
        }
        Ok(())
    }

    /// How many names the entities have together.
    pub fn name_count(&self) -> usize {
        self.entities.iter().map(|entity| entity.names.len()).sum()
    }
}

impl Entity {
    /// What is wrong with the entity, in a list of so many sources.
    ///
    /// # Errors
    /// The first thing that is wrong, in words that can stand in a report of rejected rows.
    pub fn check(&self, sources: usize) -> Result<(), &'static str> {
        if self.id.is_empty() || self.id.len() > MAX_TEXT {
            return Err("its id is empty or too long");
        }
        if usize::from(self.source) >= sources {
            return Err("its source is not in the list");
        }
        if !self.names.iter().any(|name| name.text.chars().any(char::is_alphanumeric)) {
            return Err("it has no name");
        }
        if self.names.len() > MAX_NAMES
            || self.addresses.len() > MAX_NAMES
            || self.documents.len() > MAX_NAMES
        {
            return Err("it has too many names, addresses or documents");
        }
        let long = |text: &String| text.len() > MAX_TEXT;
        if self.names.iter().any(|name| long(&name.text)) {
            return Err("one of its names is too long");
        }
        if self.documents.iter().any(|document| long(&document.number)) || self.addresses.iter().any(long) {
            return Err("one of its documents or addresses is too long");
        }
        Ok(())
    }

    /// The name to call the entity by: its first primary name, else its first.
    pub fn title(&self) -> &str {
        let primary = self.names.iter().find(|name| name.kind == NameKind::Primary);
        primary.or(self.names.first()).map_or("", |name| &name.text)
    }
}

fn cap(what: &'static str, count: usize, limit: usize) -> Result<(), ListError> {
    if count > limit { Err(ListError::TooMany { what, count, limit }) } else { Ok(()) }
}
