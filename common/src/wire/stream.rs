//! The framing of one direction of an HTTP/1 connection: where each message begins and ends.
//!
//! [`Stream::begin`] announces the next bytes in order. [`Stream::scan`] reads them, in small turns (a word of a line, a
//! header's name, a digit, a whole body), up to the next [`event`], which [`Stream::handle`] deals with; so on, until
//! the segment is used up. The kernel runs exactly this code over packets, which explains its form: no nested loops,
//! every index masked just before use, and all that changes from turn to turn kept in memory and read with
//! `read_volatile`. The verifier knows nothing about a value loaded from a map, so every path of a turn ends in the
//! same state; a value held in a register would multiply its work. Scanning and handling are two functions because
//! the verifier looks at each only once that way.
//!
//! Message framing follows RFC 9112 section 6.3. When it cannot be followed (bytes missing, nonsense), the stream is
//! [`LOST`] and starts again at the next segment that begins like a message.

use core::ptr::{read_volatile, write_volatile};

use super::word;

/// The next byte begins a message; blank lines before it are skipped.
pub const START: u32 = 0;
/// At the beginning of a header line.
pub const LINE: u32 = 1;
/// Inside a line that does not matter.
pub const SKIP: u32 = 2;
/// As [`SKIP`], in a line whose beginning was too short to judge; without a line end it is judged again.
pub const PEEK: u32 = 3;
/// In the value of Content-Length.
pub const LENGTH: u32 = 4;
/// In the value of Transfer-Encoding.
pub const CODING: u32 = 5;
/// In the digits of a chunk size.
pub const SIZE: u32 = 6;
/// After the digits of a chunk size.
pub const EXTENSION: u32 = 7;
/// In bytes of known number that are not looked at.
pub const BYTES: u32 = 8;
/// In a body that ends with the connection.
pub const UNTIL_CLOSE: u32 = 9;
/// The connection is no longer HTTP.
pub const OPAQUE: u32 = 10;
/// The message boundary is not known.
pub const LOST: u32 = 11;

/// The stream carries responses, not requests.
pub const RESPONSES: u32 = 1;
/// The head under way has a Content-Length.
const HAS_LENGTH: u32 = 1 << 1;
/// The head under way ends its Transfer-Encoding with `chunked`.
const CHUNKED: u32 = 1 << 2;
/// The head under way has a Transfer-Encoding that does not end with `chunked`.
const CODED: u32 = 1 << 3;
/// The lines read are trailers behind the last chunk.
const TRAILER: u32 = 1 << 4;
/// The message under way has no body whatever its head says.
const BODILESS: u32 = 1 << 5;
/// The message under way ends HTTP on this connection.
const LAST: u32 = 1 << 6;
/// The head under way contradicts itself.
const BAD: u32 = 1 << 7;
/// [`BYTES`] are a chunk: a chunk size follows.
const IN_CHUNKS: u32 = 1 << 8;
/// The message under way was found by guessing.
pub const GUESSED: u32 = 1 << 9;

/// Bytes at the front of the window for what the previous load left over.
pub const CARRY: usize = 32;
/// Bytes of the window, [`CARRY`] included: a power of two.
pub const WINDOW: usize = 512;
/// Most bytes loaded into the window at a time.
pub const LOAD: u64 = (WINDOW - CARRY) as u64;
/// Words may be read up to this far behind the window's last byte.
const SLACK: usize = 32;
/// Turns that one scan takes at most.
const TURNS: u32 = 48;
/// Scans that a segment may take. What a segment holds beyond them is not read and its stream is [`LOST`].
pub const SCANS: u32 = 96;

/// Bytes needed to tell whether a message begins.
const START_BYTES: u64 = 16;
/// Bytes needed to tell whether a header line matters.
const NAME_BYTES: u64 = 18;

/// What a response means for framing, as its answered request decides.
pub mod verdict {
    /// Nothing special.
    pub const PLAIN: u32 = 0;
    /// No body follows (an answer to HEAD).
    pub const BODILESS: u32 = 1;
    /// The connection is no longer HTTP afterwards.
    pub const LAST: u32 = 2;
}

/// Why a scan stopped.
pub mod event {
    /// It has read its share; scan again.
    pub const MORE: u32 = 0;
    /// The segment is used up.
    pub const END: u32 = 1;
    /// A message begins.
    pub const START: u32 = 2;
    /// A head is complete.
    pub const HEAD: u32 = 3;
    /// The message boundary was lost.
    pub const LOSS: u32 = 4;
}

/// What surrounds a stream: where its bytes come from and who wants to know about messages.
pub trait Surroundings {
    /// Copies `len` (1 to [`LOAD`]) bytes of the segment, from offset `from`, to the window at [`CARRY`].
    fn load(&mut self, stream: *mut Stream, from: u64, len: u64) -> bool;
    /// A request with this method number begins; `carried` of its bytes came with earlier segments and lie in the
    /// window at `at`, the others begin at offset `from` of the segment.
    fn request(&mut self, stream: *mut Stream, method: u32, at: u64, carried: u64, from: u64);
    /// A response begins; says what that means for framing ([`verdict`]).
    fn response(&mut self, stream: *mut Stream, status: u32) -> u32;
    /// A head is complete; it had `total` bytes.
    fn head_end(&mut self, stream: *mut Stream, total: u32);
    /// Whether a request waits for its response.
    fn waiting(&mut self) -> bool;
    /// The message boundary was lost.
    fn lost(&mut self);
}

/// One direction of a connection. All zeroes is a valid stream of requests that waits for its first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Body or chunk bytes to skip; while a chunk size is read, its value.
    remaining: u64,
    /// Value of the header under way: a number, or the last eight letters.
    token: u64,
    /// Content-Length of the head under way.
    length: u64,
    /// Next unread byte in the window.
    pos: u64,
    /// End of the window's valid bytes.
    fill: u64,
    /// Offset in the segment of the first byte not yet in the window.
    at: u64,
    /// Bytes of the segment.
    len: u64,
    /// Where a line in [`PEEK`] begins.
    mark: u64,
    /// Non-zero while a CPU works on the stream.
    pub lock: u64,
    /// Sequence number of the next byte expected.
    pub next: u32,
    /// Sequence number of the current segment's first byte.
    pub segment: u32,
    /// Sequence number of the first byte of the message under way.
    pub head: u32,
    /// [`START`] and the following.
    pub state: u32,
    /// [`RESPONSES`] and the following.
    pub flags: u32,
    /// Messages begun, heads complete and messages complete.
    pub begun: u32,
    /// Heads complete.
    pub heads: u32,
    /// Messages complete.
    pub done: u32,
    /// Whether `next` is known.
    pub placed: u32,
    /// Method or status of the message that begins.
    found: u32,
    unused: u32,
    /// The bytes looked at: carried ones right before [`CARRY`], loaded ones behind it.
    pub window: [u8; WINDOW + SLACK],
}

macro_rules! get {
    ($stream:ident . $field:ident) => {{
        // SAFETY: the pointer to the stream is valid for the whole turn; see `Stream::turn`.
        unsafe { read_volatile(&raw const (*$stream).$field) }
    }};
}

macro_rules! set {
    ($stream:ident . $field:ident = $value:expr) => {{
        let value = $value;
        // SAFETY: the pointer to the stream is valid for the whole turn; see `Stream::turn`.
        unsafe { write_volatile(&raw mut (*$stream).$field, value) }
    }};
}

/// The word at `pos` of the window.
#[inline(always)]
fn word_at(stream: *mut Stream, pos: u64) -> u64 {
    // SAFETY: masked, `pos` is inside the window, and the slack behind it holds a whole word.
    unsafe {
        let window = (&raw const (*stream).window).cast::<u8>();
        window.add(pos as usize & (WINDOW - 1)).cast::<u64>().read_unaligned().to_le()
    }
}

/// The byte at `pos` of the window.
#[inline(always)]
fn byte_at(stream: *mut Stream, pos: u64) -> u64 {
    // SAFETY: masked, `pos` is inside the window.
    unsafe { u64::from(*(&raw const (*stream).window).cast::<u8>().add(pos as usize & (WINDOW - 1))) }
}

/// Number of the HTTP method that these sixteen bytes begin with, 0 for none.
///
/// `GET` is 1, `HEAD` 2 and `CONNECT` 3; the others have no meaning for framing and are 4.
#[inline(always)]
#[must_use]
pub const fn method(first: u64, second: u64) -> u32 {
    const fn short(text: &[u8]) -> u64 {
        let mut word = [0; 8];
        let mut i = 0;
        while i < text.len() {
            word[i] = text[i];
            i += 1;
        }
        word::of(&word)
    }
    let four = first & 0xffff_ffff;
    let five = first & 0xff_ffff_ffff;
    let six = first & 0xffff_ffff_ffff;
    let seven = first & 0xff_ffff_ffff_ffff;
    let ninth = second & 0xff;
    if four == short(b"GET ") {
        1
    } else if five == short(b"HEAD ") {
        2
    } else if first == short(b"CONNECT ") {
        3
    } else if five == short(b"POST ")
        || four == short(b"PUT ")
        || seven == short(b"DELETE ")
        || six == short(b"PATCH ")
        || first == short(b"OPTIONS ")
        || six == short(b"TRACE ")
        || six == short(b"QUERY ")
        || six == short(b"PURGE ")
        || (first == short(b"PROPFIND") && ninth == b' ' as u64)
        || (first == short(b"PROPPATC") && ninth == b'H' as u64)
        || six == short(b"MKCOL ")
        || five == short(b"COPY ")
        || five == short(b"MOVE ")
        || five == short(b"LOCK ")
        || seven == short(b"UNLOCK ")
        || seven == short(b"SEARCH ")
        || seven == short(b"REPORT ")
        || five == short(b"LINK ")
        || seven == short(b"UNLINK ")
        || (first == short(b"MKCALEND") && ninth == b'A' as u64)
    {
        4
    } else {
        0
    }
}

/// Status code of the HTTP/1 response that these sixteen bytes begin with, 0 for none.
#[inline(always)]
#[must_use]
pub const fn status(first: u64, second: u64) -> u32 {
    if first & 0xff_ffff_ffff_ffff != word::of(b"HTTP/1.\0") || second & 0xff != b' ' as u64 {
        return 0;
    }
    let hundreds = (second >> 8 & 0xff).wrapping_sub(b'0' as u64);
    let tens = (second >> 16 & 0xff).wrapping_sub(b'0' as u64);
    let units = (second >> 24 & 0xff).wrapping_sub(b'0' as u64);
    if hundreds > 9 || hundreds == 0 || tens > 9 || units > 9 {
        return 0;
    }
    (hundreds * 100 + tens * 10 + units) as u32
}

impl Stream {
    /// A stream that waits for its first message.
    #[must_use]
    pub const fn new(flags: u32) -> Self {
        Self {
            remaining: 0,
            token: 0,
            length: 0,
            pos: CARRY as u64,
            fill: CARRY as u64,
            at: 0,
            len: 0,
            mark: 0,
            next: 0,
            segment: 0,
            head: 0,
            state: START,
            flags,
            lock: 0,
            begun: 0,
            heads: 0,
            done: 0,
            placed: 0,
            found: 0,
            unused: 0,
            window: [0; WINDOW + SLACK],
        }
    }

    /// Makes a stream of zeroes wait for its first message.
    #[inline(always)]
    pub fn open(stream: *mut Self, flags: u32) {
        set!(stream.pos = CARRY as u64);
        set!(stream.fill = CARRY as u64);
        set!(stream.flags = flags);
    }

    /// Whether the message boundary is not known.
    #[inline(always)]
    #[must_use]
    pub fn is_lost(stream: *mut Self) -> bool {
        get!(stream.state) == LOST
    }

    /// Whether the stream carries responses.
    #[inline(always)]
    #[must_use]
    pub fn is_response(stream: *mut Self) -> bool {
        get!(stream.flags) & RESPONSES != 0
    }

    /// Whether the message under way was found by guessing.
    #[inline(always)]
    #[must_use]
    pub fn is_guessed(stream: *mut Self) -> bool {
        get!(stream.flags) & GUESSED != 0
    }

    /// Bytes of the current segment.
    #[inline(always)]
    #[must_use]
    pub fn segment_len(stream: *mut Self) -> u64 {
        get!(stream.len)
    }

    /// Whether bytes of the current segment were not read.
    #[inline(always)]
    #[must_use]
    pub fn unread(stream: *mut Self) -> bool {
        get!(stream.at) != get!(stream.len) || get!(stream.pos) != get!(stream.fill)
    }

    /// The word at `pos` of the window, as it lies there.
    #[inline(always)]
    #[must_use]
    pub fn word(stream: *mut Self, pos: u64) -> u64 {
        word_at(stream, pos).to_le()
    }

    /// Whether the stream is inside a head.
    #[inline(always)]
    #[must_use]
    pub fn in_head(stream: *mut Self) -> bool {
        let state = get!(stream.state);
        state >= LINE && state <= CODING && get!(stream.flags) & TRAILER == 0
    }

    /// Bytes that the stream will skip without looking at them.
    #[inline(always)]
    #[must_use]
    pub fn blind(stream: *mut Self) -> u64 {
        match get!(stream.state) {
            BYTES => get!(stream.remaining),
            UNTIL_CLOSE | OPAQUE | LOST => u64::MAX,
            _ => 0,
        }
    }

    /// Accounts for `len` blind bytes (no more than [`Self::blind`]) without seeing them.
    #[inline(always)]
    pub fn leap(stream: *mut Self, len: u64) {
        if get!(stream.state) == BYTES {
            let remaining = get!(stream.remaining) - len;
            set!(stream.remaining = remaining);
            if remaining == 0 {
                Self::bytes_end(stream);
            }
        }
    }

    /// Announces the next `len` bytes in order, the first of which has sequence number `sequence`.
    #[inline(always)]
    pub fn begin(stream: *mut Self, sequence: u32, len: u64) {
        set!(stream.segment = sequence);
        set!(stream.next = sequence.wrapping_add(len as u32));
        set!(stream.at = 0);
        set!(stream.len = len);
    }

    /// Gives up the message boundary, for bytes are missing.
    #[inline(always)]
    pub fn lose(stream: *mut Self) -> u32 {
        let state = get!(stream.state);
        Self::forget(stream);
        if state == LOST || state == OPAQUE {
            return event::END;
        }
        set!(stream.state = LOST);
        event::LOSS
    }

    /// Ends HTTP on this stream.
    #[inline(always)]
    pub fn end_http(stream: *mut Self) {
        set!(stream.state = OPAQUE);
        Self::forget(stream);
    }

    /// Drops what is left of the segment.
    #[inline(always)]
    fn forget(stream: *mut Self) {
        set!(stream.at = get!(stream.len));
        set!(stream.pos = CARRY as u64);
        set!(stream.fill = CARRY as u64);
    }

    /// Offset in the segment of the next unread byte; wraps below zero where that byte came with an earlier segment.
    #[inline(always)]
    fn offset(stream: *mut Self) -> u64 {
        get!(stream.at).wrapping_sub(get!(stream.fill).wrapping_sub(get!(stream.pos)))
    }

    /// Makes room in the window and loads more of the segment into it.
    #[inline(always)]
    fn refill(stream: *mut Self, to: &mut impl Surroundings) -> bool {
        let fill = get!(stream.fill);
        let mut keep = fill.wrapping_sub(get!(stream.pos));
        if keep > CARRY as u64 {
            keep = CARRY as u64;
        }
        let from = fill.wrapping_sub(CARRY as u64);
        let carried = [
            word_at(stream, from),
            word_at(stream, from.wrapping_add(8)),
            word_at(stream, from.wrapping_add(16)),
            word_at(stream, from.wrapping_add(24)),
        ];
        // SAFETY: the window is longer than the four words, and nothing else refers to it.
        unsafe {
            let front = (&raw mut (*stream).window).cast::<u64>();
            front.write_unaligned(carried[0].to_le());
            front.add(1).write_unaligned(carried[1].to_le());
            front.add(2).write_unaligned(carried[2].to_le());
            front.add(3).write_unaligned(carried[3].to_le());
        }
        let at = get!(stream.at);
        let mut len = get!(stream.len).wrapping_sub(at);
        if len > LOAD {
            len = LOAD;
        }
        set!(stream.pos = CARRY as u64 - keep);
        set!(stream.fill = CARRY as u64 + len);
        set!(stream.at = at.wrapping_add(len));
        to.load(stream, at, len)
    }

    /// Reads on to the next [`event`].
    ///
    /// `stream` must point to a stream that nothing else uses meanwhile.
    #[inline(always)]
    pub fn scan(stream: *mut Self, to: &mut impl Surroundings) -> u32 {
        for _ in 0..TURNS {
            let event = Self::turn(stream, to);
            if event != event::MORE {
                return event;
            }
        }
        event::MORE
    }

    /// Takes one step.
    #[inline(always)]
    fn turn(stream: *mut Self, to: &mut impl Surroundings) -> u32 {
        let state = get!(stream.state);
        let have = get!(stream.fill).wrapping_sub(get!(stream.pos));
        let rest = get!(stream.len).wrapping_sub(get!(stream.at));
        if state == BYTES {
            return Self::skip_bytes(stream, have, rest);
        }
        let guess = state == LOST || state == UNTIL_CLOSE;
        if state == OPAQUE || (guess && get!(stream.at) != 0) {
            Self::forget(stream);
            return event::END;
        }
        let need = match state {
            START | LOST | UNTIL_CLOSE => START_BYTES,
            LINE => NAME_BYTES,
            _ => 1,
        };
        if have < need && rest != 0 {
            if !Self::refill(stream, to) {
                return Self::lose(stream);
            }
            if !guess {
                return event::MORE;
            }
        }
        let pos = get!(stream.pos);
        let have = get!(stream.fill).wrapping_sub(pos);
        if have == 0 {
            if state == PEEK {
                set!(stream.pos = get!(stream.mark));
                set!(stream.state = LINE);
            }
            return event::END;
        }
        match state {
            START | LOST | UNTIL_CLOSE => Self::start(stream, state, pos, have, to),
            LENGTH => Self::length(stream, pos),
            CODING => Self::coding(stream, pos),
            SIZE => Self::size(stream, pos),
            _ => Self::line(stream, state, pos, have),
        }
    }

    /// Deals with the event that a scan ended with.
    #[inline(always)]
    pub fn handle(stream: *mut Self, event: u32, to: &mut impl Surroundings) {
        match event {
            event::START => Self::started(stream, to),
            event::HEAD => Self::head_end(stream, to),
            event::LOSS => to.lost(),
            _ => {}
        }
    }

    #[inline(always)]
    fn skip_bytes(stream: *mut Self, have: u64, rest: u64) -> u32 {
        let all = have.wrapping_add(rest);
        if all == 0 {
            return event::END;
        }
        let remaining = get!(stream.remaining);
        let take = if remaining < all { remaining } else { all };
        if take <= have {
            set!(stream.pos = get!(stream.pos).wrapping_add(take));
        } else {
            set!(stream.at = get!(stream.at).wrapping_add(take.wrapping_sub(have)));
            set!(stream.pos = CARRY as u64);
            set!(stream.fill = CARRY as u64);
        }
        set!(stream.remaining = remaining.wrapping_sub(take));
        if take == remaining {
            Self::bytes_end(stream);
        }
        event::MORE
    }

    #[inline(always)]
    fn bytes_end(stream: *mut Self) {
        if get!(stream.flags) & IN_CHUNKS != 0 {
            set!(stream.token = 0);
            set!(stream.state = SIZE);
        } else {
            Self::message_end(stream);
        }
    }

    #[inline(always)]
    fn message_end(stream: *mut Self) {
        set!(stream.state = START);
        set!(stream.done = get!(stream.done).wrapping_add(1));
    }

    /// A message begins here, or the boundary is lost.
    #[inline(always)]
    fn start(stream: *mut Self, state: u32, pos: u64, have: u64, to: &mut impl Surroundings) -> u32 {
        let first = word_at(stream, pos);
        let guess = state != START;
        if !guess && (first & 0xff == u64::from(b'\r') || first & 0xff == u64::from(b'\n')) {
            set!(stream.pos = pos.wrapping_add(1));
            return event::MORE;
        }
        if have < START_BYTES {
            if guess {
                Self::forget(stream);
            }
            return event::END;
        }
        let second = word_at(stream, pos.wrapping_add(8));
        let kind = get!(stream.flags) & RESPONSES;
        let found = if kind == 0 { method(first, second) } else { status(first, second) };
        if found == 0 || (guess && kind != 0 && !to.waiting()) {
            if guess {
                Self::forget(stream);
                return event::END;
            }
            return Self::lose(stream);
        }
        set!(stream.found = found);
        set!(stream.flags = if guess { kind | GUESSED } else { kind });
        set!(stream.state = SKIP);
        event::START
    }

    /// Tells of a message that begins at the next unread byte.
    #[inline(always)]
    fn started(stream: *mut Self, to: &mut impl Surroundings) {
        let offset = Self::offset(stream);
        let found = get!(stream.found);
        set!(stream.head = get!(stream.segment).wrapping_add(offset as u32));
        set!(stream.begun = get!(stream.begun).wrapping_add(1));
        if get!(stream.flags) & RESPONSES == 0 {
            let carried = if offset > u64::from(u32::MAX) { offset.wrapping_neg() } else { 0 };
            to.request(stream, found, get!(stream.pos), carried, offset.wrapping_add(carried));
            return;
        }
        let meaning = to.response(stream, found);
        let mut flags = get!(stream.flags);
        if found < 200 || found == 204 || found == 304 || meaning & verdict::BODILESS != 0 {
            flags |= BODILESS;
        }
        if meaning & verdict::LAST != 0 {
            flags |= LAST;
        }
        set!(stream.flags = flags);
    }

    /// At a line's beginning or inside a line: looks at its name, or goes on to its end.
    #[inline(always)]
    fn line(stream: *mut Self, state: u32, pos: u64, have: u64) -> u32 {
        let first = word_at(stream, pos);
        let byte = first & 0xff;
        let mut next = if state == PEEK { PEEK } else { SKIP };
        if state == LINE {
            if byte == u64::from(b'\n') {
                set!(stream.pos = pos.wrapping_add(1));
                return Self::lines_end(stream);
            }
            if byte == u64::from(b'\r') {
                if have < 2 {
                    return event::END;
                }
                if first >> 8 & 0xff == u64::from(b'\n') {
                    set!(stream.pos = pos.wrapping_add(2));
                    return Self::lines_end(stream);
                }
            }
            let small = byte | 0x20;
            if small == u64::from(b'c') || small == u64::from(b't') {
                if have < NAME_BYTES {
                    set!(stream.mark = pos);
                    next = PEEK;
                } else if Self::name(stream, word::lower(first), pos) {
                    return event::MORE;
                }
            }
        }
        let found = u64::from(word::find(first, b'\n'));
        if found < 8 && found < have {
            set!(stream.pos = pos.wrapping_add(found).wrapping_add(1));
            if state == EXTENSION {
                return Self::size_end(stream);
            }
            set!(stream.state = LINE);
        } else {
            set!(stream.pos = pos.wrapping_add(if have < 8 { have } else { 8 }));
            if state != EXTENSION {
                set!(stream.state = next);
            }
        }
        event::MORE
    }

    /// Whether the line at `pos` has a name that matters; if so, goes on to its value.
    #[inline(always)]
    fn name(stream: *mut Self, first: u64, pos: u64) -> bool {
        const LENGTH_NAME: u64 = word::of(b"length:\0");
        if get!(stream.flags) & TRAILER != 0 {
            return false;
        }
        let second = word::lower(word_at(stream, pos.wrapping_add(8)));
        if first == word::of(b"content-") && second & 0xff_ffff_ffff_ffff == LENGTH_NAME {
            set!(stream.pos = pos.wrapping_add(15));
            set!(stream.token = 0);
            set!(stream.state = LENGTH);
            return true;
        }
        if first == word::of(b"transfer") && second == word::of(b"-encodin") {
            let third = word::lower(word_at(stream, pos.wrapping_add(16)));
            if third & 0xffff == u64::from(b'g') | u64::from(b':') << 8 {
                set!(stream.pos = pos.wrapping_add(18));
                set!(stream.token = 0);
                set!(stream.state = CODING);
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn length(stream: *mut Self, pos: u64) -> u32 {
        let byte = byte_at(stream, pos);
        let token = get!(stream.token);
        let digit = byte.wrapping_sub(u64::from(b'0'));
        set!(stream.pos = pos.wrapping_add(1));
        if digit < 10 && token < 1 << 56 {
            set!(stream.token = token.wrapping_mul(10).wrapping_add(digit));
        } else if byte == u64::from(b'\n') {
            let mut flags = get!(stream.flags);
            if flags & HAS_LENGTH != 0 && get!(stream.length) != token {
                flags |= BAD;
            }
            set!(stream.flags = flags | HAS_LENGTH);
            set!(stream.length = token);
            set!(stream.state = LINE);
        } else if byte != u64::from(b' ') && byte != u64::from(b'\t') && byte != u64::from(b'\r') {
            set!(stream.flags = get!(stream.flags) | BAD);
        }
        event::MORE
    }

    #[inline(always)]
    fn coding(stream: *mut Self, pos: u64) -> u32 {
        const LAST_CODING: u64 = u64::from_be_bytes(*b"\0chunked");
        let byte = byte_at(stream, pos);
        set!(stream.pos = pos.wrapping_add(1));
        if byte == u64::from(b'\n') {
            let flags = get!(stream.flags) & !(CHUNKED | CODED);
            let chunked = get!(stream.token) == LAST_CODING;
            set!(stream.flags = flags | if chunked { CHUNKED } else { CODED });
            set!(stream.state = LINE);
        } else if byte == u64::from(b',') {
            set!(stream.token = 0);
        } else if byte != u64::from(b' ') && byte != u64::from(b'\t') && byte != u64::from(b'\r') {
            set!(stream.token = get!(stream.token) << 8 | byte | 0x20);
        }
        event::MORE
    }

    #[inline(always)]
    fn size(stream: *mut Self, pos: u64) -> u32 {
        let byte = byte_at(stream, pos);
        let digits = get!(stream.token);
        // The first step of a size finds what is left of the previous one.
        let so_far = if digits == 0 { 0 } else { get!(stream.remaining) };
        let decimal = byte.wrapping_sub(u64::from(b'0'));
        let letter = (byte | 0x20).wrapping_sub(u64::from(b'a'));
        let digit = if decimal < 10 { decimal } else { letter.wrapping_add(10) };
        if (decimal < 10 || letter < 6) && digits < 14 {
            set!(stream.pos = pos.wrapping_add(1));
            set!(stream.token = digits.wrapping_add(1));
            set!(stream.remaining = so_far << 4 | digit);
        } else {
            set!(stream.state = EXTENSION);
        }
        event::MORE
    }

    /// A chunk's size line is complete.
    #[inline(always)]
    fn size_end(stream: *mut Self) -> u32 {
        if get!(stream.token) == 0 {
            return Self::lose(stream);
        }
        let size = get!(stream.remaining);
        if size == 0 {
            set!(stream.flags = get!(stream.flags) | TRAILER);
            set!(stream.state = LINE);
        } else {
            // The line end behind the chunk's bytes is skipped with them.
            set!(stream.remaining = size.wrapping_add(2));
            set!(stream.flags = get!(stream.flags) | IN_CHUNKS);
            set!(stream.state = BYTES);
        }
        event::MORE
    }

    /// An empty line was read: the end of a head, or of a message's trailers.
    #[inline(always)]
    fn lines_end(stream: *mut Self) -> u32 {
        if get!(stream.flags) & TRAILER == 0 {
            return event::HEAD;
        }
        Self::message_end(stream);
        event::MORE
    }

    /// A head is complete: the body follows, or the next message.
    #[inline(always)]
    fn head_end(stream: *mut Self, to: &mut impl Surroundings) {
        let flags = get!(stream.flags);
        let length = get!(stream.length);
        let end = get!(stream.segment).wrapping_add(Self::offset(stream) as u32);
        set!(stream.heads = get!(stream.heads).wrapping_add(1));
        to.head_end(stream, end.wrapping_sub(get!(stream.head)));
        let is_request = flags & RESPONSES == 0;
        if flags & LAST != 0 {
            set!(stream.state = OPAQUE);
        } else if flags & BODILESS != 0 {
            Self::message_end(stream);
        } else if flags & BAD != 0 || (is_request && flags & CODED != 0) {
            Self::lose(stream);
            to.lost();
        } else if flags & CHUNKED != 0 {
            set!(stream.token = 0);
            set!(stream.state = SIZE);
        } else if flags & CODED == 0 && flags & HAS_LENGTH != 0 && length != 0 {
            set!(stream.remaining = length);
            set!(stream.state = BYTES);
        } else if is_request || (flags & CODED == 0 && flags & HAS_LENGTH != 0) {
            Self::message_end(stream);
        } else {
            set!(stream.state = UNTIL_CLOSE);
        }
    }
}
