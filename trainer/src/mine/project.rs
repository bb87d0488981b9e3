//! PrefixSpan for single items without a gap bound.
//!
//! A pattern's projection is what is left of each supporting sequence behind the first place where the
//! pattern ends. An item's last place in its sequence carries the [`LAST`] mark: every rest that holds an
//! item holds its last place, exactly once. So the number of rests that hold the item is the number of marks,
//! and counting needs no bookkeeping of what was already seen.
//!
//! Items that are infrequent in a projection are infrequent in all that follow from it. When they make up
//! half of it, the rests are copied without them; else the rests stay where they are. So along a search path
//! every copy has at most half the items of the one before.

use super::branches::{self, Found};
use super::closure::Checker;
use super::dense::Dense;
use super::{Keep, Params, Patterns};

/// Marks an item's last place in its sequence.
const LAST: u32 = 1 << 31;

/// What follows the first place of an item in one sequence: a range of the projection's items.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    pub(super) sequence: u32,
    from: u32,
    to: u32,
}

impl Rest {
    fn of<'l>(&self, items: &'l [u32]) -> &'l [u32] {
        &items[self.from as usize..self.to as usize]
    }
}

/// An item that is frequent in a projection.
#[derive(Clone, Copy, Debug)]
struct Extension {
    item: u32,
    support: u32,
    /// Where the rests behind its first places begin; there are as many as its support.
    rests: usize,
}

/// What a pattern can be extended by.
#[derive(Debug, Default)]
struct Level {
    extensions: Vec<Extension>,
    rests: Vec<Rest>,
    /// How many items were copied and are what the rests refer to; if 0, they refer to what they were taken
    /// from.
    copied: usize,
    items: Vec<u32>,
}

impl Level {
    fn rests(&self, extension: &Extension) -> &[Rest] {
        &self.rests[extension.rests..extension.rests + extension.support as usize]
    }
}

/// What rests refer to: items, and a list that has each of them.
#[derive(Clone, Copy)]
struct Text<'l> {
    items: &'l [u32],
    alphabet: &'l [Extension],
}

/// All patterns, the closed ones, or some that include the maximal ones, over item numbers; and whether these
/// are all.
pub(super) fn mine(dense: &Dense, params: &Params, min_support: u32) -> (Patterns, bool) {
    let first = params.first(dense);
    let text = marked(dense);
    let mut counter = Counter::new(dense.names().len());
    let whole: Vec<Rest> = (0..dense.len())
        .map(|sequence| {
            let range = dense.range(sequence);
            Rest { sequence: sequence as u32, from: range.start as u32, to: range.end as u32 }
        })
        .collect();
    let alphabet: Vec<Extension> =
        (0..dense.names().len() as u32).map(|item| Extension { item, support: 0, rests: 0 }).collect();
    let text = Text { items: &text, alphabet: &alphabet };
    let mut root = Level::default();
    counter.count(text, &whole);
    counter.extend(text, &whole, min_support, false, &mut root);

    let branches: Vec<&Extension> = root
        .extensions
        .iter()
        .filter(|extension| first.is_none_or(|first| first == extension.item))
        .collect();
    branches::run(branches.len(), params, dense.items().len(), || Search {
        min_support,
        keep: params.keep,
        prunes: params.keep == Keep::Closed || params.keep == Keep::Maximal && params.max_length.is_none(),
        text,
        root: &root,
        branches: &branches,
        counter: Counter::new(dense.names().len()),
        checker: Checker::new(dense, first),
        spare: Vec::new(),
        pattern: Vec::new(),
    })
}

/// The database's items with each one's last place in each sequence marked.
fn marked(dense: &Dense) -> Vec<u32> {
    let mut items = dense.items().to_vec();
    let mut last_sequence = vec![u32::MAX; dense.names().len()];
    for sequence in 0..dense.len() {
        for item in items[dense.range(sequence)].iter_mut().rev() {
            let last = &mut last_sequence[*item as usize];
            if *last != sequence as u32 {
                *last = sequence as u32;
                *item |= LAST;
            }
        }
    }
    items
}

/// Counts and extends; its tables are indexed by item.
struct Counter {
    /// Zero except between counting and extending.
    support: Vec<u32>,
    /// Where an item's next rest goes; [`INFREQUENT`] for one that has none.
    cursor: Vec<u32>,
    /// The last rest in which an item was seen.
    seen: Vec<u32>,
    rest: u32,
}

const INFREQUENT: u32 = u32::MAX;

impl Counter {
    fn new(items: usize) -> Self {
        Counter { support: vec![0; items], cursor: vec![INFREQUENT; items], seen: vec![0; items], rest: 0 }
    }

    /// Counts in how many of the rests each item occurs, and returns the greatest of these supports.
    /// [`Self::extend`] or [`Self::clear`] must follow.
    fn count(&mut self, text: Text<'_>, rests: &[Rest]) -> u32 {
        for rest in rests {
            for &item in rest.of(text.items) {
                self.support[(item & !LAST) as usize] += item >> 31;
            }
        }
        text.alphabet.iter().map(|letter| self.support[letter.item as usize]).max().unwrap_or(0)
    }

    fn clear(&mut self, text: Text<'_>) {
        text.alphabet.iter().for_each(|letter| self.support[letter.item as usize] = 0);
    }

    /// Lists the items that were counted at least `min_support` times, with the rests behind them. If these
    /// are at most half of all and `may_copy`, they are copied.
    fn extend(
        &mut self,
        text: Text<'_>,
        rests: &[Rest],
        min_support: u32,
        may_copy: bool,
        level: &mut Level,
    ) {
        level.extensions.clear();
        let (mut all, mut frequent) = (0, 0);
        for &Extension { item, .. } in text.alphabet {
            let support = std::mem::take(&mut self.support[item as usize]);
            all += support as usize;
            self.cursor[item as usize] = INFREQUENT;
            if support >= min_support {
                self.cursor[item as usize] = frequent as u32;
                level.extensions.push(Extension { item, support, rests: frequent });
                frequent += support as usize;
            }
        }
        level.rests.clear();
        level.rests.resize(frequent, Rest::default());
        let copy = may_copy && frequent <= all / 2;
        let mut copied = 0;
        for &rest in rests {
            let items = rest.of(text.items);
            if copy {
                let from = copied;
                if level.items.len() < from + items.len() {
                    level.items.resize(2 * (from + items.len()), 0);
                }
                // Every item is written, and overwritten by the next one where it is not wanted: no branch to
                // mispredict.
                for &item in items {
                    level.items[copied] = item;
                    copied += usize::from(self.cursor[(item & !LAST) as usize] != INFREQUENT);
                }
                let rest = Rest { from: from as u32, to: copied as u32, ..rest };
                self.sort(rest, &level.items[from..copied], &mut level.rests);
            } else {
                self.sort(rest, items, &mut level.rests);
            }
        }
        level.copied = copied;
    }

    /// Puts what is behind the first place of each frequent item where it belongs. `items` is what `rest`
    /// refers to.
    fn sort(&mut self, rest: Rest, items: &[u32], rests: &mut [Rest]) {
        self.rest = self.rest.checked_add(1).unwrap_or_else(|| {
            self.seen.fill(0);
            1
        });
        for (behind, &item) in (rest.from + 1..).zip(items) {
            let item = (item & !LAST) as usize;
            let place = self.cursor[item];
            if self.seen[item] != self.rest && place != INFREQUENT {
                self.seen[item] = self.rest;
                self.cursor[item] = place + 1;
                rests[place as usize] = Rest { from: behind, ..rest };
            }
        }
    }
}

/// The search of one thread.
struct Search<'a> {
    min_support: u32,
    keep: Keep,
    /// Whether to leave out what an item can be inserted into without moving its end. Where length is
    /// bounded, what is maximal must be told from all frequent patterns.
    prunes: bool,
    text: Text<'a>,
    root: &'a Level,
    branches: &'a [&'a Extension],
    counter: Counter,
    checker: Checker<'a>,
    /// Levels that are not in use, for their memory.
    spare: Vec<Level>,
    pattern: Vec<u32>,
}

impl branches::Search for Search<'_> {
    fn search(&mut self, branch: usize, found: &mut Found<'_>) {
        let extension = self.branches[branch];
        self.grow(self.text, extension.item, self.root.rests(extension), found);
    }
}

impl Search<'_> {
    /// Finds the pattern extended by an item, and everything that begins with it. `rests` is its projection.
    fn grow(&mut self, text: Text<'_>, item: u32, rests: &[Rest], found: &mut Found<'_>) {
        self.pattern.push(item);
        let greatest = self.counter.count(text, rests);
        let grows = greatest >= self.min_support;
        let longest = found.is_longest(self.pattern.len());
        let kept = if longest { !self.is_hopeless(rests) } else { self.is_kept(rests, greatest) };
        if kept {
            found.push(&self.pattern, &[], rests.len() as u32);
        }
        if longest || !grows || !kept && self.is_hopeless(rests) {
            self.counter.clear(text);
            if longest && kept && grows {
                found.note_longer();
            }
        } else {
            self.grow_longer(text, rests, found);
        }
        self.pattern.pop();
    }

    /// Finds everything that begins with the pattern and is longer.
    fn grow_longer(&mut self, text: Text<'_>, rests: &[Rest], found: &mut Found<'_>) {
        let mut level = self.spare.pop().unwrap_or_default();
        self.counter.extend(text, rests, self.min_support, true, &mut level);
        let copied = Text { items: &level.items, alphabet: &level.extensions };
        let text = if level.copied > 0 { copied } else { text };
        let entries = level.rests.len() + level.copied;
        if found.hold(entries) {
            for extension in &level.extensions {
                if found.is_stopped() {
                    break;
                }
                self.grow(text, extension.item, level.rests(extension), found);
            }
            found.release(entries);
        }
        self.spare.push(level);
    }

    /// Whether no pattern that begins with this one is of the wanted kind.
    fn is_hopeless(&mut self, rests: &[Rest]) -> bool {
        self.prunes && self.checker.is_prefix_redundant(&self.pattern, rests)
    }

    /// Whether the pattern is of the wanted kind, given the greatest support of its extensions. Of maximal
    /// ones too many are kept: whether something can be inserted into them is cheaper to tell from all of
    /// them.
    fn is_kept(&mut self, rests: &[Rest], greatest: u32) -> bool {
        match self.keep {
            Keep::All => true,
            Keep::Closed => {
                (greatest as usize) < rests.len() && !self.checker.is_redundant(&self.pattern, rests)
            }
            Keep::Maximal => greatest < self.min_support,
        }
    }
}
