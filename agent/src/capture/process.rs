//! Which process an exchange belongs to: names by pid, and the filters on them.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::Options;

/// How long what was read about a process is believed.
const FRESH: Duration = Duration::from_secs(5);
/// Processes remembered; past it, all are forgotten.
const MAX_PROCESSES: usize = 4096;

/// What is known about a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) comm: String,
    pub(super) exe: String,
    wanted: bool,
    read: Option<Instant>,
}

/// Names of processes, read when needed and kept for a while.
pub(super) struct Processes {
    own: u32,
    pids: HashSet<u32>,
    executables: Vec<PathBuf>,
    known: FxHashMap<u32, Process>,
    unknown: Process,
}

impl Processes {
    pub(super) fn new(options: &Options) -> Self {
        // A link in the configuration means the file it points to, as /proc gives it.
        let resolve = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        Self {
            own: std::process::id(),
            pids: options.pids.iter().copied().collect(),
            executables: options.executables.iter().map(resolve).collect(),
            known: FxHashMap::default(),
            unknown: Process {
                wanted: options.pids.is_empty() && options.executables.is_empty(),
                ..Process::default()
            },
        }
    }

    /// Whether this is the agent itself.
    pub(super) fn is_own(&self, pid: u32) -> bool {
        pid == self.own
    }

    /// What is known about `pid` at `now`; empty names for a process that has ended unread, and for 0.
    pub(super) fn get(&mut self, pid: u32, now: Instant) -> &Process {
        if pid == 0 {
            return &self.unknown;
        }
        let stale = |read: Option<Instant>| read.is_none_or(|read| now.duration_since(read) > FRESH);
        if self.known.get(&pid).is_none_or(|process| stale(process.read)) {
            self.read(pid, now);
        }
        self.known.get(&pid).unwrap_or(&self.unknown)
    }

    fn read(&mut self, pid: u32, now: Instant) {
        if self.known.len() >= MAX_PROCESSES {
            self.known.clear();
        }
        let by_pid = self.pids.contains(&pid);
        let process = self.known.entry(pid).or_default();
        process.read = Some(now);
        // A process that has just ended keeps the names it was last seen with.
        if let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) {
            process.exe = exe.to_string_lossy().into_owned();
        }
        if let Ok(comm) = fs::read_to_string(format!("/proc/{pid}/comm")) {
            process.comm = comm.trim_end().to_owned();
        }
        let unfiltered = self.pids.is_empty() && self.executables.is_empty();
        let by_exe = self.executables.iter().any(|wanted| wanted.as_os_str() == process.exe.as_str());
        process.wanted = unfiltered || by_pid || by_exe;
    }
}

impl Process {
    /// Whether the filters let it through.
    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }
}
