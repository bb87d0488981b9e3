//! Pairs made here, by a seed: what nothing was looked at for while screening was written, to notice when a change
//! serves the labelled files alone.

use gait_common::identity::ListData;

use crate::{Case, list_of};

/// A small generator of pseudo-random numbers (xorshift64*), the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % limit.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Names of persons of the list, changed in one way each, and combinations of names that no entry has.
pub(crate) fn latin(list: &ListData, seed: u64) -> Vec<Case> {
    let mut random = Random::new(seed);
    let persons: Vec<(u32, &str)> = list
        .entities
        .iter()
        .enumerate()
        .flat_map(|(at, entity)| entity.names.iter().map(move |name| (at as u32, name.text.as_str())))
        .filter(|(_, name)| {
            name.contains(", ") && !name.contains('.') && name.split_whitespace().count() >= 2
        })
        .collect();
    let mut cases = Vec::new();
    for _ in 0..6000 {
        let (entity, name) = persons[random.below(persons.len())];
        let words: Vec<&str> = name.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        let long: Vec<usize> = (0..words.len()).filter(|&at| words[at].len() >= 5).collect();
        let Some(&at) = long.get(random.below(long.len())) else { continue };
        let mut changed: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let class =
            random.pick(&["typo", "ocr", "order", "initial", "dropped", "joined", "split", "respelled"]);
        match class {
            "typo" => changed[at] = typo(words[at], &mut random),
            "ocr" => {
                let pairs = [
                    ("I", "1"),
                    ("O", "0"),
                    ("l", "1"),
                    ("o", "0"),
                    ("m", "rn"),
                    ("S", "5"),
                    ("B", "8"),
                    ("cl", "d"),
                ];
                let Some((from, to)) = pairs.iter().find(|(from, _)| words[at].contains(from)) else {
                    continue;
                };
                changed[at] = words[at].replacen(from, to, 1);
            }
            "order" => {
                let turn = 1 + random.below(changed.len() - 1);
                changed.rotate_left(turn);
            }
            "initial" if words.len() >= 3 => {
                changed[at] = words[at][..words[at].ceil_char_boundary(1)].to_owned()
            }
            "dropped" if words.len() >= 4 => {
                changed.remove(at);
            }
            "joined" if at + 1 < changed.len() => {
                let next = changed.remove(at + 1);
                changed[at].push_str(&next.to_lowercase());
            }
            "split" => {
                let middle = words[at].ceil_char_boundary(words[at].len() / 2);
                changed[at].insert(middle, ' ');
            }
            "respelled" => {
                let lower = words[at].to_lowercase();
                let pairs = [
                    ("ou", "u"),
                    ("oo", "u"),
                    ("kh", "h"),
                    ("q", "k"),
                    ("ph", "f"),
                    ("y", "i"),
                    ("ee", "i"),
                    ("c", "k"),
                    ("w", "v"),
                    ("dh", "d"),
                    ("z", "s"),
                    ("e", "i"),
                    ("o", "u"),
                ];
                let Some((from, to)) =
                    pairs.iter().find(|(from, _)| lower[1.min(lower.len())..].contains(from))
                else {
                    continue;
                };
                changed[at] = format!("{}{}", &lower[..1], lower[1..].replacen(from, to, 1));
            }
            _ => continue,
        }
        cases.push(Case { class: (*class).to_owned(), query: changed.join(" "), entity, found: true });
    }
    for _ in 0..3000 {
        let ((entity, one), (_, other)) =
            (persons[random.below(persons.len())], persons[random.below(persons.len())]);
        let (Some((surname, _)), Some((_, given))) = (one.split_once(", "), other.split_once(", ")) else {
            continue;
        };
        cases.push(Case {
            class: "other given name".into(),
            query: format!("{given} {surname}"),
            entity,
            found: false,
        });
    }
    cases
}

fn typo(word: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = 1 + random.below(letters.len() - 2);
    let letter = char::from(b'a' + random.below(26) as u8);
    match random.below(4) {
        0 => letters.swap(at, at + 1),
        1 => letters[at] = letter,
        2 => letters.insert(at, letter),
        _ => {
            letters.remove(at);
        }
    }
    letters.into_iter().collect()
}

const SURNAMES: &[(&str, &str, &str)] = &[
    ("王", "wang", "wong"),
    ("张", "zhang", "cheung"),
    ("陈", "chen", "chan"),
    ("赵", "zhao", "chiu"),
    ("吴", "wu", "ng"),
    ("郭", "guo", "kwok"),
    ("谢", "xie", "tse"),
    ("叶", "ye", "yip"),
    ("许", "xu", "hui"),
    ("邱", "qiu", "yau"),
    ("单", "shan", "sin"),
    ("曾", "zeng", "tsang"),
    ("欧阳", "ouyang", "auyeung"),
    ("司徒", "situ", "szeto"),
    ("解", "xie", "hai"),
    ("任", "ren", "yam"),
    ("蔡", "cai", "choi"),
    ("冯", "feng", "fung"),
    ("詹", "zhan", "chim"),
    ("石", "shi", "shek"),
];
const GIVEN: &[(&str, &str, &str, &str)] = &[
    ("嘉", "jia", "ka", "jiā"),
    ("伟", "wei", "wai", "wěi"),
    ("明", "ming", "ming", "míng"),
    ("文", "wen", "man", "wén"),
    ("志", "zhi", "chi", "zhì"),
    ("强", "qiang", "keung", "qiáng"),
    ("国", "guo", "kwok", "guó"),
    ("荣", "rong", "wing", "róng"),
    ("建", "jian", "kin", "jiàn"),
    ("华", "hua", "wah", "huá"),
    ("德", "de", "tak", "dé"),
    ("永", "yong", "wing", "yǒng"),
    ("秀", "xiu", "sau", "xiù"),
    ("英", "ying", "ying", "yīng"),
    ("绿", "lv", "luk", "lǜ"),
    ("思", "si", "sze", "sī"),
    ("春", "chun", "chun", "chūn"),
    ("辉", "hui", "fai", "huī"),
    ("学", "xue", "hok", "xué"),
    ("雪", "xue", "suet", "xuě"),
];

/// Chinese names of tables of its own, and the ways in which they are written.
pub(crate) fn han(seed: u64) -> (ListData, Vec<Case>) {
    let mut random = Random::new(seed);
    let (mut names, mut cases) = (Vec::new(), Vec::new());
    for entity in 0..400u32 {
        let surname = SURNAMES[random.below(SURNAMES.len())];
        let (a, b) = (GIVEN[random.below(GIVEN.len())], GIVEN[random.below(GIVEN.len())]);
        names.push(vec![format!("{}{}{}", surname.0, a.0, b.0)]);
        let capital = |text: &str| {
            let mut chars = text.chars();
            chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect::<String>())
        };
        let family = capital(surname.1);
        let other = GIVEN.iter().find(|g| g.1 != b.1 && g.1 != a.1).map_or("", |g| g.1);
        let homophone = if b.0 == "学" { "雪" } else { "学" };
        let mut add = |class: &str, query: String, found: bool| {
            cases.push(Case { class: class.into(), query, entity, found });
        };
        add("tone marks", format!("{family} {}{}", capital(a.3), b.3), true);
        add("tone digits", format!("{}2 {}1{}4", surname.1, a.1, b.1), true);
        add("cantonese", format!("{} {} {}", capital(surname.2), capital(a.2), b.2), true);
        add("given first", format!("{} {} {}", capital(a.1), capital(b.1), family.to_uppercase()), true);
        add("with mister", format!("Mr. {family} {}{}", capital(a.1), b.1), true);
        add("spaced", format!("{} {} {}", surname.0, a.0, b.0), true);
        add("brackets", format!("{}{}{} ({family} {}{})", surname.0, a.0, b.0, capital(a.1), b.1), true);
        add("other syllable", format!("{family} {}{other}", capital(a.1)), false);
        add("syllable more", format!("{family} {}{}{other}", capital(a.1), b.1), false);
        if b.1 == "xue" {
            add("homophone", format!("{}{}{homophone}", surname.0, a.0), false);
        }
    }
    (list_of(names), cases)
}
