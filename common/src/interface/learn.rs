//! Learning interface names from calls: a trie of what was seen, collapsed where a position holds values.
//!
//! Typed values (numbers, UUIDs, dates, ...) collapse as they arrive. Words are kept until [`Learner::finish`], which
//! decides per position whether they are a closed vocabulary (routes) or open-ended (user names, slugs). Open-ended
//! means that the next call would probably bring a new word: the Good-Turing estimate of the unseen mass, the share
//! of words seen once, passes a bound; or that there are many words of which none stands out. Deciding on final
//! counts makes the result independent of the order of calls and of how the data was split ([`Learner::merge`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::lookup::{MAX_DEPTH, host_of, method_of};
use super::segment::{MAX_PARAMETERS, split_extension};
use super::{Kind, NEW_NAME, Naming, Segment, split};
use crate::call::Call;

/// Fewest observations of a position, and fewest words there, before it can be judged open-ended.
const MIN_SEEN: u64 = 50;
const MIN_WORDS: usize = 12;
/// Unseen mass from which a position is open-ended.
const MAX_UNSEEN: f64 = 0.02;
/// More words than this are open-ended when none has over [`FLAT`] times its even share.
const MANY_WORDS: usize = 64;
const FLAT: f64 = 8.0;
/// More words than this are open-ended in any case; it also bounds memory.
const MAX_WORDS: usize = 1024;
/// Longest word that is kept, in bytes; only protected ones come near it.
const MAX_WORD: usize = 256;
/// In an open-ended position a word with at least this share of the calls keeps its literal.
const KEEP_SHARE: f64 = 1.0 / 64.0;
/// Parameter sets told apart per page; a page with more is named without parameters.
const MAX_VARIANTS: usize = 16;
/// Most nodes of the trie; beyond it words join `{*}` at once.
const MAX_NODES: usize = 200_000;

/// Collects calls and finds their interface names.
#[derive(Clone, Debug, Default)]
pub struct Learner {
    naming: Naming,
    explicit: Vec<String>,
    tokens: BTreeMap<Box<str>, u64>,
    root: Node,
    nodes: usize,
    scratch: String,
}

/// Method and host.
type Method = (Box<str>, Box<str>);
/// Sets of parameter names, each with how often it was seen.
type Variants = BTreeMap<Box<str>, u64>;

#[derive(Clone, Debug, Default)]
struct Node {
    seen: u64,
    words: BTreeMap<Box<str>, Node>,
    values: BTreeMap<(Kind, Box<str>), Node>,
    ends: BTreeMap<Method, Variants>,
}

impl Learner {
    /// A learner that names by `naming`. `explicit` templates (`GET /users/{id}`) win over learned ones.
    pub fn new(naming: Naming, explicit: Vec<String>) -> Self {
        Self { naming, explicit, ..Self::default() }
    }

    /// Takes one call in.
    pub fn observe(&mut self, call: &Call<'_>) {
        if call.method.is_empty() {
            return self.observe_token(call.target);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let target = split(call.target, &mut scratch);
        let mut node = &mut self.root;
        node.seen += 1;
        for (depth, text) in target.segments().enumerate() {
            if depth == MAX_DEPTH {
                node = node.value(Kind::Rest, "", &mut self.nodes);
                break;
            }
            node = match self.naming.segment(text) {
                Segment::Value(kind, extension) => node.value(kind, extension, &mut self.nodes),
                Segment::Literal(word) if node.words.contains_key(word) => {
                    node.words.entry(word.into()).or_default()
                }
                Segment::Literal(word)
                    if self.nodes < MAX_NODES
                        && word.len() <= MAX_WORD
                        && (node.words.len() < 2 * MAX_WORDS || self.naming.is_protected(word)) =>
                {
                    self.nodes += 1;
                    node.words.entry(word.into()).or_default()
                }
                Segment::Literal(word) => node.value(Kind::Any, split_extension(word).1, &mut self.nodes),
            };
            node.seen += 1;
        }
        let host = if self.naming.host { host_of(call, &target) } else { "" };
        let variants = node.ends.entry((method_of(call).into(), host.into())).or_default();
        let mut names = [""; MAX_PARAMETERS];
        let names = target.parameters(&mut names).join("&");
        if variants.len() <= MAX_VARIANTS || variants.contains_key(names.as_str()) {
            *variants.entry(names.into()).or_default() += 1;
        }
        self.scratch = scratch;
    }

    /// Takes in one interface that the source named itself.
    pub fn observe_token(&mut self, name: &str) {
        if let Some(count) = self.tokens.get_mut(name) {
            *count += 1;
        } else if self.tokens.len() < super::Interfaces::MAX - 1 {
            self.tokens.insert(name.into(), 1);
        }
    }

    /// Adds what another learner saw.
    pub fn merge(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.root.merge(other.root);
        for (name, count) in other.tokens {
            *self.tokens.entry(name).or_default() += count;
        }
    }

    /// The names of all interfaces, `~new` first, explicit ones next, then sorted.
    pub fn finish(mut self) -> Vec<String> {
        self.root.collapse(&self.naming);
        let mut learned = Vec::new();
        self.root.names(&mut String::new(), &mut learned);
        learned.extend(self.tokens.into_keys().map(String::from));
        learned.sort_unstable();
        let mut names = vec![NEW_NAME.to_owned()];
        let mut known = std::collections::BTreeSet::from([NEW_NAME.to_owned()]);
        for name in self.explicit.into_iter().chain(learned) {
            if names.len() < super::Interfaces::MAX && known.insert(name.clone()) {
                names.push(name);
            }
        }
        names
    }
}

impl Node {
    fn value(&mut self, kind: Kind, extension: &str, nodes: &mut usize) -> &mut Self {
        self.values.entry((kind, extension.into())).or_insert_with(|| {
            *nodes += 1;
            Self::default()
        })
    }

    fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        for (word, node) in other.words {
            self.words.entry(word).or_default().merge(node);
        }
        for (value, node) in other.values {
            self.values.entry(value).or_default().merge(node);
        }
        for (end, variants) in other.ends {
            let mine = self.ends.entry(end).or_default();
            for (names, count) in variants {
                *mine.entry(names).or_default() += count;
            }
        }
    }

    /// Replaces the words of open-ended positions by `{*}`, from here down.
    fn collapse(&mut self, naming: &Naming) {
        if let Some(least) = self.open_ended(naming) {
            let words = std::mem::take(&mut self.words);
            for (word, node) in words {
                if node.seen >= least || naming.is_protected(&word) {
                    self.words.insert(word, node);
                } else {
                    let extension = split_extension(&word).1;
                    self.values.entry((Kind::Any, extension.into())).or_default().merge(node);
                }
            }
        }
        self.words.values_mut().chain(self.values.values_mut()).for_each(|node| node.collapse(naming));
    }

    /// Whether the words here are values; then how often a word must have been seen to stay a word.
    fn open_ended(&self, naming: &Naming) -> Option<u64> {
        let words =
            || self.words.iter().filter(|(word, _)| !naming.is_protected(word)).map(|(_, node)| node.seen);
        let count = words().count();
        let seen: u64 = words().sum();
        if count < MIN_WORDS || seen < MIN_SEEN {
            return None;
        }
        let once = words().filter(|&seen| seen == 1).count();
        let unseen = once as f64 / seen as f64;
        let most = words().max().unwrap_or(0) as f64;
        let flat = most <= FLAT * seen as f64 / count as f64;
        let open = unseen >= MAX_UNSEEN || (count > MANY_WORDS && flat) || count > MAX_WORDS;
        open.then(|| ((seen as f64 * KEEP_SHARE) as u64).max(2))
    }

    fn names(&self, path: &mut String, out: &mut Vec<String>) {
        let here = if path.is_empty() { "/" } else { path.as_str() };
        for ((method, host), variants) in &self.ends {
            out.push(format!("{method} {host}{here}"));
            if variants.len() <= MAX_VARIANTS {
                let named = variants.keys().filter(|names| !names.is_empty());
                out.extend(named.map(|names| format!("{method} {host}{here}?{}", escape_query(names))));
            }
        }
        let words = self.words.iter().map(|(word, node)| (Segment::Literal(word), node));
        let values = self.values.iter().map(|((kind, ext), node)| (Segment::Value(*kind, ext), node));
        for (segment, node) in words.chain(values) {
            let len = path.len();
            // Writing to a String cannot fail.
            let _ = write!(path, "/{segment}");
            node.names(path, out);
            path.truncate(len);
        }
    }
}

/// Parameter names come from the network: keep what would not break a line or a name.
fn escape_query(names: &str) -> String {
    names.chars().map(|c| if c.is_control() || c == ' ' { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{Interfaces, NEW};

    fn get(target: &str) -> Call<'_> {
        Call { method: "GET", target, ..Call::default() }
    }

    fn learn(targets: &[String]) -> Interfaces {
        let mut learner = Learner::new(Naming::default(), vec![]);
        targets.iter().for_each(|target| learner.observe(&get(target)));
        Interfaces::new(&learner.finish(), Naming::default()).expect("names")
    }

    fn name(interfaces: &Interfaces, target: &str) -> String {
        interfaces.name(interfaces.name_call(&get(target), &mut String::new()).id).to_owned()
    }

    #[test]
    fn ids_collapse_and_routes_stay() {
        let mut targets: Vec<String> = (0..100).map(|i| format!("/api/items/{i}")).collect();
        targets.extend(["/api/cart", "/api/login"].map(String::from));
        let interfaces = learn(&targets);
        assert_eq!(name(&interfaces, "/api/items/100000"), "GET /api/items/{int}");
        assert_eq!(name(&interfaces, "/api/cart"), "GET /api/cart");
        assert_eq!(name(&interfaces, "/api/card"), "~new");
        let value = |target| interfaces.name_call(&get(target), &mut String::new()).value;
        assert_ne!(value("/api/items/1"), value("/api/items/2"));
        assert_eq!(value("/api/cart"), 0);
    }

    #[test]
    fn open_ended_words_collapse_but_frequent_and_protected_ones_do_not() {
        let mut targets: Vec<String> = (0..60u8)
            .map(|i| format!("/users/user{}{}", char::from(97 + i % 26), char::from(97 + i / 26)))
            .collect();
        targets.extend((0..40).map(|_| "/users/me".to_owned()));
        targets.push("/users/admin".to_owned());
        let interfaces = learn(&targets);
        assert_eq!(name(&interfaces, "/users/somebody"), "GET /users/{*}");
        assert_eq!(name(&interfaces, "/users/me"), "GET /users/me");
        assert_eq!(name(&interfaces, "/users/admin"), "GET /users/admin");
        assert_eq!(name(&interfaces, "/users/export-all"), "~new");
        assert_eq!(name(&interfaces, "/users/%2e%2e"), "~new");
    }

    #[test]
    fn splitting_the_data_changes_nothing() {
        let targets: Vec<String> = (0..300u32)
            .map(|i| format!("/blog/post-{}/x?p{}=1", char::from(b'a' + (i % 25) as u8), i % 3))
            .collect();
        let whole = {
            let mut learner = Learner::new(Naming::default(), vec![]);
            targets.iter().for_each(|target| learner.observe(&get(target)));
            learner.finish()
        };
        let mut parts = [Learner::default(), Learner::default()];
        for (i, target) in targets.iter().enumerate() {
            parts[i % 2].observe(&get(target));
        }
        let [left, mut right] = parts;
        right.merge(left);
        assert_eq!(right.finish().len(), whole.len());
    }

    #[test]
    fn what_was_learned_from_is_known_whatever_it_is() {
        let deep = "/a".repeat(MAX_DEPTH + 3);
        for target in [deep.as_str(), "/.@.", "/admin12345", "/\u{85}/x%20y", "/%7Bint%7D", "/?a?=&b"] {
            assert_ne!(name(&learn(&[target.to_owned()]), target), NEW_NAME, "{target}");
        }
    }

    #[test]
    fn a_stray_parameter_falls_back_to_the_page() {
        let interfaces = learn(&["/search?q=1&page=2".to_owned(), "/search?q=1".to_owned()]);
        assert_eq!(name(&interfaces, "/search?page=9&q=x"), "GET /search?page&q");
        assert_eq!(name(&interfaces, "/search?q=x&utm=1"), "GET /search");
    }

    #[test]
    fn explicit_templates_and_tokens_are_known() {
        let names = [NEW_NAME, "GET /files/{**}", "GET /pets/{petId}", "E5"].map(String::from);
        let interfaces = Interfaces::new(&names, Naming::default()).expect("names");
        assert_eq!(interfaces.name_call(&get("/files/a/b/c"), &mut String::new()).id, 1);
        assert_eq!(interfaces.name_call(&get("/pets/rex"), &mut String::new()).id, 2);
        assert_eq!(interfaces.by_name("E5"), 3);
        assert_eq!(interfaces.by_name("E6"), NEW);
        // A template of one method does not hide what another method has there.
        let names = [NEW_NAME, "GET /pets/rex", "POST /pets/{*}", "PUT /pets/rex/{*}", "PUT /pets/{**}"];
        let interfaces = Interfaces::new(&names.map(String::from), Naming::default()).expect("names");
        let id = |method, target| {
            let call = Call { method, target, ..Call::default() };
            interfaces.name_call(&call, &mut String::new()).id
        };
        assert_eq!([id("GET", "/pets/rex"), id("GET", "/pets/max")], [1, NEW]);
        assert_eq!(
            [id("POST", "/pets/rex"), id("PUT", "/pets/rex/age"), id("PUT", "/pets/rex/a/b")],
            [2, 3, 4]
        );
    }
}
