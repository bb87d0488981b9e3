//! How alike two words are: an edit distance in which slips and habits of spelling cost less than other letters.

use std::sync::LazyLock;

use super::translit::Origin;
use super::{pinyin, tables};

/// Longest word that is compared, in bytes.
const MAX: usize = 48;
/// Below this similarity two words are two words.
pub(super) const ALIKE: f64 = 0.66;

/// Why two words are held to be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Same,
    GivenName,
    Initial,
    Beginning,
    Consonants,
    Sound,
    Letters,
    Joined,
    Apart,
    Different,
}

impl How {
    /// For people to read.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::GivenName => "forms of one given name",
            Self::Initial => "initial",
            Self::Beginning => "begins the same",
            Self::Consonants => "same consonants",
            Self::Sound => "sounds alike",
            Self::Letters => "spelled alike",
            Self::Joined => "written as one word",
            Self::Apart => "written apart",
            Self::Different => "no counterpart",
        }
    }
}

/// A word as it is compared.
#[derive(Clone, Copy)]
pub(super) struct Spelt<'a> {
    /// Its letters.
    pub text: &'a str,
    /// Its letters as they sound, by [`loose`].
    pub loose: &'a [u8],
    pub origin: Origin,
}

/// How alike two words are, 0 to 1, and why. `cut` says that the first word may be cut short.
pub(super) fn similar(one: Spelt<'_>, other: Spelt<'_>, cut: bool) -> (f64, How) {
    let (a, b, of_a, of_b) = (one.text, other.text, one.origin, other.origin);
    if a == b {
        // What is known by its consonants alone is not known to be the same.
        let certain = of_a == Origin::Letters || of_b == Origin::Letters || of_a == of_b;
        return if certain { (1.0, How::Same) } else { (0.9, How::Consonants) };
    }
    if a.is_empty() || b.is_empty() || a.len() > MAX || b.len() > MAX {
        return (0.0, How::Different);
    }
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() == 1 {
        let fits = long.starts_with(short);
        return if fits { (0.72, How::Initial) } else { (0.0, How::Different) };
    }
    if tables::same_given_name(a, b) {
        return (0.93, How::GivenName);
    }
    let mut best = edit(a.as_bytes(), b.as_bytes());
    let mut how = How::Letters;
    if best < 0.95 {
        let sound = if one.loose == other.loose { 0.95 } else { 0.97 * edit(one.loose, other.loose) };
        if sound > best {
            (best, how) = (sound, How::Sound);
        }
    }
    // Two syllables of Mandarin are two names, however few letters tell them apart.
    if best > 0.7 && long.len() <= 6 && pinyin::is_syllable(a) && pinyin::is_syllable(b) {
        best = 0.7;
    }
    // Two short words differ by every letter.
    if short.len() <= 3 && long.len() <= 4 && best < 0.85 {
        best = 0.0;
    }
    let unvoiced = |word: &str| word.len() > 2 && !word.bytes().any(|b| b"aeiou".contains(&b));
    let by_consonants =
        of_a == Origin::Consonants || of_b == Origin::Consonants || unvoiced(a) || unvoiced(b);
    if by_consonants && best < 0.9 {
        let (one, other) = (skeleton(a), skeleton(b));
        if one == other && (one.len() > 1 || of_a == Origin::Consonants || of_b == Origin::Consonants) {
            (best, how) = (0.9, How::Consonants);
        } else if one.len().min(other.len()) >= 3 {
            let near = 0.9 * edit(&one, &other);
            if near > best {
                (best, how) = (near, How::Consonants);
            }
        }
    }
    if cut && a.len() >= 2 && b.len() > a.len() && b.starts_with(a) {
        let beginning = if a.len() == 2 { 0.72 } else { 0.8 };
        if beginning > best {
            (best, how) = (beginning, How::Beginning);
        }
    }
    if best < ALIKE { (0.0, How::Different) } else { (best, how) }
}

/// One less the distance by letter of the longer word; 0 below [`ALIKE`].
fn edit(a: &[u8], b: &[u8]) -> f64 {
    let longest = a.len().max(b.len());
    if longest == 0 {
        return 0.0;
    }
    let limit = (1.0 - ALIKE as f32) * longest as f32 / 0.9;
    distance(a, b, limit).map_or(0.0, |distance| 1.0 - f64::from(distance) / longest as f64)
}

/// Damerau and Levenshtein's distance (optimal string alignment), weighted; none where it passes the limit.
fn distance(a: &[u8], b: &[u8], limit: f32) -> Option<f32> {
    let mut rows = [[0f32; MAX + 1]; 3];
    let (a, b) = (&a[..a.len().min(MAX)], &b[..b.len().min(MAX)]);
    let mut inserts = [0f32; MAX];
    for j in 1..=b.len() {
        inserts[j - 1] = indel(b, j - 1);
        rows[0][j] = rows[0][j - 1] + inserts[j - 1];
    }
    let costs = &*COSTS;
    let mut least_before = 0.0;
    for i in 1..=a.len() {
        let (now, before, earlier) = (i % 3, (i + 2) % 3, (i + 1) % 3);
        let delete = indel(a, i - 1);
        let x = a[i - 1];
        let of_x = &costs[place(x)];
        rows[now][0] = rows[before][0] + delete;
        let mut least = rows[now][0];
        for j in 1..=b.len() {
            let y = b[j - 1];
            let mut replace = of_x[place(y)];
            if i == 1 && j == 1 && replace == 1.0 {
                replace = OTHER_BEGINNING;
            }
            let mut cost = rows[before][j - 1] + replace;
            cost = cost.min(rows[before][j] + delete).min(rows[now][j - 1] + inserts[j - 1]);
            if i > 1 && j > 1 && x == b[j - 2] && y == a[i - 2] && x != y {
                cost = cost.min(rows[earlier][j - 2] + 0.8);
            }
            rows[now][j] = cost;
            least = least.min(cost);
        }
        // A step goes back two rows at most.
        if least > limit && least_before > limit {
            return None;
        }
        least_before = least;
    }
    Some(rows[a.len() % 3][b.len()]).filter(|distance| *distance <= limit)
}

/// What it costs that two words begin with letters that have nothing in common.
const OTHER_BEGINNING: f32 = 1.2;

/// [`substitute`] for every pair of letters and digits.
static COSTS: LazyLock<[[f32; 37]; 37]> = LazyLock::new(|| {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut costs = [[1.0; 37]; 37];
    for &x in LETTERS {
        for &y in LETTERS {
            costs[place(x)][place(y)] = substitute(x, y);
        }
    }
    costs
});

fn place(c: u8) -> usize {
    match c {
        b'a'..=b'z' => usize::from(c - b'a'),
        b'0'..=b'9' => usize::from(c - b'0') + 26,
        _ => 36,
    }
}

/// What it costs that a letter is missing: doubled letters, vowels and h go and come easily, but not at the beginning.
fn indel(word: &[u8], at: usize) -> f32 {
    let c = word[at];
    if at > 0 && word[at - 1] == c {
        return 0.25;
    }
    match c {
        _ if at == 0 => 1.0,
        b'a' | b'e' | b'i' | b'o' | b'u' => 0.6,
        b'h' => 0.4,
        b'y' | b'w' => 0.6,
        _ => 1.0,
    }
}

/// What it costs that one letter stands for another.
fn substitute(x: u8, y: u8) -> f32 {
    if x == y {
        return 0.0;
    }
    let (x, y) = (x.min(y), x.max(y));
    let vowel = |c: u8| b"aeiou".contains(&c);
    match (x, y) {
        (b'0', b'o') | (b'1', b'i') | (b'1', b'l') => 0.1,
        (b'5', b's') | (b'8', b'b') | (b'2', b'z') | (b'6', b'g') => 0.2,
        (b'i', b'l') | (b'i', b'y') => 0.25,
        (b'c', b'k') | (b'k', b'q') | (b'c', b'q') | (b's', b'z') | (b'v', b'w') => 0.3,
        (b'i', b'j') | (b'j', b'y') | (b'g', b'j') | (b'f', b'v') | (b'b', b'v') | (b'c', b's') => 0.5,
        (b'd', b't') | (b'g', b'k') | (b'b', b'p') | (b'u', b'v') | (b'u', b'w') | (b'm', b'n') => 0.6,
        (b'g', b'q') | (b'h', b'j') | (b'h', b'k') | (b'a', b'y') | (b'e', b'y') => 0.7,
        _ if vowel(x) && vowel(y) => 0.4,
        _ => 1.0,
    }
}

/// The word as it sounds in most languages: one letter for what is written by several.
pub(super) fn loose(word: &str) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some(&c) = rest.first() {
        let next = rest.get(1).copied().unwrap_or(0);
        let third = rest.get(2).copied().unwrap_or(0);
        let (letters, used): (&[u8], usize) = match (c, next, third) {
            (b't', b'c', b'h') => (b"c", 3),
            (b's', b'c', b'h') => (b"s", 3),
            (b'd', b'z', b'h') => (b"j", 3),
            (b'c', b'z', _) | (b'c', b'h', _) => (b"c", 2),
            (b'p', b'h', _) => (b"f", 2),
            (b'c', b'k', _) | (b'q', b'u', _) => (b"k", 2),
            (b'k', b'h', _) => (b"h", 2),
            (b'g', b'h', _) => (b"g", 2),
            (b's', b'h', _) | (b't', b'z' | b's', _) => (b"s", 2),
            (b't', b'h', _) => (b"t", 2),
            (b'd', b'h', _) => (b"d", 2),
            (b'z', b'h', _) | (b'd', b'j', _) => (b"j", 2),
            (b'r', b'n', _) => (b"m", 2),
            (b'v', b'v', _) | (b'f', b'f', _) => (b"v", 2),
            (b'a', b'e', _) => (b"e", 2),
            (b'o', b'e', _) => (b"o", 2),
            (b'u', b'e', _) | (b'o', b'u' | b'o', _) => (b"u", 2),
            (b'e', b'e' | b'i', _) | (b'i', b'e' | b'y' | b'j', _) | (b'y', b'y', _) => (b"i", 2),
            (b'k', b's', _) => (b"x", 2),
            (b'y', b'a', _) => (b"ia", 2),
            (b'y', b'u', _) => (b"iu", 2),
            (b'q', ..) => (b"k", 1),
            (b'c', b'e' | b'i' | b'y', _) | (b'z', ..) => (b"s", 1),
            (b'c', ..) => (b"k", 1),
            (b'y', ..) => (b"i", 1),
            (b'w', ..) => (b"v", 1),
            _ => (&rest[..1], 1),
        };
        for &letter in letters {
            if out.last() != Some(&letter) {
                out.push(letter);
            }
        }
        rest = &rest[used..];
    }
    out
}

/// The consonants of a word by class, in order: what is left of it in a writing without vowels, and what every
/// transliteration of it shares. At most 15 letters.
pub(super) fn skeleton(word: &str) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(8);
    let bytes = word.as_bytes();
    let mut at = 0;
    while at < bytes.len() && out.len() < 15 {
        let next = bytes.get(at + 1).copied();
        let (class, used) = match (bytes[at], next) {
            (b'k' | b'g' | b't' | b'd' | b's' | b'z' | b'p' | b'c', Some(b'h')) => match bytes[at] {
                b'p' => (b'f', 2),
                // French and Maghrebi spellings write ch for sh.
                b'c' => (b's', 2),
                b'z' => (b'g', 2),
                other => (other, 2),
            },
            (b'q' | b'x', _) => (b'k', 1),
            (b'c', Some(b'e' | b'i' | b'y')) => (b's', 1),
            (b'c', _) => (b'k', 1),
            (b'z', _) => (b's', 1),
            (b'j', _) => (b'g', 1),
            (b'a' | b'e' | b'i' | b'o' | b'u' | b'y' | b'w', _) => (0, 1),
            (b'h', None) => (0, 1),
            (other, _) => (other, 1),
        };
        if class != 0 && out.last() != Some(&class) {
            out.push(class);
        }
        at += used;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &str, b: &str) -> f64 {
        compare(a, Origin::Letters, b).0
    }

    fn compare(a: &str, origin: Origin, b: &str) -> (f64, How) {
        let (loose_a, loose_b) = (loose(a), loose(b));
        let one = Spelt { text: a, loose: &loose_a, origin };
        similar(one, Spelt { text: b, loose: &loose_b, origin: Origin::Letters }, false)
    }

    #[test]
    fn slips_and_habits_are_alike_and_other_names_are_not() {
        for (a, b) in [
            ("gilberto", "gillberto"),
            ("mohammad", "moharnmad"),
            ("safavi", "safavl"),
            ("patricia", "patrikia"),
            ("joseph", "josef"),
            ("olenikov", "oleynikov"),
            ("abdallah", "abdullah"),
            ("mohammed", "mohamad"),
            ("alexander", "aleksandr"),
            ("reza", "erza"),
            ("hsiang", "hxiang"),
            ("mssn", "mohsen"),
            ("chaykovskiy", "tchaikovsky"),
            ("soleimani", "sulaymani"),
            ("1gnacio", "ignacio"),
        ] {
            assert!(alike(a, b) >= 0.7, "{a} {b} {}", alike(a, b));
        }
        for (a, b) in [
            ("li", "la"),
            ("ali", "ela"),
            ("chen", "chan"),
            ("ivan", "petr"),
            ("garcia", "lopez"),
            ("kim", "jin"),
            ("mendoza", "moreno"),
            ("castillo", "cuso"),
            ("hassan", "khalaf"),
        ] {
            assert!(alike(a, b) < 0.8, "{a} {b} {}", alike(a, b));
        }
    }

    #[test]
    fn consonants_stand_for_the_word_where_vowels_are_not_written() {
        assert_eq!(alike("mtbts", "mutebutsi"), 0.9);
        assert_eq!(compare("khld", Origin::Consonants, "khaled"), (0.9, How::Consonants));
        assert_eq!(skeleton("muhammad"), skeleton("mahmoud"));
        assert_ne!(skeleton("hassan"), skeleton("hamid"));
    }

    #[test]
    fn the_distance_is_symmetric_and_zero_only_for_the_same() {
        for (a, b) in [("abc", "acb"), ("moses", "mose"), ("x", "yz"), ("", "abc"), ("hh", "h")] {
            let far = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes(), 99.0).unwrap();
            assert!((far(a, b) - far(b, a)).abs() < 1e-6 && far(a, b) > 0.0, "{a} {b}");
        }
        assert_eq!(distance(b"same", b"same", 1.0), Some(0.0));
        assert_eq!(distance(b"abcdefgh", b"stuvwxyz", 2.0), None);
    }
}
