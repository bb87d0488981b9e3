//! The database as the engines want it: frequent items only, numbered from 0 in their own order.

use super::{Database, Error};

/// A database without its infrequent items.
pub(super) struct Dense {
    items: Vec<u32>,
    /// Parallel to `items`: the element's number within its sequence, elements that are gone counted too.
    elements: Vec<u32>,
    starts: Vec<u32>,
    names: Vec<u32>,
    itemsets: bool,
}

/// Item numbers up to this size are counted in a table; larger ones are ranked first.
const TABLE: usize = 1 << 24;

impl Dense {
    /// Drops every item that fewer than `min_support` sequences hold.
    pub(super) fn new(database: &Database, min_support: u32) -> Result<Self, Error> {
        let all = database.items();
        if all.len() >= 1 << 31 || database.len() >= 1 << 31 {
            return Err(Error::TooLarge(all.len().max(database.len())));
        }
        let largest = all.iter().copied().max().unwrap_or(0) as usize;
        let ranked = (largest >= TABLE).then(|| {
            let mut distinct = all.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            distinct
        });
        let rank = |item: u32| match &ranked {
            None => item as usize,
            // Every item is in the list, so either side of the result is its place.
            Some(distinct) => distinct.binary_search(&item).unwrap_or_else(|place| place),
        };
        let size = ranked.as_ref().map_or(largest + 1, Vec::len);

        let mut support = vec![0_u32; size];
        let mut last_sequence = vec![u32::MAX; size];
        for (sequence, (items, _)) in (0..).zip(database.sequences()) {
            for &item in items {
                let rank = rank(item);
                if last_sequence[rank] != sequence {
                    last_sequence[rank] = sequence;
                    support[rank] += 1;
                }
            }
        }
        let mut names = Vec::new();
        let mut numbers = last_sequence;
        for (rank, number) in numbers.iter_mut().enumerate() {
            *number = u32::MAX;
            if support[rank] >= min_support {
                *number = names.len() as u32;
                names.push(ranked.as_ref().map_or(rank as u32, |distinct| distinct[rank]));
            }
        }

        let itemsets = database.sequences().any(|(_, joined)| joined.contains(&true));
        let mut dense = Dense { items: Vec::new(), elements: Vec::new(), starts: vec![0], names, itemsets };
        dense.items.reserve(all.len());
        for (items, joined) in database.sequences() {
            let mut element = 0;
            for (at, &item) in items.iter().enumerate() {
                if at > 0 && !joined.get(at).copied().unwrap_or(false) {
                    element += 1;
                }
                let number = numbers[rank(item)];
                if number != u32::MAX {
                    dense.items.push(number);
                    dense.elements.push(element);
                }
            }
            dense.starts.push(dense.items.len() as u32);
        }
        Ok(dense)
    }

    /// Whether an element of several items is among them.
    pub(super) fn has_itemsets(&self) -> bool {
        self.itemsets
    }

    /// The original items by number.
    pub(super) fn names(&self) -> &[u32] {
        &self.names
    }

    /// The number of an original item, where it is frequent.
    pub(super) fn number(&self, name: u32) -> Option<u32> {
        self.names.binary_search(&name).ok().map(|number| number as u32)
    }

    /// Sequences.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// All items.
    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }

    /// Parallel to the items: which element of its sequence each belongs to.
    pub(super) fn elements(&self) -> &[u32] {
        &self.elements
    }

    /// Where a sequence's items lie.
    pub(super) fn range(&self, sequence: usize) -> std::ops::Range<usize> {
        self.starts[sequence] as usize..self.starts[sequence + 1] as usize
    }
}
