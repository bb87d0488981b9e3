//! Ties alerts to the exchanges that this agent captured, and so to callers and their findings; both come in any order.
//!
//! An alert belongs to an exchange of the same two endpoints whose time, from the request's first byte to the response's,
//! holds the alert's, but for some slack, and whose method and path are the same. Of several on one connection the nearest in
//! time is taken, and one whose number on the connection is the alert's `tx_id` before all others.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gait_common::alert::{Key, Verdict};
use gait_common::call::{Call, Nanos};
use gait_common::finding::{Finding, LinkedAlert};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::request::Request;

/// How far an alert's time may be outside of its exchange: Suricata looks at packets a little earlier or later.
const SLACK: Nanos = 1_000_000_000;
/// Exchanges that are remembered, at most; each takes some 200 bytes.
const MAX_EXCHANGES: usize = 1 << 16;
/// Exchanges of one connection that an alert is compared with, at most: the latest. One client could have it compared with
/// all that are remembered otherwise, while capturing waits.
const MAX_NEAR: usize = 1 << 12;
/// How long an exchange is remembered.
const KEEP_EXCHANGES: Nanos = 60_000_000_000;
/// Alerts that wait for their exchange, at most.
const MAX_WAITING: usize = 1 << 14;
/// How long an alert waits for its exchange: as long as a response may take.
const KEEP_WAITING: Nanos = 120_000_000_000;
/// Callers with alerts or findings, at most.
const MAX_CALLERS: usize = 1 << 14;
/// Alerts that are remembered of a caller, at most: the latest.
const MAX_ALERTS: usize = 32;

/// What became of alerts and exchanges. `alerts = matched + matched_late + unmatched + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Exchanges that were remembered.
    pub exchanges: u64,
    /// Exchanges forgotten for room before their time.
    pub exchanges_forgotten: u64,
    /// Alerts about HTTP that looked for their exchange.
    pub alerts: u64,
    /// Alerts that found it before they were written out.
    pub matched: u64,
    /// Alerts that found it afterwards: only findings know.
    pub matched_late: u64,
    /// Alerts that never did: their exchange was not captured.
    pub unmatched: u64,
    /// Times that the endpoints and the time were right, and the request was another.
    pub other_request: u64,
    /// Alerts that still wait.
    pub waiting: u64,
    /// Alerts given up for room before their time; among the unmatched.
    pub waiting_forgotten: u64,
    /// Callers forgotten for room.
    pub callers_forgotten: u64,
    /// Findings that went out with alerts.
    pub findings_with_alerts: u64,
    /// Alerts that went out with a finding's name.
    pub alerts_with_finding: u64,
}

/// What an alert is tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The caller, as findings name it.
    pub caller: Arc<str>,
    /// The finding about the caller's open session, if there is one.
    pub finding: Option<Arc<str>>,
}

/// An alert that looks for its exchange.
#[derive(Clone, Debug)]
pub struct Sought {
    /// Its key.
    pub key: Key,
    /// What it was found to be.
    pub verdict: Verdict,
    /// The request it is about.
    pub request: Request,
    /// The rule's message.
    pub signature: String,
}

/// An exchange, as far as an alert needs it.
#[derive(Clone, Debug)]
struct Seen {
    ends: Ends,
    from: Nanos,
    to: Nanos,
    request: Request,
    ordinal: u32,
    caller: Arc<str>,
}

/// Exchanges that were captured and that [`Links`] were not told of yet.
#[derive(Debug, Default)]
pub struct Sightings {
    seen: Vec<Seen>,
    /// The latest caller's name, for the next exchange of the same.
    name: Option<Arc<str>>,
}

impl Sightings {
    /// Adds an exchange between two ends, number `ordinal` on its connection.
    pub fn add(&mut self, call: &Call<'_>, local: SocketAddr, peer: SocketAddr, ordinal: u32) {
        let caller = match &self.name {
            Some(name) if **name == *call.caller => Arc::clone(name),
            _ => Arc::from(call.caller),
        };
        self.name = Some(Arc::clone(&caller));
        let (ends, request) = (Ends::new(local, peer), Request::of_call(call));
        self.seen.push(Seen { ends, from: call.start, to: call.end(), request, ordinal, caller });
    }

    /// Tells of all of them.
    pub fn tell(&mut self, links: &Shared) {
        if !self.seen.is_empty() {
            let mut links = lock(links);
            self.seen.drain(..).for_each(|seen| links.exchange(seen));
        }
    }
}

/// Links that the capturing and the triaging thread share.
pub type Shared = Arc<Mutex<Links>>;

/// The links, whatever became of the other thread.
pub fn lock(links: &Shared) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two ends of a connection, whoever sent the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends([(IpAddr, u16); 2]);

impl Ends {
    fn new(a: SocketAddr, b: SocketAddr) -> Self {
        let (a, b) = ((a.ip().to_canonical(), a.port()), (b.ip().to_canonical(), b.port()));
        Self(if a <= b { [a, b] } else { [b, a] })
    }
}

/// A caller with alerts or a finding.
#[derive(Debug, Default)]
struct Caller {
    /// When it was last heard of.
    last: Nanos,
    finding: Option<Arc<str>>,
    alerts: VecDeque<(Nanos, LinkedAlert)>,
}

/// Recent exchanges, alerts that wait for theirs, and callers that have either.
#[derive(Debug)]
pub struct Links {
    /// Exchanges by their ends, the latest last.
    exchanges: FxHashMap<Ends, VecDeque<Seen>>,
    /// Their ends in the order in which they came.
    order: VecDeque<(Nanos, Ends)>,
    waiting: FxHashMap<Ends, VecDeque<(Nanos, Sought)>>,
    waiting_order: VecDeque<(Nanos, Ends)>,
    callers: FxHashMap<Arc<str>, Caller>,
    session_idle: Nanos,
    /// The latest time that an exchange or an alert has shown.
    now: Nanos,
    counts: Counts,
}

impl Links {
    /// Nothing yet. A session is over when nothing came for `session_idle`.
    pub fn new(session_idle: Nanos) -> Self {
        Self {
            exchanges: FxHashMap::default(),
            order: VecDeque::new(),
            waiting: FxHashMap::default(),
            waiting_order: VecDeque::new(),
            callers: FxHashMap::default(),
            session_idle,
            now: 0,
            counts: Counts::default(),
        }
    }

    /// What became of alerts and exchanges.
    pub fn counts(&self) -> Counts {
        let Counts { alerts, matched, matched_late, unmatched, .. } = self.counts;
        Counts { waiting: alerts - matched - matched_late - unmatched, ..self.counts }
    }

    /// Takes an exchange in, and ties the alerts to it that waited for it.
    fn exchange(&mut self, seen: Seen) {
        self.now = self.now.max(seen.to);
        self.counts.exchanges += 1;
        if let Some(caller) = self.callers.get_mut(&seen.caller) {
            caller.heard(seen.from, seen.to, self.session_idle);
        }
        if let Some(waiting) = self.waiting.get_mut(&seen.ends) {
            let is_of = |sought: &Sought| distance(&seen, sought).is_some();
            let found: Vec<Sought> =
                waiting.iter().map(|(_, sought)| sought).filter(|sought| is_of(sought)).cloned().collect();
            if !found.is_empty() {
                waiting.retain(|(_, sought)| !is_of(sought));
            }
            if waiting.is_empty() {
                self.waiting.remove(&seen.ends);
            }
            for sought in found {
                self.counts.matched_late += 1;
                self.tie(&seen, sought);
            }
        }
        self.order.push_back((self.now, seen.ends));
        self.exchanges.entry(seen.ends).or_default().push_back(seen);
        self.expire();
    }

    /// Looks for an alert's exchange and ties them.
    pub fn find(&mut self, sought: &Sought) -> Option<Link> {
        let ends = Ends::new(sought.key.source, sought.key.destination);
        let near = latest(self.exchanges.get(&ends)?);
        let best = near.filter_map(|seen| Some((distance(seen, sought)?, seen))).min_by_key(|(d, _)| *d);
        let seen = best?.1.clone();
        self.counts.matched += 1;
        let finding = self.tie(&seen, sought.clone());
        self.counts.alerts_with_finding += u64::from(finding.is_some());
        Some(Link { caller: seen.caller, finding })
    }

    /// An alert begins to look for its exchange.
    pub fn seek(&mut self) {
        self.counts.alerts += 1;
    }

    /// An alert has to be written out before its exchange came: findings may still get to know of it.
    pub fn wait(&mut self, sought: Sought) {
        let ends = Ends::new(sought.key.source, sought.key.destination);
        self.now = self.now.max(sought.key.time);
        let other = |seen: &Seen| within(seen, sought.key.time).is_some() && seen.request != sought.request;
        self.counts.other_request +=
            u64::from(self.exchanges.get(&ends).is_some_and(|near| latest(near).any(other)));
        self.waiting_order.push_back((self.now, ends));
        self.waiting.entry(ends).or_default().push_back((self.now, sought));
        self.expire();
    }

    /// Remembers a finding, and gives it the alerts of its session.
    pub fn finding(&mut self, finding: &mut Finding) {
        let caller = self.callers.get(finding.caller.as_str());
        finding.alerts = caller.map_or_else(Vec::new, |caller| {
            let of_session = caller.alerts.iter().filter(|(at, _)| *at >= finding.session_start);
            of_session.map(|(_, alert)| alert.clone()).collect()
        });
        self.counts.findings_with_alerts += u64::from(!finding.alerts.is_empty());
        if !finding.ended {
            let caller = self.caller(&Arc::from(finding.caller.as_str()));
            caller.finding = Some(Arc::from(finding.id.as_str()));
            caller.last = caller.last.max(finding.time);
        }
    }

    /// Ties an alert to the caller of its exchange; gives the finding about the caller's session.
    fn tie(&mut self, seen: &Seen, sought: Sought) -> Option<Arc<str>> {
        let (idle, at) = (self.session_idle, seen.from);
        let caller = self.caller(&seen.caller);
        caller.heard(at, seen.to, idle);
        if caller.alerts.len() >= MAX_ALERTS {
            caller.alerts.pop_front();
        }
        let Sought { key, verdict, signature, .. } = sought;
        let alert = LinkedAlert { sid: key.signature, signature, verdict, key: key.to_string() };
        caller.alerts.push_back((at, alert));
        caller.finding.clone()
    }

    fn caller(&mut self, name: &Arc<str>) -> &mut Caller {
        if self.callers.len() >= MAX_CALLERS && !self.callers.contains_key(name) {
            let (now, idle) = (self.now, self.session_idle);
            let before = self.callers.len();
            self.callers.retain(|_, caller| caller.last.saturating_add(idle) >= now);
            if self.callers.len() >= MAX_CALLERS {
                self.callers.clear();
            }
            self.counts.callers_forgotten += (before - self.callers.len()) as u64;
        }
        self.callers.entry(Arc::clone(name)).or_default()
    }

    /// Forgets what is too old or too much.
    fn expire(&mut self) {
        while let Some(&(came, ends)) = self.order.front() {
            let old = came.saturating_add(KEEP_EXCHANGES) < self.now;
            if !old && self.order.len() <= MAX_EXCHANGES {
                break;
            }
            self.counts.exchanges_forgotten += u64::from(!old);
            self.order.pop_front();
            remove_first(&mut self.exchanges, ends, |_| true);
        }
        while let Some(&(came, ends)) = self.waiting_order.front() {
            let old = came.saturating_add(KEEP_WAITING) < self.now;
            if !old && self.waiting_order.len() <= MAX_WAITING {
                break;
            }
            self.waiting_order.pop_front();
            // The alert may have been found since.
            if remove_first(&mut self.waiting, ends, |(at, _)| *at == came) {
                self.counts.unmatched += 1;
                self.counts.waiting_forgotten += u64::from(!old);
            }
        }
    }
}

impl Caller {
    /// Takes note of an exchange. One that comes after the session is over begins another, which has no finding.
    fn heard(&mut self, from: Nanos, to: Nanos, idle: Nanos) {
        if from > self.last.saturating_add(idle) {
            self.finding = None;
        }
        self.last = self.last.max(to);
    }
}

/// How far an alert is from an exchange, if it can be of it: whether its number is another, then the time between them.
fn distance(seen: &Seen, sought: &Sought) -> Option<(bool, Nanos)> {
    let between = within(seen, sought.key.time).filter(|_| seen.request == sought.request)?;
    Some((sought.key.transaction != Some(seen.ordinal.into()), between))
}

/// The time between an exchange and a moment, if that is not too long.
fn within(seen: &Seen, at: Nanos) -> Option<Nanos> {
    let between = seen.from.saturating_sub(at).max(at.saturating_sub(seen.to));
    (between <= SLACK).then_some(between)
}

/// The latest exchanges of a connection, as many as are looked at, in their order.
fn latest(near: &VecDeque<Seen>) -> impl Iterator<Item = &Seen> {
    near.range(near.len().saturating_sub(MAX_NEAR)..)
}

/// Removes the first of the entries of two ends if it is the one.
fn remove_first<T>(of: &mut FxHashMap<Ends, VecDeque<T>>, ends: Ends, is: impl Fn(&T) -> bool) -> bool {
    let Some(entries) = of.get_mut(&ends).filter(|entries| entries.front().is_some_and(is)) else {
        return false;
    };
    entries.pop_front();
    if entries.is_empty() {
        of.remove(&ends);
    }
    true
}

#[cfg(test)]
mod tests;
