//! The similarity of sessions to the learned ways: how spelling and edges are mixed, and between which bounds normal
//! sessions lie, for each entry interface.
//!
//! The mix is the one under which sessions that are not normal stand out most from held-out normal ones. Without labels
//! these are the held-out sessions themselves, each altered once, drawn with the seed: steps swapped, left out, put in,
//! shuffled, or the end of another session. What stands out is measured as detection measures it: the mean tail exponent.

use std::collections::BTreeMap;

use gait_common::detect::{EntryInterval, Interval, MAX_PATH, Patterns, SimilarityData, Tail, collapse};
use gait_common::interface::InterfaceId;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::calibrate::agreed;

/// Shares of the cosine that are tried: from 0 to 0.9 in steps of 0.05. Spelling always counts, as it tells which way is
/// the nearest.
const SHARES: std::ops::RangeInclusive<u32> = 0..=18;
/// Sessions of each kind by which mixes are compared, at most.
const COMPARED: usize = 20_000;
/// Sessions that are not normal from which on a mix is learned from them.
pub const ENOUGH: usize = 20;
/// Sessions of one entry from which on it has an interval of its own.
const MIN_SESSIONS: usize = 10;
/// By how many sessions' worth an entry's interval is drawn towards that of all.
const DRAWN: f32 = 50.0;
/// The share of normal sessions beyond what is usual.
const UNUSUAL: f64 = 0.1;
/// The smallest difference of similarity that means something.
const LEAST: f32 = 0.05;
/// No session counts for more powers of ten when mixes are compared: one that stands out stands out.
const MOST: f64 = 4.0;

/// How like the nearest learned way a session is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Where it begins.
    pub entry: InterfaceId,
    spelling: f32,
    cosine: f32,
}

impl Likeness {
    /// Of a session and the learned ways; none when there is nothing to compare.
    pub fn new(patterns: &Patterns, session: &[InterfaceId]) -> Option<Self> {
        let nearest = patterns.nearest(session)?;
        let (spelling, cosine) = (nearest.spelling as f32, nearest.cosine as f32);
        Some(Self { entry: *session.first()?, spelling, cosine })
    }

    /// 1 less the similarity, with a share of the cosine.
    pub fn distance(&self, cosine_share: f64) -> f32 {
        let share = cosine_share as f32;
        1.0 - (1.0 - share) * self.spelling - share * self.cosine
    }
}

/// A session as similarity sees it, without repetitions.
pub fn way(steps: impl Iterator<Item = InterfaceId>) -> Vec<InterfaceId> {
    let mut way = collapse(steps);
    way.truncate(MAX_PATH);
    way
}

/// The share of the cosine that sets `abnormal` sessions apart from `normal` ones best, of equal ones the nearest to a half;
/// none when there are too few of them.
pub fn mix(normal: &[(u32, Likeness)], abnormal: &[Likeness], rate: f64) -> Option<f64> {
    if abnormal.len() < ENOUGH || normal.len() < ENOUGH {
        return None;
    }
    let some = |sessions: usize| sessions.div_ceil(COMPARED);
    let normal: Vec<_> = normal.iter().step_by(some(normal.len())).copied().collect();
    let apart = |share: f64| {
        let intervals = intervals(normal.iter().copied(), share, rate);
        let amount = |one: &Likeness| intervals.of(one.entry).0.amount(one.distance(share));
        let usual: Vec<f32> = normal.iter().map(|(_, one)| amount(one)).collect();
        let tail = Tail::fit(&usual, 1.0, 0.0);
        let abnormal = abnormal.iter().step_by(some(abnormal.len()));
        abnormal.map(|one| tail.exponent(amount(one)).min(MOST)).sum::<f64>()
    };
    let tried = SHARES.map(|at| f64::from(at) / 20.0).map(|share| (share, apart(share)));
    let off = |share: f64| (share - 0.5).abs();
    let better = |a: (f64, f64), b: (f64, f64)| b.1 > a.1 || b.1 == a.1 && off(b.0) < off(a.0);
    tried.reduce(|best, next| if better(best, next) { next } else { best }).map(|(share, _)| share)
}

/// The intervals of held-out sessions, each with its witness.
pub fn intervals(
    sessions: impl Iterator<Item = (u32, Likeness)>,
    cosine_share: f64,
    rate: f64,
) -> SimilarityData {
    let mut by_entry: BTreeMap<InterfaceId, Vec<(u32, f32)>> = BTreeMap::new();
    for (witness, session) in sessions {
        by_entry.entry(session.entry).or_default().push((witness, session.distance(cosine_share)));
    }
    let interval = |sample: Vec<(u32, f32)>| {
        let sample = agreed(sample);
        let usual = Tail::quantile(&sample, UNUSUAL, f32::MIN_POSITIVE).clamp(0.0, 1.0);
        let limit = Tail::quantile(&sample, rate, LEAST).min(1.0);
        Interval { usual, limit: limit.max(usual + LEAST) }
    };
    let all = by_entry.values().flatten().copied().collect::<Vec<_>>();
    if all.is_empty() {
        return SimilarityData::default();
    }
    let all = interval(all);
    let drawn = |entry: InterfaceId, sample: Vec<(u32, f32)>| {
        let (sessions, own) = (sample.len() as u64, interval(sample));
        let weight = sessions as f32 / (sessions as f32 + DRAWN);
        let between = |own: f32, all: f32| weight * own + (1.0 - weight) * all;
        let interval =
            Interval { usual: between(own.usual, all.usual), limit: between(own.limit, all.limit) };
        EntryInterval { entry, sessions, interval }
    };
    let of_entry = by_entry.into_iter().filter(|(_, sample)| sample.len() >= MIN_SESSIONS);
    SimilarityData { all, of_entry: of_entry.map(|(entry, sample)| drawn(entry, sample)).collect() }
}

/// A session that nobody made: `way` with one alteration, which may take steps of `other`. It begins where `way` does; none
/// when the alteration changes nothing.
pub fn altered(way: &[InterfaceId], other: &[InterfaceId], seed: u64) -> Option<Vec<InterfaceId>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut below = |n: usize| (random.next_u64() % n.max(1) as u64) as usize;
    let mut steps = way.to_vec();
    let behind = way.len().saturating_sub(1);
    match below(5) {
        0 if behind > 1 => steps.swap(1 + below(behind), 1 + below(behind)),
        1 if behind > 0 => {
            for _ in 0..=below(2) {
                if steps.len() > 1 {
                    steps.remove(1 + below(steps.len() - 1));
                }
            }
        }
        2 if behind > 2 => (2..steps.len()).rev().for_each(|at| steps.swap(at, 1 + below(at))),
        3 if !other.is_empty() => {
            for _ in 0..=below(2) {
                steps.insert(1 + below(steps.len()), other[below(other.len())]);
            }
        }
        _ => {
            steps.truncate(1 + below(way.len()));
            steps.extend(&other[below(other.len())..]);
        }
    }
    Some(self::way(steps.into_iter())).filter(|steps| steps != way && !steps.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(entry: InterfaceId, spelling: f32, cosine: f32) -> Likeness {
        Likeness { entry, spelling, cosine }
    }

    #[test]
    fn the_mix_is_the_one_that_sets_apart() {
        let noise = |at: u32| (at * 37 % 101) as f32 / 101.0;
        let normal: Vec<_> = (0..400).map(|at| (at, like(1, 0.9 + noise(at) / 20.0, noise(at)))).collect();
        let abnormal: Vec<_> = (0..50).map(|at| like(1, 0.4, 0.5 + noise(at) / 2.0)).collect();
        let by_spelling = mix(&normal, &abnormal, 0.01).expect("enough sessions");
        assert!(by_spelling < 0.3, "{by_spelling}");
        let turned =
            |one: &Likeness| Likeness { spelling: one.cosine, cosine: one.spelling, entry: one.entry };
        let normal: Vec<_> = normal.iter().map(|(witness, one)| (*witness, turned(one))).collect();
        let abnormal: Vec<_> = abnormal.iter().map(turned).collect();
        let by_cosine = mix(&normal, &abnormal, 0.01).expect("enough sessions");
        assert!(by_cosine > 0.7, "{by_cosine}");
        assert_eq!(mix(&normal, &abnormal[..3], 0.01), None);
    }

    #[test]
    fn each_entry_has_its_interval_and_small_ones_that_of_all() {
        let strict = (0..500).map(|at| (at, like(1, 1.0, 1.0)));
        let loose = (0..500).map(|at| (at, like(2, 0.3 + at as f32 / 1000.0, 0.5)));
        let few = (0..3).map(|at| (at, like(3, 1.0, 1.0)));
        let data = intervals(strict.chain(loose).chain(few), 0.0, 0.01);
        assert_eq!(data.check(4), Ok(()));
        let ((strict, own), (loose, _)) = (data.of(1), data.of(2));
        assert!(own && !data.of(3).1 && data.of(3).0 == data.all);
        assert!(strict.limit < 0.15 && loose.limit > 0.65, "{strict:?} {loose:?}");
        assert!((loose.usual - 0.65).abs() < 0.05, "nine of ten are nearer: {loose:?}");
        assert_eq!(intervals(std::iter::empty(), 0.5, 0.01), SimilarityData::default());
    }

    #[test]
    fn alterations_begin_alike_and_change_something() {
        let (way, other) = ([1, 2, 3, 4, 5], [1, 7, 8]);
        let made: Vec<_> = (0..200).filter_map(|seed| altered(&way, &other, seed)).collect();
        assert!(made.len() > 150 && made.iter().all(|steps| steps[0] == 1 && steps[..] != way));
        assert!(made.iter().any(|steps| steps.len() < 5) && made.iter().any(|steps| steps.len() > 5));
        assert_eq!(altered(&way, &other, 9), altered(&way, &other, 9));
        for seed in 0..50 {
            let _ = altered(&[1], &[], seed);
        }
    }
}
