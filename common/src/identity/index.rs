//! From the words of a query to the listed names that may be meant.
//!
//! An inverted index from words to names. A word of the query finds words of the list that are the same, are at most two
//! letters away (deletion keys, after Garbe's SymSpell), have the same consonants, are another form of the same given
//! name, or begin the same where the query may be cut short; runs of words find, and are found, written as one. Names in
//! Han are found by their characters, and by every spelling of their readings.

use rustc_hash::FxHashMap;

use super::ListData;
use super::align::Known;
use super::han::{HanName, System};
use super::name::{Parsed, Role, Segment, Word, parse};
use super::similar::{How, Spelt, loose, similar, skeleton};
use super::tables;
use super::translit::Origin;

/// Most names that are compared in full for one query.
const MOST: usize = 200;
/// Most words of the list that one word of a query stands for.
const MOST_WORDS: usize = 400;
/// Most spellings of a Han name of each kind that are indexed.
const MOST_SPELLINGS: usize = 12;

/// One listed name, taken apart.
#[derive(Debug)]
pub(super) struct Entry {
    pub entity: u32,
    /// Its place among the entity's names.
    pub nth: u16,
    pub parsed: Parsed,
    /// What each word tells.
    pub weights: Vec<f64>,
    /// The sum of the weights.
    total: f32,
}

/// From keys to values, in one sorted array each. A directory says where the keys of each range begin, so that a look-up
/// touches a few neighbours.
#[derive(Debug, Default)]
struct Postings {
    directory: Vec<u32>,
    shift: u32,
    keys: Vec<u32>,
    values: Vec<u32>,
}

impl Postings {
    fn new(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let most = pairs.last().map_or(0, |pair| pair.0);
        let mut shift = 0;
        while (most >> shift) as usize > pairs.len() {
            shift += 1;
        }
        let mut directory = vec![0u32; (most >> shift) as usize + 2];
        for (key, _) in &pairs {
            directory[(key >> shift) as usize + 1] += 1;
        }
        for at in 1..directory.len() {
            directory[at] += directory[at - 1];
        }
        let (keys, values) = pairs.into_iter().unzip();
        Self { directory, shift, keys, values }
    }

    fn get(&self, key: u32) -> &[u32] {
        let at = (key >> self.shift) as usize;
        let (Some(&from), Some(&to)) = (self.directory.get(at), self.directory.get(at + 1)) else {
            return &[];
        };
        let (from, to) = (from as usize, to as usize);
        let keys = &self.keys[from..to];
        let first = keys.partition_point(|&k| k < key);
        let last = first + keys[first..].partition_point(|&k| k == key);
        &self.values[from + first..from + last]
    }
}

/// The index of all names of a list.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub entries: Vec<Entry>,
    /// Every word, sorted; the place is its id.
    vocabulary: Vec<Box<str>>,
    /// How each word sounds.
    sounds: Vec<Box<[u8]>>,
    /// From a word to its place.
    ids: FxHashMap<Box<str>, u32>,
    /// From words to the names that have them.
    names: Postings,
    /// From words to the Han names that may be spelled so: name and what the word tells of it, in quarters.
    spelled: Postings,
    /// From keys with letters left out to words.
    deletions: Postings,
    /// From consonants to words.
    consonants: Postings,
    /// From several words written as one to names.
    joined: Postings,
    /// From Han characters to names.
    characters: Postings,
}

/// A spelling of a Han name, or of a part of it, and how much of the name it is, in quarters.
type Spelling = (String, u32);

impl Index {
    /// Indexes every name of a checked list.
    pub(super) fn new(data: &ListData) -> Self {
        let mut entries = Vec::new();
        for (entity, listed) in data.entities.iter().enumerate() {
            for (nth, name) in listed.names.iter().enumerate() {
                for parsed in parse(&name.text).0 {
                    entries.push(Entry {
                        entity: entity as u32,
                        nth: nth as u16,
                        parsed,
                        weights: Vec::new(),
                        total: 0.0,
                    });
                }
            }
        }
        let mut index = Self { entries, ..Self::default() };
        index.read_words();
        index.weigh();
        index
    }

    fn read_words(&mut self) {
        let spellings: Vec<Vec<Spelling>> = self.entries.iter().map(|entry| of_han(&entry.parsed)).collect();
        let mut all: Vec<&str> = Vec::new();
        for entry in &self.entries {
            all.extend(entry.parsed.words.iter().flat_map(spellings_of));
        }
        let plain: rustc_hash::FxHashSet<&str> = all.iter().copied().collect();
        all.extend(spellings.iter().flatten().map(|(text, _)| text.as_str()));
        all.sort_unstable();
        all.dedup();
        let (mut deletions, mut consonants) = (Vec::new(), Vec::new());
        for (id, text) in all.iter().enumerate() {
            let far = if plain.contains(text) { reach(text) } else { 1 };
            deletions.extend(deletion_keys(text, far).into_iter().map(|key| (key, id as u32)));
            let bones = skeleton(text);
            if plain.contains(text) && !bones.is_empty() {
                consonants.push((hash(&bones), id as u32));
            }
        }
        self.vocabulary = all.iter().map(|&text| text.into()).collect();
        self.sounds = all.iter().map(|text| loose(text).into()).collect();
        self.ids = self.vocabulary.iter().enumerate().map(|(id, text)| (text.clone(), id as u32)).collect();
        let (mut names, mut spelled, mut joined, mut characters) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, (entry, spellings)) in self.entries.iter_mut().zip(&spellings).enumerate() {
            let at = at as u32;
            for word in &mut entry.parsed.words {
                word.id = self.ids[word.text.as_str()];
                names.extend(spellings_of(word).map(|text| (self.ids[text], at)));
            }
            spelled
                .extend(spellings.iter().map(|(text, weight)| (self.ids[text.as_str()], at << 3 | weight)));
            for run in 2..=3 {
                for words in entry.parsed.words.windows(run) {
                    let text: String = words.iter().map(|word| word.text.as_str()).collect();
                    joined.push((hash(text.as_bytes()), at));
                }
            }
            for segment in &entry.parsed.segments {
                if let Segment::Han(chars) = segment {
                    characters.extend(chars.iter().map(|&c| (c as u32, at)));
                }
            }
        }
        self.names = Postings::new(names);
        self.spelled = Postings::new(spelled);
        self.deletions = Postings::new(deletions);
        self.consonants = Postings::new(consonants);
        self.joined = Postings::new(joined);
        self.characters = Postings::new(characters);
    }

    fn weigh(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        for entry in &mut entries {
            entry.weights = self.weights(&entry.parsed.words, entries_len(&self.names));
            entry.total = entry.weights.iter().sum::<f64>() as f32;
        }
        self.entries = entries;
    }

    /// How much each word tells: the rarer it is in the list, the more; an unknown one as much as the rarest.
    pub(super) fn weights_of(&self, words: &[Word]) -> Vec<f64> {
        self.weights(words, entries_len(&self.names))
    }

    fn weights(&self, words: &[Word], size: f64) -> Vec<f64> {
        let weight = |word: &Word| match word.role {
            Role::Particle | Role::Legal => 0.1,
            Role::Title => 0.05,
            Role::Core => {
                let id = if word.id == u32::MAX {
                    self.ids.get(word.text.as_str()).copied()
                } else {
                    Some(word.id)
                };
                let found = id.map_or(0, |id| self.names.get(id).len()).max(1);
                let rarity = 1.0 - (found as f64).ln() / size.ln();
                let length = if word.text.len() == 1 { 0.4 } else { 1.0 };
                length * (0.45 + 0.55 * rarity.clamp(0.0, 1.0))
            }
        };
        words.iter().map(weight).collect()
    }

    /// The places of the names that may be meant, likeliest first.
    pub(super) fn candidates(&self, query: &Parsed, known: &mut Known) -> Vec<u32> {
        let mut found = Found {
            scores: vec![0.0; self.entries.len()],
            last: vec![0; self.entries.len()],
            touched: Vec::new(),
            round: 0,
        };
        let weights = self.weights_of(&query.words);
        let told: f32 = query
            .words
            .iter()
            .zip(&weights)
            .filter(|(word, _)| word.role == Role::Core && word.text.len() > 1)
            .map(|(_, weight)| *weight as f32)
            .sum();
        for (at, word) in query.words.iter().enumerate() {
            if word.text.len() > 1 && (word.role == Role::Core || query.words.len() == 1) {
                self.by_word(query, at, word, weights[at] as f32, known, &mut found);
            }
        }
        for run in 2..=3 {
            for (at, parts) in query.words.windows(run).enumerate() {
                let text: String = parts.iter().map(|word| word.text.as_str()).collect();
                let weight: f64 = weights[at..at + run].iter().sum();
                self.by_run(&text, weight as f32, &mut found);
            }
        }
        let mut ranked: Vec<(f32, u32)> = Vec::new();
        for &at in &found.touched {
            let matched = found.scores[at as usize];
            let missing = (self.entries[at as usize].total - matched).max(0.0);
            let rank = matched / (told.max(matched) + 0.35 * missing);
            if rank >= 0.45 {
                ranked.push((rank, at));
            }
        }
        let mut all = best(ranked);
        all.extend(self.in_han(query));
        if let Some(han) = &query.han {
            all.extend(self.read_from(han));
        }
        let mut seen = rustc_hash::FxHashSet::default();
        all.retain(|at| seen.insert(*at));
        all
    }

    /// A word of the vocabulary, as it is compared.
    fn spelt(&self, id: u32) -> Spelt<'_> {
        let at = id as usize;
        Spelt { text: &self.vocabulary[at], loose: &self.sounds[at], origin: Origin::Letters }
    }

    /// Adds the names that have a word like this one.
    fn by_word(
        &self,
        query: &Parsed,
        at: usize,
        word: &Word,
        weight: f32,
        known: &mut Known,
        found: &mut Found,
    ) {
        let cut = word.dotted || at + 1 == query.words.len();
        let mut alike: Vec<(u32, f32)> = Vec::new();
        let mut near: Vec<u32> = Vec::new();
        for text in spellings_of(word).take(6) {
            near.extend(self.ids.get(text));
            near.extend(tables::forms_of_given_name(text).filter_map(|form| self.ids.get(form)));
            for key in deletion_keys(text, reach(text)) {
                near.extend(self.deletions.get(key).iter().take(MOST_WORDS));
            }
            if word.origin == Origin::Consonants || text.len() > 2 {
                let bones = skeleton(text);
                if bones.len() > 1 || word.origin == Origin::Consonants {
                    near.extend(self.consonants.get(hash(&bones)).iter().take(MOST_WORDS));
                }
            }
            if cut && text.len() > 2 {
                let from = self.vocabulary.partition_point(|word| word.as_ref() < text);
                let begins =
                    self.vocabulary[from..].iter().take(MOST_WORDS).take_while(|word| word.starts_with(text));
                near.extend((from..from + begins.count()).map(|id| id as u32));
            }
        }
        near.sort_unstable();
        near.dedup();
        for id in near {
            let score = match known.get(&(at as u16, id)) {
                Some((score, _)) => *score,
                None => {
                    let other = self.spelt(id);
                    let (mut score, how) = similar(word.spelt(), other, cut);
                    // Other spellings of the listed word are not known here: only what is sure is remembered.
                    if how == How::Same {
                        known.insert((at as u16, id), (score, how));
                    }
                    for also in &word.also {
                        let sound = loose(also);
                        let one = Spelt { text: also, loose: &sound, origin: word.origin };
                        score = score.max(similar(one, other, cut).0);
                    }
                    score
                }
            };
            if score > 0.0 {
                alike.push((id, score as f32));
            }
        }
        alike.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        alike.truncate(MOST_WORDS);
        found.round += 1;
        for &(id, score) in &alike {
            for &name in self.names.get(id) {
                found.add(name, weight * score);
            }
            for &name in self.spelled.get(id) {
                found.add(name >> 3, (name & 7) as f32 / 4.0 * score);
            }
        }
        for &name in self.joined.get(hash(word.text.as_bytes())) {
            found.add(name, weight);
        }
    }

    /// Adds the names that have several words of the query as one, or apart likewise.
    fn by_run(&self, text: &str, weight: f32, found: &mut Found) {
        if text.len() > 64 {
            return;
        }
        found.round += 1;
        let mut near: Vec<u32> = self.ids.get(text).copied().into_iter().collect();
        for key in deletion_keys(text, 1) {
            near.extend(self.deletions.get(key).iter().take(MOST_WORDS));
        }
        near.sort_unstable();
        near.dedup();
        let sound = loose(text);
        let run = Spelt { text, loose: &sound, origin: Origin::Letters };
        for id in near {
            let score = similar(run, self.spelt(id), false).0;
            if score >= 0.8 {
                for &name in self.names.get(id) {
                    found.top(name, weight);
                }
                for &name in self.spelled.get(id) {
                    found.top(name >> 3, (name & 7) as f32 / 4.0);
                }
            }
        }
    }

    /// The names that share the query's characters.
    fn in_han(&self, query: &Parsed) -> Vec<u32> {
        let mut chars: Vec<char> = query.characters().chars().collect();
        chars.sort_unstable();
        chars.dedup();
        let mut counts: FxHashMap<u32, f32> = FxHashMap::default();
        for &c in &chars {
            let names = self.characters.get(c as u32);
            // A rare character tells more; one that half of the list has is passed over in the end.
            let weight = 1.0 + 1.0 / (1.0 + names.len() as f32);
            for &name in names {
                *counts.entry(name).or_default() += weight;
            }
        }
        let need = if query.words.is_empty() { (chars.len() as f32 / 2.0).max(1.0) } else { 1.0 };
        best(
            counts
                .into_iter()
                .filter(|(_, count)| *count >= need)
                .map(|(name, count)| (count, name))
                .collect(),
        )
    }

    /// The names in Latin letters that a Han name may be spelled as.
    fn read_from(&self, han: &HanName) -> Vec<u32> {
        let mut scores: FxHashMap<u32, f32> = FxHashMap::default();
        let mut last: FxHashMap<u32, u32> = FxHashMap::default();
        for (text, weight) in spellings_of_han(han) {
            let mut add = |name: u32| {
                // Each kind of part counts once for a name, however many of its spellings the name has.
                let kinds = last.entry(name).or_default();
                if weight != 1 && *kinds & (1 << weight) != 0 {
                    return;
                }
                *kinds |= 1 << weight;
                *scores.entry(name).or_default() += weight as f32 / 4.0;
            };
            if let Some(&id) = self.ids.get(text.as_str()) {
                self.names.get(id).iter().for_each(|&name| add(name));
            }
            self.joined.get(hash(text.as_bytes())).iter().for_each(|&name| add(name));
        }
        best(
            scores
                .into_iter()
                .filter(|(_, score)| *score >= 0.75)
                .map(|(name, score)| (score, name))
                .collect(),
        )
    }
}

/// Names found so far, and how much of the query each has.
struct Found {
    scores: Vec<f32>,
    /// The round in which a name was last added to, so that a word counts once.
    last: Vec<u32>,
    touched: Vec<u32>,
    round: u32,
}

impl Found {
    fn add(&mut self, name: u32, score: f32) {
        let at = name as usize;
        if self.last[at] != self.round {
            if self.last[at] == 0 {
                self.touched.push(name);
            }
            self.last[at] = self.round;
            self.scores[at] += score;
        }
    }

    /// Counts a run of words whose parts may have been counted before.
    fn top(&mut self, name: u32, score: f32) {
        let at = name as usize;
        if self.last[at] == 0 {
            self.touched.push(name);
        }
        if self.last[at] != self.round {
            self.last[at] = self.round;
            self.scores[at] += score;
        }
    }
}

/// The best of the ranked names, in an order that does not depend on how they were found.
fn best(mut ranked: Vec<(f32, u32)>) -> Vec<u32> {
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if ranked.len() > MOST {
        ranked.select_nth_unstable_by(MOST, order);
        ranked.truncate(MOST);
    }
    ranked.sort_unstable_by(order);
    ranked.into_iter().map(|(_, name)| name).collect()
}

fn entries_len(names: &Postings) -> f64 {
    (names.values.len() as f64 / 3.0).max(1000.0)
}

fn spellings_of(word: &Word) -> impl Iterator<Item = &str> {
    std::iter::once(word.text.as_str()).chain(word.also.iter().map(String::as_str))
}

/// The spellings by which a listed name in Han is found.
fn of_han(parsed: &Parsed) -> Vec<Spelling> {
    let mut all = parsed.han.as_ref().map_or_else(Vec::new, |han| spellings_of_han(han));
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    all.dedup_by(|later, before| later.0 == before.0);
    all
}

/// The surname (1 quarter), the syllables of the given name (2), the given name (4) and the whole (6), in every system.
fn spellings_of_han(han: &HanName) -> Vec<Spelling> {
    let mut all: Vec<Spelling> = Vec::new();
    if !han.person {
        all.extend(han.readings(2).iter().map(|reading| (reading.concat(), 6)));
        return all;
    }
    for (surname, given) in han.japanese() {
        all.extend([(surname.to_owned(), 1), (given.to_owned(), 4), (format!("{surname}{given}"), 6)]);
    }
    let Some((surname, given)) = han.units.split_first() else { return all };
    all.extend(surname.spellings.iter().map(|(text, _)| (text.clone(), 1)));
    for unit in given {
        all.extend(
            unit.spellings
                .iter()
                .filter(|(_, system)| *system <= System::Cantonese)
                .map(|(text, _)| (text.clone(), 2)),
        );
    }
    for system in [System::Pinyin, System::WadeGiles, System::Cantonese, System::Korean] {
        let mut given_names = vec![String::new()];
        for unit in given {
            let of_unit: Vec<&str> = unit
                .spellings
                .iter()
                .filter(|(_, of)| *of == system)
                .map(|(text, _)| text.as_str())
                .collect();
            let mut next = Vec::new();
            for before in &given_names {
                next.extend(of_unit.iter().map(|text| format!("{before}{text}")));
            }
            next.truncate(MOST_SPELLINGS);
            given_names = next;
        }
        for given in given_names.into_iter().filter(|given| !given.is_empty()) {
            if system == System::Pinyin {
                for (surname, _) in surname.spellings.iter().filter(|(_, of)| *of == System::Pinyin).take(3) {
                    all.push((format!("{surname}{given}"), 6));
                    all.push((format!("{given}{surname}"), 6));
                }
            }
            all.push((given, 4));
        }
    }
    all
}

/// How many letters may be left out of a word to find those near it.
fn reach(word: &str) -> usize {
    match word.len() {
        0..=2 => 0,
        3..=4 => 1,
        5..=11 => 2,
        _ => 1,
    }
}

/// The hashes of a word and of what is left of it without up to `most` letters.
fn deletion_keys(word: &str, most: usize) -> Vec<u32> {
    let bytes = &word.as_bytes()[..word.len().min(20)];
    let mut keys = vec![hash(bytes)];
    if most == 0 {
        return keys;
    }
    let mut less: Vec<u8> = Vec::with_capacity(bytes.len());
    for i in 0..bytes.len() {
        less.clear();
        less.extend(&bytes[..i]);
        less.extend(&bytes[i + 1..]);
        keys.push(hash(&less));
        if most > 1 {
            for j in i..less.len() {
                let mut state = START;
                for (at, &byte) in less.iter().enumerate() {
                    if at != j {
                        state = step(state, byte);
                    }
                }
                keys.push(finish(state));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

const START: u64 = 0xcbf2_9ce4_8422_2325;

fn step(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

fn finish(state: u64) -> u32 {
    (state ^ (state >> 32)) as u32
}

/// Fowler, Noll and Vo's hash (1a): the same on every machine and in every run.
fn hash(bytes: &[u8]) -> u32 {
    finish(bytes.iter().fold(START, |state, &byte| step(state, byte)))
}
