//! The consolidated list of the United Nations Security Council, XML.

use std::io::BufRead;

use anyhow::Result;
use gait_common::identity::{BirthDate, EntityKind, NameKind};

use super::draft::{Draft, clean, is_foreign, joined};
use super::sink::Sink;
use super::xml::{self, Node};

/// Reads the list.
pub(super) fn read(text: impl BufRead, sink: &mut Sink<'_>) -> Result<()> {
    xml::records(text, &["INDIVIDUAL", "ENTITY"], |node| {
        let kind = match node.name.as_str() {
            "INDIVIDUAL" => EntityKind::Person,
            "ENTITY" => EntityKind::Organisation,
            _ => {
                node.attribute("dateGenerated").clone_into(&mut sink.published.version);
                sink.published.date = node.attribute("dateGenerated").chars().take(10).collect();
                return Ok(());
            }
        };
        match draft(node, kind) {
            Ok(draft) => sink.accept(node.line, draft),
            Err((field, reason)) => {
                sink.reject(node.line, node.of("REFERENCE_NUMBER"), field, reason, node.of("FIRST_NAME"))
            }
        }
    })
}

fn draft(node: &Node, kind: EntityKind) -> Result<Draft, (&'static str, &'static str)> {
    let id = match node.of("REFERENCE_NUMBER") {
        "" => node.of("DATAID"),
        reference => reference,
    };
    if id.is_empty() {
        return Err(("REFERENCE_NUMBER", "is empty, and DATAID too"));
    }
    let name = ["FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME"].map(|part| node.of(part)).join(" ");
    if !name.chars().any(char::is_alphanumeric) {
        return Err(("FIRST_NAME", "is empty"));
    }
    let mut draft = Draft::new(id, kind);
    draft.name(&name, NameKind::Primary);
    names(node.of("NAME_ORIGINAL_SCRIPT"), NameKind::OriginalScript, &mut draft);
    for alias in node.children.iter().filter(|child| child.name.ends_with("_ALIAS")) {
        let kind =
            if alias.of("QUALITY").eq_ignore_ascii_case("low") { NameKind::Weak } else { NameKind::Alias };
        names(alias.of("ALIAS_NAME"), kind, &mut draft);
        alias.all("DATE_OF_BIRTH").for_each(|date| draft.birth_date(date.text()));
    }
    node.all("INDIVIDUAL_DATE_OF_BIRTH").for_each(|date| birth_date(date, &mut draft));
    node.list("NATIONALITY", "VALUE").for_each(|country| draft.country(country.text()));
    for document in node.all("INDIVIDUAL_DOCUMENT") {
        let first =
            |names: [&str; 2]| names.map(|name| document.of(name)).into_iter().find(|text| !text.is_empty());
        draft.document(
            first(["TYPE_OF_DOCUMENT", "TYPE_OF_DOCUMENT2"]).unwrap_or_default(),
            document.of("NUMBER"),
            first(["ISSUING_COUNTRY", "COUNTRY_OF_ISSUE"]).unwrap_or_default(),
        );
    }
    for address in node.children.iter().filter(|child| child.name.ends_with("_ADDRESS")) {
        let parts = ["STREET", "CITY", "STATE_PROVINCE", "ZIP_CODE", "COUNTRY"].map(|part| address.of(part));
        draft.address(&joined(parts));
        draft.country(address.of("COUNTRY"));
    }
    draft.program(node.of("UN_LIST_TYPE"));
    draft.note("listed on", node.of("LISTED_ON"));
    let updated: Vec<_> =
        node.list("LAST_DAY_UPDATED", "VALUE").map(Node::text).filter(|t| !t.is_empty()).collect();
    draft.note("updated on", &updated.join(", "));
    draft.note("gender", node.of("GENDER"));
    for (label, list) in [("title", "TITLE"), ("designation", "DESIGNATION")] {
        node.list(list, "VALUE").for_each(|value| draft.note(label, value.text()));
    }
    for place in node.all("INDIVIDUAL_PLACE_OF_BIRTH") {
        let parts = ["STREET", "CITY", "STATE_PROVINCE", "COUNTRY", "NOTE"].map(|part| place.of(part));
        draft.note("born in", &joined(parts));
    }
    for part in
        ["INDIVIDUAL_DOCUMENT", "INDIVIDUAL_ADDRESS", "ENTITY_ADDRESS", "INDIVIDUAL_ALIAS", "ENTITY_ALIAS"]
    {
        node.list(part, "NOTE").for_each(|note| draft.note("", note.text()));
    }
    draft.note("", node.of("COMMENTS1"));
    Ok(draft)
}

fn birth_date(node: &Node, draft: &mut Draft) {
    let year = |name: &str| node.of(name).parse().ok().filter(|year| (1..=9999).contains(year));
    let circa = node.of("TYPE_OF_DATE").eq_ignore_ascii_case("approximately");
    if let (Some(first), Some(last)) = (year("FROM_YEAR"), year("TO_YEAR"))
        && first <= last
    {
        draft.date(BirthDate { last_year: last, circa, ..BirthDate::year(first) });
        return;
    }
    let text = ["DATE", "YEAR", "NOTE"].map(|name| node.of(name)).into_iter().find(|text| !text.is_empty());
    let Some(text) = text else { return };
    match clean(text).replace(". ", " ").parse::<BirthDate>() {
        Ok(date) => draft.date(BirthDate { circa: circa || date.circa, ..date }),
        Err(_) => draft.fault("birth date", "is no date that can be understood", text),
    }
}

/// Names as the list's editors write them: several with semicolons between them, in parentheses another spelling or a
/// remark, and behind a comma a birth date.
fn names(text: &str, kind: NameKind, draft: &mut Draft) {
    for name in outside_parentheses(&clean(text)) {
        let name = name.split(", born ").next().unwrap_or_default();
        let (outside, inside) = match name.split_once('(') {
            Some((outside, inside)) => (outside.trim(), inside.trim_end_matches([')', ' '])),
            None => (name.trim(), ""),
        };
        let of = |text: &str| if is_foreign(text) { NameKind::OriginalScript } else { kind };
        let latin = if kind == NameKind::OriginalScript && !is_foreign(outside) {
            NameKind::Alias
        } else {
            of(outside)
        };
        draft.name(outside, latin);
        // In parentheses: the same name in the other script; anything else is a remark.
        let inside = inside.trim_start_matches("original script:").trim();
        if is_foreign(inside) != is_foreign(outside) {
            let kind = if is_foreign(inside) { NameKind::OriginalScript } else { NameKind::Alias };
            inside.split(';').for_each(|name| draft.name(name, kind));
        }
    }
}

/// Cuts at semicolons that are not within parentheses.
fn outside_parentheses(text: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use gait_common::identity::NameKind::{Alias, OriginalScript, Weak};

    #[test]
    fn names_are_taken_apart_as_their_editors_meant_them() {
        for (text, kind, names) in [
            ("FRANK KAKORERE", Alias, vec![("FRANK KAKORERE", Alias)]),
            ("Azim A; Azim Agha-B", Weak, vec![("Azim A", Weak), ("Azim Agha-B", Weak)]),
            ("Jin Tiesan (金铁三)", Alias, vec![("Jin Tiesan", Alias), ("金铁三", OriginalScript)]),
            (
                "Abubakar (original script: Абубакар)",
                Alias,
                vec![("Abubakar", Alias), ("Абубакар", OriginalScript)],
            ),
            (
                "حسن (Hassan Ghul; Hassan Gul)",
                Alias,
                vec![("حسن", OriginalScript), ("Hassan Ghul", Alias), ("Hassan Gul", Alias)],
            ),
            ("Encep Nurjaman (birth name)", Alias, vec![("Encep Nurjaman", Alias)]),
            ("Safia F, born 1 Jan. 1953 (passport no.; 5)", Alias, vec![("Safia F", Alias)]),
            ("أمیر محمد\n   الرحمن", OriginalScript, vec![("أمیر محمد الرحمن", OriginalScript)]),
            ("", Alias, vec![]),
        ] {
            let mut draft = Draft::new("1", EntityKind::Person);
            super::names(text, kind, &mut draft);
            let found = draft.finish().0.names;
            let found: Vec<_> = found.iter().map(|name| (name.text.as_str(), name.kind)).collect();
            assert_eq!(found, names, "{text}");
        }
    }
}
