//! A finding about call trees: which tree, of what, what is different, and what was normal.

use serde::{Deserialize, Serialize};

use crate::call::Nanos;
use crate::tree::{Novelty, TreeKind};

/// Trees that run differently than they used to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeFinding {
    /// Stable name of this finding: the same data gives the same id.
    pub id: String,
    /// What is different.
    pub kind: TreeKind,
    /// When the window ended in which the evidence sufficed (Unix, ns).
    pub time: Nanos,
    /// When that window began.
    pub window_start: Nanos,
    /// The host or service.
    pub source: String,
    /// The interface that the trees served; empty where it is not known, or where it is about all of them.
    pub interface: String,
    /// How the trees were tied to the interface's requests.
    #[serde(default)]
    pub tie: Tie,
    /// The function at the root.
    pub root: String,
    /// The tree's code, 16 hexadecimal digits.
    pub code: String,
    /// For a tree that was never seen: how new it is.
    pub novelty: Option<Novelty>,
    /// How strong the evidence is that this is not chance, as a power of ten.
    pub evidence: f64,
    /// From where on it is reported.
    pub limit: f64,
    /// What is different, in words.
    pub text: String,
    /// What the window showed of this tree.
    pub now: TreeFigures,
    /// What training showed of it; of an unseen tree, what it showed of the nearest known one.
    pub before: Option<TreeFigures>,
    /// The known tree that comes nearest to an unseen one.
    pub nearest: Option<NearestTree>,
    /// The tree itself, as far as it is known: of an unseen one, with its differences from the nearest.
    pub tree: Vec<TreeLine>,
    /// Lines of the tree that are not shown.
    pub more_lines: u32,
    /// Of a latency shift that stands for the whole source: nearly all of its roots are slower at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Together>,
    /// The argument or return value that the finding is about. Then `now` and `before` hold how often these values were
    /// seen, and their share of what was seen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueShift>,
}

/// How slow a source is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// Roots that are slower...
    pub slow: u32,
    /// ...of those with calls enough to tell.
    pub of: u32,
    /// How many times as long the middle one takes.
    pub factor: f64,
}

/// An argument or return value that is another than it used to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueShift {
    /// The function that was called, somewhere in the tree.
    pub function: String,
    /// Number of its argument from 1 on, 0 for its return value.
    pub argument: u8,
    /// The values, the most frequent first. Strings are quoted; one that begins with `#` is a keyed hash.
    pub values: Vec<ValueFigures>,
    /// Values that are not shown.
    pub more: u32,
    /// How often anything was seen there in the window.
    pub total: u64,
    /// Different values that training saw.
    pub distinct_before: u64,
}

/// A value and how often it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueFigures {
    /// The value.
    pub value: String,
    /// In how many trees, since the evidence began.
    pub calls: u64,
}

/// How a tree was tied to the request that it served, the least sure way first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tie {
    /// It was not: the finding is about all trees of the root.
    #[default]
    None,
    /// By the thread that sent the response: nearly always right.
    Sender,
    /// By the thread that received the request: exact.
    Thread,
}

impl Tie {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sender => "sender",
            Self::Thread => "thread",
        }
    }

    /// The tie of a name; `None` for anything unknown.
    pub fn of(name: &str) -> Self {
        [Self::Thread, Self::Sender].into_iter().find(|tie| tie.name() == name).unwrap_or_default()
    }
}

/// How often a tree ran, failed and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TreeFigures {
    /// Calls.
    pub calls: u64,
    /// Its share of its scope's calls, 0 to 1.
    pub share: f64,
    /// The share of its calls that failed, 0 to 1.
    pub failed: f64,
    /// Median duration (ns), 0 when not known.
    pub p50: Nanos,
    /// Ninth decile of the durations (ns).
    pub p90: Nanos,
    /// 99th percentile of the durations (ns).
    pub p99: Nanos,
}

/// A known tree beside an unseen one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestTree {
    /// Its code.
    pub code: String,
    /// Calls to add, leave out or replace to make one of the other.
    pub distance: u32,
    /// What these are, in words: ``added `a` under `b` ``, ``missing `c` under `b` ``, `` `d` instead of `c` under `b` ``.
    pub edits: Vec<String>,
}

/// One call of a tree that is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeLine {
    /// How deep it is.
    pub depth: u8,
    /// The function.
    pub function: String,
    /// What it is beside the nearest known tree.
    pub mark: Mark,
}

/// What a call is beside another tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// In both.
    #[default]
    Same,
    /// In the unseen tree only.
    Added,
    /// In the known tree only.
    Missing,
    /// In the unseen tree, in place of the missing one before it.
    Changed,
}

impl Mark {
    /// As it stands in front of a line.
    pub fn sign(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Added => '+',
            Self::Missing => '-',
            Self::Changed => '~',
        }
    }
}
