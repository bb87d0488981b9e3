//! What screening answers: the decision, the hits, and for each hit where every point of its score came from.

use serde::{Deserialize, Serialize};

use super::EntityKind;

/// What to do about a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing on the list comes near enough.
    #[default]
    Pass,
    /// A person must look.
    Review,
    /// As good as certain.
    Block,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The listed name itself.
    Name,
    /// Another name of the listed entity.
    Alias,
    /// Date of birth.
    BirthDate,
    /// Countries.
    Country,
    /// Document numbers.
    Document,
    /// Address.
    Address,
}

/// The writing in which two names were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Chinese characters, simplified.
    Han,
    /// Sounds of Chinese characters, without tones.
    Pinyin,
    /// Latin letters, after transliteration of any other script.
    Latin,
}

/// Both sides of a name in one writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The writing.
    pub script: Script,
    /// The query's side; empty when it cannot be written so.
    pub query: String,
    /// The list's side; empty when it cannot be written so.
    pub listed: String,
}

/// What one word adds to a name's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenScore {
    /// The query's word or words; empty when a listed word has no counterpart.
    pub query: String,
    /// The listed word or words; empty when a word of the query has no counterpart.
    pub listed: String,
    /// How alike they are, 0 to 1.
    pub score: f64,
    /// The share of the name's score that hangs on them; the shares of a name add up to one.
    pub weight: f64,
    /// Why they are held to be that alike, e.g. `same`, `initial`, `sounds alike`, `2 letters differ`.
    pub how: String,
}

/// What one field adds to a hit's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldScore {
    /// The field.
    pub field: Field,
    /// Its share of the hit's score; the shares of all fields add up to one.
    pub weight: f64,
    /// How well it fits, 0 to 1.
    pub score: f64,
    /// What the query says.
    pub query: String,
    /// What the list says.
    pub listed: String,
    /// Names only: the writings that were compared, the decisive one first.
    pub forms: Vec<Form>,
    /// Names only: word by word.
    pub tokens: Vec<TokenScore>,
    /// In one sentence, why it fits as it does.
    pub reason: String,
}

/// One listed entity that comes near enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Its place in the list.
    pub entity: u32,
    /// The source's own identifier.
    pub id: String,
    /// Name of the source.
    pub source: String,
    /// What it is.
    pub kind: EntityKind,
    /// The name the source lists it under.
    pub name: String,
    /// 0 to 1; the sum of the fields' scores by their weights.
    pub score: f64,
    /// What this hit alone asks for.
    pub decision: Decision,
    /// Field by field, names first.
    pub fields: Vec<FieldScore>,
    /// Other entities (by place) that are held to be the same.
    pub same: Vec<u32>,
}

/// Which edition of a source was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListVersion {
    /// Name of the source.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its date, `YYYY-MM-DD`; empty when unknown.
    pub date: String,
}

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The strictest decision of all hits.
    pub decision: Decision,
    /// The hits, best first, none below its threshold of review.
    pub hits: Vec<Hit>,
    /// Hits that were left out because there were too many.
    pub more: usize,
    /// What of the query was left out of the comparison, in words; empty when all of it was compared.
    pub notes: Vec<String>,
    /// The lists that were asked.
    pub lists: Vec<ListVersion>,
}
