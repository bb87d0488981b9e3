//! Which alerts of the strict log are in the loose one, and what stands in the way of all being there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use gait_common::alert::Key;
use serde::Serialize;

use super::logs::Log;

/// Examples kept of each reason.
const EXAMPLES: usize = 5;
/// A transaction's packets come within a minute: what is farther away is another use of the same ports.
const NEAR: u64 = 60_000_000_000;

/// A strict log held against a loose one.
#[derive(Clone, Debug, Default)]
pub struct Join {
    /// For each alert of the loose log the equal one of the strict log.
    pub strict_of: Vec<Option<usize>>,
    /// What was found.
    pub found: Found,
}

/// How the logs fit together: `strict = equal + moved + the missing ones`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Alerts of the strict log.
    pub strict: usize,
    /// Alerts of the loose log.
    pub loose: usize,
    /// Strict alerts with an equal one in the loose log.
    pub equal: usize,
    /// Strict alerts that the loose rules raised in the same transaction at another packet.
    pub moved: usize,
    /// Alerts that only the loose rules raised.
    pub loose_only: usize,
    /// Strict alerts that the loose log does not have, by reason.
    pub missing: BTreeMap<Reason, Missing>,
}

/// Strict alerts that the loose log does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// How many.
    pub count: usize,
    /// The first ones.
    pub examples: Vec<String>,
}

/// Why a strict alert is not in the loose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The loose log has nothing of this rule.
    NoSuchRule,
    /// It has nothing of this connection.
    NoSuchFlow,
    /// It has both, but not together.
    NotRaised,
}

impl Reason {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoSuchRule => "the loose log has no alert of this rule: is it in the loose rules?",
            Self::NoSuchFlow => {
                "the loose log has no alert of this connection: are both logs of the same packets?"
            }
            Self::NotRaised => "the loose rule did not match here: it is not looser than the strict one",
        }
    }
}

impl Found {
    /// How many strict alerts the loose log does not have at all.
    pub fn lost(&self) -> usize {
        self.missing.values().map(|missing| missing.count).sum()
    }
}

/// The two ends of a flow, its transaction and the rule: a key without its time.
type Event = ([SocketAddr; 2], Option<u64>, u32);

fn flow(key: &Key) -> [SocketAddr; 2] {
    let (a, b) = (key.source, key.destination);
    if a <= b { [a, b] } else { [b, a] }
}

fn event(key: &Key) -> Event {
    (flow(key), key.transaction, key.signature)
}

/// Joins by key: time, both ends, protocol, transaction, rule. A strict alert without an equal one is looked for in the same
/// transaction: without its `depth` or `distance` a rule may match packets earlier, and it is the same event all the same.
pub fn join(strict: &Log, loose: &Log) -> Join {
    let by_key: HashMap<&Key, usize> = loose.keys().enumerate().map(|(at, key)| (key, at)).collect();
    let mut found = Found { strict: strict.len(), loose: loose.len(), ..Found::default() };
    let mut strict_of = vec![None; loose.len()];
    let mut left = Vec::new();
    for (at, key) in strict.keys().enumerate() {
        match by_key.get(key) {
            Some(&place) => {
                strict_of[place] = Some(at);
                found.equal += 1;
            }
            None => left.push(at),
        }
    }
    if !left.is_empty() {
        let mut by_event: HashMap<Event, Vec<usize>> = HashMap::new();
        for (place, key) in loose
            .keys()
            .enumerate()
            .filter(|(place, key)| strict_of[*place].is_none() && key.transaction.is_some())
        {
            by_event.entry(event(key)).or_default().push(place);
        }
        let rules: BTreeSet<u32> = loose.keys().map(|key| key.signature).collect();
        let flows: BTreeSet<[SocketAddr; 2]> = loose.keys().map(flow).collect();
        for at in left {
            let key = strict.key(at);
            let near = by_event.get_mut(&event(key)).and_then(|places| {
                let apart = |&place: &usize| loose.key(place).time.abs_diff(key.time);
                let nearest = (0..places.len()).min_by_key(|&index| apart(&places[index]))?;
                (apart(&places[nearest]) <= NEAR).then(|| places.remove(nearest))
            });
            if let Some(place) = near {
                strict_of[place] = Some(at);
                found.moved += 1;
                continue;
            }
            let reason = if !rules.contains(&key.signature) {
                Reason::NoSuchRule
            } else if !flows.contains(&flow(key)) {
                Reason::NoSuchFlow
            } else {
                Reason::NotRaised
            };
            let missing = found.missing.entry(reason).or_default();
            missing.count += 1;
            if missing.examples.len() < EXAMPLES {
                missing.examples.push(key.to_string());
            }
        }
    }
    found.loose_only = strict_of.iter().filter(|strict| strict.is_none()).count();
    Join { strict_of, found }
}

#[cfg(test)]
mod tests {
    use super::super::logs::tests::{line, log};
    use super::*;

    #[test]
    fn what_breaks_the_subset_is_named() {
        let late = line(6, 6, 7).replace("T10:", "T13:");
        let strict = log(&[line(1, 1, 7), line(2, 2, 7), line(3, 3, 8), line(4, 4, 7), line(5, 5, 7), late]);
        // Equal; earlier in the same transaction; a rule, a flow and a match that are not there.
        let loose =
            log(&[line(1, 1, 7), line(1, 2, 7), line(3, 3, 7), line(9, 5, 9), line(9, 9, 7), line(6, 6, 7)]);
        let Join { strict_of, found } = join(&strict, &loose);
        assert_eq!(strict_of, [Some(0), Some(1), None, None, None, None]);
        assert_eq!((found.equal, found.moved, found.lost(), found.loose_only), (1, 1, 4, 4));
        let counts: Vec<_> = found.missing.iter().map(|(reason, missing)| (*reason, missing.count)).collect();
        assert_eq!(counts, [(Reason::NoSuchRule, 1), (Reason::NoSuchFlow, 1), (Reason::NotRaised, 2)]);
        assert!(found.missing[&Reason::NotRaised].examples[0].contains("203.0.113.9:5/"), "{found:?}");
        assert_eq!(found.strict, found.equal + found.moved + found.lost());
    }
}
