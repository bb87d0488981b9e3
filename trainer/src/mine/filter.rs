//! Closed and maximal patterns among given ones.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::patterns::Pattern;
use super::{Keep, Patterns};

/// Those of `patterns` that no longer one contains (maximal), or none of at least their support (closed); the
/// order is kept.
///
/// `whole` says that with each pattern all that it contains are given, as far as they may be. Then one that is
/// contained in another is also contained in one that has one item more, and time grows with the number of
/// patterns; else with its square, at worst.
pub(super) fn filter(patterns: &Patterns, keep: Keep, whole: bool) -> Patterns {
    let kept = if whole { uncovered_by_one_more(patterns, keep) } else { uncovered(patterns, keep) };
    let mut result = Patterns::default();
    for at in kept {
        let pattern = patterns.get(at);
        result.push(pattern.items(), pattern.joined(), pattern.support());
    }
    result
}

/// Leaves one item out of each pattern in every way, and so finds what it covers.
fn uncovered_by_one_more(patterns: &Patterns, keep: Keep) -> Vec<usize> {
    let places: FxHashMap<_, _> = patterns.iter().map(|p| (p.items(), p.joined())).zip(0..).collect();
    let mut covered = vec![false; patterns.len()];
    let (mut items, mut joined) = (Vec::new(), Vec::new());
    for pattern in patterns.iter() {
        for left_out in 0..pattern.items().len() {
            items.clear();
            items.extend_from_slice(pattern.items());
            items.remove(left_out);
            joined.clear();
            joined.extend_from_slice(pattern.joined());
            if !joined.is_empty() && !joined.remove(left_out) && left_out < joined.len() {
                // It was the first of its element; now the next one is.
                joined[left_out] = false;
            }
            if let Some(&at) = places.get(&(&items[..], &joined[..]))
                && (keep == Keep::Maximal || patterns.get(at).support() <= pattern.support())
            {
                covered[at] = true;
            }
        }
    }
    (0..patterns.len()).filter(|&at| !covered[at]).collect()
}

/// Compares patterns with the longer ones that have their items. Items are numbers from 0.
fn uncovered(patterns: &Patterns, keep: Keep) -> Vec<usize> {
    let items = patterns.iter().flat_map(Pattern::items).max().map_or(0, |&item| item as usize + 1);
    let mut by_length: Vec<usize> = (0..patterns.len()).collect();
    by_length.sort_by_key(|&at| std::cmp::Reverse(patterns.get(at).items().len()));
    // Kept patterns by the items they hold. A pattern that is contained in one that is not kept is contained
    // in a kept one too.
    let mut holders: Vec<Vec<Holder>> = vec![Vec::new(); items];
    let mut kept = Vec::new();
    for of_length in
        by_length.chunk_by(|&a, &b| patterns.get(a).items().len() == patterns.get(b).items().len())
    {
        let from = kept.len();
        kept.par_extend(
            of_length.par_iter().copied().filter(|&at| !is_covered(patterns, at, keep, &holders)),
        );
        for &at in &kept[from..] {
            let pattern = patterns.get(at);
            let mut items = pattern.items().to_vec();
            items.sort_unstable();
            items.dedup();
            let holder = Holder { at, support: pattern.support(), signature: signature(pattern) };
            items.into_iter().for_each(|item| holders[item as usize].push(holder));
        }
    }
    kept.sort_unstable();
    kept
}

#[derive(Clone, Copy)]
struct Holder {
    at: usize,
    support: u32,
    signature: u64,
}

fn is_covered(patterns: &Patterns, at: usize, keep: Keep, holders: &[Vec<Holder>]) -> bool {
    let pattern = patterns.get(at);
    let signature = signature(pattern);
    let rarest =
        pattern.items().iter().map(|&item| &holders[item as usize]).min_by_key(|holders| holders.len());
    rarest.into_iter().flatten().any(|holder| {
        (keep == Keep::Maximal || holder.support >= pattern.support())
            && holder.signature & signature == signature
            && patterns.get(holder.at).contains(pattern)
    })
}

/// A bit for each item (modulo 64): a pattern can only contain those whose bits it has.
fn signature(pattern: Pattern<'_>) -> u64 {
    pattern.items().iter().fold(0, |bits, item| bits | 1 << (item % 64))
}
