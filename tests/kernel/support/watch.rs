//! A capture of some ports, and what it has seen.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gait_agent::capture::{Capture, Counters, Exchange, Gap, Options, PortSet, ProcessSource, Role};

use super::PATIENCE;

/// One capture at a time: all attach to the one root cgroup.
static ONE: Mutex<()> = Mutex::new(());

/// An exchange, kept.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) head: Vec<u8>,
    pub(crate) head_total: u32,
    pub(crate) status: u16,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) source: ProcessSource,
    pub(crate) comm: String,
    pub(crate) exe: String,
    pub(crate) role: Role,
    pub(crate) flags: u16,
    pub(crate) ordinal: u32,
    pub(crate) local: std::net::SocketAddr,
    pub(crate) peer: std::net::SocketAddr,
    pub(crate) request_ns: u64,
    pub(crate) response_ns: u64,
    pub(crate) trees: Vec<gait_common::wire::tree::Entry>,
}

/// A capture of some ports, and what it has seen.
pub(crate) struct Watch {
    pub(crate) capture: Capture,
    pub(crate) seen: Vec<Seen>,
    pub(crate) gaps: Vec<Gap>,
    _turn: MutexGuard<'static, ()>,
}

/// The right to watch, for a test that must do something right before.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Captures the servers at these ports.
    pub(crate) fn on(ports: &[u16]) -> anyhow::Result<Self> {
        Self::with(Options { ports: PortSet::Only(ports.to_vec()), ..Options::default() })
    }

    pub(crate) fn with(options: Options) -> anyhow::Result<Self> {
        Self::in_turn(turn(), options)
    }

    pub(crate) fn in_turn(turn: MutexGuard<'static, ()>, options: Options) -> anyhow::Result<Self> {
        let capture = Capture::start(&options)?;
        Ok(Self { capture, seen: Vec::new(), gaps: Vec::new(), _turn: turn })
    }

    /// Takes what has come.
    pub(crate) fn drain(&mut self) {
        let seen = &mut self.seen;
        let drained = self.capture.drain(usize::MAX, &mut |exchange| seen.push(keep(&exchange)));
        assert_eq!(drained.malformed, 0, "the kernel side wrote something that is no record");
        self.gaps.extend(drained.gaps);
    }

    /// Takes what comes until there are `count` exchanges, and a little longer, in case there are too many.
    pub(crate) fn take(&mut self, count: usize) -> &[Seen] {
        let deadline = Instant::now() + PATIENCE;
        while self.seen.len() < count && Instant::now() < deadline {
            self.capture.wait(Duration::from_millis(5));
            self.drain();
        }
        std::thread::sleep(Duration::from_millis(30));
        self.drain();
        assert_eq!(
            self.seen.len(),
            count,
            "exchanges seen: {:#?}\n{:?}",
            self.lines(),
            self.capture.counters()
        );
        &self.seen
    }

    /// `METHOD target status` of every exchange seen.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen.iter().take(40).map(|seen| format!("{} {}", seen.line, seen.status)).collect()
    }

    /// Checks that every request seen is accounted for and none was lost.
    pub(crate) fn counters(&self) -> anyhow::Result<Counters> {
        let counters = self.capture.counters()?;
        let known = counters.emitted
            + counters.lost()
            + counters.unanswered
            + counters.doubled
            + counters.in_flight();
        assert_eq!(counters.requests, known, "requests are not accounted for: {counters:?}");
        Ok(counters)
    }
}

fn keep(exchange: &Exchange<'_>) -> Seen {
    let line = exchange.head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    Seen {
        line: line.strip_suffix(" HTTP/1.1").or(line.strip_suffix(" HTTP/1.0")).unwrap_or(&line).to_owned(),
        head: exchange.head.to_vec(),
        head_total: exchange.head_total,
        status: exchange.status,
        pid: exchange.pid,
        tid: exchange.tid,
        source: exchange.process_source,
        comm: exchange.comm.to_owned(),
        exe: exchange.exe.to_owned(),
        role: exchange.role,
        flags: exchange.flags,
        ordinal: exchange.ordinal,
        local: exchange.local,
        peer: exchange.peer,
        request_ns: exchange.request_ns,
        response_ns: exchange.response_ns,
        trees: exchange.trees.to_vec(),
    }
}
