//! Whether an item can be inserted into a pattern (BIDE, Wang and Han, ICDE 2004).
//!
//! In one sequence an item can be inserted before the i-th item of a pattern exactly if it occurs behind the
//! earliest place where the items before it are matched and in front of the latest place from which on the
//! rest can be. These places are the earliest and the latest match of the pattern; the stretch between them
//! is the i-th *period*.
//!
//! - An item that occurs in the i-th period of every supporting sequence gives a longer pattern of the same
//!   support: the pattern is not closed.
//! - The same with the latest match *within the earliest*: the longer pattern ends where the pattern ends, so
//!   every extension of the pattern has a longer one of the same support, and none is closed.
//!
//! A few sequences answer most questions: once no item is left that was in some period of all of them, the
//! answer is no.

use super::dense::Dense;
use super::project::Rest;

/// Checks patterns; keeps its buffers from one to the next.
pub(super) struct Checker<'a> {
    dense: &'a Dense,
    /// If set, patterns must begin with this item, so nothing else may be inserted in front.
    first: Option<u32>,
    earliest: Vec<u32>,
    latest: Vec<u32>,
    /// Per period, the items that were in it in all sequences so far.
    candidates: Vec<Vec<u32>>,
    /// By item, the last period it was seen in.
    seen: Vec<u64>,
    period: u64,
}

/// Of how many sequences the one with the fewest candidates is taken first.
const LOOK_AHEAD: usize = 8;

/// How far behind the latest match may reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Sequence,
    EarliestMatch,
}

impl<'a> Checker<'a> {
    pub(super) fn new(dense: &'a Dense, first: Option<u32>) -> Self {
        Checker {
            dense,
            first,
            earliest: Vec::new(),
            latest: Vec::new(),
            candidates: Vec::new(),
            seen: vec![0; dense.names().len()],
            period: 0,
        }
    }

    /// Whether some item can be inserted into the pattern in all of its sequences. (Behind its end is not
    /// looked at.)
    pub(super) fn is_redundant(&mut self, pattern: &[u32], rests: &[Rest]) -> bool {
        self.search(pattern, rests, Reach::Sequence)
    }

    /// Whether some item can be inserted into the pattern in all of its sequences, without moving the
    /// earliest place where it ends.
    pub(super) fn is_prefix_redundant(&mut self, pattern: &[u32], rests: &[Rest]) -> bool {
        self.search(pattern, rests, Reach::EarliestMatch)
    }

    fn search(&mut self, pattern: &[u32], rests: &[Rest], reach: Reach) -> bool {
        if self.candidates.len() < pattern.len() {
            self.candidates.resize_with(pattern.len(), Vec::new);
        }
        let length = |nth: &usize| self.dense.range(rests[*nth].sequence as usize).len();
        let shortest = (0..rests.len().min(LOOK_AHEAD)).min_by_key(length).unwrap_or(0);
        let others = (0..rests.len()).filter(|&nth| nth != shortest);
        let sequences = std::iter::once(shortest).chain(others).map(|nth| rests[nth].sequence);
        for (before, sequence) in sequences.enumerate() {
            self.match_ends(pattern, sequence, reach);
            let mut left = 0;
            for place in 0..pattern.len() {
                if before == 0 {
                    self.collect(sequence, place);
                } else if !self.candidates[place].is_empty() {
                    self.narrow(sequence, place);
                }
                left += self.candidates[place].len();
            }
            if left == 0 {
                return false;
            }
        }
        true
    }

    /// Makes all items of the first sequence's period candidates.
    fn collect(&mut self, sequence: u32, place: usize) {
        let period = self.period(sequence, place);
        let candidates = &mut self.candidates[place];
        candidates.clear();
        self.period += 1;
        for &item in period {
            let new = std::mem::replace(&mut self.seen[item as usize], self.period) != self.period;
            if new && (place > 0 || self.first.is_none_or(|first| first == item)) {
                candidates.push(item);
            }
        }
    }

    /// Keeps the candidates that are in the period of one more sequence.
    fn narrow(&mut self, sequence: u32, place: usize) {
        let period = self.period(sequence, place);
        self.period += 1;
        for &item in period {
            self.seen[item as usize] = self.period;
        }
        self.candidates[place].retain(|&item| self.seen[item as usize] == self.period);
    }

    /// What lies between the earliest match of what is before a place and the latest match of what is behind.
    fn period(&self, sequence: u32, place: usize) -> &'a [u32] {
        let dense = self.dense;
        let from = match place {
            0 => dense.range(sequence as usize).start,
            _ => self.earliest[place - 1] as usize + 1,
        };
        &dense.items()[from..self.latest[place] as usize]
    }

    /// Finds the earliest and the latest match of the pattern in one of its sequences.
    fn match_ends(&mut self, pattern: &[u32], sequence: u32, reach: Reach) {
        let range = self.dense.range(sequence as usize);
        let items = self.dense.items();
        self.earliest.clear();
        let mut at = range.start;
        for &wanted in pattern {
            while items[at] != wanted {
                at += 1;
            }
            self.earliest.push(at as u32);
            at += 1;
        }
        let mut end = if reach == Reach::Sequence { range.end } else { at };
        self.latest.clear();
        self.latest.resize(pattern.len(), 0);
        for (latest, &wanted) in self.latest.iter_mut().zip(pattern).rev() {
            end -= 1;
            while items[end] != wanted {
                end -= 1;
            }
            *latest = end as u32;
        }
    }
}
