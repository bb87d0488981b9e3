//! Capture: HTTP exchanges of this host, read in the kernel. The only part of the agent that knows aya.
//!
//! [`Capture::start`] loads the kernel programs and attaches them; [`Capture::drain`] hands over what they recorded;
//! [`Capture::stop`] detaches. Nothing is lost silently: [`Drained::gaps`] tells which time windows have holes and
//! [`Counters`] where every request went.

mod counters;
mod error;
mod exchange;
mod host;
mod kernel;
mod options;
mod process;
mod ring;
mod self_test;
mod sock_diag;
mod trees;

use std::time::{Duration, Instant};

use gait_common::wire::exchange::{Record, SOURCE_NONE, SOURCE_RECEIVER};
use gait_common::wire::tree::Entry;

use crate::functions::Change;

pub use counters::Counters;
pub use error::CaptureError;
pub use exchange::{Drained, Exchange, Gap, ProcessSource, Role};
pub use host::{Features, HostReport, Missing, survey};
pub use kernel::cgroup2_root;
pub use options::{Options, PortSet, Roles, Without};
pub use self_test::SelfTest;
pub use trees::{Attachment, ProbeCost, TreeCounters, TreeEvent, TreeOptions, Tripped, probe_cost};

use exchange::{Clock, socket_address};
use kernel::Kernel;
use process::Processes;
use ring::{Kept, Rings};
use sock_diag::SockDiag;
use trees::Trees;

/// Exchanges of others kept while the agent waits for its own; ample for the few milliseconds that takes.
const MAX_EARLY: usize = 1 << 16;
/// Exchanges handed over at a time while one is missing, at most: more than the rings hold by default.
const MAX_SUSPECT: usize = 1 << 17;
/// Every record there is.
const NO_LIMIT: usize = usize::MAX;

/// A running capture. Dropping it detaches the programs; [`Capture::stop`] also hands over what they still recorded.
pub struct Capture {
    kernel: Kernel,
    rings: Rings,
    features: Features,
    namer: Namer,
    early: std::vec::IntoIter<Kept>,
    trees: Option<Trees>,
    /// Records that left the kernel by no ring.
    swept: u64,
    /// No record waits for a tree any more.
    stopping: bool,
}

/// Who an exchange belongs to.
struct Namer {
    processes: Processes,
    sock_diag: SockDiag,
}

impl Capture {
    /// Loads the programs and attaches them to every socket of the host.
    ///
    /// # Errors
    /// [`CaptureError`] says what is missing and what to do about it; nothing stays attached.
    pub fn start(options: &Options) -> Result<Self, CaptureError> {
        options.check()?;
        let cgroup = kernel::cgroup2_root()?;
        let (mut kernel, mut features) = Kernel::load(options)?;
        let rings = Rings::new(kernel.rings()?)?;
        kernel.attach(&cgroup, &mut features)?;
        let trees = options.trees.as_ref().map(|trees| kernel.trees(trees)).transpose()?;
        let namer = Namer { processes: Processes::new(options), sock_diag: SockDiag::new() };
        Ok(Self {
            kernel,
            rings,
            features,
            namer,
            early: Vec::new().into_iter(),
            trees,
            swept: 0,
            stopping: false,
        })
    }

    /// Sends a request to the agent itself and waits until every hook has seen it. It is not reported as an exchange.
    ///
    /// # Errors
    /// [`CaptureError::Blind`] names the hook that saw nothing within three seconds.
    pub fn self_test(&mut self) -> Result<SelfTest, CaptureError> {
        let listener = self_test::Call::listen()?;
        let port = listener.local_addr().map_err(CaptureError::SelfTest)?.port();
        self.kernel.waive(port)?;
        let outcome = self.prove(&listener);
        self.kernel.waive(0)?;
        outcome
    }

    fn prove(&mut self, listener: &std::net::TcpListener) -> Result<SelfTest, CaptureError> {
        let ended = self.counters()?.ended;
        let mut call = self_test::Call::make(listener).map_err(CaptureError::SelfTest)?;
        let mut others: Vec<Kept> = self.early.by_ref().collect();
        let deadline = self_test::deadline();
        let mut proof = None;
        while proof.is_none() && Instant::now() < deadline && others.len() < MAX_EARLY {
            while proof.is_none()
                && self.rings.next(&mut |record, head, trees| match call.is(record) {
                    true => proof = Some(SelfTest::judge(record, head)),
                    false => {
                        others.push(Kept { record: *record, head: head.to_vec(), trees: trees.to_vec() });
                    }
                })
            {}
            std::thread::sleep(Duration::from_millis(1));
        }
        self.early = others.into_iter();
        let blind = |hook, reason: &str| CaptureError::Blind { hook, reason: reason.to_owned() };
        let mut proof = proof.ok_or_else(|| blind("cgroup_skb", "no record of it came"))??;
        if self.features.receive && !proof.exact_thread {
            return Err(blind("sock_recv_length", "the record names no receiving thread"));
        }
        call.close();
        while self.features.state && !proof.end_seen {
            proof.end_seen = self.counters()?.ended > ended;
            if !proof.end_seen && Instant::now() >= deadline {
                return Err(blind("inet_sock_set_state", "its connection was closed and did not end"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(proof)
    }

    /// Waits until a ring is half full, or `timeout` has passed: then it is time to drain.
    pub fn wait(&self, timeout: Duration) {
        self.rings.wait(timeout);
    }

    /// Hands over some `limit` exchanges, in order of response time as far as they have come, and says what is
    /// missing. Allocates nothing per exchange.
    ///
    /// It hands over more while a record is missing that may still come: what is certain to be lost is said together
    /// with the exchanges on both sides of it.
    pub fn drain(&mut self, limit: usize, each: &mut dyn FnMut(Exchange<'_>)) -> Drained {
        let mut drained = Drained::default();
        let clock = Clock::now();
        let now = Instant::now();
        let Self { rings, namer, early, trees, swept, stopping, .. } = self;
        for kept in early.by_ref().take(limit) {
            namer.hand_over((&kept.record, &kept.head, &kept.trees), clock, now, &mut drained, each);
        }
        let most = limit.max(MAX_SUSPECT);
        loop {
            let handed_over = drained.records + drained.filtered;
            // Asked of every CPU, so only where it matters.
            if handed_over >= limit && (handed_over >= most || !rings.suspect()) {
                break;
            }
            if !rings.next(&mut |record, head, trees| {
                namer.hand_over((record, head, trees), clock, now, &mut drained, each);
            }) {
                if let Some(trees) = trees {
                    trees.sweep(now, *stopping, &mut |kept| {
                        *swept += 1;
                        namer.hand_over(
                            (&kept.record, &kept.head, &kept.trees),
                            clock,
                            now,
                            &mut drained,
                            each,
                        );
                    });
                }
                // Only now is a missing number known to be lost and not just late.
                rings.holes(&mut |hole| drained.gaps.push(clock.gap(hole)));
                break;
            }
        }
        drained.more = drained.records + drained.filtered >= limit;
        drained.malformed = rings.take_malformed();
        self.kernel.flush_log();
        drained
    }

    /// The kernel side's counters since [`Capture::start`], the self test included.
    ///
    /// # Errors
    /// [`CaptureError::Kernel`] if the kernel does not let them be read.
    pub fn counters(&self) -> Result<Counters, CaptureError> {
        let mut counters = Counters::sum(&self.kernel.stats()?);
        counters.emitted += self.swept;
        Ok(counters)
    }

    /// Attaches to the functions that a look at the host has found, and detaches from those that are gone. Without
    /// [`Options::trees`] everything is refused.
    pub fn follow(&mut self, change: &Change) -> Attachment {
        self.trees.as_mut().map_or_else(Attachment::default, |trees| trees.apply(change))
    }

    /// Detaches from all functions, before the last trees are drained.
    pub fn unfollow(&mut self) {
        if let Some(trees) = &mut self.trees {
            trees.detach();
        }
    }

    /// Hands over trees and names that are new. Call it after [`Capture::drain`], whose exchanges may name their codes.
    pub fn drain_trees(&mut self, each: &mut dyn FnMut(TreeEvent<'_>)) {
        if let Some(trees) = &mut self.trees {
            trees.drain(Clock::now(), each);
        }
    }

    /// Hands over how often each code ran since the last call.
    ///
    /// # Errors
    /// [`CaptureError::Kernel`] if the kernel does not let the table be read.
    pub fn tree_counts(&mut self, each: &mut dyn FnMut(TreeEvent<'_>)) -> Result<(), CaptureError> {
        self.trees.as_mut().map_or(Ok(()), |trees| trees.counts(each))
    }

    /// Detaches functions that were called too often since the last call, and attaches them again after their pause.
    pub fn break_circuits(&mut self) -> Vec<Tripped> {
        self.trees.as_mut().map_or_else(Vec::new, |trees| trees.watch(Instant::now()))
    }

    /// `wire::tree::function_id` of the functions that are detached for a while, ascending.
    pub fn functions_off(&self) -> Vec<u64> {
        self.trees.as_ref().map_or_else(Vec::new, Trees::functions_off)
    }

    /// What became of call trees; none when no functions are followed.
    ///
    /// # Errors
    /// [`CaptureError::Kernel`] if the kernel does not let its counters be read.
    pub fn tree_counters(&self) -> Result<Option<TreeCounters>, CaptureError> {
        self.trees.as_ref().map(Trees::counters).transpose()
    }

    /// What this kernel admits, and what it lacks.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Detaches the programs and hands over what is left in the rings.
    ///
    /// # Errors
    /// [`CaptureError::Kernel`] if the kernel does not let go or its counters cannot be read.
    pub fn stop(mut self, each: &mut dyn FnMut(Exchange<'_>)) -> Result<(Drained, Counters), CaptureError> {
        self.unfollow();
        self.kernel.detach()?;
        self.stopping = true;
        let drained = self.drain(NO_LIMIT, each);
        Ok((drained, self.counters()?))
    }
}

impl Namer {
    fn hand_over(
        &mut self,
        (record, head, trees): (&Record, &[u8], &[Entry]),
        clock: Clock,
        now: Instant,
        drained: &mut Drained,
        each: &mut dyn FnMut(Exchange<'_>),
    ) {
        let local = socket_address(record.local, record.local_port);
        let peer = socket_address(record.peer, record.peer_port);
        let mut pid = (record.thread >> 32) as u32;
        let mut process_source = match record.source {
            SOURCE_NONE => ProcessSource::Unknown,
            SOURCE_RECEIVER => ProcessSource::Receiver,
            _ => ProcessSource::Sender,
        };
        if pid == 0 {
            pid = self.sock_diag.holder(record.cookie, local, peer, now);
            process_source = if pid == 0 { ProcessSource::Unknown } else { ProcessSource::SockDiag };
        }
        let own = self.processes.is_own(pid);
        let process = self.processes.get(pid, now);
        if own || !process.wanted() {
            drained.filtered += 1;
            return;
        }
        drained.records += 1;
        let recorded = exchange::text(&record.comm);
        each(Exchange {
            request_ns: clock.unix(record.request_ns),
            response_ns: clock.unix(record.response_ns),
            pid,
            tid: record.thread as u32,
            process_source,
            comm: if recorded.is_empty() { &process.comm } else { recorded },
            exe: &process.exe,
            cgroup: record.cgroup,
            local,
            peer,
            role: if record.role == 0 { Role::Server } else { Role::Client },
            status: record.status,
            head,
            head_total: record.head_total,
            trees,
            flags: record.flags,
            cookie: record.cookie,
            ordinal: record.ordinal,
        });
    }
}
