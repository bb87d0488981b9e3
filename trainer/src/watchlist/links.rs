//! Finds who stands on several sources.
//!
//! Two entities of different sources are held to be the same when they share a document and a name's word, or a whole name
//! together with a birth date or, where one has none, a country. It is better to miss such a pair than to join two people:
//! entities stay records of their own either way, and each is found by its own names. What would join two
//! entities of one source is left out, for its publisher holds them apart.

use gait_common::identity::file::Link;
use gait_common::identity::{BirthDate, Document, Entity, EntityKind, NameKind};
use rustc_hash::FxHashMap;

/// Fewest letters and digits of a document number that says something.
const MIN_NUMBER: usize = 6;
/// A key that more entities share says nothing.
const MAX_SHARED: usize = 50;

/// Who is the same, and why.
#[derive(Debug, Default)]
pub struct Linked {
    /// Groups of places, ascending, in the order of their first.
    pub groups: Vec<Vec<u32>>,
    /// The links they come from, by place.
    pub links: Vec<Link>,
}

/// Finds all links.
pub fn find(entities: &[Entity]) -> Linked {
    let mut pairs: Vec<(u32, u32, u8, String)> = Vec::new();
    let mut by_number: FxHashMap<String, Vec<(u32, &Document)>> = FxHashMap::default();
    let mut by_name: FxHashMap<String, Vec<(u32, &str)>> = FxHashMap::default();
    for (at, entity) in (0..).zip(entities) {
        for document in &entity.documents {
            let number = plain(&document.number);
            if number.len() >= MIN_NUMBER && number.bytes().filter(u8::is_ascii_digit).count() >= 4 {
                by_number.entry(number).or_default().push((at, document));
            }
        }
        for name in entity.names.iter().filter(|name| name.kind != NameKind::Weak) {
            if let Some(key) = name_key(&name.text, entity.kind) {
                let sharing = by_name.entry(key).or_default();
                if sharing.last().is_none_or(|(last, _)| *last != at) {
                    sharing.push((at, &name.text));
                }
            }
        }
    }
    let of = |at: u32| &entities[at as usize];
    for sharing in by_number.values().filter(|sharing| sharing.len() <= MAX_SHARED) {
        for_pairs(sharing, |(a, document), (b, other)| {
            let (first, second) = (of(a), of(b));
            if first.source != second.source
                && kinds_agree(first.kind, second.kind)
                && agree(&document.country, &other.country)
                && !births_differ(first, second)
                && share_a_word(first, second)
            {
                let kind = if document.kind.is_empty() { "document" } else { &document.kind };
                pairs.push((a, b, 0, format!("same {kind} {}", document.number)));
            }
        });
    }
    for sharing in by_name.values().filter(|sharing| sharing.len() <= MAX_SHARED) {
        for_pairs(sharing, |(a, name), (b, _)| {
            let (first, second) = (of(a), of(b));
            if first.source == second.source || !kinds_agree(first.kind, second.kind) {
                return;
            }
            if let Some(why) = same_beside_name(first, second) {
                pairs.push((a, b, 1, format!("same name {name} and {why}")));
            }
        });
    }
    // The surest first, and within those the order of the list: the maps' own order must not show.
    pairs.sort_by(|a, b| (a.2, a.0, a.1, &a.3).cmp(&(b.2, b.0, b.1, &b.3)));
    pairs.dedup_by(|b, a| (a.0, a.1, a.2) == (b.0, b.1, b.2));
    unite(entities, pairs)
}

/// Joins pairs to groups.
fn unite(entities: &[Entity], pairs: Vec<(u32, u32, u8, String)>) -> Linked {
    let mut group_of: FxHashMap<u32, usize> = FxHashMap::default();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut links: Vec<Link> = Vec::new();
    for (first, second, _, reason) in pairs {
        let [a, b] = [first, second].map(|at| {
            *group_of.entry(at).or_insert_with(|| {
                groups.push(vec![at]);
                groups.len() - 1
            })
        });
        if a != b {
            let source = |at: &u32| entities[*at as usize].source;
            if groups[a].iter().any(|one| groups[b].iter().any(|other| source(one) == source(other))) {
                continue;
            }
            let moved = std::mem::take(&mut groups[b]);
            moved.iter().for_each(|at| {
                group_of.insert(*at, a);
            });
            groups[a].extend(moved);
        }
        if !links.iter().rev().take(4).any(|link| (link.first, link.second) == (first, second)) {
            links.push(Link { first, second, reason });
        }
    }
    groups.retain(|group| group.len() > 1);
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort();
    links.sort_by_key(|link| (link.first, link.second));
    links.dedup_by_key(|link| (link.first, link.second));
    Linked { groups, links }
}

fn for_pairs<T: Copy>(list: &[(u32, T)], mut each: impl FnMut((u32, T), (u32, T))) {
    for (at, &first) in list.iter().enumerate() {
        list[at + 1..].iter().filter(|second| second.0 != first.0).for_each(|&second| each(first, second));
    }
}

/// What beside an equal name makes two entities the same.
fn same_beside_name(first: &Entity, second: &Entity) -> Option<String> {
    if births_differ(first, second) {
        return None;
    }
    let births = first.birth_dates.iter().flat_map(|a| second.birth_dates.iter().map(move |b| (a, b)));
    if let Some((date, _)) = births.into_iter().find(|(a, b)| births_agree(a, b)) {
        return Some(format!("birth date {date}"));
    }
    let country =
        first.countries.iter().find(|a| second.countries.iter().any(|b| country_key(a) == country_key(b)))?;
    let person = first.kind == EntityKind::Person || second.kind == EntityKind::Person;
    // Two people of one country and of a name of two words are too common.
    let words = first.names.iter().map(|name| words(&name.text).len()).max().unwrap_or_default();
    (!person || words >= 3).then(|| format!("country {country}"))
}

/// Both have birth dates, and none of them can be the same.
fn births_differ(first: &Entity, second: &Entity) -> bool {
    let (a, b) = (&first.birth_dates, &second.birth_dates);
    !a.is_empty() && !b.is_empty() && !a.iter().any(|a| b.iter().any(|b| births_agree(a, b)))
}

/// The same day, month or year, as far as both are known; spans and guesses must overlap.
fn births_agree(a: &BirthDate, b: &BirthDate) -> bool {
    let known = |a: u8, b: u8| a == 0 || b == 0 || a == b;
    if a.year == a.last_year && b.year == b.last_year && a.year == b.year {
        return a.circa || b.circa || (known(a.month, b.month) && known(a.day, b.day));
    }
    let spans = a.year != a.last_year || b.year != b.last_year;
    spans && a.year <= b.last_year && b.year <= a.last_year
}

fn kinds_agree(a: EntityKind, b: EntityKind) -> bool {
    a == b || a == EntityKind::Unknown || b == EntityKind::Unknown
}

/// Equal, or one is not known.
fn agree(a: &str, b: &str) -> bool {
    a.is_empty() || b.is_empty() || country_key(a) == country_key(b)
}

/// A country's name, with its words in order: "Korea, North" is "North Korea".
fn country_key(country: &str) -> String {
    let small = ["the", "of", "republic", "islamic", "federation", "state", "arab"];
    let mut words = words(country);
    words.retain(|word| !small.contains(&word.as_str()));
    words.sort_unstable();
    words.join(" ")
}

fn share_a_word(first: &Entity, second: &Entity) -> bool {
    let all = |entity: &Entity| -> Vec<String> {
        entity
            .names
            .iter()
            .flat_map(|name| words(&name.text))
            .filter(|word| word.chars().count() > 2)
            .collect()
    };
    let there = all(first);
    all(second).iter().any(|word| there.contains(word))
}

/// A name whose words stand in any order; none for one too short to say anything.
fn name_key(name: &str, kind: EntityKind) -> Option<String> {
    let mut words = words(name);
    words.sort_unstable();
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    let ascii = words.iter().all(|word| word.is_ascii());
    let enough = match kind {
        EntityKind::Person => words.len() >= 2 || !ascii && letters >= 3,
        _ => words.len() >= 2 && letters >= 8 || letters >= 10 || !ascii && letters >= 4,
    };
    enough.then(|| words.join(" "))
}

/// The words of a name, in lower case; an apostrophe or a point parts none.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’' | '‘' | '`' | '.'));
    let plain =
        |part: &str| part.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    parts.map(plain).filter(|word: &String| !word.is_empty()).collect()
}

/// A document number without its punctuation.
fn plain(number: &str) -> String {
    number.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use gait_common::identity::Name;

    use super::*;

    fn person(source: u16, names: &[&str], born: &[&str], country: &str, passport: &str) -> Entity {
        let document = |number: &str| Document {
            kind: "Passport".into(),
            number: number.into(),
            country: country.into(),
        };
        Entity {
            id: "1".to_owned(),
            source,
            kind: EntityKind::Person,
            names: names.iter().map(|&name| Name::primary(name)).collect(),
            birth_dates: born.iter().map(|date| date.parse().expect("a date")).collect(),
            countries: Some(country.to_owned()).filter(|c| !c.is_empty()).into_iter().collect(),
            documents: Some(passport).filter(|p| !p.is_empty()).map(document).into_iter().collect(),
            ..Entity::default()
        }
    }

    fn check(first: Entity, second: Entity, reason: Option<&str>) {
        let found = find(&[first.clone(), second.clone()]);
        let reasons: Vec<_> = found.links.iter().map(|link| link.reason.as_str()).collect();
        assert_eq!(reasons.first().copied(), reason, "{first:?} {second:?}");
        assert_eq!(found.groups.len(), usize::from(reason.is_some()));
    }

    #[test]
    fn documents_names_and_dates_link() {
        let a = || person(0, &["IVANOV, Ivan Petrovich"], &["1961-03-24"], "Russia", "AB 123456");
        check(
            a(),
            person(1, &["Ivan Ivanoff"], &["1961"], "Russian Federation", "AB-123456"),
            None, // "Russia" and "Russian" are different words here: a missed pair is the better fault.
        );
        check(a(), person(1, &["Ivan Ivanoff"], &["1961"], "", "AB-123456"), Some("same Passport AB 123456"));
        check(
            a(),
            person(1, &["Ivan Petrovich Ivanov"], &["24 Mar 1961"], "", ""),
            Some("same name IVANOV, Ivan Petrovich and birth date 1961-03-24"),
        );
        check(
            a(),
            person(1, &["Ivan Petrovich Ivanov"], &[], "Russia", ""),
            Some("same name IVANOV, Ivan Petrovich and country Russia"),
        );
    }

    #[test]
    fn what_may_be_two_people_stays_apart() {
        let a = || person(0, &["IVANOV, Ivan"], &["1961-03-24"], "Russia", "AB 123456");
        check(a(), person(1, &["Ivan Ivanov"], &["1962"], "Russia", "AB 123456"), None);
        check(a(), person(1, &["Ivan Ivanov"], &[], "Russia", ""), None);
        check(a(), person(1, &["Petr Sidorov"], &[], "Russia", "AB 123456"), None);
        check(a(), person(1, &["Ivan Ivanov"], &[], "Iran", "AB 123456"), None);
        check(a(), person(0, &["Ivan Ivanov"], &["1961-03-24"], "Russia", "AB 123456"), None);
        let ship =
            Entity { kind: EntityKind::Vessel, ..person(1, &["Ivan Ivanov"], &["1961-03-24"], "", "") };
        check(a(), ship, None);
    }

    #[test]
    fn two_entries_of_one_source_are_never_joined_through_a_third() {
        let list = [
            person(0, &["Ivan Petrovich Ivanov"], &["1961"], "", ""),
            person(0, &["Ivan Petrovich Ivanov"], &["1961-03-24"], "", ""),
            person(1, &["Ivan Petrovich Ivanov"], &["1961-03-24"], "", ""),
            person(2, &["Ivan Petrovich Ivanov"], &["1961-03-24"], "", ""),
        ];
        let found = find(&list);
        assert_eq!(found.groups, [vec![0, 2, 3]]);
        assert!(found.links.iter().all(|link| link.first != 1 && link.second != 1));
    }
}
