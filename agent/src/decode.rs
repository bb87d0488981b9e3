//! From an exchange to a call: reads the request's head and names the caller.
//!
//! A head may be cut (the kernel carries its first KiB) and may hold any bytes. What can be read of it is: method,
//! target, and every header that is there whole. Values of query parameters are dropped here, before anything is
//! stored or passed on.

mod head;

use std::net::IpAddr;

use gait_common::call::{Call, Process};
use gait_common::caller::{CallerNamer, Headers};
use gait_common::interface::{MAX_PARAMETERS, Target};
use gait_common::spool::whole_micros;
use gait_common::wire::exchange::{LOST_BEFORE, MIDWAY, RESYNCED};

use crate::capture::{Exchange, Role};
use crate::screen::{Made, Tap};

use head::{Head, HeadReader};

/// Longest host name that is kept, in bytes: DNS allows no longer one.
const MAX_HOST: usize = 253;

/// Makes calls of exchanges. Holds the buffers, so that nothing is allocated per call once they have grown.
#[derive(Debug)]
pub struct Decoder {
    namer: CallerNamer,
    reader: HeadReader,
    target: String,
    caller: String,
    /// Only where callers are screened.
    tap: Option<Tap>,
}

impl Decoder {
    /// A decoder that names callers with `namer`.
    pub fn new(namer: CallerNamer) -> Self {
        let (target, caller) = (String::new(), String::new());
        Self { namer, reader: HeadReader::default(), target, caller, tap: None }
    }

    /// Hands the names of callers on to be screened.
    pub fn screen(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// The call that an exchange is; `None` when its head is no HTTP request.
    ///
    /// Times are cut to whole microseconds, as the spool keeps them.
    pub fn decode<'a>(&'a mut self, exchange: &Exchange<'a>) -> Option<Call<'a>> {
        let Self { namer, reader, target, caller, tap } = self;
        let mut slots = HeadReader::slots();
        let head = reader.read(exchange.head, &mut slots)?;
        namer.name(&head, caller_address(exchange), caller);
        if let Some(tap) = tap {
            let Exchange { request_ns: time, pid, comm, .. } = *exchange;
            tap.see(&head, Made { caller, time, pid, comm });
        }
        push_target(head.target, target);
        let start = whole_micros(exchange.request_ns);
        Some(Call {
            start,
            duration: whole_micros(exchange.response_ns).saturating_sub(start),
            method: head.method,
            host: host(&head),
            target,
            status: exchange.status,
            caller,
            process: Process { pid: exchange.pid, comm: exchange.comm },
            gap: follows_a_gap(exchange),
        })
    }
}

/// The address of the end that sent the request.
fn caller_address(exchange: &Exchange<'_>) -> IpAddr {
    match exchange.role {
        Role::Server => exchange.peer.ip(),
        Role::Client => exchange.local.ip(),
    }
}

/// Whether this connection held calls before this one that were not captured.
fn follows_a_gap(exchange: &Exchange<'_>) -> bool {
    exchange.flags & (LOST_BEFORE | RESYNCED) != 0 || (exchange.flags & MIDWAY != 0 && exchange.ordinal == 0)
}

fn host<'a>(head: &Head<'a, '_>) -> &'a str {
    let value = head.value("host").unwrap_or_default().trim_ascii();
    std::str::from_utf8(value).ok().filter(|host| host.len() <= MAX_HOST).unwrap_or_default()
}

/// Writes what is kept of a request target: all before the query, without a user's name and password, and the sorted
/// names of the query's parameters.
fn push_target(target: &str, out: &mut String) {
    out.clear();
    let target = target.split_once('#').map_or(target, |(before, _)| before);
    let (rest, query) = target.split_once('?').unwrap_or((target, ""));
    match rest.split_once("://") {
        Some((scheme, after)) if !rest.starts_with('/') => {
            let slash = after.find('/').unwrap_or(after.len());
            let host = after[..slash].rfind('@').map_or(0, |at| at + 1);
            out.extend([scheme, "://", &after[host..]]);
        }
        _ => out.push_str(rest),
    }
    let mut names = [""; MAX_PARAMETERS];
    let mut before = '?';
    for name in (Target { authority: "", path: "", query }).parameters(&mut names) {
        out.push(before);
        out.push_str(name);
        before = '&';
    }
}

impl Headers for Head<'_, '_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.value(name)
    }
}

/// Reads bytes that anybody may have written as the head of a request; what the fuzzer runs.
///
/// # Panics
/// When what comes out breaks a promise of this module.
pub fn fuzz(bytes: &[u8]) {
    let address = std::net::SocketAddr::from(([192, 0, 2, 1], 80));
    let mut decoder = Decoder::new(CallerNamer {
        identities: ["header:x-key", "jwt:sub", "cookie:sid", "basic", "forwarded-for"]
            .iter()
            .filter_map(|identity| identity.parse().ok())
            .collect(),
        trusted_proxies: vec![address.ip().into()],
        keep_names: true,
        key: [0; 32],
    });
    let exchange = Exchange {
        request_ns: 1,
        response_ns: 2,
        pid: 0,
        tid: 0,
        process_source: crate::capture::ProcessSource::Unknown,
        comm: "",
        exe: "",
        cgroup: 0,
        local: address,
        peer: address,
        role: Role::Server,
        status: 200,
        head: bytes,
        head_total: 0,
        trees: &[],
        flags: 0,
        cookie: 0,
        ordinal: 0,
    };
    if let Some(call) = decoder.decode(&exchange) {
        assert!(!call.method.is_empty() && !call.caller.is_empty(), "{call:?}");
        let query = call.target.split_once('?').map_or("", |(_, query)| query);
        assert!(!query.contains('=') && !call.target.contains('#'), "values are dropped: {call:?}");
    }
}

#[cfg(test)]
mod tests;
