//! Words of other writings in Latin letters, with the spellings in use beside the first.

use super::script::{Writing, writing};
use super::tables;

/// How a word came to be in Latin letters; what may differ between two spellings depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Written so, or from a writing that has every vowel.
    Letters,
    /// From a writing without vowels: only the consonants are known.
    Consonants,
}

/// A word in Latin letters.
#[derive(Debug)]
pub(super) struct Spelled {
    /// The first spelling: lower-case ASCII letters and digits.
    pub text: String,
    /// Others.
    pub also: Vec<String>,
    pub origin: Origin,
}

impl Spelled {
    fn letters(text: String) -> Self {
        Self { text, also: Vec::new(), origin: Origin::Letters }
    }
}

/// Spells a word of one writing (not Han) in Latin letters; several words where one is written as one.
pub(super) fn spell(word: &str, first_of_name: bool) -> Vec<Spelled> {
    match word.chars().map(writing).find(|w| !matches!(w, Writing::None | Writing::Digit)) {
        Some(Writing::Abjad) => abjad(word),
        Some(Writing::Hangul) => hangul(word, first_of_name),
        Some(Writing::Kana) => vec![kana(word)],
        Some(Writing::Other) => {
            let text = ascii(word);
            vec![Spelled { text, also: Vec::new(), origin: Origin::Consonants }]
        }
        Some(Writing::Cyrillic) => vec![cyrillic(word)],
        _ => vec![Spelled::letters(ascii(word))],
    }
    .into_iter()
    .filter(|spelled| !spelled.text.is_empty())
    .collect()
}

/// Plain lower-case letters and digits.
pub(super) fn ascii(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii_alphanumeric() {
            text.push(c.to_ascii_lowercase());
        } else if !c.is_ascii() {
            let spelled = any_ascii::any_ascii_char(c).bytes().filter(u8::is_ascii_alphanumeric);
            text.extend(spelled.map(|b| char::from(b.to_ascii_lowercase())));
        }
    }
    text
}

/// Russian and its neighbours: one spelling by sound, and the vowels that other tables write otherwise.
fn cyrillic(word: &str) -> Spelled {
    let text = ascii(word);
    let mut also = Vec::new();
    let e = word.replace(['ё', 'Ё'], "йо").replace(['є', 'Є'], "йе");
    let lower = e.to_lowercase();
    if let Some(rest) = lower.strip_prefix('е') {
        also.push(format!("ye{}", ascii(rest)));
    }
    if e != word {
        also.push(ascii(&e));
    }
    Spelled { text, also, origin: Origin::Letters }
}

/// Arabic, Persian, Urdu, Hebrew: looked up as a whole, without what stands before or behind, and else consonant by
/// consonant.
fn abjad(word: &str) -> Vec<Spelled> {
    let plain: String = word.chars().map(plain_letter).collect();
    let letters = |known: &str| known.split(' ').map(|text| Spelled::letters(text.to_owned())).collect();
    if plain == "الدين" {
        // The article takes the sound of the letter that follows it.
        let also = ["addin", "uddin", "eddin", "eddine", "uddine", "odin"].map(str::to_owned).to_vec();
        return vec![Spelled { text: "aldin".to_owned(), also, origin: Origin::Letters }];
    }
    if plain == "الله" {
        let also = ["ullah", "ollah", "ulla", "olla"].map(str::to_owned).to_vec();
        return vec![Spelled { text: "allah".to_owned(), also, origin: Origin::Letters }];
    }
    if let Some(known) = tables::vocalised(&plain).or_else(|| tables::vocalised(word)) {
        return letters(known);
    }
    let long = |rest: &&str| rest.chars().count() > 2;
    for (before, spelled) in [("عبدال", "abd al"), ("ال", "al"), ("عبد", "abd")] {
        if let Some(rest) = plain.strip_prefix(before).filter(long) {
            let mut words: Vec<Spelled> = letters(spelled);
            words.extend(abjad_stem(rest));
            return words;
        }
    }
    for (behind, spelled) in [("الدين", "الدين"), ("الله", "الله")] {
        if let Some(rest) = plain.strip_suffix(behind).filter(long) {
            let mut words = abjad_stem(rest);
            words.extend(abjad(spelled));
            return words;
        }
    }
    vec![consonants(&plain)]
}

fn abjad_stem(stem: &str) -> Vec<Spelled> {
    match tables::vocalised(stem) {
        Some(known) => known.split(' ').map(|text| Spelled::letters(text.to_owned())).collect(),
        None => vec![consonants(stem)],
    }
}

/// What is written, and where Persian, Urdu and the Maghreb say it otherwise, that as well.
fn consonants(word: &str) -> Spelled {
    let text = ascii(word);
    let elsewhere = [word.replace(['ض', 'ظ', 'ذ'], "ز").replace('ث', "س"), word.replace('ق', "گ")];
    let mut also: Vec<String> = Vec::new();
    for spelling in elsewhere.iter().map(|spelling| ascii(spelling)) {
        if spelling != text && !also.contains(&spelling) {
            also.push(spelling);
        }
    }
    Spelled { text, also, origin: Origin::Consonants }
}

/// The form of a letter that spelling does not distinguish.
fn plain_letter(c: char) -> char {
    match c {
        'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
        'ؤ' => 'و',
        'ئ' | 'ی' | 'ې' | 'ے' => 'ي',
        'ک' => 'ك',
        'ہ' | 'ھ' | 'ۀ' => 'ه',
        'ۃ' => 'ة',
        other => other,
    }
}

/// Korean: surname and given name where a word has two to four syllables and begins with a surname.
fn hangul(word: &str, first_of_name: bool) -> Vec<Spelled> {
    let syllables: Vec<char> = word.chars().filter(|&c| writing(c) == Writing::Hangul).collect();
    let surname = |length: usize| {
        let text: String = syllables[..length].iter().collect();
        tables::korean_surname(&text).map(|spellings| (length, spellings))
    };
    let known = match syllables.len() {
        1 if first_of_name => surname(1),
        2..=5 if first_of_name => (syllables.len() > 2).then(|| surname(2)).flatten().or_else(|| surname(1)),
        _ => None,
    };
    let Some((length, spellings)) = known else { return vec![korean_word(&syllables)] };
    let mut all = spellings.split(' ').map(str::to_owned);
    let first =
        Spelled { text: all.next().unwrap_or_default(), also: all.collect(), origin: Origin::Letters };
    if syllables.len() == length { vec![first] } else { vec![first, korean_word(&syllables[length..])] }
}

fn korean_word(syllables: &[char]) -> Spelled {
    let mut all: Vec<String> = vec![String::new()];
    for &syllable in syllables.iter().take(8) {
        let of_syllable = romanised_hangul(syllable);
        let mut next = Vec::new();
        for before in &all {
            next.extend(of_syllable.iter().map(|text| format!("{before}{text}")));
        }
        next.truncate(12);
        all = next;
    }
    let text = all.remove(0);
    Spelled { text, also: all, origin: Origin::Letters }
}

/// A Hangul syllable in Latin letters: as the state spells it first, then as people do.
pub(super) fn romanised_hangul(syllable: char) -> Vec<String> {
    const FIRST: [&[&str]; 19] = [
        &["g", "k"],
        &["kk"],
        &["n"],
        &["d", "t"],
        &["tt"],
        &["r", "l"],
        &["m"],
        &["b", "p"],
        &["pp"],
        &["s"],
        &["ss"],
        &[""],
        &["j", "ch"],
        &["jj"],
        &["ch"],
        &["k"],
        &["t"],
        &["p"],
        &["h"],
    ];
    const MIDDLE: [&[&str]; 21] = [
        &["a"],
        &["ae"],
        &["ya"],
        &["yae"],
        &["eo", "u", "o"],
        &["e"],
        &["yeo", "you", "yo", "yu"],
        &["ye"],
        &["o"],
        &["wa"],
        &["wae"],
        &["oe"],
        &["yo"],
        &["u", "oo"],
        &["wo"],
        &["we"],
        &["wi"],
        &["yu"],
        &["eu", "u"],
        &["ui", "eui"],
        &["i", "ee"],
    ];
    const LAST: [&str; 28] = [
        "", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t",
        "t", "ng", "t", "t", "k", "t", "p", "t",
    ];
    let Some(code) = (syllable as u32).checked_sub(0xac00).filter(|&code| code < 11_172) else {
        return Vec::new();
    };
    let (first, middle, last) = (code / 588, code % 588 / 28, code % 28);
    let mut all = Vec::new();
    for start in FIRST[first as usize] {
        for vowel in MIDDLE[middle as usize] {
            all.push(format!("{start}{vowel}{}", LAST[last as usize]));
        }
    }
    all
}

/// Japanese syllables: long vowels are written or not.
fn kana(word: &str) -> Spelled {
    let text = ascii(word);
    let short = text.replace("ou", "o").replace("oo", "o").replace("uu", "u");
    let also = if short == text { Vec::new() } else { vec![short] };
    Spelled { text, also, origin: Origin::Letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(word: &str) -> String {
        spell(word, true).iter().map(|spelled| spelled.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn writings_become_the_usual_spellings() {
        assert_eq!(first("Владимир"), "vladimir");
        assert_eq!(first("Щёлоков"), "shchelokov");
        assert_eq!(first("أحمد"), "ahmad");
        assert_eq!(first("الظواهري"), "al zawahiri");
        assert_eq!(first("عبدالجبار"), "abd al jbr");
        assert_eq!(first("نورالدين"), "nur aldin");
        assert_eq!(first("Νικόλαος"), "nikolaos");
        assert_eq!(first("김정은"), "kim jeongeun");
        assert_eq!(first("משה"), "moshe");
        assert_eq!(first("Straße"), "strasse");
        assert_eq!(spell("タロウ", true)[0].also, ["taro"]);
        let seung = spell("김정은", true);
        assert!(seung[1].also.iter().any(|text| text == "jongun"), "{:?}", seung[1].also);
    }

    #[test]
    fn without_vowels_only_consonants_are_known() {
        let spelled = spell("قرضاوي", true);
        assert_eq!(spelled[0].origin, Origin::Consonants);
    }
}
