//! Callers screened as they appear, off the hot path.
//!
//! The engine's thread only looks whether it has seen a name lately ([`Tap`]); a new one goes through a bounded queue to
//! the screening thread ([`Live`]), which looks it up and reports a hit. What does not fit into the queue is counted and
//! tried again at the next sight of the name. Who has a hit stands in [`Listed`], and what the caller does from then on is
//! reported with a higher severity.

mod name;
mod tap;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use gait_common::call::Nanos;
use gait_common::finding::{Anomaly, ListedFinding, mask};
use gait_common::identity::{Decision, Query};
use serde::Serialize;

use super::recent::Recent;
use super::{Screened, Screener, check};
use crate::config::Config;
use crate::engine::PATIENCE;

pub use tap::{Made, Tap};

/// How often the files are looked at while nobody new appears.
const LOOK: Duration = Duration::from_secs(2);
/// Hits that a finding shows.
const SHOWN: usize = 3;
/// Listed names that are remembered of one caller.
const NAMES: usize = 8;
/// How long names that wait are still looked up once the agent is to stop.
const LEFT: Duration = Duration::from_secs(1);
/// How often a sink that hangs is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(2);
/// How often losses are spoken of, at most.
const SAY: Duration = Duration::from_secs(10);

/// A name seen for the first time, or for the first time with this list.
#[derive(Debug)]
pub(super) struct Sight {
    name: String,
    identity: String,
    caller: String,
    time: Nanos,
    pid: u32,
    comm: String,
}

/// What became of the names of callers. `sighted = screened + unfit + unscreened`, where `screened = passed + review +
/// block`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Names handed to the screening thread: new ones, and known ones once the list has changed.
    pub sighted: u64,
    /// Times that a name found the queue full; it is tried again when it is next seen.
    pub dropped: u64,
    /// Names that are none, such as an empty one.
    pub unfit: u64,
    /// Names looked up.
    pub screened: u64,
    /// Names that were still waiting when the agent had to stop.
    pub unscreened: u64,
    /// Names on no list.
    pub passed: u64,
    /// Names that a person must look at.
    pub review: u64,
    /// Names as good as certainly listed.
    pub block: u64,
    /// Hits that a person had cleared.
    pub cleared: u64,
    /// Answers that the audit log did not take.
    pub unaudited: u64,
    /// Findings made.
    pub findings: u64,
    /// Findings given up because the sinks hung while the agent was to stop.
    pub findings_given_up: u64,
    /// Times that a changed list was read.
    pub reloads: u64,
}

/// What the engine's side counts, told to the screening thread.
#[derive(Debug, Default)]
struct Sighted {
    sighted: AtomicU64,
    dropped: AtomicU64,
}

/// What a caller is known to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// What is asked for.
    pub decision: Decision,
    /// Name of the source.
    pub source: String,
    /// The source's identifier of the identity that comes nearest.
    pub id: String,
    /// The name that it is listed under.
    pub name: String,
    /// How near it comes, 0 to 1.
    pub score: f64,
}

impl Standing {
    /// Which of two weighs more.
    fn weigh(&self, other: &Self) -> std::cmp::Ordering {
        self.decision.cmp(&other.decision).then(self.score.total_cmp(&other.score))
    }
}

/// The callers that have a hit, with what is known of each name that they gave.
#[derive(Debug)]
pub struct Listed(Mutex<Recent<String, Vec<(String, Standing)>>>);

impl Listed {
    /// What weighs most of what is known of a caller.
    pub fn standing(&self, caller: &str) -> Option<Standing> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = table.get(caller)?.iter().map(|(_, standing)| standing);
        known.max_by(|a, b| a.weigh(b)).cloned()
    }

    /// Takes note of what a caller is under one name (the hash of the query), and gives what was known of it.
    fn set(&self, caller: &str, name: &str, standing: Option<Standing>) -> Option<Standing> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = table.get(caller) else {
            if let Some(standing) = standing {
                table.insert(caller.to_owned(), vec![(name.to_owned(), standing)]);
            }
            return None;
        };
        let before = known.iter().position(|(known, _)| known == name).map(|at| known.remove(at).1);
        if let Some(standing) = standing {
            known.push((name.to_owned(), standing));
            if known.len() > NAMES {
                // Not the oldest: a caller must not shake off a hit by giving many names.
                let mildest = (0..known.len()).min_by(|&a, &b| known[a].1.weigh(&known[b].1));
                mildest.map(|at| known.remove(at));
            }
        } else if known.is_empty() {
            table.remove(caller);
        }
        before
    }
}

/// The screening thread's part.
#[derive(Debug)]
pub struct Live {
    screener: Arc<Screener>,
    sights: Receiver<Sight>,
    counted: Arc<Sighted>,
    listed: Arc<Listed>,
    channel: String,
    keep_names: bool,
    counts: Counts,
    said: Option<Instant>,
    said_dropped: u64,
    stopping: Option<Instant>,
}

impl Live {
    /// Both ends of live screening, and what they find; `None` unless the configuration names identities to screen.
    pub fn new(config: &Config, screener: &Arc<Screener>) -> Option<(Tap, Self, Arc<Listed>)> {
        let options = &config.screening;
        if options.identity.is_empty() {
            return None;
        }
        let (out, sights) = sync_channel(options.max_waiting);
        let counted = Arc::new(Sighted::default());
        let tap = Tap::new(options, screener.key, screener.list.edition(), out, Arc::clone(&counted));
        let listed = Arc::new(Listed(Mutex::new(Recent::new(options.max_identities))));
        let live = Self {
            screener: Arc::clone(screener),
            sights,
            counted,
            listed: Arc::clone(&listed),
            channel: options.channel.clone(),
            keep_names: config.caller.keep_names,
            counts: Counts::default(),
            said: None,
            said_dropped: 0,
            stopping: None,
        };
        Some((tap, live, listed))
    }

    /// Looks names up until the engine has ended. Once `stop` is set, it takes no longer than a second for what waits.
    ///
    /// # Errors
    /// When the receiver of findings has ended.
    pub fn run(mut self, findings: &SyncSender<Anomaly>, stop: &AtomicBool) -> Result<Counts> {
        // A host that refuses lets this thread compete with capture.
        let _ = rustix::process::setpriority_process(None, 5);
        loop {
            let next = self.sights.recv_timeout(LOOK);
            if self.screener.refresh() {
                self.counts.reloads += 1;
            }
            self.say_dropped();
            match next {
                Ok(sight) if self.out_of_time(stop) => {
                    drop(sight);
                    self.counts.unscreened += 1;
                }
                Ok(sight) => self.screen(&sight, findings, stop)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.counts.sighted = self.counted.sighted.load(Ordering::Relaxed);
        self.counts.dropped = self.counted.dropped.load(Ordering::Relaxed);
        Ok(self.counts)
    }

    fn out_of_time(&mut self, stop: &AtomicBool) -> bool {
        stop.load(Ordering::Relaxed) && self.stopping.get_or_insert_with(Instant::now).elapsed() >= LEFT
    }

    fn screen(&mut self, sight: &Sight, findings: &SyncSender<Anomaly>, stop: &AtomicBool) -> Result<()> {
        let query = Query { channel: self.channel.clone(), ..Query::name(&sight.name) };
        if check(&query).is_err() {
            self.counts.unfit += 1;
            return Ok(());
        }
        let screened = self.screener.ask(&query, Some(&sight.caller));
        if let Err(error) = self.screener.record(std::slice::from_ref(&screened)) {
            // A hit that is not on record is still reported: to keep silent about it would be worse.
            self.counts.unaudited += 1;
            if self.may_say() {
                tracing::error!("{error:#}; {} answers are not in it", self.counts.unaudited);
            }
        }
        self.counts.screened += 1;
        self.counts.cleared += screened.cleared.len() as u64;
        match screened.answer.decision {
            Decision::Pass => self.counts.passed += 1,
            Decision::Review => self.counts.review += 1,
            Decision::Block => self.counts.block += 1,
        }
        let standing = screened.answer.hits.first().map(|hit| Standing {
            decision: screened.answer.decision,
            source: hit.source.clone(),
            id: hit.id.clone(),
            name: hit.name.clone(),
            score: hit.score,
        });
        let before = self.listed.set(&sight.caller, &screened.query, standing.clone());
        // After an update of the list everybody is looked up again; what has not changed was reported.
        if standing.is_none() || standing == before {
            return Ok(());
        }
        self.counts.findings += 1;
        self.report(self.finding(sight, &screened).into(), findings, stop)
    }

    fn finding(&self, sight: &Sight, screened: &Screened) -> ListedFinding {
        let answer = &screened.answer;
        let id = [&*sight.caller, &screened.query, &screened.list].join("\0");
        ListedFinding {
            id: format!("listed-{}", &blake3::hash(id.as_bytes()).to_hex()[..16]),
            time: sight.time,
            caller: sight.caller.clone(),
            identity: sight.identity.clone(),
            name: if self.keep_names { sight.name.clone() } else { mask(&sight.name) },
            pid: sight.pid,
            comm: sight.comm.clone(),
            decision: answer.decision,
            score: answer.hits.first().map_or(0.0, |hit| hit.score),
            channel: self.channel.clone(),
            hits: ListedFinding::hits(answer, SHOWN, self.keep_names),
            more: answer.hits.len().saturating_sub(SHOWN) + answer.more,
            list: screened.list.clone(),
            lists: answer.lists.clone(),
        }
    }

    /// Hands a finding over; once the agent is to stop it waits no longer than the engine does.
    fn report(
        &mut self,
        mut finding: Anomaly,
        findings: &SyncSender<Anomaly>,
        stop: &AtomicBool,
    ) -> Result<()> {
        loop {
            finding = match findings.try_send(finding) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => bail!("the writer of findings has ended"),
                Err(TrySendError::Full(back)) => back,
            };
            if stop.load(Ordering::Relaxed)
                && self.stopping.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
            {
                self.counts.findings_given_up += 1;
                return Ok(());
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    fn say_dropped(&mut self) {
        let dropped = self.counted.dropped.load(Ordering::Relaxed);
        if dropped > self.said_dropped && self.may_say() {
            tracing::warn!(
                "{} times a caller's name found the screening queue full; it is looked up when it is next seen; \
                 raise screening.max_waiting if this goes on",
                dropped - self.said_dropped
            );
            self.said_dropped = dropped;
        }
    }

    fn may_say(&mut self) -> bool {
        let may = self.said.is_none_or(|said| said.elapsed() >= SAY);
        if may {
            self.said = Some(Instant::now());
        }
        may
    }
}

#[cfg(test)]
mod tests;
