//! Patterns in flat storage.

/// One pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern<'a> {
    items: &'a [u32],
    joined: &'a [bool],
    support: u32,
}

impl<'a> Pattern<'a> {
    /// How many sequences support it.
    pub fn support(self) -> u32 {
        self.support
    }

    /// All items in order, whatever their elements.
    pub fn items(self) -> &'a [u32] {
        self.items
    }

    /// For each item whether it belongs to the element of the one before it. Empty when none does.
    pub(super) fn joined(self) -> &'a [bool] {
        self.joined
    }

    /// Its elements in order, each with its items in ascending order.
    pub fn elements(self) -> impl Iterator<Item = &'a [u32]> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = from;
            if first == self.items.len() {
                return None;
            }
            from += 1;
            while self.joined.get(from).is_some_and(|&joined| joined) {
                from += 1;
            }
            Some(&self.items[first..from])
        })
    }

    /// Whether every element of `other` is part of an element here, in the same order.
    pub(super) fn contains(self, other: Pattern<'_>) -> bool {
        if self.joined.is_empty() && other.joined.is_empty() {
            let mut own = self.items.iter();
            return other.items.iter().all(|wanted| own.any(|item| item == wanted));
        }
        let mut own = self.elements();
        let mut wanted = other.elements();
        wanted.all(|wanted| own.any(|element| wanted.iter().all(|item| element.binary_search(item).is_ok())))
    }
}

/// Many patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    items: Vec<u32>,
    /// Parallel to `items`, or empty when no item is joined to another.
    joined: Vec<bool>,
    ends: Vec<usize>,
    supports: Vec<u32>,
}

impl Patterns {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.supports.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.supports.is_empty()
    }

    /// The pattern at a place.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn get(&self, at: usize) -> Pattern<'_> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let range = start..self.ends[at];
        Pattern {
            items: &self.items[range.clone()],
            joined: self.joined.get(range).unwrap_or_default(),
            support: self.supports[at],
        }
    }

    /// Each pattern in order.
    pub fn iter(&self) -> impl Iterator<Item = Pattern<'_>> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Adds a pattern; `joined` is parallel to the items or empty.
    pub(super) fn push(&mut self, items: &[u32], joined: &[bool], support: u32) {
        if joined.contains(&true) && self.joined.is_empty() {
            self.joined.resize(self.items.len(), false);
        }
        self.items.extend_from_slice(items);
        if !self.joined.is_empty() || joined.contains(&true) {
            self.joined.extend_from_slice(joined);
            self.joined.resize(self.items.len(), false);
        }
        self.ends.push(self.items.len());
        self.supports.push(support);
    }

    /// The first `max` patterns of all parts, in order.
    pub(super) fn concat(parts: Vec<Patterns>, max: usize) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            if all.len() >= max {
                break;
            }
            if all.joined.is_empty() && part.joined.is_empty() {
                let base = all.items.len();
                all.items.extend_from_slice(&part.items);
                all.ends.extend(part.ends.iter().map(|end| base + end));
                all.supports.extend_from_slice(&part.supports);
            } else {
                part.iter().for_each(|pattern| all.push(pattern.items, pattern.joined, pattern.support));
            }
        }
        if all.len() > max {
            all.supports.truncate(max);
            all.ends.truncate(max);
            all.items.truncate(all.ends.last().copied().unwrap_or(0));
            all.joined.truncate(all.items.len());
        }
        all
    }

    /// With each item replaced by its name.
    pub(super) fn renamed(mut self, names: &[u32]) -> Self {
        self.items.iter_mut().for_each(|item| *item = names[*item as usize]);
        self
    }
}
