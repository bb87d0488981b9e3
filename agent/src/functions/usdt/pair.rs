//! Pairs of probes, one where a call begins and one where it ends.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::functions::point::Naming;

/// A pair of probes of one provider: `python`, or `provider:entry/return`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pair {
    /// Who put them there.
    pub provider: String,
    /// The probe where a call begins.
    pub entry: String,
    /// The probe where it ends.
    pub exit: String,
    /// How its calls are named.
    pub naming: Naming,
}

/// Not a pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pair of probes: use \"python\", or provider:entry/return, such as \"postgresql:query__start/done\""
)]
pub struct NoPair(String);

impl Pair {
    /// What the calls are named by when they do not name themselves: the part that both probes have in common,
    /// `query` of `query__start` and `query__done`; else the probe where they begin.
    pub fn stem(&self) -> &str {
        match (self.entry.rsplit_once("__"), self.exit.rsplit_once("__")) {
            (Some((stem, _)), Some((other, _))) if stem == other => stem,
            _ => &self.entry,
        }
    }
}

impl FromStr for Pair {
    type Err = NoPair;

    fn from_str(text: &str) -> Result<Self, NoPair> {
        let text = if text == "python" { "python:function__entry/return" } else { text };
        let parse = || {
            let (provider, pair) = text.split_once(':')?;
            let (entry, exit) = pair.split_once('/')?;
            let exit = match entry.rsplit_once("__") {
                Some((stem, _)) if !exit.contains("__") => format!("{stem}__{exit}"),
                _ => exit.to_owned(),
            };
            let word = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            };
            if ![provider, entry, &exit].into_iter().all(word) || entry == exit {
                return None;
            }
            let python = (provider, entry) == ("python", "function__entry");
            let naming = if python { Naming::Python } else { Naming::Fixed };
            Some(Self { provider: provider.to_owned(), entry: entry.to_owned(), exit, naming })
        };
        parse().ok_or_else(|| NoPair(text.to_owned()))
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.provider, self.entry, self.exit)
    }
}

impl TryFrom<String> for Pair {
    type Error = NoPair;

    fn try_from(text: String) -> Result<Self, NoPair> {
        text.parse()
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> Self {
        pair.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(text: &str) -> Result<String, String> {
        text.parse::<Pair>().map(|pair| format!("{pair} {}", pair.stem())).map_err(|error| error.to_string())
    }

    #[test]
    fn pairs_are_short_or_whole() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(pair("python"), ok("python:function__entry/function__return function"));
        assert_eq!(pair("postgresql:query__start/done"), ok("postgresql:query__start/query__done query"));
        assert_eq!(pair("shop:begin/end"), ok("shop:begin/end begin"));
        assert_eq!("python".parse::<Pair>().map(|pair| pair.naming), Ok(Naming::Python));
        for text in ["", "perl", "a:b", "a:/b", "a:b/b", "a:b__c/c", ":a/b", "a:b c/d", "a:b/c/d"] {
            let error = pair(text).expect_err(text);
            assert!(error.contains("is no pair of probes"), "{error}");
        }
    }
}
