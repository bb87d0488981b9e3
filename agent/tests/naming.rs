//! A request is the same call to the kernel's capture and to a reader of the server's log: else a model learned from
//! logs would find every odd request of a live host strange, and miss what hides in its spelling.

use std::net::SocketAddr;

use gait_agent::capture::{Exchange, ProcessSource, Role};
use gait_agent::decode::Decoder;
use gait_common::caller::CallerNamer;
use gait_common::ingest::access::parse_combined;
use gait_common::ingest::{Record, Scratch};
use gait_common::interface::{MAX_PARAMETERS, split};
use proptest::prelude::*;

/// What naming sees of a target: the path's segments and the names of the query's parameters.
fn named(target: &str) -> (Vec<String>, Vec<String>) {
    let (mut scratch, mut names) = (String::new(), [""; MAX_PARAMETERS]);
    let target = split(target, &mut scratch);
    let parameters = target.parameters(&mut names).iter().map(|&name| name.to_owned()).collect();
    (target.segments().map(str::to_owned).collect(), parameters)
}

fn captured(target: &[u8]) -> Option<String> {
    let address = SocketAddr::from(([192, 0, 2, 7], 80));
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: shop\r\n\r\n"].concat();
    let exchange = Exchange {
        request_ns: 0,
        response_ns: 0,
        pid: 0,
        tid: 0,
        process_source: ProcessSource::Unknown,
        comm: "",
        exe: "",
        cgroup: 0,
        local: address,
        peer: address,
        role: Role::Server,
        status: 200,
        head: &head,
        head_total: head.len() as u32,
        trees: &[],
        flags: 0,
        cookie: 0,
        ordinal: 0,
    };
    let namer =
        CallerNamer { identities: Vec::new(), trusted_proxies: Vec::new(), keep_names: false, key: [0; 32] };
    Decoder::new(namer).decode(&exchange).map(|call| call.target.to_owned())
}

/// The target as nginx logs it: quotes, backslashes and what is not printable ASCII as `\xHH`.
fn logged(target: &[u8]) -> Option<String> {
    let mut escaped = String::new();
    for &byte in target {
        match byte {
            b'"' | b'\\' | 0..=31 | 127.. => escaped.push_str(&format!("\\x{byte:02X}")),
            _ => escaped.push(char::from(byte)),
        }
    }
    let line = format!(
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET {escaped} HTTP/1.1" 200 512 "-" "curl/8""#
    );
    let mut scratch = Scratch::default();
    match parse_combined(line.as_bytes(), &mut scratch) {
        Ok(Record::Call(call)) => Some(call.target.to_owned()),
        _ => None,
    }
}

#[test]
fn odd_targets_are_named_alike() {
    for target in [
        "/a/b?x=1&y=2",
        "/a//b/",
        "/%61dmin",
        "/a%2Fb",
        "/é/ü?ö=1",
        "/a\"b\\c",
        "/?a&b=&=c&&a=2",
        "/a?b?c=1",
        "*",
        "/a#b?c=1",
        "http://shop/a?b=1",
        "/\u{7f}",
        "/a;b=c?d",
        "/?%61=1",
    ] {
        let target = target.as_bytes();
        let pair = [captured(target), logged(target)].map(|target| named(&target.expect("a call")));
        assert_eq!(pair[0], pair[1], "{}", target.escape_ascii());
    }
}

proptest! {
    #[test]
    fn any_target_is_named_alike(target in proptest::collection::vec(
        prop_oneof![5 => 33_u8..=255, 2 => Just(b'/'), 1 => Just(b'%'), 1 => Just(b'?'), 1 => Just(b'&'), 1 => Just(b'=')], 1..80,
    )) {
        let pair = [captured(&target), logged(&target)].map(|target| target.as_deref().map(named));
        prop_assert_eq!(&pair[0], &pair[1], "{}", target.escape_ascii());
    }
}
