//! Two names, in whatever writing each of them is: how alike they are, and where that comes from.

use super::align::{Aligned, Known, align};
use super::han::{HanName, System, Unit, homophones};
use super::name::{Parsed, Role, Segment};
use super::similar::How;
use super::{Form, Script, TokenScore, pinyin};

/// The same characters: nothing is surer.
const SAME_HAN: f64 = 1.0;
/// The same sound, where one side is written in pinyin: many characters sound so.
const PINYIN: f64 = 0.92;
/// Characters that sound the same but are not the same: somebody else, unless more speaks for it.
const HOMOPHONE: f64 = 0.76;
/// Longest name in characters of which one that differs makes another person.
const SHORT: usize = 4;
/// Most steps of the search for a reading.
const STEPS: usize = 20_000;

/// How two names compare.
#[derive(Clone, Debug, Default)]
pub(super) struct Match {
    pub score: f64,
    detail: Detail,
}

#[derive(Clone, Debug, Default)]
enum Detail {
    #[default]
    Nothing,
    Words(Aligned),
    Han {
        reason: String,
        spelling: String,
    },
}

impl Match {
    fn han(score: f64, reason: impl Into<String>, spelling: impl Into<String>) -> Self {
        Self { score, detail: Detail::Han { reason: reason.into(), spelling: spelling.into() } }
    }
}

/// Compares a query's name with a listed one; the weights are those of their words.
pub(super) fn compare(query: (&Parsed, &[f64]), listed: (&Parsed, &[f64]), known: &mut Known) -> Match {
    let (q, l) = (query.0, listed.0);
    match (&q.han, &l.han) {
        (Some(q), Some(l)) => both_han(q, l),
        (Some(han), None) if l.segments.is_empty() => han_and_latin(han, l),
        (None, Some(han)) if q.segments.is_empty() => han_and_latin(han, q),
        (Some(han), None) => mixed(han, l),
        (None, Some(han)) => mixed(han, q),
        (None, None) => {
            let aligned = align((&q.words, query.1), (&l.words, listed.1), known);
            // Han on one side that the other lacks is not compared, but neither forgotten.
            let factor = match (q.segments.is_empty(), l.segments.is_empty()) {
                (true, true) => 1.0,
                (false, false) => both_mixed(q, l),
                _ => 0.9,
            };
            Match { score: aligned.score * factor, detail: Detail::Words(aligned) }
        }
    }
}

fn both_mixed(q: &Parsed, l: &Parsed) -> f64 {
    if q.characters() == l.characters() { 1.0 } else { 0.7 }
}

fn both_han(q: &HanName, l: &HanName) -> Match {
    let (a, b) = (&q.chars, &l.chars);
    if a == b {
        return Match::han(SAME_HAN, "the same characters", "");
    }
    let longest = a.len().max(b.len());
    if l.person && a.len() == b.len() {
        let turned: Vec<char> =
            l.orders().iter().skip(1).flatten().flat_map(|unit| unit.chars.clone()).collect();
        if *a == turned {
            return Match::han(0.97, "the same characters, surname last", "");
        }
    }
    if longest > SHORT {
        let score = 0.98 * (1.0 - han_distance(a, b) / longest as f64);
        return Match::han(score.max(0.0), "characters in common", "");
    }
    if a.len() != b.len() {
        let common = a.iter().filter(|c| b.contains(c)).count();
        return Match::han(0.7 * common as f64 / longest as f64, "characters are missing or added", "");
    }
    let same = a.iter().zip(b).filter(|(x, y)| x == y).count();
    let sound = a.iter().zip(b).filter(|(x, y)| x != y && homophones(**x, **y)).count();
    if same + sound == longest {
        let score = HOMOPHONE - 0.04 * (sound - 1) as f64;
        return Match::han(score, "other characters that sound the same", l.shown());
    }
    let score = 0.7 * (same as f64 + 0.5 * sound as f64) / longest as f64;
    Match::han(score, "other characters", "")
}

/// Levenshtein's distance by characters; those that sound the same differ by half.
fn han_distance(a: &[char], b: &[char]) -> f64 {
    let mut row: Vec<f64> = (0..=b.len()).map(|j| j as f64).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i as f64 + 1.0;
        for (j, &y) in b.iter().enumerate() {
            let replace = diagonal
                + if x == y {
                    0.0
                } else if homophones(x, y) {
                    0.5
                } else {
                    1.0
                };
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1.0).min(row[j] + 1.0);
        }
    }
    row[b.len()]
}

fn han_and_latin(han: &HanName, latin: &Parsed) -> Match {
    let all: Vec<&str> = latin.words.iter().map(|word| word.text.as_str()).collect();
    let untitled: Vec<&str> =
        latin.words.iter().filter(|word| word.role != Role::Title).map(|word| word.text.as_str()).collect();
    let first = spelled(han, &all);
    if first.score >= 0.8 || untitled.len() == all.len() || untitled.is_empty() {
        return first;
    }
    let second = spelled(han, &untitled);
    if second.score > first.score { second } else { first }
}

/// How well Latin words spell a Han name.
fn spelled(han: &HanName, words: &[&str]) -> Match {
    let text = words.concat();
    if text.is_empty() || text.len() > 200 {
        return Match::default();
    }
    let mut best = Match::default();
    let mut keep = |score: f64, reason: &str, spelling: String| {
        if score > best.score {
            best = Match::han(score, reason, spelling);
        }
    };
    for (surname, given) in han.japanese() {
        if text == format!("{surname}{given}") || text == format!("{given}{surname}") {
            keep(0.88, "the Japanese reading of the characters", format!("{surname} {given}"));
        }
    }
    let orders = han.orders();
    for units in &orders {
        let mut search = Reading { steps: 0, best: 0.0, systems: Vec::new() };
        search.text(units, &text, &mut Vec::new());
        if search.best > 0.0 {
            let reason = reason(&search.systems);
            keep(search.best, reason, words.join(" "));
        }
    }
    if best.score > 0.0 || !han.person {
        return best;
    }
    misspelled(han, words, &text)
}

/// A spelling that fits no reading: a slip of the keyboard, or another name.
fn misspelled(han: &HanName, words: &[&str], text: &str) -> Match {
    let mut nearest = (usize::MAX, false, String::new());
    for reading in han.readings(16) {
        let mut turned = reading.clone();
        turned.rotate_left(1);
        for spelling in [reading.concat(), turned.concat()] {
            let distance = plain_distance(text.as_bytes(), spelling.as_bytes());
            let swapped = distance == 1 && sorted(text) == sorted(&spelling);
            if distance < nearest.0 || (distance == nearest.0 && swapped && !nearest.1) {
                nearest = (distance, swapped, spelling);
            }
        }
    }
    let (distance, swapped, spelling) = nearest;
    let name = words.iter().all(|word| pinyin::divides(word));
    // Letters that make sound syllables are meant so; two that changed places are a slip all the same.
    if distance == 1 && (swapped || !name) {
        let score = match text.len() {
            0..=4 => 0.74,
            5 => 0.81,
            _ => 0.84,
        };
        return Match::han(score, "one slip away from the pinyin", spelling);
    }
    let longest = text.len().max(spelling.len()).max(1);
    let score = 0.75 * (1.0 - distance.min(longest) as f64 / longest as f64);
    Match::han(score, "another reading", spelling)
}

fn sorted(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes
}

/// Damerau and Levenshtein's distance (optimal string alignment), every step 1.
fn plain_distance(a: &[u8], b: &[u8]) -> usize {
    let width = b.len() + 1;
    let mut rows = vec![0; width * (a.len() + 1)];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = usize::from(a[i - 1] != b[j - 1]);
                let mut least = rows[(i - 1) * width + j - 1] + change;
                least = least.min(rows[(i - 1) * width + j] + 1).min(rows[i * width + j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[(i - 2) * width + j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len() * width + b.len()]
}

/// The search for a reading of the characters that gives the letters.
struct Reading {
    steps: usize,
    best: f64,
    systems: Vec<System>,
}

impl Reading {
    fn text(&mut self, units: &[&Unit], rest: &str, path: &mut Vec<(System, bool)>) {
        self.steps += 1;
        if self.steps > STEPS {
            return;
        }
        let Some((unit, later)) = units.split_first() else {
            if rest.is_empty() {
                self.finish(path);
            }
            return;
        };
        for (spelling, system) in &unit.spellings {
            if let Some(rest) = rest.strip_prefix(spelling.as_str()) {
                // A spelling from elsewhere that is a syllable of Mandarin is more likely another surname's pinyin.
                let doubtful =
                    !matches!(system, System::Pinyin | System::WadeGiles) && pinyin::is_syllable(spelling);
                path.push((*system, doubtful));
                self.text(later, rest, path);
                path.pop();
            }
        }
    }

    fn finish(&mut self, path: &[(System, bool)]) {
        let has = |system| path.iter().any(|(of, _)| *of == system);
        let mandarin = |system: &System| matches!(system, System::Pinyin | System::WadeGiles);
        let given_mandarin = path.iter().filter(|(system, _)| !mandarin(system)).count() <= 1;
        let doubtful = path.iter().any(|(_, doubtful)| *doubtful);
        let score = if path.iter().all(|(system, _)| *system == System::Pinyin) {
            PINYIN
        } else if path.iter().all(|(system, _)| mandarin(system)) {
            0.88
        } else if has(System::Korean) {
            let korean = path.iter().all(|(system, _)| matches!(system, System::Korean));
            if korean { 0.84 } else { 0.5 }
        } else if path.len() > 1 && given_mandarin && has(System::Elsewhere) && !has(System::Cantonese) {
            if doubtful { 0.78 } else { 0.86 }
        } else if path.iter().all(|(system, _)| matches!(system, System::Cantonese | System::Elsewhere)) {
            0.85
        } else {
            0.7
        };
        if score > self.best {
            self.best = score;
            self.systems = path.iter().map(|(system, _)| *system).collect();
        }
    }
}

fn reason(systems: &[System]) -> &'static str {
    let has = |system| systems.contains(&system);
    if has(System::Korean) {
        "the Korean reading of the characters"
    } else if has(System::Cantonese) {
        "the Cantonese reading of the characters"
    } else if has(System::Elsewhere) {
        "the surname as it is spelled elsewhere"
    } else if has(System::WadeGiles) {
        "the reading of the characters as Wade and Giles spell it"
    } else {
        "the pinyin of the characters"
    }
}

/// A name partly in Han against one in Han throughout.
fn mixed(han: &HanName, mixed: &Parsed) -> Match {
    let words: Vec<&str> =
        mixed.words.iter().filter(|word| word.role != Role::Title).map(|w| w.text.as_str()).collect();
    for units in han.orders() {
        let mut steps = 0;
        let segments: Vec<&Segment> = mixed
            .segments
            .iter()
            .filter(|segment| !matches!(segment, Segment::Word(at) if mixed.words[*at].role == Role::Title))
            .collect();
        if fits(&units, &segments, 0, mixed, &mut steps) {
            return Match::han(0.94, "the same characters, and the pinyin of the others", words.join(" "));
        }
    }
    // Else by sound alone, the characters read.
    let mut parts: Vec<String> = Vec::new();
    for segment in &mixed.segments {
        match segment {
            Segment::Han(chars) => {
                parts.push(HanName::new(chars.clone()).readings(1).swap_remove(0).concat());
            }
            Segment::Word(at) => parts.push(mixed.words[*at].text.clone()),
        }
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut found = spelled(han, &parts);
    // A character that is written and is not the listed one speaks against it.
    if mixed.characters().chars().any(|c| !han.chars.contains(&c)) {
        found.score = found.score.min(HOMOPHONE);
    }
    found
}

/// Whether segments, of which words are taken from `from` on in the first, fit units one after the other.
fn fits(units: &[&Unit], segments: &[&Segment], from: usize, of: &Parsed, steps: &mut usize) -> bool {
    *steps += 1;
    let (Some(segment), false) = (segments.first(), *steps > STEPS) else { return units.is_empty() };
    match segment {
        Segment::Han(chars) if from == chars.len() => fits(units, &segments[1..], 0, of, steps),
        Segment::Han(chars) => units.split_first().is_some_and(|(unit, later)| {
            chars[from..].starts_with(&unit.chars)
                && fits(later, segments, from + unit.chars.len(), of, steps)
        }),
        Segment::Word(at) => {
            let text = &of.words[*at].text;
            if from == text.len() {
                return fits(units, &segments[1..], 0, of, steps);
            }
            let Some((unit, later)) = units.split_first() else { return false };
            unit.spellings.iter().filter(|(_, system)| *system == System::Pinyin).any(|(spelling, _)| {
                text[from..].starts_with(spelling.as_str())
                    && fits(later, segments, from + spelling.len(), of, steps)
            })
        }
    }
}

impl Match {
    /// The writings in which the two were compared, the decisive one first.
    pub(super) fn forms(&self, query: &Parsed, listed: &Parsed) -> Vec<Form> {
        let mut forms = Vec::new();
        let pinyin = |parsed: &Parsed| parsed.han.as_ref().map_or_else(String::new, |han| han.shown());
        let (han_query, han_listed) = (query.characters(), listed.characters());
        if !han_query.is_empty() || !han_listed.is_empty() {
            let han = Form { script: Script::Han, query: han_query.clone(), listed: han_listed.clone() };
            let sound = |parsed: &Parsed| if parsed.han.is_some() { pinyin(parsed) } else { String::new() };
            let pinyin = Form { script: Script::Pinyin, query: sound(query), listed: sound(listed) };
            if han_query.is_empty() || han_listed.is_empty() {
                forms.extend([pinyin, han]);
            } else {
                forms.extend([han, pinyin]);
            }
        }
        let (query, listed) = (query.latin(), listed.latin());
        if !query.is_empty() || !listed.is_empty() {
            forms.push(Form { script: Script::Latin, query, listed });
        }
        forms
    }

    /// Word by word, where words were compared.
    pub(super) fn tokens(&self, query: &Parsed, listed: &Parsed) -> Vec<TokenScore> {
        let Detail::Words(aligned) = &self.detail else { return Vec::new() };
        let text = |parsed: &Parsed, range: &std::ops::Range<usize>| {
            parsed.words[range.clone()].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
        };
        let token = |pair: &super::align::Pair| TokenScore {
            query: text(query, &pair.query),
            listed: text(listed, &pair.listed),
            score: pair.score,
            weight: pair.weight,
            how: pair.how.words().to_owned(),
        };
        aligned.pairs.iter().map(token).collect()
    }

    /// In one sentence, why the names are as alike as they are.
    pub(super) fn reason(&self) -> String {
        match &self.detail {
            Detail::Nothing => "nothing in common".to_owned(),
            Detail::Han { reason, spelling } if spelling.is_empty() => reason.clone(),
            Detail::Han { reason, spelling } => format!("{reason}: {spelling}"),
            Detail::Words(aligned) => words_reason(aligned),
        }
    }
}

fn words_reason(aligned: &Aligned) -> String {
    let count = |how: How| aligned.pairs.iter().filter(|pair| pair.how == how).count();
    let extra = aligned.pairs.iter().filter(|pair| pair.listed.is_empty()).count();
    let missing = aligned.pairs.iter().filter(|pair| pair.query.is_empty()).count();
    let mut parts = Vec::new();
    let same = count(How::Same);
    if same > 0 {
        parts.push(if same == 1 { "1 word the same".to_owned() } else { format!("{same} words the same") });
    }
    for how in [
        How::Letters,
        How::Sound,
        How::Consonants,
        How::GivenName,
        How::Initial,
        How::Beginning,
        How::Joined,
        How::Apart,
    ] {
        let number = count(how);
        if number > 0 {
            parts.push(if number == 1 {
                how.words().to_owned()
            } else {
                format!("{} ({number})", how.words())
            });
        }
    }
    if aligned.reordered {
        parts.push("in another order".to_owned());
    }
    if extra > 0 {
        parts.push(format!("{extra} not on the list"));
    }
    if missing > 0 {
        parts.push(format!("{missing} not in the query"));
    }
    if parts.is_empty() { "nothing in common".to_owned() } else { parts.join(", ") }
}
