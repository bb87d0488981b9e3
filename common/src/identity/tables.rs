//! The tables under `common/data/identity`, read once when they are first asked for.
//!
//! Every file says where it comes from and under what licence. They are part of the program: what does not parse is
//! passed over, and a test sees to it that nothing is.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

use super::han::Character;

static TITLES: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| words(include_str!("../../data/identity/titles.txt")));
static PARTICLES: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| words(include_str!("../../data/identity/particles.txt")));
static LEGAL: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| words(include_str!("../../data/identity/legal_forms.txt")));
static HOMOGLYPHS: LazyLock<FxHashMap<char, &'static str>> = LazyLock::new(|| {
    let pair = |line: &'static str| line.split_once(' ').and_then(|(c, to)| Some((c.chars().next()?, to)));
    lines(include_str!("../../data/identity/homoglyphs.tsv")).filter_map(pair).collect()
});
static GIVEN: LazyLock<FxHashMap<&'static str, Vec<u16>>> = LazyLock::new(|| {
    let mut groups: FxHashMap<&str, Vec<u16>> = FxHashMap::default();
    for (at, line) in GROUPS.iter().enumerate() {
        for name in line {
            let of = groups.entry(name).or_default();
            if of.last() != Some(&(at as u16)) {
                of.push(at as u16);
            }
        }
    }
    groups
});
static GROUPS: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
    lines(include_str!("../../data/identity/given_names.txt")).map(|line| line.split(' ').collect()).collect()
});
static VOCALISED: LazyLock<FxHashMap<&'static str, &'static str>> = LazyLock::new(|| {
    lines(include_str!("../../data/identity/vocalised.tsv"))
        .filter_map(|line| line.split_once('\t'))
        .collect()
});
static KOREAN: LazyLock<FxHashMap<&'static str, &'static str>> = LazyLock::new(|| {
    lines(include_str!("../../data/identity/korean.tsv")).filter_map(|line| line.split_once('\t')).collect()
});
static JAPANESE: LazyLock<FxHashMap<String, Vec<&'static str>>> = LazyLock::new(|| {
    let mut names: FxHashMap<String, Vec<&str>> = FxHashMap::default();
    for line in lines(include_str!("../../data/identity/japanese.tsv")) {
        if let Some((written, read)) = line.split_once('\t') {
            let folded = written.chars().map(super::han::fold).collect();
            names.entry(folded).or_default().extend(read.split(' '));
        }
    }
    names
});
static SURNAMES: LazyLock<FxHashMap<String, Surname>> = LazyLock::new(|| {
    let mut surnames: FxHashMap<String, Surname> = FxHashMap::default();
    for line in lines(include_str!("../../data/identity/surnames.tsv")) {
        let mut columns = line.split('\t');
        let (Some(written), Some(read)) = (columns.next(), columns.next()) else { continue };
        let folded: String = written.chars().map(super::han::fold).collect();
        let surname = surnames.entry(folded).or_default();
        surname.mandarin.extend(read.split(','));
        surname.elsewhere.extend(columns.next().unwrap_or("").split(' ').filter(|word| !word.is_empty()));
    }
    surnames
});
static COUNTRIES: LazyLock<FxHashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let mut names = FxHashMap::default();
    for line in lines(include_str!("../../data/identity/countries.txt")) {
        let code = line.split(',').next().unwrap_or(line);
        names.extend(line.split(',').map(|name| (name, code)));
    }
    names
});
static HAN: LazyLock<HanTable> = LazyLock::new(|| {
    let mut table = HanTable::default();
    for line in lines(include_str!("../../data/identity/han.tsv")) {
        let mut columns = line.split('\t');
        let Some(first) = columns.next().and_then(|column| column.chars().next()) else { continue };
        for variant in columns.next().unwrap_or("").chars() {
            table.folds.insert(variant, first);
        }
        let mut column = || columns.next().unwrap_or("");
        let character = Character { mandarin: column(), cantonese: column(), korean: column() };
        table.characters.insert(first, character);
    }
    table
});

/// What is known of Han characters.
#[derive(Default)]
pub(super) struct HanTable {
    /// From a variant to the character that stands for it.
    pub folds: FxHashMap<char, char>,
    /// How a character is read.
    pub characters: FxHashMap<char, Character>,
}

/// How a Chinese surname is read and spelled.
#[derive(Default)]
pub(super) struct Surname {
    /// Mandarin readings, as a surname.
    pub mandarin: Vec<&'static str>,
    /// Spellings from elsewhere.
    pub elsewhere: Vec<&'static str>,
}

pub(super) fn is_title(word: &str) -> bool {
    TITLES.contains(word)
}

pub(super) fn is_particle(word: &str) -> bool {
    PARTICLES.contains(word)
}

pub(super) fn is_legal_form(word: &str) -> bool {
    LEGAL.contains(word)
}

/// Titles and legal forms in characters that are no Latin letters, longest first: they are taken off a name's end.
pub(super) fn suffixes() -> &'static [(Vec<char>, bool)] {
    static SUFFIXES: LazyLock<Vec<(Vec<char>, bool)>> = LazyLock::new(|| {
        let titles = TITLES.iter().map(|word| (word.chars().collect(), false));
        let legal = LEGAL.iter().map(|word| (word.chars().collect(), true));
        let mut all: Vec<(Vec<char>, bool)> =
            titles.chain(legal).filter(|entry: &(Vec<char>, bool)| !entry.0[0].is_ascii()).collect();
        all.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        all
    });
    &SUFFIXES
}

/// The Latin letters that a character can be taken for.
pub(super) fn homoglyph(c: char) -> Option<&'static str> {
    HOMOGLYPHS.get(&c).copied()
}

/// Whether two spellings are forms of one given name.
pub(super) fn same_given_name(a: &str, b: &str) -> bool {
    let (Some(of_a), Some(of_b)) = (GIVEN.get(a), GIVEN.get(b)) else { return false };
    of_a.iter().any(|group| of_b.contains(group))
}

/// The other forms of a given name.
pub(super) fn forms_of_given_name(name: &str) -> impl Iterator<Item = &'static str> {
    let groups = GIVEN.get(name).map_or(&[][..], Vec::as_slice);
    groups.iter().flat_map(|&group| GROUPS[usize::from(group)].iter().copied())
}

/// How a name in a writing without vowels is usually spelled in Latin letters.
pub(super) fn vocalised(word: &str) -> Option<&'static str> {
    VOCALISED.get(word).copied()
}

/// The spellings of a Korean surname, separated by spaces.
pub(super) fn korean_surname(hangul: &str) -> Option<&'static str> {
    KOREAN.get(hangul).copied()
}

/// How a Japanese name, folded, is read.
pub(super) fn japanese(written: &str) -> &'static [&'static str] {
    JAPANESE.get(written).map_or(&[], Vec::as_slice)
}

/// A Chinese surname by its folded characters.
pub(super) fn surname(written: &str) -> Option<&'static Surname> {
    SURNAMES.get(written)
}

/// The two-letter code of a country, from a code, a name or a demonym in lower case without signs.
pub(super) fn country(name: &str) -> Option<&'static str> {
    COUNTRIES.get(name).copied()
}

/// What is known of Han characters.
pub(super) fn han() -> &'static HanTable {
    &HAN
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn words(text: &'static str) -> FxHashSet<&'static str> {
    lines(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read_and_in_its_form() {
        assert!(HAN.characters.len() > 13_000 && HAN.folds.len() > 7_000);
        assert!(HAN.folds.iter().all(|(from, to)| from != to && !HAN.folds.contains_key(to)));
        let latin = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase());
        assert!(SURNAMES.values().all(|surname| !surname.mandarin.is_empty()));
        assert!(
            SURNAMES.values().flat_map(|s| s.mandarin.iter().chain(&s.elsewhere)).all(|word| latin(word))
        );
        for word in GROUPS.iter().flatten() {
            assert!(latin(word), "{word}");
        }
        assert!(VOCALISED.values().all(|value| value.split(' ').all(latin)));
        assert!(KOREAN.len() > 80 && JAPANESE.len() > 200 && HOMOGLYPHS.len() > 100 && LEGAL.len() > 100);
    }

    #[test]
    fn no_title_is_a_particle_or_a_legal_form() {
        let twice: Vec<_> = TITLES.iter().filter(|word| PARTICLES.contains(*word)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
