//! How near to the learned ways normal sessions come: an interval of similarity for each entry interface.
//!
//! Where every session takes the same steps, a small difference is strange; where hardly two are alike, none is. So the
//! distance from the nearest way (1 less the similarity) is measured between the one that is usual for sessions which begin
//! alike and the end of their interval, and only then compared with what all sessions show.

use serde::{Deserialize, Serialize};

use crate::interface::InterfaceId;

/// Where the similarity of normal sessions lies, as distances: 1 less the similarity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The distance that one normal session in ten reaches: up to here is everyday variation.
    pub usual: f32,
    /// The distance that normal sessions reach at the stated false-alarm rate.
    pub limit: f32,
}

impl Default for Interval {
    /// All there is: amounts are distances, as models had them that knew no intervals.
    fn default() -> Self {
        Self { usual: 0.0, limit: 1.0 }
    }
}

impl Interval {
    /// A distance in units of the interval: 0 up to what is usual, 1 at the end. It never falls as the distance grows.
    pub fn amount(&self, distance: f32) -> f32 {
        ((distance - self.usual) / (self.limit - self.usual)).max(0.0)
    }

    /// The similarity at which the interval ends, 0 to 1.
    pub fn least_similarity(&self) -> f64 {
        (1.0 - f64::from(self.limit)).max(0.0)
    }

    fn is_sound(&self) -> bool {
        self.usual >= 0.0 && self.usual < self.limit && self.limit <= 2.0
    }
}

/// The interval of the sessions that begin at one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntryInterval {
    /// The interface.
    pub entry: InterfaceId,
    /// Sessions it was learned from.
    pub sessions: u64,
    /// The interval.
    pub interval: Interval,
}

/// The intervals as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SimilarityData {
    /// The interval of all sessions, for entries that have none of their own.
    pub all: Interval,
    /// The intervals of entries, sorted by them.
    pub of_entry: Vec<EntryInterval>,
}

impl SimilarityData {
    /// Whether the data can be used. `interfaces` is how many interface ids there are.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, interfaces: u32) -> Result<(), &'static str> {
        if !self.of_entry.is_sorted_by(|a, b| a.entry < b.entry) {
            return Err("the intervals of similarity are not sorted by entry");
        }
        if self.of_entry.last().is_some_and(|last| last.entry >= interfaces) {
            return Err("an interval of similarity names an interface that does not exist");
        }
        let intervals = self.of_entry.iter().map(|own| own.interval).chain([self.all]);
        if intervals.into_iter().any(|interval| !interval.is_sound()) {
            return Err("an interval of similarity does not lie between 0 and 1");
        }
        Ok(())
    }

    /// The interval of sessions that begin at an interface, and whether it is their own.
    pub fn of(&self, entry: InterfaceId) -> (Interval, bool) {
        match self.of_entry.binary_search_by_key(&entry, |own| own.entry) {
            Ok(place) => (self.of_entry[place].interval, true),
            Err(_) => (self.all, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(entry: InterfaceId, usual: f32, limit: f32) -> EntryInterval {
        EntryInterval { entry, sessions: 9, interval: Interval { usual, limit } }
    }

    #[test]
    fn the_same_distance_means_more_where_sessions_are_alike() {
        let data =
            SimilarityData { of_entry: vec![own(2, 0.0, 0.1), own(5, 0.3, 0.7)], ..Default::default() };
        assert_eq!(data.check(6), Ok(()));
        let amount = |entry, distance| data.of(entry).0.amount(distance);
        assert!((amount(2, 0.2) - 2.0).abs() < 1e-6 && amount(5, 0.2) == 0.0);
        assert_eq!((amount(3, 0.2), data.of(3).1), (0.2, false), "an entry without sessions of its own");
        let grows: Vec<f32> = (0..100).map(|at| amount(5, at as f32 / 100.0)).collect();
        assert!(grows.is_sorted());
        assert!((data.of(5).0.least_similarity() - 0.3).abs() < 1e-6);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |of_entry| SimilarityData { of_entry, ..Default::default() }.check(6).is_err();
        assert!(refused(vec![own(5, 0.0, 0.1), own(2, 0.0, 0.1)]), "not sorted");
        assert!(refused(vec![own(6, 0.0, 0.1)]), "no such interface");
        assert!(refused(vec![own(1, 0.2, 0.2)]), "empty");
        assert!(refused(vec![own(1, f32::NAN, 0.2)]) && refused(vec![own(1, 0.1, f32::INFINITY)]));
    }
}
