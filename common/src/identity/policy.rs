//! What is asked, and how strictly the answer is judged.

use serde::{Deserialize, Serialize};

use super::{BirthDate, EntityKind};

/// Who is to be looked up. Everything but the name may be missing; what is missing neither adds to a score nor
/// takes from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The name, in any script, order and spelling.
    pub name: String,
    /// What it is said to be.
    pub kind: Option<EntityKind>,
    /// Its date of birth, as exact as it is known.
    pub birth_date: Option<BirthDate>,
    /// Countries it is tied to, as codes or names.
    pub countries: Vec<String>,
    /// Numbers of its documents.
    pub documents: Vec<String>,
    /// Its address.
    pub address: Option<String>,
    /// The way it came in, e.g. `api`, `batch`, `search`, `caller`: a column of the risk matrix.
    pub channel: String,
}

impl Query {
    /// A name about which nothing else is known.
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// How much a field weighs where both sides have it. Only their proportions matter: the weights of the fields that
/// can be compared are brought to a sum of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// The best of the entity's names.
    pub name: f64,
    /// Date of birth.
    pub birth_date: f64,
    /// Countries.
    pub country: f64,
    /// Document numbers.
    pub document: f64,
    /// Address.
    pub address: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { name: 0.7, birth_date: 0.2, country: 0.05, document: 0.3, address: 0.05 }
    }
}

/// One cell of the risk matrix: other thresholds for what comes from one source, by one channel, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cell {
    /// Name of the source; none means every source.
    pub source: Option<String>,
    /// The channel; none means every channel.
    pub channel: Option<String>,
    /// From this score on a person must look; none leaves what the policy says.
    pub review: Option<f64>,
    /// From this score on the answer is to block; none leaves what the policy says. Above 1 it never is.
    pub block: Option<f64>,
}

/// How answers are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// From this score on, 0 to 1, a person must look.
    pub review: f64,
    /// From this score on the answer is to block.
    pub block: f64,
    /// The most hits an answer names, 1 or more; what is beyond is counted.
    pub max_hits: usize,
    /// How much each field weighs.
    pub weights: Weights,
    /// The risk matrix. Of the cells that apply, one that names source and channel goes before one that names the
    /// source, that before one that names the channel; among equals the first.
    pub matrix: Vec<Cell>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { review: 0.8, block: 0.97, max_hits: 20, weights: Weights::default(), matrix: Vec::new() }
    }
}

/// A policy that cannot be meant.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PolicyError {
    /// A threshold is out of its range, or the two are in the wrong order.
    #[error("review ({review}) must be above 0, and block ({block}) not below it")]
    Thresholds {
        /// The threshold of review.
        review: f64,
        /// The threshold of block.
        block: f64,
    },
    /// A weight is negative or no number, or the name weighs nothing.
    #[error("weight of {0} must be a number from 0 on, and that of the name above 0")]
    Weight(&'static str),
    /// No hit would be named.
    #[error("it must be 1 or more: an answer that names no hit tells nobody whom to look at")]
    NoHits,
}

impl Policy {
    /// Whether the policy can be meant, with every cell of its matrix.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.max_hits == 0 {
            return Err(PolicyError::NoHits);
        }
        let Weights { name, birth_date, country, document, address } = self.weights;
        for (what, weight) in [
            ("name", name),
            ("birth_date", birth_date),
            ("country", country),
            ("document", document),
            ("address", address),
        ] {
            if !weight.is_finite() || weight < 0.0 || (what == "name" && weight == 0.0) {
                return Err(PolicyError::Weight(what));
            }
        }
        let cells = self
            .matrix
            .iter()
            .map(|cell| (cell.review.unwrap_or(self.review), cell.block.unwrap_or(self.block)));
        for (review, block) in std::iter::once((self.review, self.block)).chain(cells) {
            if !(review > 0.0 && block >= review && block.is_finite()) {
                return Err(PolicyError::Thresholds { review, block });
            }
        }
        Ok(())
    }

    /// The thresholds `(review, block)` for what comes from a source by a channel.
    pub fn thresholds(&self, source: &str, channel: &str) -> (f64, f64) {
        let applies = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
        let rank = |cell: &Cell| 2 * u8::from(cell.source.is_some()) + u8::from(cell.channel.is_some());
        let mut best: Option<&Cell> = None;
        for cell in &self.matrix {
            let fits = applies(&cell.source, source) && applies(&cell.channel, channel);
            if fits && best.is_none_or(|best| rank(cell) > rank(best)) {
                best = Some(cell);
            }
        }
        let cell = |of: fn(&Cell) -> Option<f64>| best.and_then(of);
        (cell(|c| c.review).unwrap_or(self.review), cell(|c| c.block).unwrap_or(self.block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_cell_of_the_matrix_decides() {
        let cell = |source: Option<&str>, channel: Option<&str>, review| Cell {
            source: source.map(Into::into),
            channel: channel.map(Into::into),
            review: Some(review),
            block: None,
        };
        let policy = Policy {
            matrix: vec![
                cell(None, Some("caller"), 0.9),
                cell(Some("un"), None, 0.7),
                cell(Some("un"), Some("caller"), 0.75),
            ],
            ..Policy::default()
        };
        assert_eq!(policy.check(), Ok(()));
        assert_eq!(policy.thresholds("ofac-sdn", "api"), (0.8, 0.97));
        assert_eq!(policy.thresholds("ofac-sdn", "caller"), (0.9, 0.97));
        assert_eq!(policy.thresholds("un", "api"), (0.7, 0.97));
        assert_eq!(policy.thresholds("un", "caller"), (0.75, 0.97));
    }

    #[test]
    fn a_policy_that_cannot_be_meant_is_refused() {
        let upside_down = Policy { review: 0.9, block: 0.8, ..Policy::default() };
        assert!(matches!(upside_down.check(), Err(PolicyError::Thresholds { .. })));
        let weightless = Policy { weights: Weights { name: 0.0, ..Weights::default() }, ..Policy::default() };
        assert_eq!(weightless.check(), Err(PolicyError::Weight("name")));
        assert_eq!(Policy { max_hits: 0, ..Policy::default() }.check(), Err(PolicyError::NoHits));
    }
}
