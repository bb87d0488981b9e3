//! The columns of the group matrix: frequent call groups, found in passing while the Markov model walks a session.

use rustc_hash::FxHashMap;

use crate::interface::InterfaceId;

use super::super::{Context, MAX_ORDER, Markov};

/// Most columns there may be.
pub const MAX_COLUMNS: usize = 512;
/// No column.
pub(crate) const NONE: u16 = u16::MAX;

/// Which call groups are columns.
#[derive(Debug, Default)]
pub struct Columns {
    /// The column of each n-gram of the Markov model.
    of_node: Vec<u16>,
    /// The column of each column's call group without its first call.
    shorter: Vec<u16>,
    /// How many calls each column's call group has.
    length: Vec<u8>,
    /// The longest length.
    order: usize,
}

impl Columns {
    /// The columns for these call groups, in their order. Call groups that the Markov model does not have never occur.
    ///
    /// # Errors
    /// What is wrong with the call groups.
    pub fn new(groups: &[Vec<InterfaceId>], markov: &Markov, interfaces: u32) -> Result<Self, &'static str> {
        if groups.len() > MAX_COLUMNS {
            return Err("the group matrix has too many columns");
        }
        let mut columns = Self { of_node: vec![NONE; markov.len()], ..Self::default() };
        let mut places: FxHashMap<&[InterfaceId], u16> = FxHashMap::default();
        for (place, group) in (0u16..).zip(groups) {
            if group.is_empty() || group.len() > MAX_ORDER {
                return Err("a column of the group matrix has no calls or too many");
            }
            if group.iter().any(|&call| call >= interfaces) {
                return Err("a column of the group matrix names an interface that does not exist");
            }
            if places.insert(group, place).is_some() {
                return Err("a column of the group matrix is listed twice");
            }
            if let Some(node) = markov.node(group) {
                columns.of_node[node as usize] = place;
            }
            columns.length.push(group.len() as u8);
            columns.order = columns.order.max(group.len());
        }
        columns.shorter =
            groups.iter().map(|group| places.get(&group[1..]).copied().unwrap_or(NONE)).collect();
        Ok(columns)
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.length.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length.is_empty()
    }

    /// The length of the longest call group.
    pub fn order(&self) -> usize {
        self.order
    }

    /// How many calls a column's call group has.
    pub fn length(&self, column: usize) -> usize {
        usize::from(self.length[column])
    }

    /// The column of the longest call group that ends where the context stands; [`u16::MAX`] for none.
    pub fn longest(&self, context: &Context) -> u16 {
        let known = context.nodes().iter().take(self.order + 1).skip(1).rev();
        known
            .filter_map(|&node| self.of_node.get(node as usize))
            .copied()
            .find(|&at| at != NONE)
            .unwrap_or(NONE)
    }
}

/// Counts call groups.
#[derive(Clone, Debug)]
pub struct Tally {
    /// By column.
    counts: [u32; MAX_COLUMNS],
    /// How many call groups of each length there were, those that are no columns among them.
    of_length: [u32; MAX_ORDER + 1],
    /// Calls since the beginning, or since something was lost.
    run: usize,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: [0; MAX_COLUMNS], of_length: [0; MAX_ORDER + 1], run: 0 }
    }
}

impl Tally {
    /// What follows does not belong to what came before.
    pub fn cut(&mut self) {
        self.run = 0;
    }

    /// Counts a call by the longest column that ends with it.
    pub fn add(&mut self, columns: &Columns, longest: u16) {
        self.run += 1;
        self.of_length[1..=self.run.min(columns.order)].iter_mut().for_each(|n| *n = n.saturating_add(1));
        let mut column = longest;
        // Each is shorter than the one before, so that this ends.
        while let Some(count) = self.counts.get_mut(usize::from(column)) {
            *count = count.saturating_add(1);
            column = columns.shorter[usize::from(column)];
        }
    }

    /// Calls counted.
    pub fn calls(&self) -> u32 {
        self.of_length[1]
    }

    /// Call groups of a length, from 1 to [`MAX_ORDER`], those that are no columns among them.
    pub fn of_length(&self, length: usize) -> u32 {
        self.of_length[length]
    }

    /// How often a column's call group occurred.
    pub fn count(&self, column: usize) -> u32 {
        self.counts[column]
    }

    /// The columns that occurred, each with its weighted frequency `w_j C(g) / sum of C over the length j`.
    pub fn values<'a>(
        &'a self,
        columns: &'a Columns,
        weights: &'a [f32],
    ) -> impl Iterator<Item = (usize, f32)> + 'a {
        let occurred = self.counts[..columns.len()].iter().enumerate().filter(|(_, count)| **count > 0);
        occurred.map(|(column, &count)| {
            let length = columns.length(column);
            let weight = weights.get(length - 1).copied().unwrap_or_default();
            (column, weight * count as f32 / self.of_length[length].max(1) as f32)
        })
    }
}
