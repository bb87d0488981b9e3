//! How often sessions call what: lengths, calls per interface, different values per interface.

use serde::{Deserialize, Serialize};

/// Numbers up to here have a bucket each; above, every octave has [`PER_OCTAVE`].
const EXACT: u32 = 16;
const PER_OCTAVE: u32 = 4;
/// Buckets for the whole range of `u32`.
const MAX_BUCKETS: usize = (EXACT + PER_OCTAVE * 28) as usize;
/// Bits that each doubling beyond the largest number seen adds to its surprise.
const BITS_PER_DOUBLING: f32 = 2.0;

/// How often each number was seen; exact for small numbers, in quarter octaves above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many numbers fell into each bucket, up to the last bucket that is not empty.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// Counts one number in.
    pub fn add(&mut self, number: u32) {
        let bucket = bucket(number);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }

    /// Forgets the numbers in buckets above the one of `number`.
    pub fn cut_above(&mut self, number: u32) {
        self.buckets.truncate(bucket(number) + 1);
    }

    /// How many numbers were counted.
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The lower bound of the highest bucket that is not empty; 0 when all are.
    pub fn largest(&self) -> u32 {
        self.buckets.iter().rposition(|&n| n > 0).map_or(0, lower_bound)
    }

    fn is_sound(&self) -> bool {
        self.buckets.len() <= MAX_BUCKETS
            && self.buckets.iter().try_fold(0u64, |sum, &n| sum.checked_add(n)).is_some()
    }
}

/// Surprises of one histogram, worked out once.
#[derive(Clone, Debug, Default)]
struct Bits {
    at_least: Vec<f32>,
    exactly: Vec<f32>,
    beyond: f32,
    largest: f32,
}

impl Bits {
    fn new(histogram: &Histogram) -> Self {
        let total = histogram.total() as f32;
        let beyond = (total + 1.0).log2();
        let mut above = 0;
        let mut at_least: Vec<f32> = histogram
            .buckets
            .iter()
            .rev()
            .map(|&n| {
                above += n;
                if above == 0 { beyond } else { ((total + 1.0) / above as f32).log2().max(0.0) }
            })
            .collect();
        at_least.reverse();
        let exactly = (0..histogram.buckets.len())
            .map(|bucket| {
                // A number between two that were seen is less strange than one far from all.
                let near = |at: Option<usize>| {
                    at.and_then(|at| histogram.buckets.get(at)).copied().unwrap_or(0) as f32
                };
                let seen = near(Some(bucket)) + 0.05 * (near(bucket.checked_sub(1)) + near(Some(bucket + 1)));
                ((total + 1.0) / (seen + 0.5)).log2().max(0.0)
            })
            .collect();
        Self { at_least, exactly, beyond, largest: histogram.largest().max(1) as f32 }
    }

    /// `-log2 P(N >= number)`.
    fn at_least(&self, number: u32) -> f32 {
        match self.at_least.get(bucket(number)) {
            Some(&bits) => bits,
            None => self.beyond + BITS_PER_DOUBLING * (number as f32 / self.largest).log2().max(0.0),
        }
    }

    /// `-log2 P(N = number)`.
    fn exactly(&self, number: u32) -> f32 {
        self.exactly.get(bucket(number)).copied().unwrap_or(self.beyond + 1.0)
    }
}

fn bucket(number: u32) -> usize {
    if number < EXACT {
        return number as usize;
    }
    let octave = number.ilog2();
    let quarter = (number >> (octave - 2)) & 3;
    (EXACT + (octave - EXACT.ilog2()) * PER_OCTAVE + quarter) as usize
}

fn lower_bound(bucket: usize) -> u32 {
    let bucket = bucket as u32;
    if bucket < EXACT {
        return bucket;
    }
    let (octave, quarter) = ((bucket - EXACT) / PER_OCTAVE + EXACT.ilog2(), (bucket - EXACT) % PER_OCTAVE);
    (1 << octave) + (quarter << (octave - 2))
}

/// How often sessions call what, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CountsData {
    /// Sessions counted.
    pub sessions: u64,
    /// Steps per session.
    pub length: Histogram,
    /// Calls per session, by interface id, over the sessions that call it.
    pub calls: Vec<Histogram>,
    /// Different values per session, by interface id, over the sessions that call it with values.
    pub values: Vec<Histogram>,
}

/// How often sessions call what, ready for use.
#[derive(Debug, Default)]
pub struct Counts {
    length: Bits,
    calls: Vec<Bits>,
    values: Vec<Bits>,
    /// `-log2 P(N = 0)` of the interfaces that most sessions call.
    absent: Vec<(u32, f32)>,
    data: CountsData,
}

impl Counts {
    /// Checks stored data and works out the surprises.
    ///
    /// # Errors
    /// What is wrong with the data.
    pub fn new(data: CountsData, interfaces: u32) -> Result<Self, &'static str> {
        if data.calls.len() > interfaces as usize || data.values.len() > interfaces as usize {
            return Err("there are counts of interfaces that do not exist");
        }
        let sound = data.calls.iter().chain(&data.values).chain([&data.length]).all(Histogram::is_sound);
        if !sound {
            return Err("a histogram has too many buckets, or its counts overflow");
        }
        let absent = (0..).zip(&data.calls).filter_map(|(id, calls)| {
            let present = calls.total().min(data.sessions);
            let without = data.sessions - present;
            (2 * present > data.sessions)
                .then(|| (id, ((data.sessions + 1) as f32 / (without as f32 + 0.5)).log2().max(0.0)))
        });
        let absent = absent.collect();
        Ok(Self {
            length: Bits::new(&data.length),
            calls: data.calls.iter().map(Bits::new).collect(),
            values: data.values.iter().map(Bits::new).collect(),
            absent,
            data,
        })
    }

    /// How seldom a session has at least `steps` steps, in bits.
    pub fn length(&self, steps: u32) -> f32 {
        self.length.at_least(steps)
    }

    /// How seldom a session that calls `interface` does so at least `calls` times, in bits.
    pub fn calls(&self, interface: u32, calls: u32) -> f32 {
        self.calls.get(interface as usize).map_or(0.0, |bits| bits.at_least(calls))
    }

    /// How seldom a session that calls `interface` does so exactly `calls` times, in bits.
    pub fn exactly(&self, interface: u32, calls: u32) -> f32 {
        self.calls.get(interface as usize).map_or(0.0, |bits| bits.exactly(calls))
    }

    /// How seldom a session calls `interface` with at least so many different values, in bits.
    pub fn values(&self, interface: u32, values: u32) -> f32 {
        self.values.get(interface as usize).map_or(0.0, |bits| bits.at_least(values))
    }

    /// The interfaces that most sessions call, and how seldom one does not, in bits.
    pub fn expected(&self) -> &[(u32, f32)] {
        &self.absent
    }

    /// The most calls of `interface` that a training session had (a lower bound above 15).
    pub fn most_calls(&self, interface: u32) -> u32 {
        self.data.calls.get(interface as usize).map_or(0, Histogram::largest)
    }

    /// The most different values of `interface` that a training session had (a lower bound above 15).
    pub fn most_values(&self, interface: u32) -> u32 {
        self.data.values.get(interface as usize).map_or(0, Histogram::largest)
    }

    /// The longest training session, in steps (a lower bound above 15).
    pub fn longest(&self) -> u32 {
        self.data.length.largest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_ordered() {
        for number in (0..5000).chain([u32::MAX - 1, u32::MAX]) {
            let at = bucket(number);
            assert!(at < MAX_BUCKETS && lower_bound(at) <= number, "{number}");
            assert!(bucket(number.saturating_add(1)) <= at + 1, "{number}");
        }
    }

    #[test]
    fn more_is_never_less_surprising() {
        let mut histogram = Histogram::default();
        (0..100).for_each(|i| histogram.add(i % 10 + 1));
        let bits = Bits::new(&histogram);
        let surprises: Vec<f32> = (1..2000).map(|n| bits.at_least(n)).collect();
        assert!(surprises.is_sorted(), "{surprises:?}");
        assert!(bits.at_least(1) < 0.1 && bits.at_least(100) > 12.0);
        assert!(bits.exactly(5) < 4.0 && bits.exactly(16) > 6.0);
    }

    #[test]
    fn merging_is_adding() {
        let (mut a, mut b, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
        for n in [1, 5, 100] {
            a.add(n);
            both.add(n);
        }
        for n in [2, 5, 7000] {
            b.add(n);
            both.add(n);
        }
        a.merge(&b);
        assert_eq!(a, both);
    }
}
