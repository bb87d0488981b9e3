//! What capture hands to the rest of the agent.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use gait_common::wire::tree::Entry;
use rustix::time::{ClockId, clock_gettime};

use super::ring::Hole;

/// Which end of the connection this host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It received the request.
    Server,
    /// It sent the request.
    Client,
}

/// How process and thread of an exchange were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessSource {
    /// The thread that last received from the socket: exact.
    Receiver,
    /// The thread that was current when the bytes went out: nearly always right.
    Sender,
    /// The process that holds the socket, asked of sock_diag afterwards; the thread is unknown.
    SockDiag,
    /// Not found: pid and tid are 0.
    Unknown,
}

/// One HTTP exchange, borrowed from the ring until the callback returns.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// When the request's first byte passed, in nanoseconds of Unix time.
    pub request_ns: u64,
    /// When the response's first byte passed, in nanoseconds of Unix time.
    pub response_ns: u64,
    /// The process, 0 when unknown.
    pub pid: u32,
    /// The thread, 0 when unknown.
    pub tid: u32,
    /// How they were found.
    pub process_source: ProcessSource,
    /// The thread's command name; empty when unknown.
    pub comm: &'a str,
    /// The process's executable; empty when unknown, or when the process had already ended.
    pub exe: &'a str,
    /// The socket's cgroup v2 id, 0 when the kernel does not tell.
    pub cgroup: u64,
    /// This host's end. IPv4 is given as IPv4 even on a v6 socket.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Which end this host holds.
    pub role: Role,
    /// The response's status code.
    pub status: u16,
    /// The request head's first bytes, as they passed.
    pub head: &'a [u8],
    /// Bytes the head had in all.
    pub head_total: u32,
    /// The trees of followed functions that ran within it, in the order in which they ended.
    pub trees: &'a [Entry],
    /// What is special: `gait_common::wire::exchange::{LOST_BEFORE, ...}`.
    pub flags: u16,
    /// The connection: unique for as long as the host runs.
    pub cookie: u64,
    /// Number of the request on its connection, from 0.
    pub ordinal: u32,
}

/// A time window in which records were lost between kernel and agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Unix nanoseconds of the last record before the gap.
    pub from_unix_ns: u64,
    /// Unix nanoseconds of the first record after it.
    pub to_unix_ns: u64,
    /// Records lost.
    pub count: u64,
}

/// What one call of [`super::Capture::drain`] found. Reuse it: `gaps` keeps its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Exchanges handed to the callback.
    pub records: usize,
    /// Records left out: of the agent itself, or by the process filters.
    pub filtered: usize,
    /// Ring entries that were no valid record; anything but 0 is a defect.
    pub malformed: usize,
    /// Time windows with lost records.
    pub gaps: Vec<Gap>,
    /// Whether the limit was reached and more records wait.
    pub more: bool,
}

/// How the kernel's clock relates to Unix time, as measured when a drain begins.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    ahead_ns: u64,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self { ahead_ns: read(ClockId::Realtime).wrapping_sub(Self::kernel_now()) }
    }

    /// The time on the kernel's clock.
    pub(super) fn kernel_now() -> u64 {
        read(ClockId::Monotonic)
    }

    /// Unix nanoseconds of a time on the kernel's clock.
    pub(super) fn unix(self, kernel_ns: u64) -> u64 {
        kernel_ns.wrapping_add(self.ahead_ns)
    }

    pub(super) fn gap(self, hole: Hole) -> Gap {
        Gap { from_unix_ns: self.unix(hole.from_ns), to_unix_ns: self.unix(hole.to_ns), count: hole.count }
    }
}

fn read(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// An address of a record, with v4-mapped ones as what they are.
pub(super) fn socket_address(address: [u8; 16], port: u16) -> SocketAddr {
    let ip = Ipv6Addr::from(address);
    SocketAddr::new(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4), port)
}

/// A command name up to its padding; empty if it is not text.
pub(super) fn text(comm: &[u8; 16]) -> &str {
    let len = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    str::from_utf8(&comm[..len]).unwrap_or_default()
}
