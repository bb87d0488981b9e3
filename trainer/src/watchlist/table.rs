//! Lists of any house: CSV with a header, and JSON, by a map from fields to columns.
//!
//! A field is taken from a column or, in JSON, a path like `person.name`; from a template like `{first} {last}`; or it is a
//! text that stands for itself, as `=person`. Without a map the columns are known by their usual names.

use anyhow::{Result, bail, ensure};
use gait_common::identity::{EntityKind, NameKind};
use serde::Deserialize;
use serde_json::Value;

use super::draft::{Draft, clean, is_foreign, kind_of};
use super::input::Text;
use super::json;
use super::rows::{Csv, Record};
use super::sink::Sink;

/// The fields there are, and the usual names of their columns, without case, blanks, `_`, `-` and `.`.
const FIELDS: [(Field, &str, &[&str]); 15] = [
    (
        Field::Id,
        "id",
        &["id", "uid", "entityid", "recordid", "reference", "referencenumber", "entnum", "number", "no"],
    ),
    (Field::Kind, "kind", &["kind", "type", "schema", "entitytype", "sdntype", "category"]),
    (Field::Name, "name", &["name", "fullname", "primaryname", "entityname", "sdnname", "caption"]),
    (
        Field::Alias,
        "alias",
        &["alias", "aliases", "aka", "akas", "alternatenames", "altnames", "othernames", "alsoknownas"],
    ),
    (
        Field::WeakAlias,
        "weak_alias",
        &["weakalias", "weakaliases", "nickname", "nicknames", "lowqualityaliases"],
    ),
    (
        Field::OriginalName,
        "original_name",
        &["originalname", "originalscript", "nameoriginalscript", "nativename", "namenative"],
    ),
    (
        Field::BirthDate,
        "birth_date",
        &["birthdate", "birthdates", "dateofbirth", "datesofbirth", "dob", "dobs"],
    ),
    (
        Field::Country,
        "country",
        &[
            "country",
            "countries",
            "nationality",
            "nationalities",
            "citizenship",
            "citizenships",
            "jurisdiction",
            "flag",
        ],
    ),
    (
        Field::Document,
        "document",
        &[
            "document",
            "documents",
            "documentnumber",
            "identifiers",
            "idnumber",
            "passport",
            "passportnumber",
            "nationalid",
            "imo",
            "imonumber",
        ],
    ),
    (Field::DocumentKind, "document_kind", &["documenttype", "documentkind", "idtype"]),
    (Field::DocumentCountry, "document_country", &["documentcountry", "issuingcountry", "countryofissue"]),
    (Field::Address, "address", &["address", "addresses"]),
    (
        Field::Program,
        "program",
        &["program", "programs", "programme", "programmes", "list", "sanctions", "regime", "topics"],
    ),
    (Field::Notes, "notes", &["notes", "remarks", "comment", "comments", "reason", "description"]),
    (Field::Title, "title", &["title", "position", "designation"]),
];

/// What a column may say of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Kind,
    Name,
    Alias,
    WeakAlias,
    OriginalName,
    BirthDate,
    Country,
    Document,
    DocumentKind,
    DocumentCountry,
    Address,
    Program,
    Notes,
    Title,
}

impl Field {
    /// Whether one column often holds several of it.
    fn is_list(self) -> bool {
        matches!(
            self,
            Self::Alias
                | Self::WeakAlias
                | Self::OriginalName
                | Self::BirthDate
                | Self::Country
                | Self::Document
                | Self::Program
        )
    }
}

/// From fields to columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    fields: Vec<(Field, Template)>,
    /// What stands between several values of one column; `;` when not said.
    pub split: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Template {
    Column(String),
    Literal(String),
    /// Texts and, at odd places, columns.
    Mixed(Vec<String>),
}

/// One column or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    /// One column, template or text.
    One(String),
    /// Several, each of which gives values.
    Many(Vec<String>),
}

impl Mapping {
    /// Adds where a field comes from.
    ///
    /// # Errors
    /// When there is no such field, or the template is broken.
    pub fn add(&mut self, field: &str, columns: &Columns) -> Result<()> {
        let Some(&(field, ..)) = FIELDS.iter().find(|(_, name, _)| *name == field) else {
            let names: Vec<_> = FIELDS.iter().map(|(_, name, _)| *name).collect();
            bail!("there is no field `{field}`: the fields are {}", names.join(", "));
        };
        let columns = match columns {
            Columns::One(column) => std::slice::from_ref(column),
            Columns::Many(columns) => columns,
        };
        for column in columns {
            self.fields.push((field, Template::parse(column)?));
        }
        Ok(())
    }

    /// Whether nothing was mapped.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The map of columns by their usual names, and of one of several names for a field the one that stands first.
    fn usual<'c>(columns: impl Iterator<Item = &'c str>, split: Option<String>) -> Self {
        let mut fields: Vec<(Field, Template)> = Vec::new();
        for column in columns {
            let plain: String = column
                .chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '.'))
                .flat_map(char::to_lowercase)
                .collect();
            let known = FIELDS.iter().find(|(_, _, names)| names.contains(&plain.as_str()));
            let Some(&(field, ..)) = known else { continue };
            let single = matches!(field, Field::Id | Field::Kind | Field::Name);
            if !single || !fields.iter().any(|(there, _)| *there == field) {
                fields.push((field, Template::Column(column.to_owned())));
            }
        }
        Self { fields, split }
    }

    fn has(&self, field: Field) -> bool {
        self.fields.iter().any(|(there, _)| *there == field)
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flat_map(|(_, template)| match template {
            Template::Column(column) => vec![column.as_str()],
            Template::Literal(_) => Vec::new(),
            Template::Mixed(parts) => parts.iter().skip(1).step_by(2).map(String::as_str).collect(),
        })
    }

    /// An identity of a row, whose columns `column` knows.
    fn draft(&self, line: u64, column: &dyn Fn(&str) -> Vec<String>) -> Draft {
        let split = self.split.as_deref().unwrap_or(";");
        let values = |field: Field| -> Vec<String> {
            let all = self.fields.iter().filter(|(there, _)| *there == field);
            let all = all.flat_map(|(_, template)| template.values(column));
            let cut = |value: String| -> Vec<String> {
                if field.is_list() && !split.is_empty() {
                    value.split(split).map(clean).collect()
                } else {
                    vec![clean(&value)]
                }
            };
            all.flat_map(cut).filter(|value| !is_null(value)).collect()
        };
        let first = |field: Field| values(field).into_iter().next().unwrap_or_default();
        // A list without identifiers has its rows' numbers.
        let id = if self.has(Field::Id) { first(Field::Id) } else { line.to_string() };
        let mut draft = Draft::new(&id, EntityKind::Unknown);
        let kind = first(Field::Kind);
        match kind_of(&kind) {
            Some(kind) => draft.kind(kind),
            None => draft.fault("kind", "is none of person, organisation, vessel, aircraft", &kind),
        }
        let mut primary = NameKind::Primary;
        for name in values(Field::Name) {
            draft.name(&name, primary);
            primary = if draft.has_name() { NameKind::Alias } else { primary };
        }
        for (field, kind) in [
            (Field::OriginalName, NameKind::OriginalScript),
            (Field::Alias, NameKind::Alias),
            (Field::WeakAlias, NameKind::Weak),
        ] {
            for name in values(field) {
                let foreign = kind == NameKind::Alias && is_foreign(&name);
                draft.name(&name, if foreign { NameKind::OriginalScript } else { kind });
            }
        }
        values(Field::BirthDate).iter().for_each(|date| draft.birth_date(date));
        values(Field::Country).iter().for_each(|country| draft.country(country));
        values(Field::Address).iter().for_each(|address| draft.address(address));
        values(Field::Program).iter().for_each(|program| draft.program(program));
        let (kinds, countries) = (values(Field::DocumentKind), values(Field::DocumentCountry));
        for (at, number) in values(Field::Document).iter().enumerate() {
            let of = |list: &[String]| list.get(at).or(list.last()).cloned().unwrap_or_default();
            draft.document(&of(&kinds), number, &of(&countries));
        }
        values(Field::Title).iter().for_each(|title| draft.note("title", title));
        values(Field::Notes).iter().for_each(|note| draft.note("", note));
        draft
    }
}

/// What stands for nothing in many exports.
fn is_null(value: &str) -> bool {
    value.is_empty()
        || ["-0-", "null", "none", "n/a", "na", "nan", "-"]
            .iter()
            .any(|null| value.eq_ignore_ascii_case(null))
}

impl Template {
    fn parse(text: &str) -> Result<Self> {
        if let Some(literal) = text.strip_prefix('=') {
            return Ok(Self::Literal(literal.to_owned()));
        }
        if !text.contains('{') {
            ensure!(!text.is_empty(), "a column has no name");
            return Ok(Self::Column(text.to_owned()));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((column, next)) = after.split_once('}') else {
                bail!("the template {text:?} has a brace that is not closed");
            };
            parts.extend([before.to_owned(), column.to_owned()]);
            rest = next;
        }
        parts.push(rest.to_owned());
        Ok(Self::Mixed(parts))
    }

    fn values(&self, column: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
        match self {
            Self::Column(name) => column(name),
            Self::Literal(text) => vec![text.clone()],
            Self::Mixed(parts) => {
                let mut text = String::new();
                let mut any = false;
                for (at, part) in parts.iter().enumerate() {
                    if at % 2 == 0 {
                        text.push_str(part);
                    } else {
                        let value = column(part).into_iter().next().unwrap_or_default();
                        any |= !is_null(value.trim());
                        text.push_str(if is_null(value.trim()) { "" } else { &value });
                    }
                }
                if any { vec![text] } else { Vec::new() }
            }
        }
    }
}

/// Reads CSV whose first row names the columns.
pub(super) fn read_csv(text: &mut Text, mapping: &Mapping, sink: &mut Sink<'_>) -> Result<()> {
    let delimiter = delimiter(text)?;
    let mut csv = Csv::new(&mut text.reader, delimiter, None);
    let Some((line, header)) = csv.next()? else { bail!("it is empty") };
    let Record::Fields(header) = header else {
        bail!("line {line}: the first row does not name the columns")
    };
    let header: Vec<String> = header.iter().map(|name| clean(name)).collect();
    let usual = Mapping::usual(header.iter().map(String::as_str), mapping.split.clone());
    let mapping = if mapping.is_empty() { &usual } else { mapping };
    ensure!(
        mapping.has(Field::Name),
        "no column holds names: the first row is {:?}; say which with a map of fields",
        header.join(&delimiter.to_string())
    );
    if let Some(missing) = mapping.columns().find(|column| !header.iter().any(|name| name == column)) {
        bail!("there is no column `{missing}`; the columns are {}", header.join(", "));
    }
    csv.expect(header.len());
    while let Some((line, record)) = csv.next()? {
        match record {
            Record::Bad(reason, start) => sink.reject(line, "", "row", reason, &start)?,
            Record::Fields(fields) if fields.len() != header.len() => {
                let reason = format!("has {} fields where the header has {}", fields.len(), header.len());
                sink.reject(line, "", "row", reason, &fields.join(","))?;
            }
            Record::Fields(fields) => {
                let column = |name: &str| {
                    let place = header.iter().position(|column| column == name);
                    place.map(|place| vec![fields[place].clone()]).unwrap_or_default()
                };
                take(line, mapping.draft(line, &column), sink)?;
            }
        }
    }
    json::some_rows(sink)
}

/// Reads JSON: one object a line, or a list of objects.
pub(super) fn read_json(text: &mut Text, mapping: &Mapping, sink: &mut Sink<'_>) -> Result<()> {
    json::objects(&mut text.reader, sink, |line, object, sink| {
        let usual;
        let mapping = if mapping.is_empty() {
            let keys = object.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str));
            usual = Mapping::usual(keys, mapping.split.clone());
            &usual
        } else {
            mapping
        };
        let column = |path: &str| -> Vec<String> {
            // A key may hold dots itself.
            let whole: Option<&Value> = object.get(path);
            let values = whole.map_or_else(|| json::at(object, path), |value| vec![value]);
            values.into_iter().flat_map(json::texts).collect()
        };
        take(line, mapping.draft(line, &column), sink)
    })?;
    json::some_rows(sink)
}

fn take(line: u64, draft: Draft, sink: &mut Sink<'_>) -> Result<()> {
    match (draft.id().is_empty(), draft.has_name()) {
        (true, _) => sink.reject(line, "", "id", "is empty", ""),
        (_, false) => {
            let id = draft.id().to_owned();
            sink.reject(line, &id, "name", "is empty", "")
        }
        _ => sink.accept(line, draft),
    }
}

/// The delimiter that the first line has most of.
fn delimiter(text: &mut Text) -> Result<char> {
    use std::io::BufRead as _;
    let head = text.reader.fill_buf()?;
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |wanted: char| line.iter().filter(|&&byte| char::from(byte) == wanted).count();
    let best = [',', ';', '\t', '|'].into_iter().rev().max_by_key(|&delimiter| count(delimiter));
    Ok(best.unwrap_or(','))
}
