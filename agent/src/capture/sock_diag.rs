//! Which process holds a socket, for kernels that do not say: sock_diag gives the socket's inode, /proc its holder.
//!
//! Covers the network namespace of the agent. Slow, so answers are kept per connection and the table of holders is
//! read anew no more than once a second.

use std::{
    fs, io, mem,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
    netlink::{self, SocketAddrNetlink},
};

/// Least time between two readings of every process's descriptors.
const REREAD: Duration = Duration::from_secs(1);
/// Connections whose holder is remembered; past it, all are forgotten.
const MAX_ANSWERS: usize = 16_384;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
const ANY_STATE: u32 = u32::MAX;
/// Bytes of a netlink header; of `struct inet_diag_req_v2`; offset of the inode in `struct inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const INODE: usize = 68;

/// Answers by connection, and the holder of each socket inode.
pub(super) struct SockDiag {
    netlink: Option<OwnedFd>,
    answers: FxHashMap<u64, u32>,
    holders: FxHashMap<u64, u32>,
    read: Option<Instant>,
}

impl SockDiag {
    pub(super) fn new() -> Self {
        let netlink = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        );
        if let Err(error) = &netlink {
            tracing::warn!("sock_diag is not available, processes stay unknown: {error}");
        }
        Self {
            netlink: netlink.ok(),
            answers: FxHashMap::default(),
            holders: FxHashMap::default(),
            read: None,
        }
    }

    /// The process that holds the connection's socket, 0 if it cannot be found.
    pub(super) fn holder(&mut self, cookie: u64, local: SocketAddr, peer: SocketAddr, now: Instant) -> u32 {
        if let Some(&pid) = self.answers.get(&cookie) {
            return pid;
        }
        let pid = self.inode(cookie, local, peer).map_or(0, |inode| self.holder_of(inode, now));
        if self.answers.len() >= MAX_ANSWERS {
            self.answers.clear();
        }
        self.answers.insert(cookie, pid);
        pid
    }

    /// Asks the kernel for the inode of one socket.
    fn inode(&self, cookie: u64, local: SocketAddr, peer: SocketAddr) -> Option<u64> {
        let netlink = self.netlink.as_ref()?;
        let kernel = SocketAddrNetlink::new(0, 0);
        // An IPv4 connection may belong to an IPv6 socket: the kernel files it under the socket's family.
        let mapped = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), address.port()),
            IpAddr::V6(_) => address,
        };
        [(local, peer), (mapped(local), mapped(peer))].into_iter().find_map(|(local, peer)| {
            let request = request(cookie, local, peer);
            rustix::net::sendto(netlink, &request, SendFlags::empty(), &kernel).ok()?;
            let mut answer = [0; 4096];
            let (len, _) = rustix::net::recv(netlink, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
            inode_in(answer.get(..len)?)
        })
    }

    fn holder_of(&mut self, inode: u64, now: Instant) -> u32 {
        if let Some(&pid) = self.holders.get(&inode) {
            return pid;
        }
        if self.read.is_none_or(|read| now.duration_since(read) >= REREAD) {
            self.read = Some(now);
            self.holders = holders().unwrap_or_default();
        }
        self.holders.get(&inode).copied().unwrap_or(0)
    }
}

/// A request for the socket with these ends and this cookie.
fn request(cookie: u64, local: SocketAddr, peer: SocketAddr) -> [u8; HEADER + REQUEST] {
    let mut bytes = [0; HEADER + REQUEST];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &((HEADER + REQUEST) as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    put(HEADER, &[family.as_raw() as u8, IPPROTO_TCP]);
    put(HEADER + 4, &ANY_STATE.to_ne_bytes());
    put(HEADER + 8, &local.port().to_be_bytes());
    put(HEADER + 10, &peer.port().to_be_bytes());
    for (at, address) in [(12, local.ip()), (28, peer.ip())] {
        match address {
            IpAddr::V4(ip) => put(HEADER + at, &ip.octets()),
            IpAddr::V6(ip) => put(HEADER + at, &ip.octets()),
        }
    }
    put(HEADER + 48, &(cookie as u32).to_ne_bytes());
    put(HEADER + 52, &((cookie >> 32) as u32).to_ne_bytes());
    bytes
}

/// The inode in the kernel's answer; `None` for an error or a socket that no file refers to any more.
fn inode_in(answer: &[u8]) -> Option<u64> {
    let field = |at: usize| answer.get(at..at + mem::size_of::<u32>());
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let inode = u32::from_ne_bytes(field(HEADER + INODE)?.try_into().ok()?);
    (kind == SOCK_DIAG_BY_FAMILY && inode != 0).then_some(u64::from(inode))
}

/// Socket inode → process, for every process there is.
fn holders() -> io::Result<FxHashMap<u64, u32>> {
    let mut holders = FxHashMap::default();
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes end while they are listed: what cannot be read is left out.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            let inode: Option<u64> = target
                .to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                // Of several holders the oldest accepted the connection, or inherited it from one that did.
                holders.entry(inode).and_modify(|known| *known = pid.min(*known)).or_insert(pid);
            }
        }
    }
    Ok(holders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_of_this_process_is_found_by_its_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let cookie = rustix::net::sockopt::socket_cookie(&client).expect("a cookie");
        let (local, peer) = (client.local_addr().expect("local"), client.peer_addr().expect("peer"));
        assert_eq!(SockDiag::new().holder(cookie, local, peer, Instant::now()), std::process::id());
    }

    #[test]
    fn a_wrong_cookie_finds_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let (local, peer) = (client.local_addr().expect("local"), client.peer_addr().expect("peer"));
        assert_eq!(SockDiag::new().holder(u64::MAX - 7, local, peer, Instant::now()), 0);
    }

    #[test]
    fn truncated_answers_are_no_inode() {
        for len in 0..HEADER + INODE + 4 {
            assert_eq!(inode_in(&vec![20; len]), None);
        }
    }
}
