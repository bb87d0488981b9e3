//! How many alerts there were in the last minute, by client and by rule. State that is passed in: time is the alerts' own.

use std::hash::Hash;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::call::Nanos;

use super::line::Alert;

const MINUTE: Nanos = 60_000_000_000;

/// Alerts of the last minute before this one, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Of the same client.
    pub client: u32,
    /// Of the same rule.
    pub signature: u32,
}

/// Counts alerts as they come. The same alerts in the same order give the same rates.
#[derive(Debug)]
pub struct Rates {
    clients: FxHashMap<IpAddr, Minute>,
    signatures: FxHashMap<u32, Minute>,
    most: usize,
}

/// The minute that is under way, and the one before it.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    now: u32,
    before: u32,
}

impl Default for Rates {
    /// For 65,536 clients at once.
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl Rates {
    /// Remembers at most so many clients, and as many rules. Beyond that, those of whom nothing came for a minute are
    /// forgotten, or all where there are none.
    pub fn new(most: usize) -> Self {
        Self { clients: FxHashMap::default(), signatures: FxHashMap::default(), most: most.max(1) }
    }

    /// Takes note of an alert, and gives the rates before it.
    pub fn observe(&mut self, alert: &Alert<'_>) -> Rate {
        let key = &alert.key;
        let client = if alert.to_client { key.destination } else { key.source };
        Rate {
            client: count(&mut self.clients, client.ip(), key.time, self.most),
            signature: count(&mut self.signatures, key.signature, key.time, self.most),
        }
    }
}

fn count<K: Hash + Eq>(counts: &mut FxHashMap<K, Minute>, key: K, time: Nanos, most: usize) -> u32 {
    if counts.len() >= most && !counts.contains_key(&key) {
        counts.retain(|_, minute| minute.number + 1 >= time / MINUTE);
        if counts.len() >= most {
            counts.clear();
        }
    }
    counts.entry(key).or_default().add(time)
}

impl Minute {
    /// How many there were in the 60 seconds before, if those of the minute before came evenly; one more from now on.
    fn add(&mut self, time: Nanos) -> u32 {
        let number = time / MINUTE;
        if number > self.number {
            self.before = if number == self.number + 1 { self.now } else { 0 };
            (self.number, self.now) = (number, 0);
        }
        // An alert that comes late counts as one of now.
        let left = if number == self.number { MINUTE - time % MINUTE } else { MINUTE };
        let rate = self.now.saturating_add((u64::from(self.before) * left / MINUTE) as u32);
        self.now = self.now.saturating_add(1);
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_slides() {
        let mut minute = Minute::default();
        let second = MINUTE / 60;
        let start = 1_000_000 * MINUTE;
        let rates: Vec<_> = [0, 1, 2, 59, 60, 90, 119, 119, 300]
            .map(|at| minute.add(start + at * second))
            .into_iter()
            .collect();
        assert_eq!(rates, [0, 1, 2, 3, 4, 3, 2, 3, 0]);
        // A clock that goes back neither panics nor forgets.
        assert_eq!(minute.add(start), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut counts = FxHashMap::default();
        for key in 0..100_000_u32 {
            count(&mut counts, key, u64::from(key) * MINUTE / 100, 50);
            assert!(counts.len() <= 50);
        }
    }
}
