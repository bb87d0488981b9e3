//! What a recorded call holds of a request, and what it must not.

use super::*;
use crate::capture::ProcessSource;
use proptest::prelude::*;

const HEAD: &str = "GET /cart/17?token=s3cret&item=4#frag HTTP/1.1\r\nHost: shop.example\r\nCookie: sid=s3cret\r\n\
                    Authorization: Basic YW5uOnMzY3JldA==\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";

fn exchange(head: &[u8]) -> Exchange<'_> {
    Exchange {
        request_ns: 1_000_000_123_456,
        response_ns: 1_000_001_999_999,
        pid: 42,
        tid: 43,
        process_source: ProcessSource::Receiver,
        comm: "nginx",
        exe: "/usr/sbin/nginx",
        cgroup: 1,
        local: "192.0.2.1:80".parse().expect("socket"),
        peer: "198.51.100.7:50123".parse().expect("socket"),
        role: Role::Server,
        status: 200,
        head,
        head_total: head.len() as u32,
        trees: &[],
        flags: 0,
        cookie: 7,
        ordinal: 0,
    }
}

fn decoder(identities: &[&str]) -> Decoder {
    Decoder::new(CallerNamer {
        identities: identities.iter().map(|i| i.parse().expect("identity")).collect(),
        trusted_proxies: Vec::new(),
        keep_names: false,
        key: [1; 32],
    })
}

fn target(head: &[u8]) -> String {
    decoder(&[])
        .decode(&exchange(head))
        .map_or("(none)".to_owned(), |call| format!("{} {}", call.method, call.target))
}

#[test]
fn a_call_says_what_was_asked_by_whom_and_who_answered() {
    let mut decoder = decoder(&[]);
    let call = decoder.decode(&exchange(HEAD.as_bytes())).expect("a request");
    let want = Call {
        start: 1_000_000_123_000,
        duration: 1_876_000,
        method: "GET",
        host: "shop.example",
        target: "/cart/17?item&token",
        status: 200,
        caller: "198.51.100.7",
        process: Process { pid: 42, comm: "nginx" },
        gap: false,
    };
    assert_eq!(call, want);
}

#[test]
fn nothing_secret_is_kept() {
    for identities in [&["cookie:sid"][..], &["basic"], &["header:authorization"]] {
        let mut decoder = decoder(identities);
        let call = decoder.decode(&exchange(HEAD.as_bytes())).expect("a request");
        let kept = format!("{call:?}");
        assert!(call.caller.contains('#'), "{kept}");
        for secret in ["s3cret", "YW5u", "ann"] {
            assert!(!kept.contains(secret), "{kept}");
        }
    }
    assert_eq!(target(b"GET http://ann:s3cret@shop/a?b=1 HTTP/1.1\r\n\r\n"), "GET http://shop/a?b");
}

#[test]
fn a_client_is_its_own_caller() {
    let mut decoder = decoder(&[]);
    let call = Exchange { role: Role::Client, ..exchange(HEAD.as_bytes()) };
    assert_eq!(decoder.decode(&call).expect("a request").caller, "192.0.2.1");
}

#[test]
fn a_hole_before_a_call_is_passed_on() {
    for (flags, ordinal, gap) in
        [(0, 0, false), (LOST_BEFORE, 3, true), (RESYNCED, 3, true), (MIDWAY, 0, true), (MIDWAY, 1, false)]
    {
        let mut decoder = decoder(&[]);
        let call = Exchange { flags, ordinal, ..exchange(HEAD.as_bytes()) };
        assert_eq!(decoder.decode(&call).expect("a request").gap, gap, "{flags} {ordinal}");
    }
}

#[test]
fn what_was_a_request_to_somebody_is_read() {
    for (head, want) in [
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET /"),
        ("GET / HTTP/1.1\n\n", "GET /"),
        ("GET  /two  HTTP/1.1\r\n\r\n", "GET /two"),
        ("GET /two words HTTP/1.1\r\n\r\n", "GET /two%20words"),
        ("GET /é HTTP/1.1\r\n\r\n", "GET /%C3%A9"),
        ("GET /old\r\n", "GET /old"),
        ("GET /a HTTP/1.7\r\n\r\n", "GET /a"),
        ("GET /cut/of", "GET /cut/of"),
        ("GET /cut HTT", "GET /cut"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS *"),
        ("GET /a HTTP/1.1\r\nbad header\r\n : x\r\n\r\n", "GET /a"),
        ("", "(none)"),
        ("GET", "(none)"),
        ("\x16\x03\x01", "(none)"),
    ] {
        assert_eq!(target(head.as_bytes()), want, "{head:?}");
    }
    assert_eq!(target(b"GET /\xff\x00\x7f HTTP/1.1\r\n\r\n"), "GET /%FF%00%7F");
}

#[test]
fn a_head_full_of_headers_is_read_to_its_last() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    while head.len() < 1000 {
        head.extend_from_slice(b"a:\n");
    }
    head.extend_from_slice(b"Host: last\r\n\r\n");
    assert_eq!(decoder(&[]).decode(&exchange(&head)).expect("a request").host, "last");
}

#[test]
fn a_head_may_be_cut_anywhere() {
    let method_and_target = HEAD.find(" HTTP").expect("a version");
    for cut in 0..HEAD.len() {
        let mut decoder = decoder(&["header:cookie"]);
        let exchange = exchange(&HEAD.as_bytes()[..cut]);
        let call = decoder.decode(&exchange);
        assert_eq!(call.is_some(), cut > "GET ".len(), "cut at {cut}");
        let Some(call) = call else { continue };
        if cut >= method_and_target {
            assert_eq!((call.method, call.target), ("GET", "/cart/17?item&token"), "cut at {cut}");
        }
        let cookie = HEAD.find("Authorization").expect("a header");
        assert_eq!(call.caller.starts_with("header:cookie#"), cut >= cookie, "cut at {cut}: {}", call.caller);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        fuzz(&bytes);
    }

    #[test]
    fn altered_heads_are_survived(at in 0..HEAD.len(), bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
        let mut head = HEAD.as_bytes().to_vec();
        head.splice(at..(at + bytes.len()).min(HEAD.len()), bytes);
        fuzz(&head);
    }

    /// Whatever a client sends as path is what is recorded.
    #[test]
    fn paths_come_through(path in "/[!-\"$->@-~]{0,200}") {
        prop_assert_eq!(target(format!("PUT {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()), format!("PUT {path}"));
    }
}
