//! The operation gap, derived from the pauses between a caller's calls.
//!
//! Pauses within an operation (a page fetching its parts) and between operations (a person thinking) differ by orders
//! of magnitude. The split is found on the histogram of their logarithms (Otsu, 1979: least variance within both
//! classes); of the pauses above it outliers are removed, and the least that remains is the operation gap.

use gait_common::call::Nanos;
use gait_common::sequence::{SECOND, Timing};
use rustc_hash::FxHashMap;

/// Bins per octave of the histogram.
const BINS_PER_OCTAVE: usize = 4;
const BINS: usize = 64 * BINS_PER_OCTAVE;
/// Fewest pauses from which something can be derived.
const MIN_GAPS: usize = 32;
/// Bounds of what is derived: a pause no person or program makes between actions, and one too long to be within one.
const SHORTEST: Nanos = SECOND / 1000;
const LONGEST: Nanos = 60 * SECOND;
/// Pauses beyond this many interquartile ranges (of logarithms) from the quartiles are outliers.
const FENCE: f64 = 1.5;

/// The pauses between each caller's calls, from the end of one to the start of the next; overlaps are left out. Calls
/// come as caller, start and end, in the order of their starts.
pub fn gaps(calls: impl Iterator<Item = (u32, Nanos, Nanos)>) -> Vec<Nanos> {
    let mut last_end: FxHashMap<u32, Nanos> = FxHashMap::default();
    let mut gaps = Vec::new();
    for (caller, start, end) in calls {
        let last = last_end.entry(caller).or_insert(start);
        if let Some(gap) = start.checked_sub(*last).filter(|&gap| gap > 0) {
            gaps.push(gap);
        }
        *last = end.max(*last);
    }
    gaps
}

/// The operation gap for these pauses; the default where they are too few or show no two classes.
pub fn operation_gap(gaps: &[Nanos], session_idle: Nanos) -> Nanos {
    let within: Vec<Nanos> = gaps.iter().copied().filter(|&gap| gap < session_idle).collect();
    let default = Timing::default().operation_gap.min(session_idle);
    if within.len() < MIN_GAPS {
        return default;
    }
    let Some(split) = otsu(&within) else { return default };
    let mut between: Vec<f64> =
        within.iter().filter(|&&gap| gap >= split).map(|&gap| (gap as f64).ln()).collect();
    between.sort_unstable_by(f64::total_cmp);
    let Some(least) = least_inlier(&between) else { return default };
    // Two pauses at most this far apart belong together: stay just below the least pause between operations.
    ((least.exp() as Nanos).saturating_sub(1)).clamp(SHORTEST, LONGEST.min(session_idle))
}

/// The pause at which the two classes part; `None` when there is one class only.
fn otsu(gaps: &[Nanos]) -> Option<Nanos> {
    let mut bins = [0u64; BINS];
    gaps.iter().for_each(|&gap| bins[bin(gap)] += 1);
    let total = gaps.len() as f64;
    let sum: f64 = bins.iter().enumerate().map(|(place, &n)| place as f64 * n as f64).sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let mut best: Option<(f64, usize, usize)> = None;
    for (place, &n) in bins.iter().enumerate() {
        below += n as f64;
        sum_below += place as f64 * n as f64;
        if below == 0.0 || below == total {
            continue;
        }
        let means = (sum_below / below, (sum - sum_below) / (total - below));
        let variance = below * (total - below) * (means.1 - means.0).powi(2);
        match &mut best {
            // Empty bins give the same variance: remember how far they reach.
            Some((most, _, last)) if variance == *most => *last = place,
            Some((most, ..)) if variance < *most => {}
            _ => best = Some((variance, place, place)),
        }
    }
    let (_, first, last) = best?;
    let split = usize::midpoint(first, last) + 1;
    Some((2f64.powf(split as f64 / BINS_PER_OCTAVE as f64)) as Nanos)
}

fn bin(gap: Nanos) -> usize {
    (((gap.max(1) as f64).log2() * BINS_PER_OCTAVE as f64) as usize).min(BINS - 1)
}

fn least_inlier(sorted: &[f64]) -> Option<f64> {
    let quartile = |share: f64| sorted.get(((sorted.len() - 1) as f64 * share) as usize).copied();
    if sorted.is_empty() {
        return None;
    }
    let (low, high) = (quartile(0.25)?, quartile(0.75)?);
    let fence = low - FENCE * (high - low);
    sorted.iter().copied().find(|&gap| gap >= fence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    #[test]
    fn the_gap_lies_between_page_parts_and_thinking() {
        let parts = (0..200).map(|i| (5 + i % 20) * MS);
        let thinking = (0..100).map(|i| (2000 + 37 * i) * MS);
        let gap = operation_gap(&parts.chain(thinking).collect::<Vec<_>>(), 1800 * SECOND);
        assert!((24 * MS..=2000 * MS).contains(&gap), "{gap}");
    }

    #[test]
    fn a_single_early_click_is_an_outlier() {
        let parts = (0..200).map(|i| (5 + i % 20) * MS);
        let thinking = (0..100).map(|i| (2000 + 10 * i) * MS).chain([400 * MS]);
        let gap = operation_gap(&parts.chain(thinking).collect::<Vec<_>>(), 1800 * SECOND);
        assert!(gap > 1500 * MS, "{gap}");
    }

    #[test]
    fn few_pauses_leave_the_default() {
        assert_eq!(operation_gap(&[SECOND; 3], 1800 * SECOND), SECOND);
    }

    #[test]
    fn overlapping_calls_have_no_gap() {
        assert_eq!(gaps([(1, 0, 10), (1, 5, 20), (2, 6, 7), (1, 25, 26)].into_iter()), [5]);
    }
}
