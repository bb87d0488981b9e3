//! The time of a replay: that of its calls.

use gait_common::call::Nanos;
use gait_common::sequence::SECOND;

/// How often, in the calls' own time, the pipeline is told that time has passed. Far below what it holds calls back for.
const TICK: Nanos = SECOND / 10;

/// A step ahead that one call alone is not believed. Longer than hosts that keep time at all are apart, shorter than
/// anything that is closed for good because time has passed.
const LEAP: Nanos = 300 * SECOND;

/// Follows the latest time that calls show. A log may hold a line of a host whose clock is years ahead: a leap counts when the
/// next call shows it too, as after a night without calls.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Nanos,
    /// The latest time that was told.
    told: Nanos,
    /// What the call before leapt to.
    leap: Option<Nanos>,
}

impl Clock {
    /// A call ended at `end`; the time to tell, when it is time to.
    pub(super) fn tick(&mut self, end: Nanos) -> Option<Nanos> {
        if end <= self.now.saturating_add(LEAP) {
            self.leap = None;
            self.now = self.now.max(end);
        } else if let Some(leap) = self.leap.replace(end) {
            // Both are ahead; the one that is less so has both for witnesses.
            self.now = leap.min(end);
        }
        if self.now.saturating_sub(self.told) < TICK {
            return None;
        }
        self.told = self.now;
        Some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seconds: &[u64]) -> Vec<Option<u64>> {
        let mut clock = Clock::default();
        seconds.iter().map(|&at| clock.tick(at * SECOND).map(|now| now / SECOND)).collect()
    }

    #[test]
    fn time_goes_with_the_calls_and_never_back() {
        assert_eq!(told(&[10, 12, 11, 12, 13]), [Some(10), Some(12), None, None, Some(13)]);
    }

    #[test]
    fn a_night_without_calls_is_believed_by_the_second() {
        assert_eq!(told(&[10, 40_000, 40_001, 40_002]), [Some(10), None, Some(40_000), Some(40_002)]);
    }

    #[test]
    fn one_line_from_the_future_moves_nothing() {
        let year = 365 * 24 * 3600;
        assert_eq!(told(&[10, year, 11, 12, year, 13]), [Some(10), None, Some(11), Some(12), None, Some(13)]);
        assert_eq!(told(&[10, year, 40_000, 40_001])[2..], [Some(40_000), Some(40_001)]);
        assert_eq!(told(&[year, 40_000, 40_001]), [None, Some(40_000), Some(40_001)]);
    }
}
