//! From the spans of one trace to the trees of its services.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::call::Nanos;
use crate::tree::Tree;
use crate::wire::tree::{Fold, MAX_DEPTH, RETURNED, TRUNCATED};

use super::{Counts, Entry, Kept, Names, Trace};

/// Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    fold: Box<Fold>,
}

/// The spans of a trace and how they hang together, by their places.
struct Forest<'n> {
    spans: Vec<Kept>,
    names: &'n Names,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// The parent is missing, or a circle was cut here.
    orphans: Vec<bool>,
    /// When each began, by its caller's clock.
    starts: Vec<Nanos>,
}

impl Scratch {
    /// The trees of a trace. The order of `spans` does not matter.
    pub(super) fn grow(
        &mut self,
        id: u128,
        mut spans: Vec<Kept>,
        names: &Names,
        counts: &mut Counts,
    ) -> Trace {
        let kept = spans.len();
        let text = |number: u32| names.text(number);
        // Of spans with one id the first in time stays; numbers of names depend on the order of arrival, names do not.
        spans.sort_unstable_by(|a, b| {
            let key = |s: &Kept| (s.id, s.start, Reverse(s.duration), s.parent, s.failed);
            key(a)
                .cmp(&key(b))
                .then_with(|| text(a.name).cmp(text(b.name)))
                .then_with(|| text(a.instance).cmp(text(b.instance)))
        });
        spans.dedup_by_key(|span| span.id);
        counts.duplicates += (kept - spans.len()) as u64;
        let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let mut forest = Forest::new(spans, names);
        let roots = forest.roots(counts);
        forest.correct_clocks(&roots, counts);
        let mut entries = Vec::new();
        // Entries whose trees are still to be made, and their callers.
        let mut ahead: Vec<(usize, Option<usize>)> =
            roots.into_iter().rev().map(|root| (root, None)).collect();
        while let Some((root, caller)) = ahead.pop() {
            let place = entries.len();
            let (entry, called) = forest.entry(root, caller, &mut self.fold);
            entries.push(entry);
            ahead.extend(called.into_iter().rev().map(|root| (root, Some(place))));
        }
        Trace { id, start, entries }
    }
}

impl<'n> Forest<'n> {
    fn new(spans: Vec<Kept>, names: &'n Names) -> Self {
        let places: FxHashMap<u64, usize> =
            spans.iter().zip(0..).map(|(span, place)| (span.id, place)).collect();
        let parents: Vec<Option<usize>> =
            spans.iter().map(|span| span.parent.and_then(|id| places.get(&id).copied())).collect();
        let orphans = spans
            .iter()
            .zip(&parents)
            .map(|(span, parent)| span.parent.is_some() && parent.is_none())
            .collect();
        let mut children = vec![Vec::new(); spans.len()];
        for (place, parent) in parents.iter().enumerate() {
            if let Some(parent) = *parent {
                children[parent].push(place);
            }
        }
        let starts = spans.iter().map(|span| span.start).collect();
        Forest { spans, names, parents, children, orphans, starts }
    }

    /// The spans without a parent, by their start. Circles are cut at the span that began first.
    fn roots(&mut self, counts: &mut Counts) -> Vec<usize> {
        let mut reached = vec![false; self.spans.len()];
        let mut roots: Vec<usize> =
            (0..self.spans.len()).filter(|&place| self.parents[place].is_none()).collect();
        let true_roots = roots.iter().filter(|&&root| !self.orphans[root]).count();
        counts.several_roots += u64::from(true_roots > 1);
        roots.iter().for_each(|&root| self.reach(root, &mut reached));
        let by_start = |place: usize| (self.spans[place].start, place);
        let mut left: Vec<usize> = (0..self.spans.len()).filter(|&place| !reached[place]).collect();
        left.sort_unstable_by_key(|&place| by_start(place));
        for place in left {
            if !reached[place] {
                if let Some(parent) = self.parents[place].take() {
                    self.children[parent].retain(|&child| child != place);
                }
                self.orphans[place] = true;
                self.reach(place, &mut reached);
                roots.push(place);
            }
        }
        counts.orphans += self.orphans.iter().filter(|&&orphan| orphan).count() as u64;
        roots.sort_unstable_by_key(|&place| (self.spans[place].start, place));
        roots
    }

    fn reach(&self, root: usize, reached: &mut [bool]) {
        let mut ahead = vec![root];
        while let Some(place) = ahead.pop() {
            if !std::mem::replace(&mut reached[place], true) {
                ahead.extend(&self.children[place]);
            }
        }
    }

    /// Whether a span is in another process than the one that caused it.
    fn is_remote(&self, parent: usize, child: usize) -> bool {
        let (parent, child) = (&self.spans[parent], &self.spans[child]);
        let known = |number: u32| !self.names.text(number).is_empty();
        let other_instance =
            parent.instance != child.instance && known(parent.instance) && known(child.instance);
        parent.service != child.service || other_instance
    }

    /// Moves spans of other processes by as little as puts them into the span that caused them, and what is below them with
    /// them. One that is longer than its caller was not waited for, and stays.
    fn correct_clocks(&mut self, roots: &[usize], counts: &mut Counts) {
        let mut ahead: Vec<(usize, i128)> = roots.iter().map(|&root| (root, 0)).collect();
        while let Some((place, moved)) = ahead.pop() {
            let parent = (i128::from(self.starts[place]), i128::from(self.spans[place].duration));
            for at in 0..self.children[place].len() {
                let child = self.children[place][at];
                let length = i128::from(self.spans[child].duration);
                let mut start = i128::from(self.spans[child].start);
                let mut shift = moved;
                if self.is_remote(place, child) {
                    // Its own clock: right as it is, unless that cannot be.
                    shift = 0;
                    if length <= parent.1 {
                        shift = start.clamp(parent.0, parent.0 + parent.1 - length) - start;
                    }
                    counts.skewed += u64::from(shift != 0);
                }
                start += shift;
                self.starts[child] = u64::try_from(start.max(0)).unwrap_or(u64::MAX);
                ahead.push((child, shift));
            }
        }
    }

    /// The tree of the service that `root` enters, and the spans with which it entered others, in the tree's order.
    fn entry(&mut self, root: usize, caller: Option<usize>, fold: &mut Fold) -> (Entry, Vec<usize>) {
        let mut called = Vec::new();
        let mut local = Vec::new();
        // The service's own spans, parents first, as deep as a tree may be and one deeper, so that it is marked.
        let mut ahead = vec![(root, 0)];
        while let Some((place, depth)) = ahead.pop() {
            local.push(place);
            if depth <= MAX_DEPTH {
                let children = self.children[place].iter().filter(|&&child| !self.is_remote(place, child));
                ahead.extend(children.map(|&child| (child, depth + 1)));
            }
        }
        for &place in local.iter().rev() {
            self.order_children(place, fold);
        }
        let truncated = self.run(root, 0, fold, Some(&mut called));
        if self.orphans[root] || truncated {
            fold.mark(TRUNCATED);
        }
        let span = self.spans[root];
        let tree = Tree::folded(fold).expect("the fold has just seen a root to its end");
        let name = |number| Arc::clone(self.names.text(number));
        let entry = Entry {
            service: name(span.service),
            instance: name(span.instance),
            name: name(span.name),
            caller,
            orphan: self.orphans[root],
            start: span.start,
            elapsed: span.duration,
            own: self.own_time(root, &called),
            failed: span.failed,
            code: fold.code(),
            tree,
        };
        (entry, called)
    }

    /// Puts a span's children in order. Those below them are in order already.
    fn order_children(&mut self, place: usize, fold: &mut Fold) {
        let mut children = std::mem::take(&mut self.children[place]);
        let end = |child: usize| self.starts[child].saturating_add(self.spans[child].duration);
        children.sort_unstable_by_key(|&child| (self.starts[child], end(child), self.spans[child].id));
        let mut from = 0;
        while from < children.len() {
            let (mut to, mut latest) = (from + 1, end(children[from]));
            while to < children.len()
                && (self.starts[children[to]] < latest
                    || self.starts[children[to]] == self.starts[children[from]])
            {
                latest = latest.max(end(children[to]));
                to += 1;
            }
            if to > from + 1 {
                children[from..to].sort_by_cached_key(|&child| {
                    if self.is_remote(place, child) {
                        fold.enter(self.names.function(self.spans[child].name));
                        fold.leave(RETURNED);
                    } else {
                        self.run(child, 0, fold, None);
                    }
                    let code = fold.code();
                    (code.ordered, code.unordered, self.starts[child], self.spans[child].id)
                });
            }
            from = to;
        }
        self.children[place] = children;
    }

    /// Runs the calls of a subtree through the fold and notes the calls of other services. Whether something is too deep.
    fn run(&self, place: usize, depth: usize, fold: &mut Fold, mut called: Option<&mut Vec<usize>>) -> bool {
        fold.enter(self.names.function(self.spans[place].name));
        let mut cut = depth > MAX_DEPTH;
        if !cut {
            for &child in &self.children[place] {
                if self.is_remote(place, child) {
                    fold.enter(self.names.function(self.spans[child].name));
                    fold.leave(RETURNED);
                    if let Some(called) = called.as_deref_mut() {
                        called.push(child);
                    }
                } else {
                    cut |= self.run(child, depth + 1, fold, called.as_deref_mut());
                }
            }
        }
        fold.leave(RETURNED);
        cut
    }

    /// How much of a span's time none of the called services was at work.
    fn own_time(&self, root: usize, called: &[usize]) -> Nanos {
        let (start, duration) = (self.starts[root], self.spans[root].duration);
        let end = start.saturating_add(duration);
        let within = |place: &usize| {
            let from = self.starts[*place];
            (from.clamp(start, end), from.saturating_add(self.spans[*place].duration).clamp(start, end))
        };
        let mut intervals: Vec<(Nanos, Nanos)> = called.iter().map(within).collect();
        intervals.sort_unstable();
        let (mut waited, mut until) = (0, start);
        for (from, to) in intervals {
            waited += to.saturating_sub(from.max(until));
            until = until.max(to);
        }
        duration - waited.min(duration)
    }
}
