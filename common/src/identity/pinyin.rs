//! Syllables of Mandarin: which there are, how a word divides into them, and how Wade and Giles would spell them.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

const FINALS: &str = "a o e ai ei ao ou an en ang eng ong i ia ie iao iu ian in iang ing iong u ua uo uai ui uan un \
                      uang ue v ve er";
const INITIALS: [&str; 24] = [
    "", "b", "p", "m", "f", "d", "t", "n", "l", "g", "k", "h", "j", "q", "x", "zh", "ch", "sh", "r", "z",
    "c", "s", "y", "w",
];

/// Syllables as they are written, without tones; `v` stands for u with two dots.
static SYLLABLES: LazyLock<FxHashSet<String>> = LazyLock::new(|| {
    let mut all = FxHashSet::default();
    for initial in INITIALS {
        for last in FINALS.split_whitespace() {
            if allowed(initial, last) {
                all.insert(format!("{initial}{last}"));
            }
        }
    }
    all
});

/// Which finals an initial takes, by the table of Hanyu Pinyin.
fn allowed(initial: &str, last: &str) -> bool {
    let any = |list: &str| list.split_whitespace().any(|item| item == last);
    match initial {
        "" => any("a o e ai ei ao ou an en ang eng er"),
        "b" => any("a o ai ei ao an en ang eng i ie iao ian in ing u"),
        "p" => any("a o ai ei ao ou an en ang eng i ie iao ian in ing u"),
        "m" => any("a o e ai ei ao ou an en ang eng i ie iao iu ian in ing u"),
        "f" => any("a o ei ou an en ang eng u"),
        "d" => any("a e ai ei ao ou an en ang eng ong i ia ie iao iu ian ing u uo ui uan un"),
        "t" => any("a e ai ei ao ou an ang eng ong i ie iao ian ing u uo ui uan un"),
        "n" => any("a e ai ei ao ou an en ang eng ong i ie iao iu ian in iang ing u uo uan un v ve ue"),
        "l" => any("a o e ai ei ao ou an ang eng ong i ia ie iao iu ian in iang ing u uo uan un v ve ue"),
        "g" | "k" | "h" => any("a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang"),
        "j" | "q" | "x" => any("i ia ie iao iu ian in iang ing iong u ue uan un"),
        "zh" => any("i a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang"),
        "ch" | "sh" => any("i a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang"),
        "r" => any("i e ao ou an en ang eng ong u ua uo ui uan un"),
        "z" | "c" | "s" => any("i a e ai ei ao ou an en ang eng ong u uo ui uan un"),
        "y" => any("a e ao ou an ang ong i in ing u ue uan un o"),
        "w" => any("a o ai ei an en ang eng u"),
        _ => false,
    }
}

/// Whether this is a syllable.
pub(super) fn is_syllable(text: &str) -> bool {
    SYLLABLES.contains(text)
}

/// Whether a word divides into syllables without remainder.
pub(super) fn divides(word: &str) -> bool {
    if !word.is_ascii() || word.len() > 64 {
        return false;
    }
    let mut reached = [false; 65];
    reached[0] = true;
    for from in 0..word.len() {
        if reached[from] {
            for to in from + 1..=word.len().min(from + 6) {
                if is_syllable(&word[from..to]) {
                    reached[to] = true;
                }
            }
        }
    }
    reached[word.len()]
}

/// The word without the digits 1 to 5 that state tones, if it is made of nothing but syllables with digits.
pub(super) fn without_tone_digits(word: &str) -> Option<String> {
    let digit = |b: u8| (b'1'..=b'5').contains(&b);
    if !word.bytes().any(digit) || !word.is_ascii() {
        return None;
    }
    let parts: Vec<&str> = word.split(|c: char| c.is_ascii() && digit(c as u8)).collect();
    let (last, others) = parts.split_last()?;
    (others.iter().all(|part| divides(part) && !part.is_empty()) && divides(last)).then(|| parts.concat())
}

/// A syllable in the spelling of Wade and Giles, without its marks; the forms that differ in use come one by one.
pub(super) fn wade_giles(syllable: &str) -> Vec<String> {
    let special: &[&str] = match syllable {
        "zi" => &["tzu", "tsu"],
        "ci" => &["tzu", "tsu"],
        "si" => &["ssu", "szu", "su"],
        "zhi" => &["chih"],
        "chi" => &["chih"],
        "shi" => &["shih"],
        "ri" => &["jih"],
        "er" => &["erh"],
        "yi" => &["i", "yi"],
        "ying" => &["ying", "ing"],
        "yin" => &["yin", "in"],
        "yan" => &["yen"],
        "ye" => &["yeh"],
        "you" => &["yu"],
        "yong" => &["yung"],
        "yue" => &["yueh"],
        "e" => &["o"],
        "ge" => &["ko"],
        "ke" => &["ko"],
        "he" => &["ho"],
        "gui" => &["kuei"],
        "kui" => &["kuei"],
        "guo" => &["kuo"],
        "kuo" => &["kuo"],
        "huo" => &["huo"],
        "shuo" => &["shuo"],
        _ => &[],
    };
    if !special.is_empty() {
        return special.iter().map(|&text| text.to_owned()).collect();
    }
    let split = syllable.find(|c: char| "aeiouv".contains(c)).unwrap_or(0);
    let (initial, last) = syllable.split_at(split);
    let initial = match initial {
        "b" => "p",
        "d" => "t",
        "g" => "k",
        "j" | "q" | "zh" => "ch",
        "x" => "hs",
        "z" | "c" => "ts",
        "r" => "j",
        other => other,
    };
    let last = match last {
        "ong" => "ung",
        "iong" => "iung",
        "ian" => "ien",
        "ie" => "ieh",
        "ue" | "ve" => "ueh",
        "uo" => "o",
        "v" => "u",
        other => other,
    };
    vec![format!("{initial}{last}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_divide_into_syllables_or_do_not() {
        for word in ["chengyingxiao", "xian", "lv", "nve", "ouyang", "zhuang", "er", "yuxia"] {
            assert!(divides(word), "{word}");
        }
        for word in ["pegnhui", "longinng", "pingn", "hsu", "tsung", "smith", "v"] {
            assert!(!divides(word), "{word}");
        }
    }

    #[test]
    fn tones_by_digit_are_taken_off_syllables_only() {
        assert_eq!(without_tone_digits("ying1xiao3").as_deref(), Some("yingxiao"));
        assert_eq!(without_tone_digits("cheng2").as_deref(), Some("cheng"));
        assert_eq!(without_tone_digits("r2d2"), None);
        assert_eq!(without_tone_digits("cheng"), None);
    }

    #[test]
    fn wade_and_giles_spell_known_names() {
        let spell =
            |text: &str| text.split(' ').map(|s| wade_giles(s).swap_remove(0)).collect::<Vec<_>>().join(" ");
        assert_eq!(spell("mao ze dong"), "mao tse tung");
        assert_eq!(spell("xu zhi mo"), "hsu chih mo");
        assert_eq!(spell("deng xiao ping"), "teng hsiao ping");
        assert_eq!(spell("jiang jie shi"), "chiang chieh shih");
        assert_eq!(spell("guo mo ruo"), "kuo mo jo");
    }
}
