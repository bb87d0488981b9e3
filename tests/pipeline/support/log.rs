//! The same requests as every source has them: logs of several formats, and the spool that the agent writes.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gait_agent::capture::{Exchange, ProcessSource, Role};
use gait_agent::decode::Decoder;
use gait_agent::spool::{Options, Spool};
use gait_common::caller::CallerNamer;
use gait_common::spool::{CALLS, Extra, Rows};
use gait_common::wire::exchange::LOST_BEFORE;

use super::shop::{Request, SECRET};

/// The formats that hold calls, by their names on the command line.
pub(crate) const FORMATS: [&str; 4] = ["combined", "calls", "nginx-json", "spool"];

/// Writes requests in a format; gives the path to read them from.
pub(crate) fn write(dir: &Path, name: &str, format: &str, requests: &[Request]) -> PathBuf {
    let path = dir.join(format!("{name}.{format}"));
    match format {
        "spool" => spool(&path, requests),
        "combined" => fs::write(&path, lines(requests, combined)).expect("file"),
        "calls" => fs::write(&path, lines(requests, call)).expect("file"),
        "nginx-json" => fs::write(&path, lines(requests, nginx_json)).expect("file"),
        other => panic!("no format {other}"),
    }
    path
}

/// One line for each request.
pub(crate) fn lines(requests: &[Request], line: fn(&Request) -> String) -> String {
    requests.iter().fold(String::new(), |mut text, request| {
        writeln!(text, "{}", line(request)).expect("memory can be written");
        text
    })
}

pub(crate) fn combined(request: &Request) -> String {
    let Request { time, caller, method, target, status, .. } = request;
    let (day, hour, minute, second) =
        ((time - 1_772_323_200) / 86_400 + 1, time / 3600 % 24, time / 60 % 60, time % 60);
    format!(
        r#"{caller} - - [{day:02}/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] "{method} {target} HTTP/1.1" {status} 512 "https://shop.example/?q={SECRET}" "browser""#
    )
}

fn call(request: &Request) -> String {
    let Request { time, duration_ms, caller, method, target, status, .. } = request;
    format!(
        r#"{{"ts":{time},"caller":"{caller}","method":"{method}","path":"{target}","status":{status},"duration_ms":{duration_ms},"host":"shop.example"}}"#
    )
}

fn nginx_json(request: &Request) -> String {
    let Request { time, duration_ms, caller, method, target, status, .. } = request;
    let (end, millis) = (time + duration_ms / 1000, duration_ms % 1000);
    format!(
        r#"{{"msec":"{end}.{millis:03}","remote_addr":"{caller}","request":"{method} {target} HTTP/1.1","status":"{status}","request_time":"{}.{millis:03}","http_referer":"https://shop.example/?q={SECRET}"}}"#,
        duration_ms / 1000
    )
}

/// Decodes and records the requests as the agent does with what it captures.
fn spool(dir: &Path, requests: &[Request]) {
    let mut decoder = Decoder::new(CallerNamer {
        identities: Vec::new(),
        trusted_proxies: Vec::new(),
        keep_names: true,
        key: [0; 32],
    });
    let mut spool = Spool::open(spool_options(dir)).expect("a spool");
    for chunk in requests.chunks(1000) {
        let mut rows = Rows::default();
        for request in chunk {
            let head = format!(
                "{} {} HTTP/1.1\r\nHost: shop.example\r\nCookie: sid={SECRET}\r\nAuthorization: Bearer {SECRET}\r\n\
                 X-Api-Key: {SECRET}\r\n\r\n",
                request.method, request.target
            );
            let call = decoder.decode(&exchange(request, &head)).expect("a request");
            rows.push(&call, &Extra { interrupted: request.interrupted, role: "server", ..Extra::default() });
        }
        spool.push(&rows.finish().expect("columns of equal length")).expect("rows are taken");
    }
    let counts = spool.finish().expect("a spool");
    assert_eq!(counts.rows_written, requests.len() as u64);
}

fn exchange<'a>(request: &Request, head: &'a str) -> Exchange<'a> {
    let request_ns = request.time * 1_000_000_000;
    Exchange {
        request_ns,
        response_ns: request_ns + request.duration_ms * 1_000_000,
        pid: 42,
        tid: 42,
        process_source: ProcessSource::Receiver,
        comm: "nginx",
        exe: "/usr/sbin/nginx",
        cgroup: 1,
        local: SocketAddr::from(([192, 0, 2, 1], 80)),
        peer: SocketAddr::new(request.caller.parse().expect("an address"), 50_000),
        role: Role::Server,
        status: request.status,
        head: head.as_bytes(),
        head_total: head.len() as u32,
        trees: &[],
        flags: if request.gap { LOST_BEFORE } else { 0 },
        cookie: 7,
        ordinal: 1,
    }
}

/// A spool without bounds that a test could meet.
pub(crate) fn spool_options(dir: &Path) -> Options {
    Options {
        dir: dir.to_owned(),
        table: CALLS,
        host: "web1".to_owned(),
        started: 0,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(100 * 365 * 86_400),
        flush_interval: Duration::from_secs(10),
        max_waiting: 1 << 24,
    }
}
