//! OFAC's remarks: clauses between semicolons, in which birth dates, nationalities, documents and nicknames hide.
//!
//! ```text
//! DOB 08 Sep 1966; alt. DOB 1968; POB Grodno, Belarus; nationality Belarus; Passport AB123456 (Belarus) issued
//! 01 Jan 2010; a.k.a. 'THE PILOT'; Tax ID No. 7701234567 (Russia); Linked To: SOMEBODY.
//! ```

use gait_common::identity::NameKind;

use super::super::draft::Draft;

/// Clauses that hold numbers, and no document of the one who is listed.
const NOT_DOCUMENTS: [&str; 16] = [
    "linked to",
    "pob",
    "organization",
    "executive order",
    "listing date",
    "effective date",
    "government gazette",
    "phone",
    "telephone",
    "target type",
    "aircraft model",
    "aircraft manufacture date",
    "for more information",
    "interpol",
    "website",
    "email",
];
/// Words that a document's kind ends with.
const MARKERS: [&str; 26] = [
    "no.",
    "no",
    "number",
    "#",
    "id",
    "code",
    "passport",
    "identification",
    "card",
    "document",
    "mmsi",
    "ssn",
    "nit",
    "ruc",
    "rif",
    "cedula",
    "curp",
    "imo",
    "bik",
    "swift/bic",
    "certificate",
    "visanumberid",
    "license",
    "licence",
    "gln",
    "nie",
];
/// Words behind which a document's number has ended.
const ENDS: [&str; 5] = ["issued", "expires", "expired", "exp.", "valid"];

/// Reads all clauses.
pub(super) fn read(remarks: &str, draft: &mut Draft) {
    for clause in remarks.split(';') {
        let clause = clause.trim().trim_end_matches('.').trim();
        let clause = clause.strip_prefix("alt. ").unwrap_or(clause);
        if let Some(date) = clause.strip_prefix("DOB ") {
            draft.birth_date(date);
        } else if let Some(country) =
            clause.strip_prefix("nationality ").or_else(|| clause.strip_prefix("citizen "))
        {
            draft.country(country);
        } else if let Some(name) =
            ["a.k.a.", "f.k.a.", "n.k.a."].iter().find_map(|word| clause.strip_prefix(word))
        {
            draft.name(unquoted(name), NameKind::Weak);
        } else if let Some((kind, number, country)) = document(clause) {
            draft.document(&kind, &number, country);
        }
    }
}

/// A name without the quotes around it.
fn unquoted(name: &str) -> &str {
    let name = name.trim();
    let inner = name.strip_prefix(['\'', '"', '‘', '“']).unwrap_or(name);
    inner.strip_suffix(['\'', '"', '’', '”']).unwrap_or(inner)
}

/// Kind, number and country of the document that a clause names.
fn document(clause: &str) -> Option<(String, String, &str)> {
    let lower = clause.to_ascii_lowercase();
    if NOT_DOCUMENTS.iter().any(|word| lower.starts_with(word)) {
        return None;
    }
    if let Some(rest) = clause.strip_prefix("Digital Currency Address - ") {
        let (coin, address) = rest.split_once(' ')?;
        return Some((format!("Digital Currency Address {coin}"), address.trim().to_owned(), ""));
    }
    let words: Vec<&str> = clause.split_whitespace().collect();
    let has_digit = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
    let number_at = words.iter().position(|word| has_digit(word) && !word.starts_with('('))?;
    let is_marker = |word: &str| MARKERS.contains(&word.to_ascii_lowercase().as_str());
    let marker = words[..number_at].iter().rposition(|word| is_marker(word))?;
    // "Serial Number (MSN) 727": what is in parentheses right behind the marker is part of the kind.
    let mut begin = marker + 1;
    while words
        .get(begin)
        .is_some_and(|word| word.starts_with('(') && word.ends_with(')') && begin < number_at)
    {
        begin += 1;
    }
    // "IMO" names the scheme; the number is enough.
    if begin < number_at && words[begin] == "IMO" {
        begin += 1;
    }
    let ends = |word: &&str| {
        word.starts_with('(') || ENDS.contains(&word.trim_end_matches(',')) || word.ends_with(',')
    };
    let mut end = begin + words[begin..].iter().position(ends).unwrap_or(words.len() - begin);
    if words.get(end).is_some_and(|word| word.ends_with(',') && !word.starts_with('(')) {
        end += 1;
    }
    let number = words[begin..end].join(" ");
    let number = number.trim_end_matches([',', '.']);
    // A number of more than a few words is a sentence.
    if number.is_empty() || end - begin > 6 || !has_digit(number) {
        return None;
    }
    let rest = clause.rfind('(').map_or("", |at| &clause[at + 1..]);
    let country = if words.get(end).is_some_and(|word| word.starts_with('(')) {
        rest.split(')').next().unwrap_or_default()
    } else {
        ""
    };
    Some((words[..begin].join(" "), number.to_owned(), country))
}

#[cfg(test)]
mod tests {
    use gait_common::identity::EntityKind;

    use super::*;

    fn check(
        remarks: &str,
        documents: &[(&str, &str, &str)],
        names: &[&str],
        dates: &[&str],
        countries: &[&str],
    ) {
        let mut draft = Draft::new("1", EntityKind::Person);
        read(remarks, &mut draft);
        let (entity, faults) = draft.finish();
        assert!(faults.is_empty(), "{faults:?}");
        let found: Vec<_> = entity
            .documents
            .iter()
            .map(|d| (d.kind.as_str(), d.number.as_str(), d.country.as_str()))
            .collect();
        assert_eq!(found, documents, "{remarks}");
        assert_eq!(entity.names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>(), names);
        assert!(entity.names.iter().all(|name| name.kind == NameKind::Weak));
        assert_eq!(entity.birth_dates.iter().map(ToString::to_string).collect::<Vec<_>>(), dates);
        assert_eq!(entity.countries, countries);
    }

    #[test]
    fn clauses_of_persons() {
        check(
            "DOB 08 Sep 1966; alt. DOB circa 1968; POB Privalka, Belarus; nationality Belarus; citizen Korea, North; \
             Gender Male; Passport RL0123456 (Lebanon) issued 01 Jan 2010 expires 02 Feb 2020; alt. Passport D 000080; \
             National ID No. 9PAMANAN275475 (Burma); SSN 156-92-9858 (United States); a.k.a. 'ABU-'UMAR'; \
             f.k.a. 'THE \"CHESS\" PLAYER'; Linked To: BANK 24; Phone Number 12025550123.",
            &[
                ("Passport", "RL0123456", "Lebanon"),
                ("Passport", "D 000080", ""),
                ("National ID No.", "9PAMANAN275475", "Burma"),
                ("SSN", "156-92-9858", "United States"),
            ],
            &["ABU-'UMAR", "THE \"CHESS\" PLAYER"],
            &["1966-09-08", "circa 1968"],
            &["Belarus", "Korea, North"],
        );
    }

    #[test]
    fn numbers_of_companies_ships_and_aircraft() {
        check(
            "Tax ID No. 2315207531 (Russia); Registration ID HE 143062 (Cyprus); NIT # 900110094-9 (Colombia); \
             Commercial Registry Number CD/KNG/RCCM/18-B-00090 (Congo, Democratic Republic of the); \
             Vessel Registration Identification IMO 9037678; MMSI 572469210; Aircraft Manufacturer's Serial Number (MSN) 727; \
             United Social Credit Code Certificate (USCCC) 91310000MA1K30UQ75 (China); SWIFT/BIC HAVIGB2L; \
             Digital Currency Address - XBT 1Hx7; Organization Established Date 12 Mar 1999; Aircraft Model A300; \
             Executive Order 13846 information: LOANS; Branch Unit Number 000027280888 (Netherlands).",
            &[
                ("Tax ID No.", "2315207531", "Russia"),
                ("Registration ID", "HE 143062", "Cyprus"),
                ("NIT #", "900110094-9", "Colombia"),
                ("Commercial Registry Number", "CD/KNG/RCCM/18-B-00090", "Congo, Democratic Republic of the"),
                ("Vessel Registration Identification IMO", "9037678", ""),
                ("MMSI", "572469210", ""),
                ("Aircraft Manufacturer's Serial Number (MSN)", "727", ""),
                ("United Social Credit Code Certificate (USCCC)", "91310000MA1K30UQ75", "China"),
                ("SWIFT/BIC", "HAVIGB2L", ""),
                ("Digital Currency Address XBT", "1Hx7", ""),
                ("Branch Unit Number", "000027280888", "Netherlands"),
            ],
            &[],
            &[],
            &[],
        );
    }

    #[test]
    fn sentences_are_no_documents() {
        check(
            "Passport and National ID were issued in Ulm, Germany on 3 May; Currently incarcerated since 2004; (Linked To: X 5).",
            &[],
            &[],
            &[],
            &[],
        );
        let mut draft = Draft::new("1", EntityKind::Person);
        read("DOB unknown", &mut draft);
        assert_eq!(draft.finish().1.len(), 1, "a date that is none is said");
    }
}
