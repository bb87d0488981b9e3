//! Captures of HTTP over TCP, one connection a request, written byte by byte.

use std::fmt::Write as _;

/// One request and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The bytes that the client sends.
    pub(crate) bytes: String,
    /// Whether it is an attack.
    pub(crate) attack: bool,
}

const SERVER: [u8; 4] = [192, 168, 7, 1];
/// When the first connection begins: 2026-11-22 10:00:00 UTC.
const START: u32 = 1_795_341_600;
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The client of a request: its address differs every 200 requests, its port always.
fn client(at: usize) -> ([u8; 4], u16) {
    ([203, 0, 113, (at / 200 + 1) as u8], (20_000 + at) as u16)
}

/// A capture of these requests, one connection each.
pub(crate) fn pcap(requests: &[Request]) -> Vec<u8> {
    let mut file = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0].to_vec();
    file.extend([0; 8]);
    file.extend(65_535_u32.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for (at, request) in requests.iter().enumerate() {
        let mut micros = at as u64 * 250_000;
        let mut packet = |to_server: bool, flags: u8, sequence: u32, ack: u32, payload: &[u8]| {
            let frame = frame(client(at), to_server, flags, sequence, ack, payload);
            let seconds = START + (micros / 1_000_000) as u32;
            for word in [seconds, (micros % 1_000_000) as u32, frame.len() as u32, frame.len() as u32] {
                file.extend(word.to_le_bytes());
            }
            file.extend(frame);
            micros += 100;
        };
        let (sent, answered) = (request.bytes.len() as u32, RESPONSE.len() as u32);
        packet(true, SYN, 100, 0, b"");
        packet(false, SYN | ACK, 500, 101, b"");
        packet(true, ACK, 101, 501, b"");
        packet(true, ACK | PUSH, 101, 501, request.bytes.as_bytes());
        packet(false, ACK, 501, 101 + sent, b"");
        packet(false, ACK | PUSH, 501, 101 + sent, RESPONSE.as_bytes());
        packet(true, ACK | FIN, 101 + sent, 501 + answered, b"");
        packet(false, ACK | FIN, 501 + answered, 102 + sent, b"");
        packet(true, ACK, 102 + sent, 502 + answered, b"");
    }
    file
}

/// Packets of each connection.
pub(crate) const PACKETS: usize = 9;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PUSH: u8 = 8;
const ACK: u8 = 16;

/// An Ethernet frame with IPv4 and TCP. Checksums are zero: the trainer has Suricata pass over them, as captures of hosts that leave
/// them to their network card have none either.
fn frame(
    (ip, port): ([u8; 4], u16),
    to_server: bool,
    flags: u8,
    sequence: u32,
    ack: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    let ((from, from_port), (to, to_port)) =
        if to_server { ((ip, port), (SERVER, 80_u16)) } else { ((SERVER, 80), (ip, port)) };
    frame.extend([from, to].concat());
    frame.extend([from_port.to_be_bytes(), to_port.to_be_bytes()].concat());
    frame.extend([sequence.to_be_bytes(), ack.to_be_bytes()].concat());
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// What is known of the connections, as `--score-with` takes it.
pub(crate) fn truth(requests: &[Request]) -> String {
    let mut rows = String::new();
    for (at, request) in requests.iter().enumerate() {
        let (ip, port) = client(at);
        let label = if request.attack { "anom" } else { "norm" };
        let ip = ip.map(|part| part.to_string()).join(".");
        writeln!(rows, r#"{{"src_ip":"{ip}","src_port":{port},"label":"{label}"}}"#)
            .expect("memory can be written");
    }
    rows
}

/// A shop that is attacked: injections that the strict rule knows, others that it does not, and searches for words that the loose
/// rule takes for one.
pub(crate) fn shop(count: usize) -> Vec<Request> {
    let request = |at: usize| {
        let (query, attack) = match at % 10 {
            0 | 1 => (format!("union%20select%20{at},password%20from%20users--"), true),
            2 => (format!("-{at}%27%29%20union%20select%20concat%28{at}%29%20from%20dual"), true),
            // The strict rule wants `select` behind `union`.
            3 | 4 => (format!("%28select%20sleep%28{at}%29%29%20union%20all--"), true),
            5 => (format!("%27%7C%7Cselect%28{at}%29%7C%7Cunion%23"), true),
            6 => (format!("select+membership+of+the+trade+union+{at}"), false),
            7 => (format!("union+of+{at}+artists,+select+prints"), false),
            _ => (format!("red+shoes+size+{at}"), false),
        };
        let page = ["search", "items", "blog"][at % 3];
        let bytes = format!(
            "GET /{page}?q={query} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: {}\r\nAccept: */*\r\n\r\n",
            if at.is_multiple_of(2) { "curl/8.4.0" } else { "Mozilla/5.0" }
        );
        Request { bytes, attack }
    };
    (0..count).map(request).collect()
}

/// The strict rules for it: `select` right behind `union`, and no artists.
pub(crate) const STRICT: &str = "# what the shop watches for\n\
    alert http any any -> any any (msg:\"SQL injection, union\"; flow:established,to_server; http.uri; content:\"union\"; nocase; \
    content:\"select\"; nocase; distance:1; within:12; content:!\"artists\"; classtype:web-application-attack; sid:9000001; rev:1;)\n\
    alert http any any -> any any (msg:\"users table\"; flow:established,to_server; http.uri; content:\"from users\"; \
    classtype:web-application-attack; sid:9000002; rev:1;)\n";
