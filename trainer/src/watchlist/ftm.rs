//! FollowTheMoney, as OpenSanctions publishes it: `entities.ftm.json` and `targets.nested.json`, one object a line.
//!
//! People, organisations, ships and aircraft are identities. Passports, addresses and sanctions are records of their own that
//! point at their holder, or stand nested in it. What the source does not call a target is passed over: a listed person's
//! bank is not listed.

use std::rc::Rc;

use anyhow::Result;
use gait_common::identity::{EntityKind, NameKind};
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::draft::{Draft, is_foreign};
use super::input::Text;
use super::json;
use super::sink::Sink;

/// Properties that hold document numbers.
const NUMBERS: [&str; 22] = [
    "idNumber",
    "passportNumber",
    "taxNumber",
    "registrationNumber",
    "vatCode",
    "innCode",
    "ogrnCode",
    "kppCode",
    "leiCode",
    "dunsCode",
    "swiftBic",
    "okpoCode",
    "npiCode",
    "uscCode",
    "socialSecurityNumber",
    "imoNumber",
    "mmsi",
    "callSign",
    "serialNumber",
    "registrationCode",
    "cikCode",
    "uniqueEntityId",
];
const COUNTRIES: [&str; 8] = [
    "nationality",
    "citizenship",
    "country",
    "jurisdiction",
    "mainCountry",
    "flag",
    "pastFlags",
    "residency",
];

/// Reads the records.
pub(super) fn read(text: &mut Text, all: bool, sink: &mut Sink<'_>) -> Result<()> {
    let mut drafts: Vec<(u64, Draft)> = Vec::new();
    let mut parts: FxHashMap<String, Vec<Rc<Value>>> = FxHashMap::default();
    json::objects(&mut text.reader, sink, |line, object, sink| {
        let (id, schema) = (string(object, "id"), string(object, "schema"));
        let Some(properties) = object.get("properties").filter(|properties| properties.is_object()) else {
            return sink.reject(line, id, "properties", "is missing", schema);
        };
        if let Some(pointer) = pointer(schema) {
            let mut owners = values(properties, pointer);
            owners.sort_unstable();
            owners.dedup();
            // One object can name very many owners.
            let part = Rc::new(object.clone());
            for owner in owners {
                parts.entry(owner).or_default().push(Rc::clone(&part));
            }
            sink.counts.passed_over += 1;
            return Ok(());
        }
        let target = object.get("target").and_then(Value::as_bool).unwrap_or(true);
        let Some(kind) = kind(schema).filter(|_| target || all) else {
            sink.counts.passed_over += 1;
            return Ok(());
        };
        if id.is_empty() {
            return sink.reject(line, "", "id", "is empty", string(object, "caption"));
        }
        let draft = identity(object, id, kind, properties);
        if !draft.has_name() {
            return sink.reject(line, id, "name", "is empty", schema);
        }
        drafts.push((line, draft));
        Ok(())
    })?;
    for (line, mut draft) in drafts {
        for part in parts.get(draft.id()).into_iter().flatten() {
            add_part(part, &mut draft);
        }
        sink.accept(line, draft)?;
    }
    json::some_rows(sink)
}

/// What a schema is; none for records that are no identities.
fn kind(schema: &str) -> Option<EntityKind> {
    Some(match schema {
        "Person" => EntityKind::Person,
        "Organization" | "Company" | "PublicBody" => EntityKind::Organisation,
        "LegalEntity" => EntityKind::Unknown,
        "Vessel" => EntityKind::Vessel,
        "Airplane" => EntityKind::Aircraft,
        _ => return None,
    })
}

/// The property by which a record that is no identity points at one.
fn pointer(schema: &str) -> Option<&'static str> {
    Some(match schema {
        "Passport" | "Identification" => "holder",
        "Sanction" => "entity",
        _ => return None,
    })
}

fn string<'v>(object: &'v Value, key: &str) -> &'v str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a property, and the ids of nested records.
fn values(properties: &Value, name: &str) -> Vec<String> {
    let Some(Value::Array(list)) = properties.get(name) else {
        return properties.get(name).map(json::texts).unwrap_or_default();
    };
    let id = |value: &Value| match value {
        Value::Object(_) => vec![string(value, "id").to_owned()],
        other => json::texts(other),
    };
    list.iter().flat_map(id).collect()
}

fn identity(object: &Value, id: &str, kind: EntityKind, properties: &Value) -> Draft {
    let mut draft = Draft::new(id, kind);
    // The caption is the name that the publisher shows.
    let mut names = values(properties, "name");
    let caption = string(object, "caption");
    if let Some(at) = names.iter().position(|name| name == caption) {
        names.swap(0, at);
    }
    for (at, name) in names.iter().enumerate() {
        let other = if is_foreign(name) { NameKind::OriginalScript } else { NameKind::Alias };
        draft.name(name, if at == 0 { NameKind::Primary } else { other });
    }
    if !draft.has_name() {
        let parts = ["firstName", "secondName", "middleName", "lastName"]
            .map(|part| values(properties, part).join(" "));
        draft.name(&parts.join(" "), NameKind::Primary);
    }
    for (property, kind) in [
        ("alias", NameKind::Alias),
        ("previousName", NameKind::Alias),
        ("weakAlias", NameKind::Weak),
        ("abbreviation", NameKind::Weak),
    ] {
        for name in values(properties, property) {
            let foreign = kind == NameKind::Alias && is_foreign(&name);
            draft.name(&name, if foreign { NameKind::OriginalScript } else { kind });
        }
    }
    values(properties, "birthDate").iter().for_each(|date| draft.birth_date(date));
    for property in COUNTRIES {
        values(properties, property).iter().for_each(|country| draft.country(country));
    }
    for property in NUMBERS {
        values(properties, property).iter().for_each(|number| draft.document(property, number, ""));
    }
    values(properties, "address").iter().for_each(|address| draft.address(address));
    for property in ["program", "programId", "topics"] {
        values(properties, property).iter().for_each(|program| draft.program(program));
    }
    for (label, property) in
        [("title", "title"), ("position", "position"), ("gender", "gender"), ("born in", "birthPlace")]
    {
        values(properties, property).iter().for_each(|text| draft.note(label, text));
    }
    for property in ["summary", "notes"] {
        values(properties, property).iter().for_each(|text| draft.note("", text));
    }
    // Records nested in this one.
    for list in
        properties.as_object().into_iter().flat_map(|object| object.values()).filter_map(Value::as_array)
    {
        list.iter().filter(|value| value.is_object()).for_each(|part| add_part(part, &mut draft));
    }
    draft
}

/// Adds what a passport, an address or a sanction says.
fn add_part(part: &Value, draft: &mut Draft) {
    let Some(properties) = part.get("properties") else { return };
    let of = |name: &str| values(properties, name);
    let first = |name: &str| of(name).into_iter().next().unwrap_or_default();
    match string(part, "schema") {
        "Passport" | "Identification" => {
            let kind =
                if string(part, "schema") == "Passport" { "passport".to_owned() } else { first("type") };
            let country = first("country");
            of("number").iter().for_each(|number| draft.document(&kind, number, &country));
        }
        "Address" => {
            of("full").iter().for_each(|address| draft.address(address));
            of("country").iter().for_each(|country| draft.country(country));
        }
        "Sanction" => {
            let programs = match of("programId") {
                programs if programs.is_empty() => of("program"),
                programs => programs,
            };
            programs.iter().for_each(|program| draft.program(program));
        }
        _ => {}
    }
}
