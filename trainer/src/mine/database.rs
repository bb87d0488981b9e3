//! The sequences to mine, in flat storage.

/// Sequences of elements; an element is an item or a set of items.
#[derive(Clone, Debug)]
pub struct Database {
    items: Vec<u32>,
    /// Parallel to `items`: whether the item belongs to the element of the one before it. Empty as long as
    /// every element is a single item.
    joined: Vec<bool>,
    /// Where each sequence begins, and the end of the last one.
    starts: Vec<usize>,
}

impl Default for Database {
    fn default() -> Self {
        Database { items: Vec::new(), joined: Vec::new(), starts: vec![0] }
    }
}

impl Database {
    /// An empty database.
    pub fn new() -> Self {
        Database::default()
    }

    /// Adds a sequence of single items.
    pub fn push(&mut self, items: impl IntoIterator<Item = u32>) {
        self.items.extend(items);
        self.end_sequence();
    }

    /// Adds a sequence of itemsets. Order and repetition within a set do not matter; empty sets are left out.
    pub fn push_itemsets<'a>(&mut self, elements: impl IntoIterator<Item = &'a [u32]>) {
        for element in elements {
            self.push_element(element);
        }
        self.end_sequence();
    }

    /// Adds an element to the sequence that [`Self::end_sequence`] will end.
    pub(super) fn push_element(&mut self, element: &[u32]) {
        let start = self.items.len();
        self.items.extend_from_slice(element);
        if element.len() > 1 {
            self.items[start..].sort_unstable();
            let mut kept = start + 1;
            for at in start + 1..self.items.len() {
                if self.items[at] != self.items[kept - 1] {
                    self.items[kept] = self.items[at];
                    kept += 1;
                }
            }
            self.items.truncate(kept);
        }
        if self.items.len() > start + 1 {
            self.joined.resize(start + 1, false);
            self.joined.resize(self.items.len(), true);
        }
    }

    /// Ends the sequence whose elements were pushed.
    pub(super) fn end_sequence(&mut self) {
        if !self.joined.is_empty() {
            self.joined.resize(self.items.len(), false);
        }
        self.starts.push(self.items.len());
    }

    /// Sequences.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All items of all sequences, in order.
    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }

    /// Each sequence: its items, and for each whether it belongs to the element before (empty: none does).
    pub(super) fn sequences(&self) -> impl Iterator<Item = (&[u32], &[bool])> {
        self.starts.windows(2).map(|ends| {
            let joined = if self.joined.is_empty() { &[][..] } else { &self.joined[ends[0]..ends[1]] };
            (&self.items[ends[0]..ends[1]], joined)
        })
    }
}
