//! How long something took, over many times: a histogram whose buckets are a sixteenth of a power of two wide.
//!
//! Bucket `16 e + m` holds durations from `2^e (1 + m/16)` up to the next bucket's; below 32 ns a bucket is two at most.
//! A quantile read off it is at most 3.2 % from the true one. Counts are integers and buckets are the same for
//! everybody, so merging is exact: in any order and grouping, the result is the same bit for bit. That is why this is
//! not a sketch with adaptive buckets, whose merge is neither. Sixteen buckets to the octave and 64 octaves bound it.

use serde::{Deserialize, Serialize};

use crate::call::Nanos;

/// Buckets to a power of two, as a power of two.
const BITS: u32 = 4;
const PER_OCTAVE: u64 = 1 << BITS;
/// How many buckets there are.
pub const BUCKETS: u16 = ((64 - BITS as u16) + 1) * PER_OCTAVE as u16;

/// A mergeable histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// Buckets that hold something, ascending, with how much.
    buckets: Vec<(u16, u64)>,
}

/// Buckets that cannot be a sketch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the buckets of a sketch must ascend, lie below {BUCKETS} and hold something")]
pub struct BadSketch;

/// The bucket of a duration.
#[must_use]
pub fn bucket(duration: Nanos) -> u16 {
    if duration < PER_OCTAVE {
        return duration as u16;
    }
    let octave = duration.ilog2() - BITS;
    ((u64::from(octave) << BITS) + (duration >> octave)) as u16
}

/// The least duration of a bucket.
#[must_use]
pub fn least(bucket: u16) -> Nanos {
    let (bucket, per_octave) = (u64::from(bucket.min(BUCKETS - 1)), PER_OCTAVE);
    match (bucket >> BITS).checked_sub(1) {
        None => bucket,
        Some(octave) => (per_octave + bucket % per_octave) << octave,
    }
}

/// The greatest duration of a bucket.
#[must_use]
pub fn greatest(bucket: u16) -> Nanos {
    if bucket + 1 >= BUCKETS { Nanos::MAX } else { least(bucket + 1) - 1 }
}

impl Sketch {
    /// A sketch of stored buckets.
    ///
    /// # Errors
    /// When they do not ascend, are out of range, or are empty.
    pub fn from_buckets(buckets: Vec<(u16, u64)>) -> Result<Self, BadSketch> {
        let sketch = Self { buckets };
        if sketch.is_sound() { Ok(sketch) } else { Err(BadSketch) }
    }

    /// Its buckets, ascending, with what each holds.
    pub fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }

    /// Adds a duration.
    pub fn add(&mut self, duration: Nanos) {
        self.add_many(duration, 1);
    }

    /// Adds a duration that was met `count` times.
    pub fn add_many(&mut self, duration: Nanos, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket(duration);
        match self.buckets.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }

    /// Adds a bucket of a coarser histogram, such as the kernel's, that reaches from `low` to `high`: all of it at the
    /// geometric mean of the two, since nothing is known of where in the bucket it lay. Converting and then merging gives
    /// what merging and then converting gives.
    pub fn add_range(&mut self, low: Nanos, high: Nanos, count: u64) {
        self.add_many(middle(low, high), count);
    }

    /// Adds all that another holds.
    pub fn merge(&mut self, other: &Self) {
        for &(bucket, count) in &other.buckets {
            self.add_many(least(bucket), count);
        }
    }

    /// How many durations it holds.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The duration that a share `q` (0 to 1) of all does not exceed, as the middle of its bucket; 0 for none.
    pub fn quantile(&self, q: f64) -> Nanos {
        self.quantile_bucket(q).map_or(0, |bucket| middle(least(bucket), greatest(bucket)))
    }

    /// The middle of each bucket and what it holds.
    pub(crate) fn middles(&self) -> impl Iterator<Item = (Nanos, u64)> {
        self.buckets.iter().map(|&(bucket, count)| (middle(least(bucket), greatest(bucket)), count))
    }

    /// The bucket in which the quantile lies.
    pub fn quantile_bucket(&self, q: f64) -> Option<u16> {
        let rank = (self.count() as f64 * q.clamp(0.0, 1.0)).ceil().max(1.0);
        let mut below = 0.0;
        let found = self.buckets.iter().find(|&&(_, count)| {
            below += count as f64;
            below >= rank
        });
        found.or(self.buckets.last()).map(|&(bucket, _)| bucket)
    }

    /// How many durations lie in buckets above this one.
    pub fn above(&self, bucket: u16) -> u64 {
        let from = self.buckets.partition_point(|&(b, _)| b <= bucket);
        self.buckets[from..].iter().fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.buckets.is_sorted_by(|a, b| a.0 < b.0)
            && self.buckets.iter().all(|&(bucket, count)| bucket < BUCKETS && count > 0)
    }
}

/// The geometric mean of a bucket's ends, in whole nanoseconds.
fn middle(low: Nanos, high: Nanos) -> Nanos {
    if high <= low {
        return low;
    }
    if low == 0 {
        return high / 2;
    }
    (low as f64 * high as f64).sqrt().clamp(low as f64, high as f64) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn sketch(durations: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        durations.iter().for_each(|&duration| sketch.add(duration));
        sketch
    }

    fn merged(a: &Sketch, b: &Sketch) -> Sketch {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
        for b in 0..BUCKETS {
            assert_eq!((bucket(least(b)), bucket(greatest(b))), (b, b));
            assert!(b == 0 || greatest(b - 1) + 1 == least(b), "bucket {b}");
        }
    }

    proptest! {
        /// Files and hosts are merged in whatever order they come.
        #[test]
        fn merging_is_associative_and_commutative(a in vec(any::<u64>(), 0..50), b in vec(any::<u64>(), 0..50),
                                                  c in vec(any::<u64>(), 0..50)) {
            let (x, y, z) = (sketch(&a), sketch(&b), sketch(&c));
            prop_assert_eq!(merged(&x, &y), merged(&y, &x));
            prop_assert_eq!(merged(&merged(&x, &y), &z), merged(&x, &merged(&y, &z)));
            let whole = sketch(&[a, b, c].concat());
            prop_assert_eq!(merged(&merged(&x, &y), &z), whole);
        }

        #[test]
        fn quantiles_are_close(durations in vec(1_u64..1 << 50, 1..200), q in 0.0..1.0_f64) {
            let sketch = sketch(&durations);
            let mut durations = durations;
            durations.sort_unstable();
            let rank = ((durations.len() as f64 * q).ceil() as usize).max(1);
            let (found, exact) = (sketch.quantile(q) as f64, durations[rank - 1] as f64);
            prop_assert!((found / exact - 1.0).abs() <= 0.0323, "{found} for {exact}");
            let bucket = sketch.quantile_bucket(q).expect("not empty");
            prop_assert!(sketch.above(bucket) <= (durations.len() - rank) as u64);
        }

        /// A kernel's histogram is converted first or merged first.
        #[test]
        fn converting_commutes_with_merging(a in vec(0_u64..9, 64), b in vec(0_u64..9, 64)) {
            let convert = |counts: &[u64]| {
                let mut sketch = Sketch::default();
                for (octave, &count) in counts.iter().enumerate() {
                    sketch.add_range(1 << octave, u64::MAX >> (63 - octave), count);
                }
                sketch
            };
            let sum: Vec<u64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            prop_assert_eq!(convert(&sum), merged(&convert(&a), &convert(&b)));
        }

        #[test]
        fn stored_buckets_are_checked(buckets in vec((any::<u16>(), any::<u64>()), 0..5)) {
            let sound = buckets.is_sorted_by(|a, b| a.0 < b.0) && buckets.iter().all(|b| b.0 < BUCKETS && b.1 > 0);
            prop_assert_eq!(Sketch::from_buckets(buckets).is_ok(), sound);
        }
    }
}
