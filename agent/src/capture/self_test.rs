//! Proof that every hook sees: a request that the agent sends itself on loopback.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use gait_common::wire::exchange::{ROLE_CLIENT, Record, SOURCE_RECEIVER};

use super::CaptureError;

/// How long the request and its record may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /gait-self-test HTTP/1.1\r\nHost: localhost\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What the agent's own request proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// Time between the request and the response as the kernel saw them, in nanoseconds.
    pub latency_ns: u64,
    /// Whether the thread came from `sock_recv_length`.
    pub exact_thread: bool,
    /// Whether the connection's end was seen.
    pub end_seen: bool,
}

/// The agent's own exchange: its connection, and both ends until they are closed.
pub(super) struct Call {
    pub(super) server_cookie: u64,
    pub(super) client_cookie: u64,
    ends: Option<(TcpStream, TcpStream)>,
}

impl Call {
    /// A port for the exchange; captured ports may be few, so the kernel side must let this one through.
    pub(super) fn listen() -> Result<TcpListener, CaptureError> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(CaptureError::SelfTest)
    }

    /// Sends a request to the agent itself and answers it.
    pub(super) fn make(listener: &TcpListener) -> io::Result<Self> {
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (mut server, _) = listener.accept()?;
        for end in [&client, &server] {
            end.set_read_timeout(Some(PATIENCE))?;
            end.set_write_timeout(Some(PATIENCE))?;
        }
        client.write_all(REQUEST)?;
        server.read_exact(&mut [0; REQUEST.len()])?;
        server.write_all(RESPONSE)?;
        client.read_exact(&mut [0; RESPONSE.len()])?;
        Ok(Self {
            server_cookie: rustix::net::sockopt::socket_cookie(&server)?,
            client_cookie: rustix::net::sockopt::socket_cookie(&client)?,
            ends: Some((client, server)),
        })
    }

    /// Whether this record is of that exchange.
    pub(super) fn is(&self, record: &Record) -> bool {
        let cookie = if record.role == ROLE_CLIENT { self.client_cookie } else { self.server_cookie };
        record.cookie == cookie
    }

    /// Closes both ends.
    pub(super) fn close(&mut self) {
        self.ends = None;
    }
}

impl SelfTest {
    /// Judges the record of the agent's own exchange.
    pub(super) fn judge(record: &Record, head: &[u8]) -> Result<Self, CaptureError> {
        if head != REQUEST || record.status != 200 {
            let seen = String::from_utf8_lossy(head);
            let reason = format!("the record says status {} and head {seen:?}", record.status);
            return Err(CaptureError::Blind { hook: "cgroup_skb", reason });
        }
        let latency_ns = record.response_ns.saturating_sub(record.request_ns);
        Ok(Self { latency_ns, exact_thread: record.source == SOURCE_RECEIVER, end_seen: false })
    }
}

/// When to give up.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}
