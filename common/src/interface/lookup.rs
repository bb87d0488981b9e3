//! Looking interfaces up: a trie of templates, walked without allocation.

use std::hash::{BuildHasher, Hash, Hasher};

use rustc_hash::{FxBuildHasher, FxHashMap, FxHasher};

use super::segment::{MAX_PARAMETERS, Target};
use super::{InterfaceId, Kind, NEW, NEW_NAME, Naming, Segment, split};
use crate::call::Call;

/// Longest path that is followed, in segments. What lies deeper is matched by `{**}` alone.
pub(super) const MAX_DEPTH: usize = 16;

/// Nodes of the trie that one look-up tries at most.
const MAX_TRIED: u32 = 64;

/// Longest method that is told from others, in bytes.
const MAX_METHOD: usize = 32;

/// A list of interface names that cannot be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadInterface {
    /// The list does not begin with the name of unknown interfaces.
    #[error("the first interface must be `{NEW_NAME}`")]
    NoNew,
    /// The list names one interface twice.
    #[error("interface `{0}` is listed twice")]
    Twice(String),
    /// There are more names than a model may hold.
    #[error("{0} interfaces are more than a model may hold ({max})", max = Interfaces::MAX)]
    TooMany(usize),
}

/// What a call was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its interface, [`NEW`] when no template matches.
    pub id: InterfaceId,
    /// A hash of the values that stand where the template has a placeholder, 0 when it has none; of the whole call
    /// where no template matches.
    pub value: u64,
}

/// The interfaces of a model, ready for look-up.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    names: Vec<Box<str>>,
    /// Whole names, for sources that name interfaces themselves.
    by_name: FxHashMap<Box<str>, InterfaceId>,
    naming: Naming,
    /// Node 0 is the root; a child's key is its parent and a literal segment.
    nodes: Vec<Node>,
    literals: FxHashMap<u64, Vec<(u32, Box<str>, u32)>>,
    /// The key is a node and a hash of method, host and parameter names.
    ends: FxHashMap<(u32, u64), InterfaceId>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    values: Vec<(Kind, Box<str>, u32)>,
}

impl Interfaces {
    /// Most interfaces a model may hold.
    pub const MAX: usize = 1 << 20;

    /// Builds the look-up structure. `names[0]` must be [`NEW_NAME`]; a name's place is its id.
    ///
    /// # Errors
    /// When the list cannot be a list of interfaces.
    pub fn new(names: &[String], naming: Naming) -> Result<Self, BadInterface> {
        if names.first().map(String::as_str) != Some(NEW_NAME) {
            return Err(BadInterface::NoNew);
        }
        if names.len() > Self::MAX {
            return Err(BadInterface::TooMany(names.len()));
        }
        let mut interfaces = Self { naming, nodes: vec![Node::default()], ..Self::default() };
        for (id, name) in (0..).zip(names) {
            if interfaces.by_name.insert(name.as_str().into(), id).is_some() {
                return Err(BadInterface::Twice(name.clone()));
            }
            interfaces.names.push(name.as_str().into());
            if let Some((method, template)) = name.split_once(' ')
                && template.contains('/')
            {
                interfaces.insert(method, template, id);
            }
        }
        Ok(interfaces)
    }

    /// How many interfaces there are, [`NEW`] among them.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no interface at all (not even [`NEW`]).
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of an interface; [`NEW_NAME`] for an id that is none.
    pub fn name(&self, id: InterfaceId) -> &str {
        self.names.get(id as usize).map_or(NEW_NAME, |name| name)
    }

    /// The interface of a name that a source gives itself.
    pub fn by_name(&self, name: &str) -> InterfaceId {
        self.by_name.get(name).copied().unwrap_or(NEW)
    }

    /// Names a call. `scratch` is working space, kept by the caller to save allocations.
    pub fn name_call(&self, call: &Call<'_>, scratch: &mut String) -> Named {
        if call.method.is_empty() {
            return match self.by_name(call.target) {
                NEW => Named { id: NEW, value: hash(call.target) },
                id => Named { id, value: 0 },
            };
        }
        let target = split(call.target, scratch);
        let unknown = || Named { id: NEW, value: hash((call.method, target.path)) };
        let host = if self.naming.host { host_of(call, &target) } else { "" };
        let goal = Goal { end: EndKey::new(method_of(call), host), target };
        let found = self.find(0, target.segments(), 0, Values::default(), &goal, &mut { MAX_TRIED });
        found.unwrap_or_else(unknown)
    }

    /// The interface below `node` that matches the segments left. Of several the one whose first segments are most
    /// specific: the literal, then its kind, then `{*}` with its extension, then `{*}`, then `{**}`. A protected word
    /// matches nothing but its literal, or `{**}`.
    fn find<'a>(
        &self,
        node: u32,
        mut left: impl Iterator<Item = &'a str> + Clone,
        depth: usize,
        values: Values,
        goal: &Goal<'_>,
        tries: &mut u32,
    ) -> Option<Named> {
        let Some(text) = left.next() else {
            return self.end(node, goal).map(|id| Named { id, value: values.hash() });
        };
        *tries = tries.checked_sub(1)?;
        let mut follow = |child, values| self.find(child, left.clone(), depth + 1, values, goal, tries);
        if depth < MAX_DEPTH {
            let found = self.literal(node, text).and_then(|child| follow(child, values.clone()));
            if found.is_some() {
                return found;
            }
            let segment = self.naming.segment(text);
            let is_word = matches!(segment, Segment::Literal(_));
            let is_leaf = self.nodes[node as usize].values.is_empty();
            if !(is_leaf || is_word && self.naming.is_protected(text)) {
                let (typed, extension) = match segment {
                    Segment::Value(kind, extension) => (Some((kind, extension)), extension),
                    Segment::Literal(_) => (None, super::segment::split_extension(text).1),
                };
                let with_extension = (!extension.is_empty()).then_some((Kind::Any, extension));
                for (kind, extension) in typed.into_iter().chain(with_extension).chain([(Kind::Any, "")]) {
                    let child = self.value_child(node, kind, extension);
                    let found = child.and_then(|child| follow(child, values.with(text)));
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        let rest = self.value_child(node, Kind::Rest, "")?;
        self.end(rest, goal).map(|id| Named { id, value: values.with(text).hash() })
    }

    fn literal(&self, node: u32, text: &str) -> Option<u32> {
        let children = self.literals.get(&literal_key(node, text))?;
        children.iter().find(|(parent, name, _)| *parent == node && &**name == text).map(|(.., child)| *child)
    }

    fn value_child(&self, node: u32, kind: Kind, extension: &str) -> Option<u32> {
        let values = &self.nodes[node as usize].values;
        values.iter().find(|(k, e, _)| *k == kind && &**e == extension).map(|(.., child)| *child)
    }

    /// The interface that ends here: with these parameter names, else without any, so that a stray parameter
    /// (a tracking tag, say) does not make a known page unknown.
    fn end(&self, node: u32, Goal { end: key, target }: &Goal<'_>) -> Option<InterfaceId> {
        if !target.query.is_empty() {
            let mut names = [""; MAX_PARAMETERS];
            let names = target.parameters(&mut names);
            if let Some(&id) = self.ends.get(&(node, key.with(names))) {
                return Some(id);
            }
        }
        self.ends.get(&(node, key.with(&[]))).copied()
    }

    fn insert(&mut self, method: &str, template: &str, id: InterfaceId) {
        let (path, query) = template.split_once('?').unwrap_or((template, ""));
        let (host, path) = path.split_at(path.find('/').unwrap_or(0));
        let mut node = 0;
        // One more than is followed: the `{**}` that stands for what lies deeper.
        for text in path.split('/').filter(|text| !text.is_empty()).take(MAX_DEPTH + 1) {
            node = match Segment::parse(text) {
                Segment::Literal(text) => self.add_literal(node, &unescape(text)),
                Segment::Value(kind, extension) => self.add_value(node, kind, extension),
            };
        }
        let mut names: Vec<&str> = query.split('&').filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        self.ends.entry((node, EndKey::new(method, host).with(&names))).or_insert(id);
        // A page known only with parameters is known without them too, unless listed on its own.
        self.ends.entry((node, EndKey::new(method, host).with(&[]))).or_insert(id);
        if query.is_empty() {
            self.ends.insert((node, EndKey::new(method, host).with(&[])), id);
        }
    }

    fn add_literal(&mut self, node: u32, text: &str) -> u32 {
        if let Some(child) = self.literal(node, text) {
            return child;
        }
        let child = self.add_node();
        self.literals.entry(literal_key(node, text)).or_default().push((node, text.into(), child));
        child
    }

    fn add_value(&mut self, node: u32, kind: Kind, extension: &str) -> u32 {
        if let Some(child) = self.value_child(node, kind, extension) {
            return child;
        }
        let child = self.add_node();
        self.nodes[node as usize].values.push((kind, extension.into(), child));
        child
    }

    fn add_node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }
}

/// The method as names have it: cut, for anything may be sent as one.
pub(super) fn method_of<'a>(call: &Call<'a>) -> &'a str {
    &call.method[..call.method.floor_char_boundary(MAX_METHOD)]
}

/// The host a call names, without its port; empty when it is none, for anything may be sent as one.
pub(super) fn host_of<'a>(call: &Call<'a>, target: &Target<'a>) -> &'a str {
    let host = if target.authority.is_empty() { call.host } else { target.authority };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte) || byte >= 0x80;
    if !host.bytes().all(is_host) {
        return "";
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What a call's path must lead to.
struct Goal<'a> {
    end: EndKey,
    target: Target<'a>,
}

/// Hash of the values in a path.
#[derive(Clone, Default)]
struct Values {
    hasher: FxHasher,
    any: bool,
}

impl Values {
    fn with(&self, text: &str) -> Self {
        let mut hasher = self.hasher.clone();
        text.hash(&mut hasher);
        Self { hasher, any: true }
    }

    /// 0 without values, and never with some.
    fn hash(&self) -> u64 {
        if self.any { self.hasher.finish() | 1 } else { 0 }
    }
}

/// Never 0, which stands for nothing.
fn hash(of: impl Hash) -> u64 {
    FxBuildHasher.hash_one(of) | 1
}

fn literal_key(node: u32, text: &str) -> u64 {
    FxBuildHasher.hash_one((node, text))
}

/// A literal as it was before it was written into a name.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(b'%');
                rest = after;
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// Hash of what tells interfaces of one path apart: method, host and parameter names.
struct EndKey(FxHasher);

impl EndKey {
    fn new(method: &str, host: &str) -> Self {
        let mut hasher = FxHasher::default();
        method.hash(&mut hasher);
        host.hash(&mut hasher);
        Self(hasher)
    }

    fn with(&self, names: &[&str]) -> u64 {
        let mut hasher = self.0.clone();
        names.hash(&mut hasher);
        hasher.finish()
    }
}
