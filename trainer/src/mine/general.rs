//! PrefixSpan for itemsets and for a bound on gaps.
//!
//! Here the first place where a pattern ends is not enough: a later one may be followed closely enough, or be
//! part of an element that holds one more item. So a projection keeps *all* places where the pattern ends,
//! for each supporting sequence. A pattern grows in two ways: an item *joins* its last element or *follows*
//! it as a new element.

use super::branches::{self, Found};
use super::dense::Dense;
use super::{Params, Patterns};

/// The places of one sequence where a pattern ends, ascending: a range of a level's `ends`.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    sequence: u32,
    from: u32,
    to: u32,
}

/// An item by which a pattern can grow.
#[derive(Clone, Copy, Debug)]
struct Extension {
    item: u32,
    joined: bool,
    support: u32,
    /// Where its groups begin; there are as many as its support.
    groups: usize,
}

/// What a pattern can grow by, with the places where the grown patterns end.
#[derive(Debug, Default)]
struct Level {
    extensions: Vec<Extension>,
    groups: Vec<Group>,
    ends: Vec<u32>,
}

/// All frequent patterns over item numbers, and whether these are all.
pub(super) fn mine(dense: &Dense, params: &Params, min_support: u32) -> (Patterns, bool) {
    let mut root = Level::default();
    Counter::new(dense, params, min_support).extend(Ends::Empty, &mut root);
    let first = params.first(dense);
    let branches: Vec<&Extension> = root
        .extensions
        .iter()
        .filter(|extension| first.is_none_or(|first| first == extension.item))
        .collect();
    branches::run(branches.len(), params, dense.items().len(), || Search {
        root: &root,
        branches: &branches,
        counter: Counter::new(dense, params, min_support),
        spare: Vec::new(),
        items: Vec::new(),
        joined: Vec::new(),
    })
}

/// Finds extensions. Its table has two entries per item: to follow, and to join.
struct Counter<'a> {
    dense: &'a Dense,
    max_gap: Option<u32>,
    min_support: u32,
    table: Vec<Count>,
    touched: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    support: u32,
    ends: u32,
    /// The last sequence it was seen in, plus 1.
    sequence: u32,
    /// Where its next group and its next end go.
    next_group: u32,
    next_end: u32,
}

const INFREQUENT: u32 = u32::MAX;

impl<'a> Counter<'a> {
    fn new(dense: &'a Dense, params: &Params, min_support: u32) -> Self {
        let table = vec![Count::default(); 2 * dense.names().len()];
        Counter { dense, max_gap: params.max_gap, min_support, table, touched: Vec::new() }
    }

    /// Lists what a pattern that ends at `ends` can grow by.
    fn extend(&mut self, ends: Ends<'_>, level: &mut Level) {
        let (items, table, touched) = (self.dense.items(), &mut self.table, &mut self.touched);
        ends.places(self.dense, self.max_gap, |sequence, at, joined| {
            let slot = items[at as usize] << 1 | u32::from(!joined);
            let count = &mut table[slot as usize];
            if count.sequence != sequence + 1 {
                if count.support == 0 {
                    touched.push(slot);
                }
                count.sequence = sequence + 1;
                count.support += 1;
            }
            count.ends += 1;
        });

        // Joining items come first, then following ones, each in ascending order.
        touched.sort_unstable_by_key(|slot| (slot & 1, *slot));
        level.extensions.clear();
        let (mut groups, mut places) = (0, 0);
        for &slot in touched.iter() {
            let count = &mut table[slot as usize];
            count.sequence = 0;
            count.next_group = INFREQUENT;
            if count.support >= self.min_support {
                let (item, joined) = (slot >> 1, slot & 1 == 0);
                level.extensions.push(Extension { item, joined, support: count.support, groups });
                count.next_group = groups as u32;
                count.next_end = places;
                groups += count.support as usize;
                places += count.ends;
            }
        }
        level.groups.clear();
        level.groups.resize(groups, Group::default());
        level.ends.clear();
        level.ends.resize(places as usize, 0);
        if groups > 0 {
            ends.places(self.dense, self.max_gap, |sequence, at, joined| {
                let slot = items[at as usize] << 1 | u32::from(!joined);
                let count = &mut table[slot as usize];
                if count.next_group == INFREQUENT {
                    return;
                }
                if count.sequence != sequence + 1 {
                    count.sequence = sequence + 1;
                    level.groups[count.next_group as usize] =
                        Group { sequence, from: count.next_end, to: count.next_end };
                    count.next_group += 1;
                }
                level.ends[count.next_end as usize] = at;
                count.next_end += 1;
                level.groups[count.next_group as usize - 1].to = count.next_end;
            });
        }
        touched.drain(..).for_each(|slot| table[slot as usize] = Count::default());
    }
}

/// Where a pattern ends.
#[derive(Clone, Copy)]
enum Ends<'l> {
    /// Nowhere yet: the empty pattern, which any item follows.
    Empty,
    /// At these places of the level that the groups belong to.
    Groups(&'l Level, &'l [Group]),
}

impl Ends<'_> {
    /// Visits, by sequence and place, where the pattern can grow, and whether the item there joins or
    /// follows.
    fn places(self, dense: &Dense, max_gap: Option<u32>, mut visit: impl FnMut(u32, u32, bool)) {
        match self {
            Ends::Empty => {
                for sequence in 0..dense.len() {
                    dense.range(sequence).for_each(|at| visit(sequence as u32, at as u32, false));
                }
            }
            Ends::Groups(level, groups) => {
                for group in groups {
                    let ends = &level.ends[group.from as usize..group.to as usize];
                    places(dense, max_gap, group.sequence, ends, |at, joined| {
                        visit(group.sequence, at, joined)
                    });
                }
            }
        }
    }
}

/// Visits where a pattern that ends at the places `ends` of one sequence can grow.
fn places(
    dense: &Dense,
    max_gap: Option<u32>,
    sequence: u32,
    ends: &[u32],
    mut visit: impl FnMut(u32, bool),
) {
    let elements = dense.elements();
    let stop = dense.range(sequence as usize).end;
    // An item follows once, however many of the ends it could follow.
    let mut next = 0;
    for &end in ends {
        let element = elements[end as usize];
        let mut at = end as usize + 1;
        while at < stop && elements[at] == element {
            visit(at as u32, true);
            at += 1;
        }
        let furthest = max_gap.map_or(u32::MAX, |gap| element.saturating_add(gap).saturating_add(1));
        at = at.max(next);
        while at < stop && elements[at] <= furthest {
            visit(at as u32, false);
            at += 1;
        }
        next = at;
    }
}

/// The search of one thread.
struct Search<'a> {
    root: &'a Level,
    branches: &'a [&'a Extension],
    counter: Counter<'a>,
    /// Levels that are not in use, for their memory.
    spare: Vec<Level>,
    items: Vec<u32>,
    joined: Vec<bool>,
}

impl branches::Search for Search<'_> {
    fn search(&mut self, branch: usize, found: &mut Found<'_>) {
        self.grow(self.root, self.branches[branch], found);
    }
}

impl Search<'_> {
    /// Finds the pattern extended by an item, and everything that begins with it.
    fn grow(&mut self, source: &Level, extension: &Extension, found: &mut Found<'_>) {
        self.items.push(extension.item);
        self.joined.push(extension.joined);
        found.push(&self.items, &self.joined, extension.support);
        if !found.is_stopped() {
            let groups = &source.groups[extension.groups..extension.groups + extension.support as usize];
            let mut level = self.spare.pop().unwrap_or_default();
            self.counter.extend(Ends::Groups(source, groups), &mut level);
            self.grow_longer(&level, found);
            self.spare.push(level);
        }
        self.items.pop();
        self.joined.pop();
    }

    /// Finds everything that begins with the pattern and is longer. `level` is what the pattern can grow by.
    fn grow_longer(&mut self, level: &Level, found: &mut Found<'_>) {
        if found.is_longest(self.items.len()) {
            if !level.extensions.is_empty() {
                found.note_longer();
            }
            return;
        }
        let entries = level.groups.len() + level.ends.len();
        if found.hold(entries) {
            for extension in &level.extensions {
                if found.is_stopped() {
                    break;
                }
                self.grow(level, extension, found);
            }
            found.release(entries);
        }
    }
}
