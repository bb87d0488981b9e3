//! What training learned about trees: the section of the model, and what detection looks up in it.
//!
//! A *scope* is an interface, or all there is, together with the function at the root: what is normal is learned for
//! each. A code's share, failures and slow calls are [`Rate`]s, its durations have a [`Pace`], each with the spread that
//! windows of normal time showed.

use std::fmt::Write as _;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::pace::Moments;
use super::{
    BUCKETS, FunctionId, MAX_NODES, Node, Pace, Rate, Shape, Sketch, Tree, ValuesData, bucket, greatest,
};
use crate::call::Nanos;
use crate::wire::tree::{NODE_DEAD, function_id};

/// Most trees of a model.
pub const MAX_TREES: usize = 1 << 18;
/// Most scopes of a model, and codes of a scope.
const MAX_ENTRIES: usize = 1 << 18;

/// How new a tree is that the scope does not know, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Novelty {
    /// It has a function that no known tree has.
    Function,
    /// A function calls one that it never called in this scope.
    Call,
    /// Every call is known, but not together in this way.
    Combination,
}

impl Novelty {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Function, Self::Call, Self::Combination];
}

/// What is tested; each has findings of a kind of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeKind {
    /// Trees that training did not see.
    UnseenTree,
    /// A rare tree runs more often.
    RareTree,
    /// A tree takes longer.
    LatencyShift,
    /// A tree fails more often.
    FailureShift,
    /// An argument or return value is one that training did not see.
    UnseenValue,
    /// A rare argument or return value is seen more often.
    RareValue,
}

/// How many of [`TreeKind::ALL`], the first, are about the trees themselves.
pub const TREE_TESTS: usize = 4;

impl TreeKind {
    /// All kinds, in order.
    pub const ALL: [Self; 6] = [
        Self::UnseenTree,
        Self::RareTree,
        Self::LatencyShift,
        Self::FailureShift,
        Self::UnseenValue,
        Self::RareValue,
    ];

    /// Its stable name in findings, e.g. `unseen_tree`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnseenTree => "unseen_tree",
            Self::RareTree => "rare_tree",
            Self::LatencyShift => "latency_shift",
            Self::FailureShift => "failure_shift",
            Self::UnseenValue => "unseen_value",
            Self::RareValue => "rare_value",
        }
    }

    /// Whether it is about values, and not about the trees that they were seen in.
    pub fn is_of_values(self) -> bool {
        self as usize >= TREE_TESTS
    }
}

/// Beyond which quantiles calls are watched for being slow beside their neighbours.
pub const LEVELS: [f64; 2] = [0.9, 0.99];

/// What is known of trees, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TreesData {
    /// Length of the windows in which rates were learned (ns).
    pub window: Nanos,
    /// Windows learned from, over all sources.
    pub windows: u64,
    /// The functions, by id. A name may be empty: nobody knew it.
    pub functions: Vec<(FunctionId, String)>,
    /// The trees, by root and code.
    pub trees: Vec<TreeData>,
    /// What is normal, by interface and root.
    pub scopes: Vec<ScopeData>,
    /// For each of the first [`TREE_TESTS`] of [`TreeKind::ALL`] the exponent that makes of a p-value what it is worth
    /// ([`super::temper`]).
    pub tempers: [f64; TREE_TESTS],
    /// How fast each of the scopes is, whatever its trees: its durations relative to what their codes took on average. In the
    /// order of the scopes; `None` where it has too few calls to say or one code only, whose own pace says it. Empty in
    /// models before version 4: a section of its own ([`crate::model::file`]).
    #[serde(skip)]
    pub paces: Vec<Option<Pace>>,
    /// What is known of arguments and return values. Empty in models before version 4: a section of its own.
    #[serde(skip)]
    pub values: ValuesData,
}

/// A tree as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TreeData {
    /// Its ordered code.
    pub code: u64,
    /// Its unordered code.
    pub unordered: u64,
    /// What is missing of it, as [`Tree::flags`].
    pub flags: u32,
    /// Its nodes in preorder: place in the list of functions, and depth, with [`NODE_DEAD`] perhaps.
    pub nodes: Vec<(u32, u8)>,
}

/// What is normal for an interface and a root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopeData {
    /// The interface; empty for all trees of the root.
    pub interface: String,
    /// The function at the root.
    pub root: FunctionId,
    /// Calls learned from.
    pub calls: u64,
    /// Share of calls whose tree no other window showed, for each [`Novelty`]: what is to be expected of new windows.
    pub novel: [Rate; 3],
    /// The known codes, ascending.
    pub codes: Vec<CodeData>,
}

/// What is normal for a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeData {
    /// The ordered code.
    pub code: u64,
    /// Calls learned from.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Windows that had it.
    pub windows: u64,
    /// Durations.
    pub durations: Sketch,
    /// First seen.
    pub first: Nanos,
    /// Last seen.
    pub last: Nanos,
    /// Its share of the scope's calls.
    pub share: Rate,
    /// Its failures; `None` when it is too rare to say.
    pub failing: Option<Rate>,
    /// How long it takes; `None` when it is too rare to say.
    pub normal: Option<Durations>,
}

/// How long a code normally takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// As a whole.
    pub pace: Pace,
    /// For the first of [`LEVELS`], as far as there were calls enough to tell: the bucket of durations at that quantile, and
    /// the share of calls beyond it where the window's pace is the mean one.
    pub beyond: Vec<(u16, Rate)>,
}

impl Durations {
    /// How many of a window's durations are beyond the limit of a level, taken relative to the window's pace.
    pub(super) fn slow(&self, limit: u16, window: &Moments, durations: &Sketch) -> u64 {
        durations.above(shifted(limit, window.mean - self.pace.mean))
    }

    fn is_sound(&self) -> bool {
        self.pace.is_sound()
            && self.beyond.len() <= LEVELS.len()
            && self.beyond.iter().all(|(bucket, rate)| *bucket < BUCKETS && rate.is_sound())
    }
}

/// The bucket that is slower by a factor, given as its logarithm; never a faster one.
pub(super) fn shifted(limit: u16, ln_factor: f64) -> u16 {
    let slower = greatest(limit) as f64 * ln_factor.max(0.0).exp();
    bucket(slower as Nanos).max(limit)
}

/// What is known of trees, checked and ready for look-up.
#[derive(Debug)]
pub struct Trees {
    data: TreesData,
    shapes: FxHashMap<(FunctionId, u64), Shape>,
    scopes: FxHashMap<FunctionId, FxHashMap<Box<str>, usize>>,
    details: Vec<Details>,
    tests: [usize; TreeKind::ALL.len()],
}

/// What is derived of a scope.
#[derive(Debug, Default)]
struct Details {
    /// Who calls whom.
    calls: FxHashSet<(FunctionId, FunctionId)>,
    /// Places of codes by unordered code.
    unordered: FxHashMap<u64, usize>,
    /// The mean logarithm of the durations of each code; `None` where it has none.
    means: Vec<Option<f64>>,
}

impl Trees {
    /// Checks stored data.
    ///
    /// # Errors
    /// What contradicts itself.
    pub fn new(data: TreesData) -> Result<Self, &'static str> {
        if data.window == 0 {
            return Err("the windows of trees have no length");
        }
        if !data.functions.is_sorted_by(|a, b| a.0 < b.0) || data.functions.first().is_some_and(|f| f.0 == 0)
        {
            return Err("the functions of trees do not ascend");
        }
        if data.functions.iter().any(|(id, name)| {
            name.len() < super::MAX_NAME - 4 && !name.is_empty() && function_id(name.as_bytes()) != *id
        }) {
            return Err("a function's id is not that of its name");
        }
        if data.tempers.iter().any(|temper| !(0.0..=1.0).contains(temper)) {
            return Err("an exponent of trees is no share");
        }
        if data.trees.len() > MAX_TREES || data.scopes.len() > MAX_ENTRIES {
            return Err("there are too many trees");
        }
        let mut shapes = FxHashMap::default();
        for tree in &data.trees {
            let shape = tree.shape(&data.functions).ok_or("a tree's nodes are no tree")?;
            if shapes.insert((shape.tree.root(), tree.code), shape).is_some() {
                return Err("a tree is listed twice");
            }
        }
        let mut scopes: FxHashMap<_, FxHashMap<_, _>> = FxHashMap::default();
        let (mut details, mut tests) = (Vec::with_capacity(data.scopes.len()), [0; TreeKind::ALL.len()]);
        data.values.check()?;
        tests[TREE_TESTS..].copy_from_slice(&data.values.tests());
        for (place, scope) in data.scopes.iter().enumerate() {
            if !scope.is_sound() {
                return Err("a rate of trees contradicts itself");
            }
            let known: &mut FxHashMap<Box<str>, _> = scopes.entry(scope.root).or_default();
            if known.insert(scope.interface.as_str().into(), place).is_some() {
                return Err("an interface's trees are listed twice");
            }
            details.push(Details::new(scope, &shapes));
            tests[0] += Novelty::ALL.len();
            for code in &scope.codes {
                tests[1] += usize::from(code.is_rare());
                tests[2] += usize::from(code.normal.is_some());
                tests[3] += usize::from(code.failing.is_some());
            }
            tests[2] += usize::from(data.paces.get(place).is_some_and(Option::is_some));
        }
        if !data.paces.is_empty() && data.paces.len() != data.scopes.len()
            || !data.paces.iter().flatten().all(Pace::is_sound)
        {
            return Err("the paces of trees are not those of their roots");
        }
        Ok(Self { data, shapes, scopes, details, tests })
    }

    /// What is stored.
    pub fn data(&self) -> &TreesData {
        &self.data
    }

    /// How many kinds of tests there are: those of values only where some are known.
    pub fn kinds(&self) -> usize {
        if self.data.values.slots.is_empty() { TREE_TESTS } else { TreeKind::ALL.len() }
    }

    /// How many tests of a kind there are.
    pub fn tests(&self, kind: TreeKind) -> usize {
        self.tests[kind as usize]
    }

    /// The exponent of a kind's p-values.
    pub fn temper(&self, kind: TreeKind) -> f64 {
        let all = self.data.tempers.iter().chain(&self.data.values.tempers);
        all.copied().nth(kind as usize).unwrap_or(1.0)
    }

    /// The place of a scope.
    pub fn scope(&self, interface: &str, root: FunctionId) -> Option<usize> {
        self.scopes.get(&root)?.get(interface).copied()
    }

    /// A known tree.
    pub fn shape(&self, root: FunctionId, code: u64) -> Option<&Shape> {
        self.shapes.get(&(root, code))
    }

    /// How fast a scope is, whatever its trees.
    pub(super) fn pace(&self, scope: usize) -> Option<&Pace> {
        self.data.paces.get(scope)?.as_ref()
    }

    /// The mean logarithm of the durations of a scope's code, by its place.
    pub(super) fn mean(&self, scope: usize, place: usize) -> Option<f64> {
        *self.details.get(scope)?.means.get(place)?
    }

    /// The name of a function; `None` when it is not known.
    pub fn name(&self, id: FunctionId) -> Option<&str> {
        let place = self.data.functions.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.data.functions[place].1.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether some known tree has a function.
    pub fn knows(&self, id: FunctionId) -> bool {
        self.data.functions.binary_search_by_key(&id, |&(id, _)| id).is_ok()
    }

    /// The place in a scope of the code that makes the same calls in another order.
    pub(super) fn reordered(&self, scope: usize, unordered: u64) -> Option<usize> {
        self.details.get(scope)?.unordered.get(&unordered).copied()
    }

    /// How new a tree is to a scope that does not know its code.
    pub fn novelty(&self, scope: usize, tree: &Tree) -> Novelty {
        if tree.nodes().iter().any(|node| !self.knows(node.function)) {
            return Novelty::Function;
        }
        let known = |call: (FunctionId, FunctionId)| {
            self.details.get(scope).is_some_and(|details| details.calls.contains(&call))
        };
        if calls(tree).all(known) { Novelty::Combination } else { Novelty::Call }
    }
}

impl Details {
    fn new(scope: &ScopeData, shapes: &FxHashMap<(FunctionId, u64), Shape>) -> Self {
        let mut details = Self::default();
        let mean = |code: &CodeData| {
            Some(Moments::of(&code.durations)).filter(|all| all.n > 0.0).map(|all| all.mean)
        };
        details.means.extend(scope.codes.iter().map(mean));
        for (place, code) in scope.codes.iter().enumerate() {
            let Some(shape) = shapes.get(&(scope.root, code.code)) else { continue };
            details.calls.extend(calls(&shape.tree));
            if !shape.tree.is_truncated() {
                // Of several orders that are normal the most frequent one stands for the others.
                let kept = details.unordered.entry(shape.unordered).or_insert(place);
                if scope.codes[*kept].calls < code.calls {
                    *kept = place;
                }
            }
        }
        details
    }
}

impl TreeData {
    /// The tree of these nodes; `None` if they are none.
    fn shape(&self, functions: &[(FunctionId, String)]) -> Option<Shape> {
        if self.nodes.len() > MAX_NODES {
            return None;
        }
        let node = |&(function, depth): &(u32, u8)| {
            let function = functions.get(function as usize)?.0;
            Some(Node { function, depth: depth & !NODE_DEAD, dead: depth & NODE_DEAD != 0 })
        };
        let nodes = self.nodes.iter().map(node).collect::<Option<Vec<_>>>()?;
        Some(Shape { tree: Tree::new(nodes, self.flags).ok()?, unordered: self.unordered })
    }
}

impl ScopeData {
    fn is_sound(&self) -> bool {
        self.root != 0
            && self.codes.len() <= MAX_ENTRIES
            && self.codes.is_sorted_by(|a, b| a.code < b.code)
            && self.novel.iter().all(Rate::is_sound)
            && self.codes.iter().all(CodeData::is_sound)
    }

    /// The place of a code.
    pub fn place(&self, code: u64) -> Option<usize> {
        self.codes.binary_search_by_key(&code, |known| known.code).ok()
    }
}

impl CodeData {
    fn is_sound(&self) -> bool {
        self.share.is_sound()
            && self.failing.as_ref().is_none_or(Rate::is_sound)
            && self.normal.as_ref().is_none_or(Durations::is_sound)
            && self.durations.is_sound()
            && self.failures <= self.calls
    }

    /// Whether it is rare enough for its share to be watched: shares of frequent trees move with what callers want.
    pub fn is_rare(&self) -> bool {
        self.share.mean <= RARE
    }
}

/// The share up to which a tree is rare.
const RARE: f64 = 0.05;

/// Every caller and callee of a tree.
pub(super) fn calls(tree: &Tree) -> impl Iterator<Item = (FunctionId, FunctionId)> {
    let mut above: Vec<FunctionId> = Vec::new();
    tree.nodes().iter().filter_map(move |node| {
        above.truncate(usize::from(node.depth));
        let caller = above.last().copied();
        above.push(node.function);
        caller.map(|caller| (caller, node.function))
    })
}

/// How people read a code.
pub fn code_text(code: u64) -> String {
    let mut text = String::with_capacity(16);
    // Writing to a String cannot fail.
    let _ = write!(text, "{code:016x}");
    text
}
