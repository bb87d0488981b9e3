//! Naming: a call's method, host and path become one interface, interned to a `u32`.
//!
//! An interface is written `METHOD [host]/path/{int}?name&name`. Literal segments stand for themselves, typed ones
//! ([`Kind`]) for any value of their type, `{*}` for any single segment and a final `{**}` for all that follows. The
//! query keeps its sorted parameter names, never their values. This text is also the stored form: a model file holds
//! the list of names, and [`Interfaces::new`] builds the look-up structure from it.
//!
//! [`Learner`] finds the names in data; [`Interfaces`] looks them up, without allocation. Both split a target with
//! [`split`], so that training and detection name alike. What is not known is [`NEW`].

mod learn;
mod lookup;
mod segment;
mod unknown;

pub use learn::Learner;
pub use lookup::{BadInterface, Interfaces, Named};
pub use segment::{Kind, MAX_PARAMETERS, Segment, Target, split};
pub use unknown::Unknowns;

use serde::{Deserialize, Serialize};

/// An interface's number in the model that named it.
pub type InterfaceId = u32;

/// The interface of every call that the model does not know, written `~new`.
pub const NEW: InterfaceId = 0;

/// The name of [`NEW`].
pub const NEW_NAME: &str = "~new";

/// How calls are named; part of the model, so that detection names as training did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// Interfaces of different hosts are different.
    pub host: bool,
    /// Words that never disappear in a template: a segment that contains one keeps its own literal, and is
    /// [`NEW`] where training never saw it. Lower case.
    pub protected: Vec<String>,
}

impl Default for Naming {
    fn default() -> Self {
        Self { host: false, protected: PROTECTED.iter().map(|&word| word.to_owned()).collect() }
    }
}

impl Naming {
    /// What a segment of a real path is. A protected word is no value, whatever its form: only digits, UUIDs and dates
    /// hold no words.
    fn segment<'a>(&self, text: &'a str) -> Segment<'a> {
        match Segment::of(text) {
            Segment::Value(Kind::Int | Kind::Uuid | Kind::Date, _) => Segment::of(text),
            Segment::Value(..) if self.is_protected(text) => Segment::Literal(text),
            other => other,
        }
    }

    fn is_protected(&self, segment: &str) -> bool {
        segment.starts_with('.')
            || self.protected.iter().any(|word| {
                segment.len() >= word.len()
                    && segment.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
            })
    }
}

/// Words of paths whose appearance matters to security wherever they stand.
const PROTECTED: &[&str] = &[
    "..",
    "admin",
    "login",
    "logout",
    "signin",
    "password",
    "passwd",
    "token",
    "secret",
    "export",
    "import",
    "backup",
    "debug",
    "internal",
    "console",
    "actuator",
    "config",
    ".env",
    ".git",
    "wp-",
    "phpmyadmin",
    "shell",
    "cgi-bin",
    "dump",
];
