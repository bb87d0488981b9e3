//! Names in Han characters: variants folded, every reading of every character, and every spelling of those.
//!
//! Han becomes Latin spellings, never the other way: many characters share a reading, so what is compared in pinyin
//! alone is known less well than what is compared in characters.

use super::translit::romanised_hangul;
use super::{pinyin, tables};

/// Longest name that is taken for a person's, in characters.
const PERSON: usize = 6;
/// Most characters of a name whose readings are looked at.
pub(super) const MAX_CHARS: usize = 64;

/// How one character is read: lists separated by commas.
pub(super) struct Character {
    pub mandarin: &'static str,
    pub cantonese: &'static str,
    pub korean: &'static str,
}

/// A way to spell Han characters in Latin letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum System {
    Pinyin,
    WadeGiles,
    Cantonese,
    /// A spelling of a surname that is in use somewhere.
    Elsewhere,
    Korean,
}

/// A character, or a compound surname, with its spellings.
#[derive(Debug)]
pub(super) struct Unit {
    pub chars: Vec<char>,
    pub spellings: Vec<(String, System)>,
}

/// A name written in Han characters throughout.
#[derive(Debug)]
pub(super) struct HanName {
    /// Its characters, folded.
    pub chars: Vec<char>,
    /// Surname first where it is taken for a person's name.
    pub units: Vec<Unit>,
    /// Whether it is taken for a person's name.
    pub person: bool,
}

/// The character that stands for this one and its variants, simplified where there is a simplified form.
pub(super) fn fold(c: char) -> char {
    tables::han().folds.get(&c).copied().unwrap_or(c)
}

/// Whether two folded characters share a reading in Mandarin.
pub(super) fn homophones(a: char, b: char) -> bool {
    let of = |c| tables::han().characters.get(&c).map_or("", |character| character.mandarin);
    let (a, b) = (of(a), of(b));
    !a.is_empty() && a.split(',').any(|reading| b.split(',').any(|other| other == reading))
}

impl HanName {
    /// Looks up the readings of folded characters.
    pub(super) fn new(chars: Vec<char>) -> Self {
        let person = chars.len() <= PERSON;
        let surname = if person { surname_length(&chars) } else { 0 };
        let mut units = Vec::new();
        if surname > 0 {
            units.push(surname_unit(&chars[..surname]));
        }
        for &c in chars.iter().skip(surname).take(MAX_CHARS) {
            units.push(Unit { chars: vec![c], spellings: spellings(c, person) });
        }
        Self { chars, units, person }
    }

    /// The units in the orders in which names are written: surname first, then surname last.
    pub(super) fn orders(&self) -> Vec<Vec<&Unit>> {
        let first: Vec<&Unit> = self.units.iter().collect();
        if !self.person || first.len() < 2 {
            return vec![first];
        }
        let mut last = first.clone();
        last.rotate_left(1);
        vec![first, last]
    }

    /// The pinyin of the whole name, in up to `limit` readings, each unit by itself.
    pub(super) fn readings(&self, limit: usize) -> Vec<Vec<&str>> {
        let mut all: Vec<Vec<&str>> = vec![Vec::new()];
        for unit in &self.units {
            let of_unit: Vec<&str> = unit
                .spellings
                .iter()
                .filter(|(_, system)| *system == System::Pinyin)
                .map(|(text, _)| text.as_str())
                .collect();
            let mut next = Vec::new();
            for text in of_unit.iter().copied().chain(of_unit.is_empty().then_some("")) {
                next.extend(all.iter().map(|before| {
                    let mut longer = before.clone();
                    longer.push(text);
                    longer
                }));
            }
            next.truncate(limit);
            all = next;
        }
        all
    }

    /// How the name reads in pinyin, for people to read.
    pub(super) fn shown(&self) -> String {
        let reading = self.readings(1).swap_remove(0);
        if self.person && reading.len() > 1 {
            format!("{} {}", reading[0], reading[1..].concat())
        } else {
            reading.join(" ")
        }
    }

    /// How a Japanese reader would spell it, as surname and given name, if both are known.
    pub(super) fn japanese(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.person && self.chars.len() > 1 {
            for split in 1..self.chars.len() {
                let part = |chars: &[char]| tables::japanese(&chars.iter().collect::<String>());
                for &surname in part(&self.chars[..split]) {
                    found.extend(part(&self.chars[split..]).iter().map(|&given| (surname, given)));
                }
            }
        }
        found
    }
}

/// How many characters the surname has; compound ones are known by a table.
fn surname_length(chars: &[char]) -> usize {
    for length in (2..=4.min(chars.len().saturating_sub(1))).rev() {
        if tables::surname(&chars[..length].iter().collect::<String>()).is_some() {
            return length;
        }
    }
    usize::from(!chars.is_empty())
}

fn surname_unit(chars: &[char]) -> Unit {
    let written: String = chars.iter().collect();
    let mut unit = Unit { chars: chars.to_vec(), spellings: Vec::new() };
    let known = tables::surname(&written);
    for &reading in known.iter().flat_map(|surname| &surname.mandarin) {
        push_mandarin(&mut unit.spellings, reading);
    }
    if let [single] = chars {
        for spelling in spellings(*single, true) {
            push(&mut unit.spellings, spelling.0, spelling.1);
        }
        let korean = tables::han().characters.get(single).map_or("", |character| character.korean);
        for spelling in
            korean.split(',').filter_map(tables::korean_surname).flat_map(|known| known.split(' '))
        {
            push(&mut unit.spellings, spelling.to_owned(), System::Korean);
        }
    } else {
        // Wade and Giles spell a compound surname syllable by syllable.
        let parts: Vec<String> = chars
            .iter()
            .map(|&c| {
                let all = spellings(c, true);
                all.into_iter()
                    .find(|(_, system)| *system == System::WadeGiles)
                    .map_or_else(String::new, |s| s.0)
            })
            .collect();
        push(&mut unit.spellings, parts.concat(), System::WadeGiles);
    }
    for &spelling in known.iter().flat_map(|surname| &surname.elsewhere) {
        push(&mut unit.spellings, spelling.to_owned(), System::Elsewhere);
    }
    unit
}

/// Every spelling of one character; of names that are no person's, in pinyin only.
fn spellings(c: char, person: bool) -> Vec<(String, System)> {
    let mut all = Vec::new();
    let Some(character) = tables::han().characters.get(&c) else {
        push(&mut all, any_ascii::any_ascii_char(c).to_ascii_lowercase(), System::Pinyin);
        return all;
    };
    for reading in character.mandarin.split(',').filter(|reading| !reading.is_empty()) {
        push_mandarin(&mut all, reading);
    }
    if person {
        for reading in character.mandarin.split(',').filter(|reading| !reading.is_empty()) {
            for spelling in pinyin::wade_giles(reading) {
                push(&mut all, spelling, System::WadeGiles);
            }
        }
        for reading in character.cantonese.split(',').filter(|reading| !reading.is_empty()) {
            for spelling in cantonese(reading) {
                push(&mut all, spelling, System::Cantonese);
            }
        }
        for reading in character.korean.split(',').filter_map(|reading| reading.chars().next()) {
            for spelling in romanised_hangul(reading) {
                push(&mut all, spelling, System::Korean);
            }
        }
    }
    all
}

fn push_mandarin(all: &mut Vec<(String, System)>, reading: &str) {
    push(all, reading.to_owned(), System::Pinyin);
    // Where no key has two dots, people write v, u, yu or ue.
    if let Some(initial) = reading.strip_suffix('v') {
        push(all, format!("{initial}u"), System::Pinyin);
        push(all, format!("{initial}yu"), System::Pinyin);
        push(all, format!("{initial}ue"), System::Pinyin);
    } else if let Some(initial) = reading.strip_suffix("ve") {
        push(all, format!("{initial}ue"), System::Pinyin);
        push(all, format!("{initial}yue"), System::Pinyin);
    }
}

/// The first system that has a spelling keeps it, save that a surname may be spelled alike in several.
fn push(all: &mut Vec<(String, System)>, text: String, system: System) {
    if !text.is_empty() && !all.iter().any(|(known, of)| *known == text && *of == system) {
        all.push((text, system));
    }
}

/// How Hong Kong spells a Cantonese syllable, from its Jyutping.
fn cantonese(jyutping: &str) -> Vec<String> {
    let split = jyutping.find(|c: char| "aeiouy".contains(c)).unwrap_or(jyutping.len());
    let (initial, last) = jyutping.split_at(split);
    let initials: &[&str] = match initial {
        "b" => &["p"],
        "d" => &["t"],
        "g" => &["k"],
        "gw" => &["kw"],
        "z" | "c" => &["ch", "ts"],
        "j" => &["y"],
        "s" => &["s", "sh"],
        other => &[other],
    };
    let long = last.replace("aa", "a");
    let lasts: Vec<String> = match last {
        "aa" => vec!["a".into(), "ah".into()],
        "oeng" => vec!["eung".into()],
        "oek" => vec!["euk".into()],
        "eon" => vec!["un".into()],
        "eot" => vec!["ut".into()],
        "eoi" => vec!["ui".into()],
        "ou" => vec!["o".into(), "ou".into()],
        "yun" => vec!["uen".into(), "un".into()],
        "yut" => vec!["uet".into()],
        "yu" => vec!["u".into(), "ue".into()],
        "i" if matches!(initial, "z" | "c" | "s") => vec!["i".into(), "z".into(), "ze".into(), "ee".into()],
        "i" => vec!["i".into(), "ee".into()],
        _ => vec![long],
    };
    initials.iter().flat_map(|initial| lasts.iter().map(move |last| format!("{initial}{last}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HanName {
        HanName::new(text.chars().map(fold).collect())
    }

    fn spelled(text: &str, at: usize, spelling: &str) -> bool {
        name(text).units[at].spellings.iter().any(|(known, _)| known == spelling)
    }

    #[test]
    fn surnames_are_read_as_surnames() {
        for (text, reading) in [
            ("单雄信", "shan"),
            ("仇英", "qiu"),
            ("曾国藩", "zeng"),
            ("解缙", "xie"),
            ("查良镛", "zha"),
            ("区志强", "ou"),
            ("翟龙宁", "zhai"),
            ("尉迟恭", "yuchi"),
            ("万俟卨", "moqi"),
        ] {
            assert!(name(text).shown().starts_with(&format!("{reading} ")), "{text}: {}", name(text).shown());
        }
    }

    #[test]
    fn every_reading_and_spelling_is_known() {
        assert!(spelled("单雄信", 0, "dan"), "the everyday reading stays");
        assert!(spelled("吕布", 0, "lu") && spelled("吕布", 0, "lv") && spelled("吕布", 0, "lyu"));
        assert!(spelled("陈水扁", 0, "tan") && spelled("陈水扁", 0, "chan"));
        assert!(spelled("徐志摩", 0, "hsu") && spelled("徐志摩", 1, "chih"));
        assert!(spelled("金正恩", 0, "kim") && spelled("金正恩", 1, "jong") && spelled("金正恩", 2, "un"));
        assert!(spelled("李嘉诚", 1, "ka") && spelled("李嘉诚", 2, "shing"));
    }

    #[test]
    fn variants_are_one_character() {
        let folded = |text: &str| text.chars().map(fold).collect::<String>();
        assert_eq!(folded("呂婷宇"), "吕婷宇");
        assert_eq!(folded("楊聯陞"), folded("杨联升"));
        assert!(homophones('卢', '陆') && !homophones('卢', '王'));
    }

    #[test]
    fn japanese_readings_need_both_parts() {
        assert_eq!(name("山田太郎").japanese(), [("yamada", "taro")]);
        assert!(name("李明").japanese().is_empty());
    }
}
