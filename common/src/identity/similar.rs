//! How alike two words are: an edit distance in which slips and habits of spelling cost less than other letters.

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

/// How alike two words are, 0 to 1, and why. `cut` says that the first word may be cut short.
pub(super) fn similar(a: (&str, Origin), b: (&str, Origin), cut: bool) -> (f64, How) {
    let ((a, of_a), (b, of_b)) = (a, b);
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
    let (loose_a, loose_b) = (loose(a), loose(b));
    let sound = if loose_a == loose_b { 0.95 } else { 0.97 * edit(&loose_a, &loose_b) };
    if sound > best {
        (best, how) = (sound, How::Sound);
    }
    // Two syllables of Mandarin are two names, however few letters tell them apart.
    if pinyin::is_syllable(a) && pinyin::is_syllable(b) {
        best = best.min(0.7);
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

/// One less the distance by letter of the longer word.
fn edit(a: &[u8], b: &[u8]) -> f64 {
    let longest = a.len().max(b.len());
    if longest == 0 {
        return 0.0;
    }
    1.0 - f64::from(distance(a, b)) / longest as f64
}

/// Damerau and Levenshtein's distance (optimal string alignment), weighted.
fn distance(a: &[u8], b: &[u8]) -> f32 {
    let mut rows = [[0f32; MAX + 1]; 3];
    let (a, b) = (&a[..a.len().min(MAX)], &b[..b.len().min(MAX)]);
    for j in 1..=b.len() {
        rows[0][j] = rows[0][j - 1] + indel(b, j - 1);
    }
    for i in 1..=a.len() {
        let (now, before, earlier) = (i % 3, (i + 2) % 3, (i + 1) % 3);
        let delete = indel(a, i - 1);
        rows[now][0] = rows[before][0] + delete;
        for j in 1..=b.len() {
            let (x, y) = (a[i - 1], b[j - 1]);
            let mut cost = rows[before][j - 1] + substitute(x, y, i == 1 && j == 1);
            cost = cost.min(rows[before][j] + delete).min(rows[now][j - 1] + indel(b, j - 1));
            if i > 1 && j > 1 && x == b[j - 2] && y == a[i - 2] && x != y {
                cost = cost.min(rows[earlier][j - 2] + 0.8);
            }
            rows[now][j] = cost;
        }
    }
    rows[a.len() % 3][b.len()]
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
fn substitute(x: u8, y: u8, first: bool) -> f32 {
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
        _ if first => 1.2,
        _ => 1.0,
    }
}

/// The word as it sounds in most languages: one letter for what is written by several.
fn loose(word: &str) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    const PAIRS: &[(&[u8], &[u8])] = &[
        (b"tch", b"c"),
        (b"sch", b"s"),
        (b"dzh", b"j"),
        (b"cz", b"c"),
        (b"tsch", b"c"),
        (b"ph", b"f"),
        (b"ck", b"k"),
        (b"kh", b"h"),
        (b"gh", b"g"),
        (b"sh", b"s"),
        (b"ch", b"c"),
        (b"th", b"t"),
        (b"dh", b"d"),
        (b"zh", b"j"),
        (b"dj", b"j"),
        (b"tz", b"s"),
        (b"ts", b"s"),
        (b"rn", b"m"),
        (b"vv", b"v"),
        (b"ae", b"e"),
        (b"oe", b"o"),
        (b"ue", b"u"),
        (b"ou", b"u"),
        (b"oo", b"u"),
        (b"ee", b"i"),
        (b"ei", b"i"),
        (b"ie", b"i"),
        (b"iy", b"i"),
        (b"yy", b"i"),
        (b"ij", b"i"),
        (b"ks", b"x"),
        (b"qu", b"k"),
        (b"ya", b"ia"),
        (b"yu", b"iu"),
        (b"ff", b"v"),
    ];
    while let Some(&c) = rest.first() {
        let pair = PAIRS.iter().find(|(from, _)| rest.starts_with(from));
        let (letters, used): (&[u8], usize) = match pair {
            Some((from, to)) => (to, from.len()),
            None => match c {
                b'q' => (b"k", 1),
                b'c' if rest.get(1).is_none_or(|next| !b"eiy".contains(next)) => (b"k", 1),
                b'c' | b'z' => (b"s", 1),
                b'y' => (b"i", 1),
                b'w' => (b"v", 1),
                _ => (&rest[..1], 1),
            },
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
                b'c' => (b'c', 2),
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
        similar((a, Origin::Letters), (b, Origin::Letters), false).0
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
        assert_eq!(
            similar(("khld", Origin::Consonants), ("khaled", Origin::Letters), false),
            (0.9, How::Consonants)
        );
        assert_eq!(skeleton("muhammad"), skeleton("mahmoud"));
        assert_ne!(skeleton("hassan"), skeleton("hamid"));
    }

    #[test]
    fn the_distance_is_symmetric_and_zero_only_for_the_same() {
        for (a, b) in [("abc", "acb"), ("moses", "mose"), ("x", "yz"), ("", "abc"), ("hh", "h")] {
            let (there, back) = (distance(a.as_bytes(), b.as_bytes()), distance(b.as_bytes(), a.as_bytes()));
            assert!((there - back).abs() < 1e-6 && there > 0.0, "{a} {b}");
        }
        assert_eq!(distance(b"same", b"same"), 0.0);
    }
}
