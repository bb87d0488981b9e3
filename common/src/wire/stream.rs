//! The framing of one direction of an HTTP/1 connection: where each message begins and ends.
//!
//! [`Stream::begin`] announces the next bytes in order. [`Stream::meet`] looks for a message where one may begin,
//! [`Stream::read`] reads on inside it, in small turns (a word of a line, a header's name, a digit, a whole body), each
//! up to the next [`event`]; so on, until the segment is used up. The kernel runs exactly this code over packets, which
//! explains its form: no nested loops, every index masked just before use, and all that changes from turn to turn kept
//! in memory and read with `read_volatile`. The verifier knows nothing about a value loaded from a map, so every path
//! of a turn ends in the same state; a value held in a register would multiply its work. Meeting and reading are two
//! functions because the verifier looks at each only once that way.
//!
//! Message framing follows RFC 9112 section 6.3. When it cannot be followed (bytes missing, nonsense), the stream is
//! [`LOST`] and starts again at the next segment that begins like a message.

mod recognise;
mod scan;

pub use recognise::{method, status};

macro_rules! get {
    ($self:ident . $field:ident) => {{
        // SAFETY: a reference is valid.
        unsafe { core::ptr::read_volatile(&raw const $self.$field) }
    }};
}

macro_rules! set {
    ($self:ident . $field:ident = $value:expr) => {{
        let value = $value;
        // SAFETY: a reference is valid.
        unsafe { core::ptr::write_volatile(&raw mut $self.$field, value) }
    }};
}

use {get, set};

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
/// Turns that one scan takes at most, where the surroundings do not say otherwise.
pub const TURNS: u32 = 32;
/// Turns that a segment may take. What a segment holds beyond them is not read and its stream is [`LOST`].
pub const ALL_TURNS: u32 = 256 * TURNS;

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
    fn load(&mut self, stream: &mut Stream, from: u64, len: u64) -> bool;
    /// A request with this method number begins; `carried` of its bytes came with earlier segments and lie in the
    /// window at `at`, the others begin at offset `from` of the segment.
    fn request(&mut self, stream: &mut Stream, method: u32, at: u64, carried: u64, from: u64);
    /// A response begins; says what that means for framing ([`verdict`]).
    fn response(&mut self, stream: &mut Stream, status: u32) -> u32;
    /// A head is complete; it had `total` bytes.
    fn head_end(&mut self, stream: &mut Stream, total: u32);
    /// The message whose head was completed last is complete with it.
    fn bodiless(&mut self, stream: &mut Stream);
    /// Whether a request waits for its response.
    fn waiting(&mut self) -> bool;
    /// Turns that one scan takes at most.
    #[inline(always)]
    fn turns(&self) -> u32 {
        TURNS
    }
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
    pub fn open(&mut self, flags: u32) {
        set!(self.pos = CARRY as u64);
        set!(self.fill = CARRY as u64);
        set!(self.flags = flags);
    }

    /// Whether the message boundary is not known.
    #[inline(always)]
    #[must_use]
    pub fn is_lost(&self) -> bool {
        get!(self.state) == LOST
    }

    /// Whether the stream carries responses.
    #[inline(always)]
    #[must_use]
    pub fn is_response(&self) -> bool {
        get!(self.flags) & RESPONSES != 0
    }

    /// Whether the message under way was found by guessing.
    #[inline(always)]
    #[must_use]
    pub fn is_guessed(&self) -> bool {
        get!(self.flags) & GUESSED != 0
    }

    /// Bytes of the current segment.
    #[inline(always)]
    #[must_use]
    pub fn segment_len(&self) -> u64 {
        get!(self.len)
    }

    /// Whether bytes of the current segment were not read.
    #[inline(always)]
    #[must_use]
    pub fn unread(&self) -> bool {
        get!(self.at) != get!(self.len) || get!(self.pos) != get!(self.fill)
    }

    /// The word at `pos` of the window, as it lies there.
    #[inline(always)]
    #[must_use]
    pub fn word(&self, pos: u64) -> u64 {
        self.word_at(pos).to_le()
    }

    /// Whether the stream is inside a head.
    #[inline(always)]
    #[must_use]
    pub fn in_head(&self) -> bool {
        let state = get!(self.state);
        (LINE..=CODING).contains(&state) && get!(self.flags) & TRAILER == 0
    }

    /// Bytes that the stream will skip without looking at them.
    #[inline(always)]
    #[must_use]
    pub fn blind(&self) -> u64 {
        match get!(self.state) {
            BYTES => get!(self.remaining),
            UNTIL_CLOSE | OPAQUE | LOST => u64::MAX,
            _ => 0,
        }
    }

    /// Accounts for `len` blind bytes (no more than [`Self::blind`]) without seeing them.
    #[inline(always)]
    pub fn leap(&mut self, len: u64) {
        if get!(self.state) == BYTES {
            let remaining = get!(self.remaining) - len;
            set!(self.remaining = remaining);
            if remaining == 0 {
                self.bytes_end();
            }
        }
    }

    /// Announces the next `len` bytes in order, the first of which has sequence number `sequence`.
    #[inline(always)]
    pub fn begin(&mut self, sequence: u32, len: u64) {
        set!(self.segment = sequence);
        set!(self.next = sequence.wrapping_add(len as u32));
        set!(self.at = 0);
        set!(self.len = len);
    }

    /// Gives up the message boundary, for bytes are missing.
    #[inline(always)]
    pub fn lose(&mut self) -> u32 {
        let state = get!(self.state);
        self.forget();
        if state == LOST || state == OPAQUE {
            return event::END;
        }
        set!(self.state = LOST);
        event::LOSS
    }

    /// Ends HTTP on this stream.
    #[inline(always)]
    pub fn end_http(&mut self) {
        set!(self.state = OPAQUE);
        self.forget();
    }

    /// Drops what is left of the segment.
    #[inline(always)]
    fn forget(&mut self) {
        set!(self.at = get!(self.len));
        set!(self.pos = CARRY as u64);
        set!(self.fill = CARRY as u64);
    }

    /// Offset in the segment of the next unread byte; wraps below zero where that byte came with an earlier segment.
    #[inline(always)]
    fn offset(&self) -> u64 {
        get!(self.at).wrapping_sub(get!(self.fill).wrapping_sub(get!(self.pos)))
    }

    /// Whether the stream is where a message may begin: there [`Self::meet`] reads on, elsewhere [`Self::read`].
    #[inline(always)]
    #[must_use]
    pub fn between(&self) -> bool {
        let state = get!(self.state);
        state == START || state == UNTIL_CLOSE || state == LOST
    }

    /// Looks for a message that begins at the next unread byte, and tells of it; the [`event`] says what was there.
    #[inline(always)]
    pub fn meet(&mut self, to: &mut impl Surroundings) -> u32 {
        let event = self.find_start(to);
        match event {
            event::START => self.started(to),
            event::LOSS => to.lost(),
            _ => {}
        }
        event
    }

    /// Reads on inside a message to the next [`event`] and deals with it; `END` also where the segment ends with the
    /// message.
    #[inline(always)]
    pub fn read(&mut self, to: &mut impl Surroundings) -> u32 {
        let event = self.scan(to);
        match event {
            event::HEAD => {
                self.head_end(to);
                if get!(self.state) == START {
                    to.bodiless(self);
                }
                if get!(self.state) == BYTES {
                    let have = get!(self.fill).wrapping_sub(get!(self.pos));
                    let rest = get!(self.len).wrapping_sub(get!(self.at));
                    self.skip_bytes(have, rest);
                }
                if !self.unread() {
                    return event::END;
                }
            }
            event::LOSS => to.lost(),
            _ => {}
        }
        event
    }

    /// Reads on, wherever the stream is.
    #[inline]
    pub fn advance(&mut self, to: &mut impl Surroundings) -> u32 {
        if self.between() { self.meet(to) } else { self.read(to) }
    }

    #[inline(always)]
    fn bytes_end(&mut self) {
        if get!(self.flags) & IN_CHUNKS != 0 {
            set!(self.token = 0);
            set!(self.state = SIZE);
        } else {
            self.message_end();
        }
    }

    #[inline(always)]
    fn message_end(&mut self) {
        set!(self.state = START);
        set!(self.done = get!(self.done).wrapping_add(1));
    }

    /// Tells of a message that begins at the next unread byte.
    #[inline(always)]
    fn started(&mut self, to: &mut impl Surroundings) {
        let offset = self.offset();
        let found = get!(self.found);
        set!(self.head = get!(self.segment).wrapping_add(offset as u32));
        // Whatever was lost before counts as complete, so that the three agree again.
        let begun = get!(self.begun);
        set!(self.heads = begun);
        set!(self.done = begun);
        set!(self.begun = begun.wrapping_add(1));
        if get!(self.flags) & RESPONSES == 0 {
            let carried = if offset > u64::from(u32::MAX) { offset.wrapping_neg() } else { 0 };
            to.request(self, found, get!(self.pos), carried, offset.wrapping_add(carried));
            return;
        }
        let meaning = to.response(self, found);
        let mut flags = get!(self.flags);
        if found < 200 || found == 204 || found == 304 || meaning & verdict::BODILESS != 0 {
            flags |= BODILESS;
        }
        if meaning & verdict::LAST != 0 {
            flags |= LAST;
        }
        set!(self.flags = flags);
    }

    /// A head is complete: the body follows, or the next message.
    #[inline(always)]
    fn head_end(&mut self, to: &mut impl Surroundings) {
        let flags = get!(self.flags);
        let length = get!(self.length);
        let end = get!(self.segment).wrapping_add(self.offset() as u32);
        set!(self.heads = get!(self.heads).wrapping_add(1));
        to.head_end(self, end.wrapping_sub(get!(self.head)));
        let is_request = flags & RESPONSES == 0;
        if flags & LAST != 0 {
            set!(self.state = OPAQUE);
        } else if flags & BODILESS != 0 {
            self.message_end();
        } else if flags & BAD != 0 || (is_request && flags & CODED != 0) {
            self.lose();
            to.lost();
        } else if flags & CHUNKED != 0 {
            set!(self.token = 0);
            set!(self.state = SIZE);
        } else if flags & CODED == 0 && flags & HAS_LENGTH != 0 && length != 0 {
            set!(self.remaining = length);
            set!(self.state = BYTES);
        } else if is_request || (flags & CODED == 0 && flags & HAS_LENGTH != 0) {
            self.message_end();
        } else {
            set!(self.state = UNTIL_CLOSE);
        }
    }
}

#[cfg(test)]
mod tests;
