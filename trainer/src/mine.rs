//! Frequent sequential patterns: PrefixSpan, with closed and maximal patterns, gaps and itemsets.
//!
//! A pattern is a sequence of items. A database sequence *supports* it when it holds the pattern's items in
//! the same order, other items between them allowed; the pattern's support is the number of such sequences.
//! [`mine`] finds all patterns of at least a given support.
//!
//! **How.** A pattern is grown at its end (PrefixSpan, Pei et al., ICDE 2001). For each pattern the engine
//! holds its *projection*: of every supporting sequence the part behind the first place where the pattern
//! ends. The items that are frequent in the projection are exactly the extensions that are frequent, and
//! their projections follow from it. Two engines do this:
//!
//! - `project` for single items without a gap bound. It copies projections, leaving out items that are
//!   infrequent there, so they shrink fast; and it marks each item's last place in a sequence once at the
//!   start, so that counting distinct items is one addition per place.
//! - `general` for itemsets and gap bounds, where the first place is not enough: it keeps all places where
//!   a pattern ends.
//!
//! **Closed and maximal.** Within the set of patterns that meet the parameters, a pattern is closed when no
//! longer one that contains it has (at least) its support, and maximal when no longer one contains it at all.
//! The first engine finds closed patterns directly, by looking for an item that could be inserted into each
//! (BIDE, Wang and Han, ICDE 2004, `closure`), which also tells when none that begins with a pattern can be
//! closed. All others are filtered out of more (`filter`).
//!
//! Results come in lexicographic order, whatever the number of threads. [`Params::max_patterns`] bounds the
//! result, and there are bounds on length and on memory; a result that one of them cut short says so.

mod branches;
mod closure;
mod database;
mod dense;
mod filter;
mod general;
mod patterns;
mod project;
pub mod spmf;

use std::str::FromStr;

pub use database::Database;
pub use patterns::{Pattern, Patterns};

use dense::Dense;

/// The least support of a pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Support {
    /// A number of sequences.
    Sequences(u32),
    /// A share of all sequences, above 0 and up to 1; rounded up to whole sequences.
    Share(f64),
}

impl FromStr for Support {
    type Err = String;

    /// `42` is a number of sequences, `5%` and `0.05` are shares.
    fn from_str(text: &str) -> Result<Self, String> {
        let share = |text: &str| text.trim_end().parse::<f64>();
        let support = match text.strip_suffix('%') {
            Some(percent) => share(percent).map(|percent| Support::Share(percent / 100.0)),
            None if text.contains('.') => share(text).map(Support::Share),
            None => return text.parse().map(Support::Sequences).map_err(|_| not_a_support(text)),
        };
        support.map_err(|_| not_a_support(text))
    }
}

fn not_a_support(text: &str) -> String {
    format!("{text:?} is neither a number of sequences (42) nor a share of them (5% or 0.05)")
}

/// Which of the frequent patterns to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Every frequent pattern.
    #[default]
    All,
    /// Those that no longer pattern of the same support contains.
    Closed,
    /// Those that no longer frequent pattern contains.
    Maximal,
}

/// What to mine.
#[derive(Clone, Debug)]
pub struct Params {
    /// The least support.
    pub min_support: Support,
    /// Which patterns to keep.
    pub keep: Keep,
    /// How many elements a match may skip between two neighbours of the pattern: 0 for contiguous patterns,
    /// `None` for any number.
    pub max_gap: Option<u32>,
    /// The most items in a pattern. Of closed patterns of that length it is not known whether a longer one
    /// has their support; where there are single items and no gap bound, those are kept into which no item
    /// can be inserted that leaves the place where they end as it is in every sequence. (Of a long way that
    /// all sequences go, this keeps the beginning.)
    pub max_length: Option<usize>,
    /// The item that patterns must begin with.
    pub first: Option<u32>,
    /// The most patterns to find; what is then missing are the last ones in lexicographic order.
    pub max_patterns: usize,
}

impl Params {
    /// The most items in a pattern, whatever [`Params::max_length`] says.
    pub const LONGEST: usize = 1000;

    /// All patterns of a support, up to a million.
    pub fn new(min_support: Support) -> Self {
        Params {
            min_support,
            keep: Keep::All,
            max_gap: None,
            max_length: None,
            first: None,
            max_patterns: 1_000_000,
        }
    }

    /// Whether the parameters make sense.
    ///
    /// # Errors
    /// The first one that does not.
    pub fn check(&self) -> Result<(), Error> {
        match self.min_support {
            Support::Sequences(0) => return Err(Error::NoSupport),
            Support::Share(share) if !(share > 0.0 && share <= 1.0) => return Err(Error::Share(share)),
            _ => {}
        }
        if self.max_length == Some(0) {
            return Err(Error::NoLength);
        }
        if self.max_patterns == 0 {
            return Err(Error::NoPatterns);
        }
        Ok(())
    }

    /// The least support in sequences, for a database of `sequences`.
    fn threshold(&self, sequences: usize) -> u32 {
        match self.min_support {
            Support::Sequences(count) => count,
            // A product such as 0.2 × 730 may come out a little above the whole number that is meant.
            Support::Share(share) => (share * sequences as f64 - 1e-9).ceil().max(1.0) as u32,
        }
    }

    /// The item that patterns must begin with, by number. No item has the number for one that is infrequent.
    fn first(&self, dense: &Dense) -> Option<u32> {
        self.first.map(|name| dense.number(name).unwrap_or(u32::MAX))
    }
}

/// Why nothing was mined.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The least support is no sequence.
    #[error("the least support must be at least 1 sequence")]
    NoSupport,
    /// The least support is no share.
    #[error("the least support must be a share above 0 and up to 1, not {0}")]
    Share(f64),
    /// No pattern is short enough.
    #[error("the greatest length must be at least 1 item")]
    NoLength,
    /// No pattern may be found.
    #[error("the greatest number of patterns must be at least 1")]
    NoPatterns,
    /// The database does not fit 31-bit offsets.
    #[error("a database may hold up to 2^31 items, not {0}")]
    TooLarge(usize),
}

/// What was mined.
#[derive(Clone, Debug)]
pub struct Mined {
    /// The patterns in lexicographic order (an item that joins the last element comes before one that follows
    /// it).
    pub patterns: Patterns,
    /// Whether these are all. False when there are more than [`Params::max_patterns`], when some are longer
    /// than [`Params::LONGEST`], or when projections held too much memory to look at all longer ones.
    /// Patterns of an incomplete result are frequent, with the right support; but a longer one that was not
    /// reached may contain a closed or maximal one.
    pub complete: bool,
    /// The least support that was asked for, in sequences.
    pub min_support: u32,
    /// Sequences in the database.
    pub sequences: usize,
}

/// Finds the frequent patterns of a database.
///
/// # Errors
/// Parameters that make no sense, or a database that is too large.
pub fn mine(database: &Database, params: &Params) -> Result<Mined, Error> {
    params.check()?;
    let min_support = params.threshold(database.len());
    let dense = Dense::new(database, min_support)?;
    let simple = params.max_gap.is_none() && !dense.has_itemsets();
    let engine = if simple { project::mine } else { general::mine };
    let (mut patterns, complete) = engine(&dense, params, min_support);
    if params.keep == Keep::Maximal || params.keep == Keep::Closed && !simple {
        // The first engine leaves out patterns that cannot be maximal; a gap bound leaves out parts of patterns.
        let whole = !simple && params.max_gap.is_none();
        patterns = filter::filter(&patterns, params.keep, whole);
    }
    Ok(Mined { patterns: patterns.renamed(dense.names()), complete, min_support, sequences: database.len() })
}

#[cfg(test)]
mod tests;
