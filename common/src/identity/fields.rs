//! What speaks for or against a name: date of birth, countries, documents, address.

use super::similar::{Spelt, loose, similar};
use super::translit::{Origin, ascii};
use super::{BirthDate, Document, Field, FieldScore, tables};

/// Most values of the query's side that are compared with the list's.
const MOST: usize = 32;

/// A field that was compared, before its weight is known.
pub(super) struct Compared {
    pub field: Field,
    pub score: f64,
    pub query: String,
    pub listed: String,
    pub reason: String,
}

impl Compared {
    /// The field with its share of the hit's score.
    pub(super) fn weighted(self, weight: f64) -> FieldScore {
        let Self { field, score, query, listed, reason } = self;
        FieldScore { field, weight, score, query, listed, forms: Vec::new(), tokens: Vec::new(), reason }
    }
}

/// The listed date that fits best; none where either side has none.
pub(super) fn birth_date(query: Option<BirthDate>, listed: &[BirthDate]) -> Option<Compared> {
    let query = query?;
    let mut best: Option<(f64, &'static str, BirthDate)> = None;
    for &date in listed {
        let (score, reason) = dates(query, date);
        if best.is_none_or(|(most, _, _)| score > most) {
            best = Some((score, reason, date));
        }
    }
    best.map(|(score, reason, date)| Compared {
        field: Field::BirthDate,
        score,
        query: query.to_string(),
        listed: date.to_string(),
        reason: reason.to_owned(),
    })
}

fn dates(a: BirthDate, b: BirthDate) -> (f64, &'static str) {
    let apart = if a.last_year < b.year { b.year - a.last_year } else { a.year.saturating_sub(b.last_year) };
    let about = a.circa || b.circa;
    let whole = |date: BirthDate| date.month > 0 && date.day > 0;
    if apart == 0 {
        if whole(a) && whole(b) {
            return if (a.month, a.day) == (b.month, b.day) {
                (1.0, "the same day")
            } else if (a.month, a.day) == (b.day, b.month) {
                (0.95, "the same day, with day and month exchanged")
            } else if about {
                (0.85, "the same year, about")
            } else if a.month == b.month || a.day == b.day {
                (0.7, "the same year, and the same month or day")
            } else {
                (0.5, "the same year, another day")
            };
        }
        if a.month > 0 && b.month > 0 {
            return if a.month == b.month {
                (0.95, "the same month")
            } else {
                (0.6, "the same year, another month")
            };
        }
        return if about { (0.85, "about the same year") } else { (0.9, "the same year") };
    }
    let same_day = whole(a) && whole(b) && (a.month, a.day) == (b.month, b.day);
    match (apart, about) {
        (1..=2, true) => (0.75, "about the same year"),
        (3..=5, true) => (0.4, "a few years apart, where the year is not exact"),
        (1, false) if same_day => (0.7, "the same day, one year apart"),
        (1, false) => (0.35, "one year apart"),
        (10, false) if same_day => (0.6, "the same day, ten years apart"),
        _ => (0.0, "another year"),
    }
}

/// Whether a country is in common.
pub(super) fn countries(query: &[String], listed: &[String]) -> Option<Compared> {
    if query.is_empty() || listed.is_empty() {
        return None;
    }
    let codes: Vec<String> = listed.iter().take(MOST).map(|name| code(name)).collect();
    let common = query.iter().take(MOST).find_map(|name| {
        let mine = code(name);
        codes.iter().position(|other| *other == mine).map(|at| (name.clone(), listed[at].clone()))
    });
    let (score, reason, (query, listed)) = match common {
        Some(pair) => (1.0, "the same country", pair),
        None => (0.0, "no country in common", (shown(query), shown(listed))),
    };
    Some(Compared { field: Field::Country, score, query, listed, reason: reason.to_owned() })
}

fn shown(values: &[String]) -> String {
    values
        .iter()
        .take(MOST)
        .map(|value| value.chars().take(64).collect::<String>())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The two-letter code of a country where it is known, else its name in small letters.
fn code(name: &str) -> String {
    let head: String = name.chars().take(80).collect();
    let words: Vec<String> =
        head.split(|c: char| c.is_whitespace() || ",-()".contains(c)).map(ascii).collect();
    let plain =
        words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    tables::country(&plain).map_or(plain, str::to_owned)
}

/// A document number without signs, in capitals; empty for what is too short to name anybody.
pub(super) fn number(text: &str) -> String {
    let plain: String =
        text.chars().filter(|c| c.is_alphanumeric()).take(64).flat_map(char::to_uppercase).collect();
    if plain.chars().count() < 4 { String::new() } else { plain }
}

/// Whether a document is in common; that none is says nothing, for people have several.
pub(super) fn documents(query: &[String], listed: &[Document]) -> Option<Compared> {
    query.iter().take(MOST).find_map(|mine| {
        let plain = number(mine);
        let found = listed.iter().find(|document| !plain.is_empty() && number(&document.number) == plain)?;
        Some(Compared {
            field: Field::Document,
            score: 1.0,
            query: mine.clone(),
            listed: format!("{} {}", found.kind, found.number).trim().to_owned(),
            reason: "the same number".to_owned(),
        })
    })
}

/// How many words of the query's address the nearest listed one has.
pub(super) fn address(query: Option<&str>, listed: &[String]) -> Option<Compared> {
    let query = query?;
    let words = |text: &str| {
        let head: String = text.chars().take(256).collect();
        let words = head.split(|c: char| !c.is_alphanumeric()).map(ascii).filter(|word| !word.is_empty());
        words.take(24).collect::<Vec<_>>()
    };
    let mine = words(query);
    if mine.is_empty() {
        return None;
    }
    let mut best: Option<(f64, &String)> = None;
    for address in listed.iter().take(MOST) {
        let theirs = words(address);
        let found = |word: &String| theirs.iter().map(|other| alike(word, other)).fold(0.0, f64::max);
        let score = mine.iter().map(found).sum::<f64>() / mine.len().max(theirs.len().min(mine.len())) as f64;
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, address));
        }
    }
    best.map(|(score, address)| Compared {
        field: Field::Address,
        score,
        query: query.chars().take(256).collect(),
        listed: address.clone(),
        reason: format!("{:.0} % of the words in common", score * 100.0),
    })
}

fn alike(a: &str, b: &str) -> f64 {
    let (loose_a, loose_b) = (loose(a), loose(b));
    let one = Spelt { text: a, loose: &loose_a, origin: Origin::Letters };
    similar(one, Spelt { text: b, loose: &loose_b, origin: Origin::Letters }, false).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates_of(a: &str, b: &str) -> f64 {
        let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
        birth_date(Some(a), &[b]).unwrap().score
    }

    #[test]
    fn dates_agree_as_far_as_they_are_known() {
        assert_eq!(dates_of("1961-03-24", "1961-03-24"), 1.0);
        assert!(dates_of("1961-03-12", "1961-12-03") > 0.9);
        assert!(dates_of("1961", "1961-03-24") >= 0.9);
        assert!(dates_of("1962", "1961 to 1963") >= 0.9);
        assert!(dates_of("1963", "circa 1961") > dates_of("1963", "1961"));
        assert_eq!(dates_of("1975-03-24", "1961-03-24"), 0.0);
        assert!(birth_date(None, &[]).is_none());
    }

    #[test]
    fn countries_agree_by_code_name_and_demonym() {
        let both = |a: &str, b: &str| countries(&[a.into()], &[b.into()]).unwrap().score;
        assert_eq!(both("IR", "Iran"), 1.0);
        assert_eq!(both("Iranian", "IRN"), 1.0);
        assert_eq!(both("Korea, North", "KP"), 1.0);
        assert_eq!(both("Iraq", "Iran"), 0.0);
        assert!(countries(&[], &["Iran".into()]).is_none());
    }

    #[test]
    fn documents_agree_without_their_signs() {
        let listed =
            [Document { kind: "Passport".into(), number: "A-123 456".into(), country: String::new() }];
        assert!(documents(&["a123456".into()], &listed).is_some());
        assert!(documents(&["a123457".into()], &listed).is_none());
        assert!(documents(&["-".into()], &[Document::default()]).is_none());
    }
}
