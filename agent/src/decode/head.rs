//! Reads the head of a request, whole or cut.

use std::mem::MaybeUninit;

use gait_common::wire::exchange::HEAD_BYTES;
use httparse::{Header, ParserConfig, Request, Status};

/// As many headers as a head of [`HEAD_BYTES`] can hold: the shortest is `a:` and a line end.
const MAX_HEADERS: usize = HEAD_BYTES / 3 + 1;

/// Room for the headers of one head, on the caller's stack.
pub(super) type Slots<'a> = [MaybeUninit<Header<'a>>; MAX_HEADERS];

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a, 's> {
    /// The method.
    pub(super) method: &'a str,
    /// The target as sent, but that bytes which may not stand there are written `%HH`.
    pub(super) target: &'a str,
    headers: &'s [Header<'a>],
}

impl<'a> Head<'a, '_> {
    /// The first value of the header `name`, compared without regard to case.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }
}

/// Reads heads; holds the buffer in which heads are mended.
#[derive(Debug)]
pub(super) struct HeadReader {
    config: ParserConfig,
    mended: Vec<u8>,
}

impl Default for HeadReader {
    fn default() -> Self {
        let mut config = ParserConfig::default();
        config.ignore_invalid_headers_in_requests(true);
        Self { config, mended: Vec::new() }
    }
}

impl HeadReader {
    /// Empty room for headers.
    pub(super) const fn slots<'a>() -> Slots<'a> {
        [const { MaybeUninit::uninit() }; MAX_HEADERS]
    }

    /// Reads a head; `None` when it does not begin like a request.
    ///
    /// Of a cut head the headers that are there whole are read, and of a cut target what is there. What is not as it
    /// should be, but was a request to somebody, is mended first: a parser that gave up would let whoever
    /// sends such bytes walk unseen.
    pub(super) fn read<'a, 's>(
        &'a mut self,
        bytes: &'a [u8],
        slots: &'s mut Slots<'a>,
    ) -> Option<Head<'a, 's>> {
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
        let bytes = if is_sound(bytes) {
            bytes
        } else {
            mend(bytes, &mut self.mended);
            &self.mended
        };
        let mut request = Request::new(&mut []);
        match self.config.parse_request_with_uninit_headers(&mut request, bytes, slots) {
            Ok(Status::Complete(_)) => {
                Some(Head { method: request.method?, target: request.path?, headers: request.headers })
            }
            Ok(Status::Partial) | Err(_) => None,
        }
    }
}

/// Whether a head is whole and its first line is `METHOD TARGET HTTP/1.x` in plain ASCII.
fn is_sound(head: &[u8]) -> bool {
    let Some(end) = head.iter().position(|&b| b == b'\n') else { return false };
    let line = head[..end].strip_suffix(b"\r").unwrap_or(&head[..end]);
    let mut words = line.split(|&b| b == b' ');
    let sound = words.next().is_some_and(|method| !method.is_empty())
        && words.next().is_some_and(|target| target.iter().all(u8::is_ascii_graphic))
        && matches!(words.next(), Some(b"HTTP/1.1" | b"HTTP/1.0"))
        && words.next().is_none();
    sound
        && (head.ends_with(b"\n\r\n")
            || head[end..].windows(4).any(|w| w == b"\r\n\r\n" || w.starts_with(b"\n\n")))
}

/// Writes `head` anew with a proper first line, without a last line that was cut, and with an end.
fn mend(head: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let begin = head.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(head.len());
    let head = &head[begin..];
    let end = head.iter().position(|&b| b == b'\n').unwrap_or(head.len());
    let line = head[..end].trim_ascii();
    let method = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    let rest = line[method..].trim_ascii();
    let target = match rest.iter().rposition(|&b| b == b' ') {
        Some(blank) if rest[blank + 1..].starts_with(b"HTTP/") => rest[..blank].trim_ascii(),
        // The version, if there was one, was cut.
        Some(blank) if end == head.len() && b"HTTP/".starts_with(&rest[blank + 1..]) => {
            rest[..blank].trim_ascii()
        }
        _ => rest,
    };
    out.extend_from_slice(&line[..method]);
    out.push(b' ');
    for &byte in target {
        if byte.is_ascii_graphic() {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 15].map(|half| b"0123456789ABCDEF"[usize::from(half)]));
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let headers = head.get(end + 1..).unwrap_or_default();
    let whole = headers.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    out.extend_from_slice(&headers[..whole]);
    out.extend_from_slice(b"\r\n");
}
