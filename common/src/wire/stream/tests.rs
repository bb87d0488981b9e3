//! The framing machine against messages cut into segments in every way.

use proptest::prelude::*;

use super::{
    ALL_TURNS, CARRY, LOST, OPAQUE, RESPONSES, START, Stream, Surroundings, TURNS, UNTIL_CLOSE, event,
    verdict,
};

/// What a stream told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Request { method: u32, head: Vec<u8> },
    Response { status: u32 },
    Head { total: u32 },
    Lost,
}

/// A segment, what was told, and what to answer.
#[derive(Default)]
struct Host {
    segment: Vec<u8>,
    told: Vec<Told>,
    verdict: u32,
    waiting: bool,
}

impl Surroundings for Host {
    fn load(&mut self, stream: &mut Stream, from: u64, len: u64) -> bool {
        let bytes = &self.segment[from as usize..(from + len) as usize];
        stream.window[CARRY..CARRY + bytes.len()].copy_from_slice(bytes);
        true
    }

    fn request(&mut self, stream: &mut Stream, method: u32, at: u64, carried: u64, from: u64) {
        let mut head = stream.window[at as usize..(at + carried) as usize].to_vec();
        head.extend_from_slice(&self.segment[from as usize..]);
        self.told.push(Told::Request { method, head });
    }

    fn response(&mut self, _stream: &mut Stream, status: u32) -> u32 {
        self.told.push(Told::Response { status });
        self.verdict
    }

    fn head_end(&mut self, _stream: &mut Stream, total: u32) {
        self.told.push(Told::Head { total });
    }

    fn bodiless(&mut self, stream: &mut Stream) {
        assert_eq!(stream.heads, stream.done, "a message without a body is complete with its head");
    }

    fn waiting(&mut self) -> bool {
        self.waiting
    }

    fn lost(&mut self) {
        self.told.push(Told::Lost);
    }
}

/// Feeds the segments and gives what was told; requests are cut to their first line.
fn feed_with(host: &mut Host, stream: &mut Stream, segments: &[&[u8]]) -> Vec<Told> {
    for segment in segments {
        host.segment = segment.to_vec();
        let next = stream.next;
        stream.begin(next, segment.len() as u64);
        let mut scans = 0;
        loop {
            if stream.advance(host) == event::END {
                break;
            }
            scans += 1;
            assert!(scans < 100_000, "a segment is never used up");
        }
    }
    host.told
        .drain(..)
        .map(|told| match told {
            Told::Request { method, head } => {
                let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
                Told::Request { method, head: line.to_vec() }
            }
            other => other,
        })
        .collect()
}

fn feed(flags: u32, segments: &[&[u8]]) -> (Vec<Told>, Stream) {
    let mut stream = Stream::new(flags);
    let told = feed_with(&mut Host::default(), &mut stream, segments);
    (told, stream)
}

fn request(method: u32, line: &str) -> Told {
    Told::Request { method, head: line.as_bytes().to_vec() }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &[u8] = b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /";
const CHUNKED: &[u8] =
    b"PUT /c HTTP/1.1\r\ntransfer-ENCODING:  chunked\r\nTE: x\r\n\r\n5;ext=1\r\nGET /\r\n00a\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn a_body_that_looks_like_a_request_is_none() {
    let all = [POST, GET].concat();
    let (told, stream) = feed(0, &[&all]);
    let post_head = POST.len() as u32 - 5;
    assert_eq!(
        told,
        [
            request(4, "POST /b HTTP/1.1"),
            Told::Head { total: post_head },
            request(1, "GET /a HTTP/1.1"),
            Told::Head { total: GET.len() as u32 },
        ]
    );
    assert_eq!((stream.state, stream.done), (START, 2));
}

#[test]
fn chunked_bodies_end_where_they_end() {
    let all = [CHUNKED, GET].concat();
    let (told, stream) = feed(0, &[&all]);
    assert_eq!(told.len(), 4);
    assert_eq!(told[2], request(1, "GET /a HTTP/1.1"));
    assert_eq!(stream.done, 2);
}

#[test]
fn interim_responses_and_those_without_a_body_are_followed_by_the_next() {
    let all: &[u8] =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
    let (told, stream) = feed(RESPONSES, &[all]);
    let statuses: Vec<u32> = told
        .iter()
        .filter_map(|told| if let Told::Response { status } = told { Some(*status) } else { None })
        .collect();
    assert_eq!(statuses, [100, 304, 204]);
    assert_eq!(stream.state, START);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut stream = Stream::new(RESPONSES);
    let mut host = Host { verdict: verdict::BODILESS, ..Host::default() };
    feed_with(&mut host, &mut stream, &[b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"]);
    assert_eq!(stream.state, START);
}

#[test]
fn an_accepted_upgrade_ends_http() {
    let mut stream = Stream::new(RESPONSES);
    let mut host = Host { verdict: verdict::LAST, ..Host::default() };
    let told = feed_with(&mut host, &mut stream, &[b"HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"]);
    assert_eq!(told.len(), 2);
    assert_eq!(stream.state, OPAQUE);
}

#[test]
fn a_response_without_a_length_lasts_until_the_next_recognisable_one() {
    let mut stream = Stream::new(RESPONSES);
    let mut host = Host::default();
    feed_with(
        &mut host,
        &mut stream,
        &[b"HTTP/1.0 200 OK\r\n\r\nbody", b"HTTP/1.1 200 no request waits\r\n\r\n"],
    );
    assert_eq!(stream.state, UNTIL_CLOSE);
    host.waiting = true;
    let told = feed_with(&mut host, &mut stream, &[b"HTTP/1.1 404 Not Found\r\n\r\n"]);
    assert_eq!(told[0], Told::Response { status: 404 });
    assert!(stream.is_guessed());
}

#[test]
fn nonsense_loses_the_boundary_and_a_request_finds_it_again() {
    let (told, stream) = feed(0, &[GET, b"\x00\x01nonsense of some length", b"more nonsense", GET]);
    assert_eq!(told[2], Told::Lost);
    assert_eq!(told[3], request(1, "GET /a HTTP/1.1"));
    assert_eq!(stream.state, START);
}

#[test]
fn contradicting_lengths_lose_the_boundary() {
    let (told, stream) = feed(0, &[b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"]);
    assert_eq!(told.last(), Some(&Told::Lost));
    assert_eq!(stream.state, LOST);
}

#[test]
fn names_that_only_resemble_a_length_are_none() {
    let (_, stream) =
        feed(0, &[b"GET / HTTP/1.1\r\nX-Content-Length: 9\r\nContent-Lengths: 9\r\nContent: 1\r\n\r\n"]);
    assert_eq!((stream.state, stream.done), (START, 1));
}

#[test]
fn a_long_head_needs_no_more_scans_than_a_segment_may_take() {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for i in 0..400 {
        head.extend_from_slice(format!("Cookie-{i}: {}\r\n", "v".repeat(30)).as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    let mut stream = Stream::new(0);
    let mut host = Host { segment: head.clone(), ..Host::default() };
    stream.begin(0, head.len() as u64);
    for _ in 0..ALL_TURNS / TURNS {
        if stream.advance(&mut host) == event::END {
            break;
        }
    }
    assert_eq!(host.told.last(), Some(&Told::Head { total: head.len() as u32 }));
}

/// Messages of every kind, one after the other.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        Just(GET.to_vec()),
        Just(POST.to_vec()),
        Just(CHUNKED.to_vec()),
        Just(b"\r\nHEAD /d HTTP/1.1\r\nC: 1\r\nT: 2\r\nCookie: a=b; c=d\r\n\r\n".to_vec()),
        (0_usize..1200).prop_map(|len| {
            let body = "GET / HTTP/1.1\r\n\r\n".repeat(len / 18 + 1);
            format!(
                "POST /e HTTP/1.1\r\nX: {}\r\ncontent-length:{len}\r\n\r\n{}",
                "x".repeat(len),
                &body[..len]
            )
            .into_bytes()
        }),
    ];
    proptest::collection::vec(one, 1..6).prop_map(|all| all.concat())
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// Without the first lines, which a cut may shorten.
fn shape(told: Vec<Told>) -> Vec<Told> {
    told.into_iter()
        .map(|told| match told {
            Told::Request { method, .. } => Told::Request { method, head: Vec::new() },
            other => other,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn segmentation_changes_nothing(bytes in requests(), cuts in proptest::collection::vec(any::<usize>(), 0..12)) {
        let (whole, _) = feed(0, &[&bytes]);
        let (parts, stream) = feed(0, &cut(&bytes, &cuts));
        prop_assert_eq!(shape(whole), shape(parts));
        prop_assert_eq!(stream.state, START);
    }

    #[test]
    fn byte_by_byte_is_as_good_as_whole(bytes in requests()) {
        let (whole, _) = feed(0, &[&bytes]);
        let (parts, _) = feed(0, &bytes.chunks(1).collect::<Vec<_>>());
        prop_assert_eq!(shape(whole), shape(parts));
    }

    #[test]
    fn a_requests_first_bytes_are_whole_however_they_came(cuts in proptest::collection::vec(any::<usize>(), 0..4)) {
        let (told, _) = feed(0, &cut(GET, &cuts));
        let Some(Told::Request { head, .. }) = told.first() else { panic!("no request") };
        prop_assert!(GET.starts_with(head) && head.len() >= 4);
    }

    #[test]
    fn hostile_bytes_neither_panic_nor_hang(
        flags in 0_u32..2,
        segments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..900), 0..6),
        waiting: bool,
    ) {
        let mut host = Host { waiting, ..Host::default() };
        let mut stream = Stream::new(flags);
        feed_with(&mut host, &mut stream, &segments.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn almost_http_neither_panics_nor_hangs(
        bytes in requests(),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut bytes = bytes;
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        feed(0, &cut(&bytes, &cuts));
        feed(RESPONSES, &cut(&bytes, &cuts));
    }
}

#[test]
fn a_response_is_read_to_its_end() {
    let all = [OK, OK].concat();
    let (told, stream) = feed(RESPONSES, &[&all]);
    assert_eq!(told.len(), 4);
    assert_eq!(stream.done, 2);
}
