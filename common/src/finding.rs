//! What is reported: who walked differently, at which step, how surprising, and what was expected instead.

#[cfg(feature = "identity")]
mod listed;
mod tree;

use serde::{Deserialize, Serialize};

use crate::alert::Verdict;
use crate::call::Nanos;
use crate::detect::Part;

#[cfg(feature = "identity")]
pub use listed::{ListedFinding, ListedHit, mask};
pub use tree::{
    Mark, NearestTree, Tie, Together, TreeFigures, TreeFinding, TreeLine, ValueFigures, ValueShift,
};

/// Whatever is reported.
#[derive(Clone, Debug, PartialEq)]
pub enum Anomaly {
    /// A caller's session.
    Session(Box<Finding>),
    /// Trees of a function.
    Tree(Box<TreeFinding>),
    /// A caller whose name is on a list.
    #[cfg(feature = "identity")]
    Listed(Box<ListedFinding>),
}

impl From<Finding> for Anomaly {
    fn from(finding: Finding) -> Self {
        Self::Session(Box::new(finding))
    }
}

#[cfg(feature = "identity")]
impl From<ListedFinding> for Anomaly {
    fn from(finding: ListedFinding) -> Self {
        Self::Listed(Box::new(finding))
    }
}

impl From<TreeFinding> for Anomaly {
    fn from(finding: TreeFinding) -> Self {
        Self::Tree(Box::new(finding))
    }
}

/// A caller's session that passed the threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name of this finding: the same session in the same data gives the same id.
    pub id: String,
    /// When the step that passed the threshold was made (Unix, ns); 0 when the source has no times.
    pub time: Nanos,
    /// When the session began.
    pub session_start: Nanos,
    /// Who called.
    pub caller: String,
    /// Process that answered, 0 when unknown.
    pub pid: u32,
    /// Its command name, empty when unknown.
    pub comm: String,
    /// How unusual the session is.
    pub score: f64,
    /// From where on a session is reported.
    pub threshold: f64,
    /// Why, the weightiest reason first.
    pub reasons: Vec<Reason>,
    /// The session's latest steps, the offending one marked.
    pub steps: Vec<FindingStep>,
    /// Steps of the session that came before `steps`.
    pub earlier_steps: u32,
    /// The normal behaviour that comes nearest.
    pub nearest: Option<NearestPattern>,
    /// What usually comes where the offending step stands, likeliest first.
    pub expected: Vec<Expected>,
    /// The session had ended when it was judged.
    pub ended: bool,
    /// Part of the session was not captured.
    pub gap: bool,
    /// Alerts of an intrusion detection system about the session's requests, as far as they were known when this was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<LinkedAlert>,
}

/// An alert about a request of a finding's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkedAlert {
    /// The rule's number.
    pub sid: u32,
    /// The rule's message.
    pub signature: String,
    /// What triage found it to be.
    pub verdict: Verdict,
    /// The alert's [`crate::alert::Key`], as text.
    pub key: String,
}

/// One reason of a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of evidence.
    pub part: Part,
    /// Its share of all evidence against the session, 0 to 1.
    pub share: f64,
    /// The reason in words.
    pub text: String,
}

/// One step of a finding's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingStep {
    /// The interface called.
    pub interface: String,
    /// When, 0 when the source has no times.
    pub time: Nanos,
    /// Surprise in bits.
    pub surprise: f32,
    /// This is the step that stands out most.
    pub offending: bool,
}

/// A learned way of walking, compared with the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestPattern {
    /// The interfaces of the way.
    pub path: Vec<String>,
    /// Training sessions that walked it.
    pub support: u64,
    /// Similarity of the session to it, 0 to 1.
    pub similarity: f64,
    /// What differs, in words, in order: `missing GET /cart`, `added ...`, `... instead of ...`.
    pub edits: Vec<String>,
}

/// A call that was to be expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The interface, or `(end of session)`.
    pub interface: String,
    /// How probable it was.
    pub probability: f64,
}
