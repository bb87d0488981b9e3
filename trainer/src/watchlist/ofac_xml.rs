//! OFAC's `sdn.xml` and `consolidated.xml`: one element for each identity, with lists of names, documents and addresses.

use std::io::BufRead;

use anyhow::Result;
use gait_common::identity::{EntityKind, NameKind};

use super::draft::{Draft, joined};
use super::sink::Sink;
use super::xml::{self, Node};

/// Reads the list.
pub(super) fn read(text: impl BufRead, sink: &mut Sink<'_>) -> Result<()> {
    xml::records(text, &["sdnEntry", "publshInformation"], |node| match node.name.as_str() {
        "publshInformation" => {
            // Month before day.
            let date = node.of("Publish_Date");
            sink.published.version = date.to_owned();
            if let [month, day, year] = date.split('/').collect::<Vec<_>>()[..] {
                sink.published.date = format!("{year}-{month:0>2}-{day:0>2}");
            }
            sink.published.count = node.of("Record_Count").parse().ok();
            Ok(())
        }
        "sdnEntry" => match draft(node) {
            Ok(draft) => sink.accept(node.line, draft),
            Err((field, reason)) => {
                sink.reject(node.line, node.of("uid"), field, reason, node.of("lastName"))
            }
        },
        _ => Ok(()),
    })
}

/// A name, as OFAC's CSV spells it: the last name, a comma, and the others.
fn name(node: &Node) -> String {
    joined([node.of("lastName"), node.of("firstName")])
}

fn draft(node: &Node) -> Result<Draft, (&'static str, &'static str)> {
    let id = node.of("uid");
    if id.is_empty() {
        return Err(("uid", "is empty"));
    }
    let mut draft = Draft::new(id, EntityKind::Unknown);
    draft.name(&name(node), NameKind::Primary);
    if !draft.has_name() {
        return Err(("lastName", "is empty"));
    }
    match node.of("sdnType").to_ascii_lowercase().as_str() {
        "individual" => draft.kind(EntityKind::Person),
        "entity" => draft.kind(EntityKind::Organisation),
        "vessel" => draft.kind(EntityKind::Vessel),
        "aircraft" => draft.kind(EntityKind::Aircraft),
        other => draft.fault("sdnType", "is none of Individual, Entity, Vessel, Aircraft", other),
    }
    for aka in node.list("akaList", "aka") {
        let weak = aka.of("category").eq_ignore_ascii_case("weak");
        draft.name(&name(aka), if weak { NameKind::Weak } else { NameKind::Alias });
    }
    for date in node.list("dateOfBirthList", "dateOfBirthItem") {
        draft.birth_date(date.of("dateOfBirth"));
    }
    for (list, item) in [("nationalityList", "nationality"), ("citizenshipList", "citizenship")] {
        node.list(list, item).for_each(|country| draft.country(country.of("country")));
    }
    for document in node.list("idList", "id") {
        let (kind, number) = (document.of("idType"), document.of("idNumber"));
        // OFAC keeps remarks among the documents.
        if number.bytes().any(|byte| byte.is_ascii_digit()) && !kind.ends_with(':') && !kind.ends_with("Date")
        {
            draft.document(kind, number, document.of("idCountry"));
        } else {
            draft.note(kind, number);
        }
    }
    for address in node.list("addressList", "address") {
        let parts = ["address1", "address2", "address3", "city", "stateOrProvince", "postalCode", "country"];
        draft.address(&joined(parts.map(|part| address.of(part))));
        draft.country(address.of("country"));
    }
    node.list("programList", "program").for_each(|program| draft.program(program.text()));
    if let Some(vessel) = node.child("vesselInfo") {
        draft.country(vessel.of("vesselFlag"));
        draft.document("Call Sign", vessel.of("callSign"), "");
        for (label, part) in [
            ("vessel type", "vesselType"),
            ("tonnage", "tonnage"),
            ("gross tonnage", "grossRegisteredTonnage"),
            ("owner", "vesselOwner"),
        ] {
            draft.note(label, vessel.of(part));
        }
    }
    draft.note("title", node.of("title"));
    for place in node.list("placeOfBirthList", "placeOfBirthItem") {
        draft.note("born in", place.of("placeOfBirth"));
    }
    draft.note("", node.of("remarks"));
    Ok(draft)
}
