//! What the kernel counts of each code: one value a CPU, added up by the agent.

/// Number of buckets of durations.
pub const BUCKETS: usize = 64;
/// The first bucket ends where the second octave's half begins: at 1.5 times 2 to this power, in ns.
const FIRST: u32 = 8;

/// What is counted: a tree's outermost function and its ordered code.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// [`super::function_id`] of the outermost call.
    pub root: u64,
    /// [`super::Code::ordered`] of the tree.
    pub ordered: u64,
}

/// Counts of one code on one CPU, since the code was first seen there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Trees that ended.
    pub calls: u64,
    /// Those of them that failed ([`super::FAILED`] or [`super::UNRETURNED`]).
    pub failures: u64,
    /// Sum of the durations of those that returned, in ns.
    pub sum_ns: u64,
    /// Durations of those that returned, by [`bucket`].
    pub buckets: [u32; BUCKETS],
}

impl Default for Statistics {
    fn default() -> Self {
        Self { calls: 0, failures: 0, sum_ns: 0, buckets: [0; BUCKETS] }
    }
}

impl Statistics {
    /// Adds another CPU's counts. Counts are modulo their width, as the kernel counts.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.wrapping_add(other.calls);
        self.failures = self.failures.wrapping_add(other.failures);
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(to, from)| *to = to.wrapping_add(*from));
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut out = *self;
        out.calls = self.calls.wrapping_sub(earlier.calls);
        out.failures = self.failures.wrapping_sub(earlier.failures);
        out.sum_ns = self.sum_ns.wrapping_sub(earlier.sum_ns);
        out.buckets.iter_mut().zip(&earlier.buckets).for_each(|(to, from)| *to = to.wrapping_sub(*from));
        out
    }
}

/// The bucket of a duration: two to an octave from 256 ns on, what is shorter in the first, what is longer in the last.
#[inline(always)]
#[must_use]
pub const fn bucket(ns: u64) -> u32 {
    let scaled = ns >> (FIRST - 1);
    if scaled < 2 {
        return 0;
    }
    let octave = 63 - scaled.leading_zeros();
    let half = (scaled >> (octave - 1)) as u32 & 1;
    let number = 2 * (octave - 1) + half;
    if number < BUCKETS as u32 { number } else { BUCKETS as u32 - 1 }
}

/// The shortest duration of a bucket, in ns.
#[must_use]
pub const fn bucket_floor(bucket: u32) -> u64 {
    if bucket == 0 {
        return 0;
    }
    let octave = 1_u64 << (FIRST + bucket / 2);
    octave + (octave >> 1) * (bucket as u64 & 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_their_floors_agree() {
        for number in 0..BUCKETS as u32 {
            assert_eq!(bucket(bucket_floor(number)), number);
            if number > 0 {
                assert_eq!(bucket(bucket_floor(number) - 1), number - 1, "below bucket {number}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS as u32 - 1);
    }

    #[test]
    fn a_difference_is_what_was_added() {
        let mut later = Statistics { calls: 3, sum_ns: 5, ..Statistics::default() };
        let added = Statistics { calls: 2, failures: 1, sum_ns: 7, ..Statistics::default() };
        let earlier = later;
        later.add(&added);
        assert_eq!(later.since(&earlier), added);
    }
}
