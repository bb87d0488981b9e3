//! Which column of a file is which field of a query.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use gait_common::identity::{BirthDate, EntityKind, Query};

use super::rows::{MAX_FIELDS, MAX_ROW, Row};
use crate::screen::{MAX_TEXT, check};

/// What a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Column {
    /// What the row is called; it is copied to the answer.
    Id,
    /// The name to look up.
    Name,
    /// Date of birth.
    BirthDate,
    /// Countries, with `;` between several.
    Country,
    /// Document numbers, with `;` between several.
    Document,
    /// Address.
    Address,
    /// `person`, `organisation`, `vessel`, `aircraft`.
    Kind,
    /// Who called, for clearances.
    Caller,
}

/// How headers commonly name the columns.
const NAMES: [(Column, &[&str]); 8] = [
    (Column::Id, &["id", "reference", "ref", "customer_id"]),
    (Column::Name, &["name", "full_name", "fullname", "query"]),
    (Column::BirthDate, &["birth_date", "birthdate", "date_of_birth", "dob"]),
    (Column::Country, &["country", "countries", "nationality"]),
    (Column::Document, &["document", "documents", "document_number", "passport"]),
    (Column::Address, &["address"]),
    (Column::Kind, &["kind", "type"]),
    (Column::Caller, &["caller"]),
];

/// `FIELD=HEADER` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped(Column, String);

impl FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (field, header) = text.split_once('=').ok_or("write FIELD=HEADER, e.g. name=CUSTOMER_NAME")?;
        let column = Column::from_str(field, true).map_err(|_| {
            let known: Vec<_> =
                Column::value_variants().iter().filter_map(|column| column.to_possible_value()).collect();
            let known: Vec<_> = known.iter().map(|value| value.get_name()).collect();
            format!("`{field}` is no field: use {}", known.join(", "))
        })?;
        Ok(Self(column, header.to_owned()))
    }
}

/// Where the fields stand.
#[derive(Clone, Debug)]
pub(super) struct Columns([Option<usize>; 8]);

impl Columns {
    /// From a file's header.
    ///
    /// # Errors
    /// When it has no column for the name, or lacks one that the command line names.
    pub(super) fn new(header: &Row, mapped: &[Mapped]) -> Result<Self> {
        ensure!(!header.too_long, "the header is longer than {MAX_ROW} bytes or {MAX_FIELDS} fields");
        let names: Vec<String> = (0..header.len())
            .map(|at| String::from_utf8_lossy(header.get(at).unwrap_or_default()).trim().to_owned())
            .collect();
        let mut places = [None; 8];
        for (place, (_, known)) in places.iter_mut().zip(&NAMES) {
            let is = |name: &String| {
                known.iter().any(|known| name.replace([' ', '-'], "_").eq_ignore_ascii_case(known))
            };
            *place = names.iter().position(is);
        }
        for Mapped(column, name) in mapped {
            let at = names.iter().position(|have| have == name);
            let at =
                at.with_context(|| format!("there is no column {name:?}; there are {}", names.join(", ")))?;
            places[*column as usize] = Some(at);
        }
        if places[Column::Name as usize].is_none() {
            bail!(
                "no column is called `name`: name it with --column name=HEADER; there are {}",
                names.join(", ")
            );
        }
        Ok(Self(places))
    }

    /// What a row calls itself.
    pub(super) fn id<'r>(&self, row: &'r Row) -> &'r [u8] {
        self.bytes(row, Column::Id).unwrap_or_default()
    }

    /// The name as it stands there.
    pub(super) fn name<'r>(&self, row: &'r Row) -> &'r [u8] {
        self.bytes(row, Column::Name).unwrap_or_default()
    }

    /// The query of a row, and the caller it names.
    ///
    /// # Errors
    /// Why it is none, in words for the row's answer.
    pub(super) fn query(&self, row: &Row, channel: &str) -> Result<(Query, Option<String>), String> {
        if row.too_long {
            return Err(format!("the row is longer than {MAX_ROW} bytes or {MAX_FIELDS} fields"));
        }
        let text = |column, what| self.text(row, column, what);
        let many = |text: Option<&str>| -> Vec<String> {
            let values = text.unwrap_or_default().split(';').map(str::trim);
            values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
        };
        let name = text(Column::Name, "name")?.ok_or("the row has no field for the name")?;
        let birth_date = text(Column::BirthDate, "birth date")?.map(str::parse::<BirthDate>).transpose();
        let kind = text(Column::Kind, "kind")?.map(kind).transpose()?;
        let query = Query {
            name: name.to_owned(),
            kind,
            birth_date: birth_date.map_err(|error| error.to_string())?,
            countries: many(text(Column::Country, "country")?),
            documents: many(text(Column::Document, "document")?),
            address: text(Column::Address, "address")?.map(str::to_owned),
            channel: channel.to_owned(),
        };
        check(&query).map_err(|error| error.to_string())?;
        Ok((query, text(Column::Caller, "caller")?.map(str::to_owned)))
    }

    fn bytes<'r>(&self, row: &'r Row, column: Column) -> Option<&'r [u8]> {
        row.get(self.0[column as usize]?)
    }

    /// A field that is there and not empty; the name counts even when it is empty.
    fn text<'r>(&self, row: &'r Row, column: Column, what: &str) -> Result<Option<&'r str>, String> {
        let Some(bytes) = self.bytes(row, column) else { return Ok(None) };
        if bytes.len() > MAX_TEXT {
            return Err(format!("the {what} is longer than {MAX_TEXT} bytes"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format!("the {what} is no UTF-8"))?.trim();
        Ok((!text.is_empty() || column == Column::Name).then_some(text))
    }
}

/// What something is, as people write it.
///
/// # Errors
/// When it is none of the known kinds.
pub(in crate::screen) fn kind(text: &str) -> Result<EntityKind, String> {
    let lower = serde_json::Value::String(text.trim().to_ascii_lowercase());
    serde_json::from_value(lower)
        .map_err(|_| format!("`{text}` is no kind: use person, organisation, vessel or aircraft"))
}
