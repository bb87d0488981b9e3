//! Forgetting: old sessions are dropped, so that the rest weighs as decayed counts would.
//!
//! Each session draws a number u, evenly between 0 and 1, from its caller and its start, once and for all. It is kept
//! while u < 2^(-age / half-life), age being what lies between its start and the newest calls. So at any time a
//! session of that age is there with just that probability, and every count of every part of a model (n-grams,
//! lengths, patterns, calibration, groups) has the expectation that exponential decay would give it, without any part
//! knowing of decay.
//!
//! If what is left passes a bound, the sessions with the largest u · 2^(age / half-life) go first: a weighted sample
//! without replacement (priority sampling; Duffield, Lund and Thorup, 2007). Which of two sessions goes first never
//! changes with time, so the sample of a union is the sample of the samples: what a store keeps does not depend on how
//! its inputs were cut into runs.

use gait_common::call::Nanos;
use rustc_hash::FxHashMap;

use super::tape::Tape;

/// Nanoseconds of a day.
const DAY: f64 = 86_400e9;
/// So many calls may be later than the time that counts as now, of a few calls a tenth: a clock that is ahead must not
/// age the rest.
const AHEAD: usize = 100;

/// How much is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Days of log time after which half of the sessions are dropped; `None` drops none for their age.
    pub half_life: Option<f64>,
    /// Most calls that are kept.
    pub calls: usize,
    /// Silence that ends a session.
    pub session_idle: Nanos,
}

/// A session while it is decided on.
struct Unit {
    /// Logarithm of u · 2^(age / half-life).
    priority: f64,
    calls: usize,
}

/// Drops what is to be forgotten.
pub(super) fn thin(tape: &mut Tape, memory: &Memory) {
    let ahead = AHEAD.min(tape.rows.len() / 10);
    let newest = tape.rows.len().checked_sub(1 + ahead).map_or(0, |at| tape.rows[at].start);
    // The end of that day (UTC), so that it does not hang on which calls of the day earlier runs have dropped.
    let now = ((newest as f64 / DAY).floor() + 1.0) * DAY;
    let age = |start: Nanos| match memory.half_life {
        Some(days) => (now - start as f64) / DAY / days,
        None => 0.0,
    };
    let mut units: Vec<Unit> = Vec::new();
    let of_row = cut(tape, memory.session_idle, |caller, start| {
        units.push(Unit { priority: draw(caller, start).log2() + age(start), calls: 0 });
        units.len() - 1
    });
    of_row.iter().for_each(|&unit| units[unit].calls += 1);
    let timed = units.len();
    for sequence in &tape.sequences {
        let priority = draw(tape.texts.get(sequence.id), 0).log2();
        units.push(Unit { priority, calls: sequence.tokens.len() });
    }
    let keep = keep(&units, memory.calls);
    let mut places = of_row.iter();
    tape.rows.retain(|_| places.next().is_some_and(|&unit| keep[unit]));
    let mut places = keep[timed..].iter();
    tape.sequences.retain(|_| places.next().is_some_and(|&keep| keep));
    // A loss before the first call kept cuts nothing.
    let first = tape.rows.first().map_or(Nanos::MAX, |row| row.start.saturating_sub(memory.session_idle));
    tape.interruptions.retain(|&time| time >= first);
}

/// The session of each row; `begin` is told of each session's caller and start.
pub(super) fn cut(tape: &Tape, idle: Nanos, mut begin: impl FnMut(&str, Nanos) -> usize) -> Vec<usize> {
    let mut open: FxHashMap<u32, (usize, Nanos)> = FxHashMap::default();
    let place = |row: &super::tape::Row| {
        let end = row.start.saturating_add(row.duration);
        let session = open.get(&row.caller).filter(|(_, last)| row.start <= last.saturating_add(idle));
        let (session, last) = match session {
            Some(&(session, last)) => (session, last.max(end)),
            None => (begin(tape.texts.get(row.caller), row.start), end),
        };
        open.insert(row.caller, (session, last));
        session
    };
    tape.rows.iter().map(place).collect()
}

/// Which sessions stay: those younger than their time, and of these, where they are too many, the first by priority.
fn keep(units: &[Unit], calls: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..units.len()).filter(|&at| units[at].priority < 0.0).collect();
    order.sort_by(|&a, &b| units[a].priority.total_cmp(&units[b].priority).then(a.cmp(&b)));
    let (mut keep, mut room) = (vec![false; units.len()], calls);
    for at in order {
        let Some(left) = room.checked_sub(units[at].calls) else { break };
        room = left;
        keep[at] = true;
    }
    keep
}

/// A number above 0 and below 1 that looks random, and is the same for the same session always and everywhere.
fn draw(caller: &str, start: Nanos) -> f64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = caller.as_bytes().iter().chain(&start.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    // The finalizer of splitmix64 (Steele, Lea and Flood, 2014) spreads what FNV leaves in the low bits.
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((hash ^ hash >> 31) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even() {
        let drawn: Vec<f64> = (0..10_000_u64).map(|at| draw("192.0.2.1", at * 1_000_000_000)).collect();
        for tenth in 1..10 {
            let limit = f64::from(tenth) / 10.0;
            let below = drawn.iter().filter(|&&u| u < limit).count() as f64 / 10_000.0;
            assert!((below - limit).abs() < 0.02, "{below} of the draws are below {limit}");
        }
        assert!(drawn.iter().all(|&u| u > 0.0 && u < 1.0));
    }

    #[test]
    fn the_bound_takes_the_sample_of_samples() {
        let units = |range: std::ops::Range<usize>| -> Vec<Unit> {
            range.map(|at| Unit { priority: -((at * 7919 % 1000) as f64) - 1.0, calls: 1 + at % 5 }).collect()
        };
        let kept = |units: &[Unit], calls| -> Vec<i64> {
            let keep = keep(units, calls);
            let mut kept: Vec<i64> = units
                .iter()
                .zip(keep)
                .filter(|(_, keep)| *keep)
                .map(|(unit, _)| unit.priority as i64)
                .collect();
            kept.sort_unstable();
            kept
        };
        let all = kept(&units(0..1000), 500);
        let mut both: Vec<Unit> = Vec::new();
        for half in [units(0..400), units(400..1000)] {
            let keep = keep(&half, 500);
            both.extend(half.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(unit, _)| unit));
        }
        assert_eq!(kept(&both, 500), all);
        assert!(all.len() > 100 && all.len() < 400, "{}", all.len());
    }
}
