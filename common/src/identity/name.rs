//! A name taken apart: cleaned, cut into words, each word spelled in Latin letters, and Han kept as Han.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::han::{self, HanName};
use super::script::{Writing, abjad_mark, apostrophe, invisible, writing};
use super::similar::{Spelt, loose};
use super::translit::{Origin, spell};
use super::{pinyin, tables};

/// Most characters of a name that are looked at; the longest listed names have below 400.
const MAX_CHARS: usize = 512;
/// Most words of a name that are compared.
pub(super) const MAX_WORDS: usize = 24;
/// Longest word, in characters; what is beyond is cut off.
const MAX_WORD: usize = 48;

/// What a word is in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It tells this name from others.
    Core,
    /// An article, a preposition, "son of".
    Particle,
    /// Mister, doctor, general, junior.
    Title,
    /// Limited, GmbH.
    Legal,
}

/// A word in Latin letters.
#[derive(Debug)]
pub(super) struct Word {
    pub text: String,
    /// How it sounds, by `similar::loose`.
    pub loose: Vec<u8>,
    /// Other spellings of the same word.
    pub also: Vec<String>,
    pub origin: Origin,
    pub role: Role,
    /// Whether a full stop follows: it may be cut short.
    pub dotted: bool,
    /// Its place in the vocabulary of a watchlist; of a query's words, none.
    pub id: u32,
}

impl Word {
    /// The word in its first spelling, as it is compared.
    pub(super) fn spelt(&self) -> Spelt<'_> {
        Spelt { text: &self.text, loose: &self.loose, origin: self.origin }
    }
}

/// A stretch of a name in which Han is mixed with other writings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Han characters, folded.
    Han(Vec<char>),
    /// A word, by its place.
    Word(usize),
}

/// A name taken apart.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The words that are not Han, in order.
    pub words: Vec<Word>,
    /// If there is Han: everything in order.
    pub segments: Vec<Segment>,
    /// If everything is Han: its readings.
    pub han: Option<Box<HanName>>,
}

impl Parsed {
    /// Whether there is anything to compare.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.segments.is_empty()
    }

    /// The Latin form, for people to read.
    pub(super) fn latin(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    /// The Han characters, for people to read.
    pub(super) fn characters(&self) -> String {
        let han = |segment: &Segment| match segment {
            Segment::Han(chars) => chars.iter().collect(),
            Segment::Word(_) => String::new(),
        };
        self.segments.iter().map(han).collect()
    }
}

/// Takes a name apart, and says whether some of it was left out because it is too long. A name that is given in two
/// writings side by side comes as several.
pub(super) fn parse(text: &str) -> (Vec<Parsed>, bool) {
    let mut clean: Vec<char> = text
        .chars()
        .filter(|&c| !invisible(c))
        .nfkc()
        .take(4 * MAX_CHARS)
        .filter(|&c| !invisible(c))
        .collect();
    let mut cut = clean.len() == 4 * MAX_CHARS;
    if clean.len() > MAX_CHARS {
        clean.dedup_by(|a, b| a == b && !a.is_alphanumeric());
        cut |= clean.len() > MAX_CHARS;
        clean.truncate(MAX_CHARS);
    }
    let mut all = Vec::new();
    for part in parts(&clean) {
        let (parsed, shortened) = one(part);
        cut |= shortened;
        if !parsed.is_empty() {
            all.push(parsed);
        }
    }
    (all, cut)
}

/// `LI Ming (李明)` is two names; `AHMED (Ahmad), Ali` is one.
fn parts(clean: &[char]) -> Vec<&[char]> {
    let is_han = |part: &[char]| part.iter().any(|&c| writing(c) == Writing::Han);
    let has_letters = |part: &[char]| part.iter().any(|&c| c.is_alphabetic() && writing(c) != Writing::Han);
    let divides = |c: &char| matches!(c, '(' | ')' | '/' | ';' | '|' | '[' | ']' | '（' | '）');
    let pieces: Vec<&[char]> =
        clean.split(divides).filter(|piece| piece.iter().any(|c| c.is_alphanumeric())).collect();
    let apart = pieces.len() == 2
        && ((is_han(pieces[0]) && !has_letters(pieces[0]) && !is_han(pieces[1]))
            || (is_han(pieces[1]) && !has_letters(pieces[1]) && !is_han(pieces[0])));
    if apart { pieces } else { vec![clean] }
}

/// A word as it is written.
#[derive(Default)]
struct Raw {
    text: String,
    /// Whether a full stop follows.
    dotted: bool,
    /// Whether nothing but a full stop stands between it and the word before.
    glued: bool,
}

enum Piece {
    Han(Vec<char>),
    Raw(Raw),
}

fn one(clean: &[char]) -> (Parsed, bool) {
    let mut pieces = pieces(clean);
    strip_suffix(&mut pieces);
    let has_latin = clean.iter().any(|&c| writing(c) == Writing::Latin);
    let mut parsed = Parsed::default();
    let mut cut = false;
    let mut first = true;
    let mut at = 0;
    while at < pieces.len() {
        match &pieces[at] {
            Piece::Han(chars) => {
                cut |= chars.len() > han::MAX_CHARS;
                let chars = chars.iter().copied().take(han::MAX_CHARS);
                match parsed.segments.last_mut() {
                    Some(Segment::Han(before)) if before.len() < han::MAX_CHARS => before.extend(chars),
                    _ => parsed.segments.push(Segment::Han(chars.collect())),
                }
            }
            Piece::Raw(raw) => {
                // Servant-of names are one name in two words.
                let mut text = homoglyphs_folded(&raw.text, has_latin);
                if text == "عبد"
                    && let Some(Piece::Raw(next)) = pieces.get(at + 1)
                    && tables::vocalised(&format!("{text}{}", next.text)).is_some()
                {
                    text.push_str(&next.text);
                    at += 1;
                }
                for word in words(&text, raw, first) {
                    if parsed.words.len() == MAX_WORDS {
                        cut = true;
                        break;
                    }
                    parsed.segments.push(Segment::Word(parsed.words.len()));
                    parsed.words.push(word);
                }
                first = false;
            }
        }
        at += 1;
    }
    let only_han = parsed.words.is_empty();
    if !parsed.segments.iter().any(|segment| matches!(segment, Segment::Han(_))) {
        parsed.segments.clear();
    } else if only_han {
        let chars = parsed.segments.iter().flat_map(|segment| match segment {
            Segment::Han(chars) => chars.as_slice(),
            Segment::Word(_) => &[],
        });
        parsed.han = Some(Box::new(HanName::new(chars.copied().take(han::MAX_CHARS).collect())));
    }
    if !parsed.words.iter().any(|word| word.role == Role::Core) {
        parsed.words.iter_mut().for_each(|word| word.role = Role::Core);
    }
    (parsed, cut)
}

/// Cuts into words and runs of Han.
fn pieces(clean: &[char]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut raw = Raw::default();
    let mut glued = false;
    let flush = |raw: &mut Raw, pieces: &mut Vec<Piece>| {
        if !raw.text.is_empty() {
            pieces.push(Piece::Raw(std::mem::take(raw)));
        }
    };
    for &c in clean {
        let of = writing(c);
        if apostrophe(c) || abjad_mark(c) || (is_combining_mark(c) && of == Writing::None) {
            continue;
        }
        if of == Writing::Han {
            flush(&mut raw, &mut pieces);
            match pieces.last_mut() {
                Some(Piece::Han(chars)) => {
                    chars.push(if c == '々' { chars.last().copied().unwrap_or(c) } else { han::fold(c) })
                }
                _ => pieces.push(Piece::Han(vec![han::fold(c)])),
            }
        } else if of == Writing::None {
            let dot = c == '.' || c == '．';
            raw.dotted = dot;
            glued = dot && !raw.text.is_empty();
            flush(&mut raw, &mut pieces);
        } else {
            let apart = |w| matches!(w, Writing::Kana | Writing::Hangul);
            let before = raw.text.chars().next_back().map(writing);
            if before.is_some_and(|before| before != of && (apart(before) || apart(of))) {
                flush(&mut raw, &mut pieces);
            }
            if raw.text.is_empty() {
                raw.glued = glued;
                glued = false;
            }
            raw.text.push(c);
        }
    }
    flush(&mut raw, &mut pieces);
    join_abbreviations(pieces)
}

/// `S.A.` and `L. L. C.` without its spaces are one word; initials of people stay apart.
fn join_abbreviations(pieces: Vec<Piece>) -> Vec<Piece> {
    let single = |piece: &Piece| matches!(piece, Piece::Raw(raw) if raw.text.chars().count() == 1);
    let glued =
        |piece: &Piece| matches!(piece, Piece::Raw(raw) if raw.glued && raw.text.chars().count() == 1);
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut iter = pieces.into_iter().peekable();
    while let Some(piece) = iter.next() {
        let mut run = vec![piece];
        if single(&run[0]) {
            while let Some(next) = iter.next_if(glued) {
                run.push(next);
            }
        }
        let text: String = run
            .iter()
            .map(|piece| match piece {
                Piece::Raw(raw) => raw.text.as_str(),
                Piece::Han(_) => "",
            })
            .collect();
        let ascii = super::translit::ascii(&text);
        if run.len() > 1 && (tables::is_legal_form(&ascii) || tables::is_title(&ascii)) {
            joined.push(Piece::Raw(Raw { text, dotted: true, glued: false }));
        } else {
            joined.extend(run);
        }
    }
    joined
}

/// Takes titles and legal forms off the end of a Han, Hangul or kana name, as long as a name is left.
fn strip_suffix(pieces: &mut Vec<Piece>) {
    while let Some(last) = pieces.last_mut() {
        let chars: Vec<char> = match last {
            Piece::Han(chars) => chars.clone(),
            Piece::Raw(raw) => raw.text.chars().collect(),
        };
        let found = tables::suffixes().iter().find(|(suffix, _)| {
            chars.len() >= suffix.len()
                && chars[chars.len() - suffix.len()..]
                    .iter()
                    .map(|&c| han::fold(c))
                    .eq(suffix.iter().map(|&c| han::fold(c)))
        });
        let Some((suffix, _)) = found else { return };
        let left = chars.len() - suffix.len();
        if left == 0 && pieces.len() > 1 {
            pieces.pop();
        } else if left >= 2 {
            match pieces.last_mut() {
                Some(Piece::Han(chars)) => chars.truncate(left),
                Some(Piece::Raw(raw)) => raw.text = chars[..left].iter().collect(),
                None => return,
            }
        } else {
            return;
        }
    }
}

/// Letters that only look Latin become Latin where the word, or the name around it, is Latin.
fn homoglyphs_folded(word: &str, name_has_latin: bool) -> String {
    let other = |c: char| matches!(writing(c), Writing::Cyrillic | Writing::Greek | Writing::Other);
    let mixed = word.chars().any(|c| writing(c) == Writing::Latin) && word.chars().any(other);
    let disguised =
        name_has_latin && word.chars().all(|c| !c.is_alphabetic() || tables::homoglyph(c).is_some());
    let latin_like = |c: char| writing(c) == Writing::Latin && !c.is_ascii();
    let looks_latin = disguised && word.chars().any(|c| other(c) || latin_like(c));
    if !mixed && !looks_latin {
        return word.to_owned();
    }
    let mut folded = String::with_capacity(word.len());
    for c in word.chars() {
        match tables::homoglyph(c) {
            Some(latin) => folded.push_str(latin),
            None => folded.push(c),
        }
    }
    folded
}

fn words(text: &str, raw: &Raw, first: bool) -> Vec<Word> {
    let text: String = text.chars().take(MAX_WORD).collect();
    spell(&text, first)
        .into_iter()
        .map(|spelled| {
            let text = pinyin::without_tone_digits(&spelled.text).unwrap_or(spelled.text);
            let role = role(&text, raw, first);
            Word {
                loose: loose(&text),
                text,
                also: spelled.also,
                origin: spelled.origin,
                role,
                dotted: raw.dotted,
                id: u32::MAX,
            }
        })
        .collect()
}

fn role(text: &str, raw: &Raw, first: bool) -> Role {
    let lower_case = raw.text.chars().all(|c| !c.is_uppercase());
    if text.len() == 1 {
        let particle = lower_case && !raw.dotted && tables::is_particle(text);
        return if particle { Role::Particle } else { Role::Core };
    }
    if tables::is_title(text) {
        Role::Title
    } else if tables::is_particle(text) {
        Role::Particle
    } else if tables::is_legal_form(text) && (text.len() > 2 || !first || text == "pt") {
        Role::Legal
    } else {
        Role::Core
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latin(text: &str) -> String {
        parse(text).0.iter().map(Parsed::latin).collect::<Vec<_>>().join(" | ")
    }

    fn core(text: &str) -> String {
        let parsed = parse(text).0;
        let words = parsed.iter().flat_map(|p| &p.words).filter(|word| word.role == Role::Core);
        words.map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn characters(text: &str) -> String {
        parse(text).0.iter().map(Parsed::characters).collect()
    }

    #[test]
    fn disguises_come_off() {
        assert_eq!(latin("ＣＨＥＮＧ\u{3000}ＹＩＮＧＸＩＡＯ"), "cheng yingxiao");
        assert_eq!(latin("Gald\u{2060}ino \u{202e}Cruz"), "galdino cruz");
        assert_eq!(latin("LОRМЕNDЕZ"), "lormendez");
        assert_eq!(latin("МРАNО, Dоuglаѕ"), "mpano douglas");
        assert_eq!(latin("МРАНО, Douglas"), "mpaho douglas");
        assert_eq!(latin("Мария Иванова"), "mariya ivanova");
        assert_eq!(latin("J\u{301}\u{301}\u{301}osé"), "jose");
        assert_eq!(latin("Cheng2 Ying1xiao3"), "cheng yingxiao");
        assert_eq!(characters("程\u{200b}英\u{a0}晓"), "程英晓");
    }

    #[test]
    fn what_is_no_part_of_the_name_counts_less() {
        assert_eq!(core("Dr. Hamed bin 'Abdallah al-Ali, Jr."), "hamed abdallah ali");
        assert_eq!(core("ANGLO-CARIBBEAN CO., LTD."), "anglo caribbean");
        assert_eq!(core("Acme L.L.C."), "acme");
        assert_eq!(core("Inversiones Uno S.A. de C.V."), "inversiones uno");
        assert_eq!(core("J.P. Morgan"), "j p morgan");
        assert_eq!(core("General"), "general");
        assert_eq!(characters("程英晓先生"), "程英晓");
        assert_eq!(characters("华为技术有限公司"), "华为技术");
        assert_eq!(characters("王老师"), "王老师");
    }

    #[test]
    fn two_writings_side_by_side_are_two_names() {
        assert_eq!(parse("LI Ming (李明)").0.len(), 2);
        assert_eq!(parse("SANTOS, Ahmad (Ahmed)").0.len(), 1);
        assert_eq!(parse("程yingxiao").0.len(), 1);
    }

    #[test]
    fn hostile_names_are_cut_and_said_so() {
        let (parsed, cut) = parse(&"a ".repeat(500_000));
        assert!(cut && parsed[0].words.len() == MAX_WORDS);
        let (parsed, cut) = parse(&"a".repeat(1_000_000));
        assert!(cut && parsed[0].words[0].text.len() == MAX_WORD);
        let flood = format!("a{}", "\u{301}".repeat(1_000_000));
        assert!(parse(&flood).1);
        let (parsed, cut) = parse(&"程".repeat(100_000));
        assert!(cut && parsed[0].han.is_some());
        assert!(parse("\u{202e}\u{0}\u{7f} .,;()").0.is_empty());
    }
}
