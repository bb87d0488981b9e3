//! OFAC's `sdn_advanced.xml`, the Advanced Sanctions Data Model of the United Nations: everything is a reference.
//!
//! A party has a profile, that an identity, that its names, whose parts say by number what they are; birth dates, countries and
//! addresses are features of the profile, documents point at the identity, and programmes at the profile. What the
//! numbers mean stands in the document's own reference values.

use std::io::BufRead;

use anyhow::Result;
use gait_common::identity::{BirthDate, EntityKind, NameKind};
use rustc_hash::FxHashMap;

use super::draft::{Draft, joined};
use super::sink::Sink;
use super::xml::{self, Node};

/// Elements that are read whole.
const RECORDS: [&str; 6] =
    ["DateOfIssue", "ReferenceValueSets", "Location", "IDRegDocument", "DistinctParty", "SanctionsEntry"];

/// Reads the list.
pub(super) fn read(text: impl BufRead, sink: &mut Sink<'_>) -> Result<()> {
    let mut advanced = Advanced::default();
    xml::records(text, &RECORDS, |node| {
        match node.name.as_str() {
            "DateOfIssue" => {
                let [year, month, day] = ["Year", "Month", "Day"].map(|part| node.of(part));
                sink.published.date = format!("{year:0>4}-{month:0>2}-{day:0>2}");
                sink.published.version.clone_from(&sink.published.date);
            }
            "ReferenceValueSets" => advanced.learn(node),
            "Location" => advanced.place(node),
            "IDRegDocument" => advanced.document(node),
            "DistinctParty" => match advanced.party(node) {
                Ok(party) => advanced.parties.push(party),
                Err((field, reason)) => {
                    sink.reject(node.line, node.attribute("FixedRef"), field, reason, "")?
                }
            },
            "SanctionsEntry" => {
                let programs = node.all("SanctionsMeasure").map(|measure| measure.of("Comment").to_owned());
                let programs = programs.filter(|program| !program.is_empty());
                advanced.programs.entry(node.attribute("ProfileID").to_owned()).or_default().extend(programs);
            }
            _ => {}
        }
        Ok(())
    })?;
    for Party { line, profile, mut draft } in advanced.parties {
        for program in advanced.programs.get(&profile).into_iter().flatten() {
            draft.program(program);
        }
        sink.accept(line, draft)?;
    }
    Ok(())
}

#[derive(Default)]
struct Advanced {
    /// What a number means: by the name of the element and its number.
    values: FxHashMap<(String, String), String>,
    /// The type of a subtype of parties.
    types: FxHashMap<String, String>,
    /// Address and country of a location.
    places: FxHashMap<String, (String, String)>,
    /// Kind, number and country of the documents of an identity.
    documents: FxHashMap<String, Vec<(String, String, String)>>,
    /// Programmes of a profile.
    programs: FxHashMap<String, Vec<String>>,
    parties: Vec<Party>,
}

struct Party {
    line: u64,
    profile: String,
    draft: Draft,
}

impl Advanced {
    fn learn(&mut self, sets: &Node) {
        for value in sets.children.iter().flat_map(|set| &set.children) {
            let id = value.attribute("ID").to_owned();
            if value.name == "PartySubType" {
                self.types.insert(id.clone(), value.attribute("PartyTypeID").to_owned());
            }
            let text = match value.attribute("Description") {
                // Area codes say the country in words.
                "" => value.text(),
                description => description,
            };
            self.values.insert((value.name.clone(), id), text.to_owned());
        }
    }

    fn value(&self, name: &str, id: &str) -> &str {
        // The map's key is owned; numbers are short, and there are few look-ups per party.
        self.values.get(&(name.to_owned(), id.to_owned())).map_or("", String::as_str)
    }

    fn place(&mut self, node: &Node) {
        let country =
            node.all("LocationCountry").map(|c| self.value("Country", c.attribute("CountryID"))).next();
        let area =
            node.all("LocationAreaCode").map(|a| self.value("AreaCode", a.attribute("AreaCodeID"))).next();
        let country = country.or(area).unwrap_or_default().to_owned();
        let parts =
            node.all("LocationPart").flat_map(|part| part.all("LocationPartValue")).map(|v| v.of("Value"));
        let address = joined(parts.chain([country.as_str()]));
        self.places.insert(node.attribute("ID").to_owned(), (address, country));
    }

    fn document(&mut self, node: &Node) {
        let kind = self.value("IDRegDocType", node.attribute("IDRegDocTypeID")).to_owned();
        let country = self.value("Country", node.attribute("IssuedBy-CountryID")).to_owned();
        let number = node.of("IDRegistrationNo").to_owned();
        self.documents
            .entry(node.attribute("IdentityID").to_owned())
            .or_default()
            .push((kind, number, country));
    }

    fn party(&self, node: &Node) -> Result<Party, (&'static str, &'static str)> {
        let id = node.attribute("FixedRef");
        if id.is_empty() {
            return Err(("FixedRef", "is empty"));
        }
        let profile = node.child("Profile").ok_or(("Profile", "is missing"))?;
        let subtype = profile.attribute("PartySubTypeID");
        let of_type = self.types.get(subtype).map_or("", |id| self.value("PartyType", id));
        let kind = match (self.value("PartySubType", subtype), of_type) {
            ("Vessel", _) => EntityKind::Vessel,
            ("Aircraft", _) => EntityKind::Aircraft,
            (_, "Individual") => EntityKind::Person,
            (_, "Entity") => EntityKind::Organisation,
            _ => EntityKind::Unknown,
        };
        let mut draft = Draft::new(id, kind);
        for identity in profile.all("Identity") {
            self.names(identity, &mut draft);
            for (kind, number, country) in self.documents.get(identity.attribute("ID")).into_iter().flatten()
            {
                draft.document(kind, number, country);
            }
        }
        if !draft.has_name() {
            return Err(("DocumentedName", "is empty"));
        }
        profile.all("Feature").for_each(|feature| self.feature(feature, &mut draft));
        draft.note("", node.of("Comment"));
        Ok(Party { line: node.line, profile: profile.attribute("ID").to_owned(), draft })
    }

    /// The names of an identity, the primary one first.
    fn names(&self, identity: &Node, draft: &mut Draft) {
        let groups: FxHashMap<&str, &str> = identity
            .list("NamePartGroups", "MasterNamePartGroup")
            .flat_map(|master| master.all("NamePartGroup"))
            .map(|group| {
                (group.attribute("ID"), self.value("NamePartType", group.attribute("NamePartTypeID")))
            })
            .collect();
        let mut aliases: Vec<&Node> = identity.all("Alias").collect();
        aliases.sort_by_key(|alias| alias.attribute("Primary") != "true");
        for alias in aliases {
            for name in alias.all("DocumentedName") {
                let parts: Vec<&Node> = name.list("DocumentedNamePart", "NamePartValue").collect();
                let script =
                    parts.first().map_or("", |part| self.value("Script", part.attribute("ScriptID")));
                let kind = match (alias.attribute("LowQuality"), alias.attribute("Primary")) {
                    _ if !matches!(script, "" | "Latin") => NameKind::OriginalScript,
                    ("true", _) => NameKind::Weak,
                    (_, "true") => NameKind::Primary,
                    _ => NameKind::Alias,
                };
                // The last name stands first, as in OFAC's other files.
                let is_last =
                    |part: &&Node| groups.get(part.attribute("NamePartGroupID")) == Some(&"Last Name");
                let text =
                    |parts: Vec<&Node>| parts.iter().map(|part| part.text()).collect::<Vec<_>>().join(" ");
                let (last, others): (Vec<&Node>, Vec<&Node>) = parts.into_iter().partition(is_last);
                draft.name(&joined([text(last).as_str(), text(others).as_str()]), kind);
            }
        }
    }

    /// A birth date, a country, an address, or a note.
    fn feature(&self, feature: &Node, draft: &mut Draft) {
        let what = self.value("FeatureType", feature.attribute("FeatureTypeID"));
        for version in feature.all("FeatureVersion") {
            if what == "Birthdate" {
                version.all("DatePeriod").filter_map(period).for_each(|date| draft.date(date));
                continue;
            }
            for place in version.all("VersionLocation") {
                let Some((address, country)) = self.places.get(place.attribute("LocationID")) else {
                    continue;
                };
                match what {
                    "Place of Birth" => draft.note("born in", address),
                    "Location" => {
                        draft.address(address);
                        draft.country(country);
                    }
                    _ => draft.country(country),
                }
            }
            for detail in version.all("VersionDetail") {
                let text = match detail.text() {
                    "" => self.value("DetailReference", detail.attribute("DetailReferenceID")),
                    text => text,
                };
                if what.ends_with("Flag") {
                    draft.country(text);
                } else if what.starts_with("Digital Currency Address") || what == "Vessel Call Sign" {
                    draft.document(what, text, "");
                } else {
                    draft.note(what, text);
                }
            }
        }
    }
}

/// A birth date of the first and the last day that it may be.
fn period(node: &Node) -> Option<BirthDate> {
    let (start, end) = (node.child("Start")?, node.child("End")?);
    let circa = start.attribute("Approximate") == "true" || end.attribute("Approximate") == "true";
    let day = |node: &Node| -> Option<BirthDate> {
        ["Year", "Month", "Day"].map(|part| node.of(part)).join("-").parse().ok()
    };
    let (first, last) = (day(start.child("From")?)?, day(end.child("To").or(end.child("From"))?)?);
    let whole_month = first.month == last.month && first.day == 1 && last.day >= 28;
    let whole_year = (first.month, first.day, last.month, last.day) == (1, 1, 12, 31);
    Some(match first.year == last.year {
        true if first == last => BirthDate { circa, ..first },
        true if whole_month => BirthDate { day: 0, circa, ..first },
        true if whole_year => BirthDate { circa, ..BirthDate::year(first.year) },
        // Part of a year is more than is known of most.
        true => BirthDate { circa: true, ..BirthDate::year(first.year) },
        false if first.year > last.year => return None,
        false => BirthDate { last_year: last.year, circa, ..BirthDate::year(first.year) },
    })
}
