//! Whether an item can be inserted into a pattern (BIDE, Wang and Han, ICDE 2004).
//!
//! In one sequence an item can be inserted before the i-th item of a pattern exactly if it occurs behind the earliest
//! place where the items before it are matched and in front of the latest place from which on the rest can be. These
//! places are the earliest and the latest match of the pattern; the stretch between them is the i-th *period*.
//!
//! - An item that occurs in the i-th period of every supporting sequence gives a longer pattern of the same support:
//!   the pattern is not closed.
//! - The same with the latest match *within the earliest*: the longer pattern ends where the pattern ends, so
//!   every extension of the pattern has a longer one of the same support, and none is closed.
//! - An item that occurs in the i-th period of enough sequences: the pattern is not maximal.

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
    common: Vec<Vec<u32>>,
    support: Vec<u32>,
    touched: Vec<u32>,
    seen: Vec<u64>,
    period: u64,
}

/// How far behind the latest match may reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Sequence,
    EarliestMatch,
}

impl<'a> Checker<'a> {
    pub(super) fn new(dense: &'a Dense, first: Option<u32>) -> Self {
        let items = dense.names().len();
        Checker {
            dense,
            first,
            earliest: Vec::new(),
            latest: Vec::new(),
            common: Vec::new(),
            support: vec![0; items],
            touched: Vec::new(),
            seen: vec![0; items],
            period: 0,
        }
    }

    /// Whether some item can be inserted into the pattern in all of its sequences. (Behind its end is not looked at.)
    pub(super) fn is_redundant(&mut self, pattern: &[u32], rests: &[Rest]) -> bool {
        self.has_common(pattern, rests, Reach::Sequence)
    }

    /// Whether some item can be inserted into the pattern in all of its sequences, without moving the earliest place
    /// where it ends.
    pub(super) fn is_prefix_redundant(&mut self, pattern: &[u32], rests: &[Rest]) -> bool {
        self.has_common(pattern, rests, Reach::EarliestMatch)
    }

    fn has_common(&mut self, pattern: &[u32], rests: &[Rest], reach: Reach) -> bool {
        if self.common.len() < pattern.len() {
            self.common.resize_with(pattern.len(), Vec::new);
        }
        for (nth, rest) in rests.iter().enumerate() {
            self.earliest.clear();
            self.latest.clear();
            self.matches(pattern, rest.sequence, reach);
            let mut left = 0;
            for place in 0..pattern.len() {
                if nth > 0 && self.common[place].is_empty() {
                    continue;
                }
                self.period += 1;
                let period = &self.dense.items()[self.range(rest.sequence, place, 0)];
                let common = &mut self.common[place];
                if nth == 0 {
                    common.clear();
                    for &item in period {
                        let new =
                            std::mem::replace(&mut self.seen[item as usize], self.period) != self.period;
                        if new && (place > 0 || self.first.is_none_or(|first| first == item)) {
                            common.push(item);
                        }
                    }
                } else {
                    period.iter().for_each(|&item| self.seen[item as usize] = self.period);
                    common.retain(|&item| self.seen[item as usize] == self.period);
                }
                left += common.len();
            }
            if left == 0 {
                return false;
            }
        }
        true
    }

    /// Whether some item can be inserted into the pattern in at least `min_support` of its sequences. (Behind its end
    /// is not looked at.)
    pub(super) fn can_insert(&mut self, pattern: &[u32], rests: &[Rest], min_support: u32) -> bool {
        self.earliest.clear();
        self.latest.clear();
        for rest in rests {
            self.matches(pattern, rest.sequence, Reach::Sequence);
        }
        for place in 0..pattern.len() {
            let mut found = false;
            for (nth, rest) in rests.iter().enumerate() {
                self.period += 1;
                let range = self.range(rest.sequence, place, nth * pattern.len());
                for &item in &self.dense.items()[range] {
                    if self.seen[item as usize] != self.period {
                        self.seen[item as usize] = self.period;
                        if self.support[item as usize] == 0 {
                            self.touched.push(item);
                        }
                        self.support[item as usize] += 1;
                        found |= self.support[item as usize] >= min_support
                            && (place > 0 || self.first.is_none_or(|first| first == item));
                    }
                }
                if found {
                    break;
                }
            }
            self.touched.drain(..).for_each(|item| self.support[item as usize] = 0);
            if found {
                return true;
            }
        }
        false
    }

    /// Where the period before the pattern's item at `place` lies, given where the sequence's matches are stored.
    fn range(&self, sequence: u32, place: usize, stored: usize) -> std::ops::Range<usize> {
        let from = match place {
            0 => self.dense.range(sequence as usize).start,
            _ => self.earliest[stored + place - 1] as usize + 1,
        };
        from..self.latest[stored + place] as usize
    }

    /// Appends the earliest and the latest match of the pattern in one of its sequences.
    fn matches(&mut self, pattern: &[u32], sequence: u32, reach: Reach) {
        let range = self.dense.range(sequence as usize);
        let items = self.dense.items();
        let mut at = range.start;
        for &wanted in pattern {
            while items[at] != wanted {
                at += 1;
            }
            self.earliest.push(at as u32);
            at += 1;
        }
        let mut end = if reach == Reach::Sequence { range.end } else { at };
        let stored = self.latest.len();
        self.latest.resize(stored + pattern.len(), 0);
        for (place, &wanted) in pattern.iter().enumerate().rev() {
            end -= 1;
            while items[end] != wanted {
                end -= 1;
            }
            self.latest[stored + place] = end as u32;
        }
    }
}
