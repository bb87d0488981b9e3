//! Reading a segment, turn by turn.

use super::{
    BAD, BYTES, CARRY, CHUNKED, CODED, CODING, EXTENSION, GUESSED, HAS_LENGTH, IN_CHUNKS, LENGTH, LINE, LOAD,
    NAME_BYTES, OPAQUE, PEEK, RESPONSES, SIZE, SKIP, START, START_BYTES, Stream, Surroundings, TRAILER,
    WINDOW, event, get, method, set, status,
};
use crate::wire::word;

/// Bytes of a line that one turn looks at.
const LOOK: u64 = 64;

impl Stream {
    /// Reads on inside a message to the next [`event`], and at most to the message's end.
    #[inline(always)]
    pub(super) fn scan(&mut self, to: &mut impl Surroundings) -> u32 {
        for _ in 0..to.turns() {
            let event = self.turn(to);
            if event != event::MORE || self.between() {
                return event;
            }
        }
        event::MORE
    }

    /// Takes one step.
    #[inline(always)]
    fn turn(&mut self, to: &mut impl Surroundings) -> u32 {
        let state = get!(self.state);
        let have = get!(self.fill).wrapping_sub(get!(self.pos));
        let rest = get!(self.len).wrapping_sub(get!(self.at));
        if state == BYTES {
            return self.skip_bytes(have, rest);
        }
        if state == OPAQUE {
            self.forget();
            return event::END;
        }
        let need = if state == LINE { NAME_BYTES } else { 1 };
        if have < need && rest != 0 {
            return if self.refill(to) { event::MORE } else { self.lose() };
        }
        let pos = get!(self.pos);
        if have == 0 {
            if state == PEEK {
                set!(self.pos = get!(self.mark));
                set!(self.state = LINE);
            }
            return event::END;
        }
        match state {
            LENGTH => self.length(pos, have),
            CODING => self.coding(pos),
            SIZE => self.size(pos),
            _ => self.line(state, pos, have),
        }
    }

    #[inline(always)]
    pub(super) fn skip_bytes(&mut self, have: u64, rest: u64) -> u32 {
        let all = have.wrapping_add(rest);
        if all == 0 {
            return event::END;
        }
        let remaining = get!(self.remaining);
        let take = if remaining < all { remaining } else { all };
        if take <= have {
            set!(self.pos = get!(self.pos).wrapping_add(take));
        } else {
            set!(self.at = get!(self.at).wrapping_add(take.wrapping_sub(have)));
            set!(self.pos = CARRY as u64);
            set!(self.fill = CARRY as u64);
        }
        set!(self.remaining = remaining.wrapping_sub(take));
        if take == remaining {
            self.bytes_end();
        }
        event::MORE
    }

    /// Looks for the message that begins here: its event, or that there is none, or that the boundary is lost.
    #[inline(always)]
    pub(super) fn find_start(&mut self, to: &mut impl Surroundings) -> u32 {
        let state = get!(self.state);
        let guess = state != START;
        if guess && get!(self.at) != 0 {
            self.forget();
            return event::END;
        }
        let have = get!(self.fill).wrapping_sub(get!(self.pos));
        if have < START_BYTES && get!(self.at) != get!(self.len) && !self.refill(to) {
            return self.lose();
        }
        let pos = get!(self.pos);
        let have = get!(self.fill).wrapping_sub(pos);
        let first = self.word_at(pos);
        if !guess && have != 0 && (first & 0xff == u64::from(b'\r') || first & 0xff == u64::from(b'\n')) {
            set!(self.pos = pos.wrapping_add(1));
            return event::MORE;
        }
        if have < START_BYTES {
            if guess {
                self.forget();
            }
            return event::END;
        }
        let second = self.word_at(pos.wrapping_add(8));
        let kind = get!(self.flags) & RESPONSES;
        let found = if kind == 0 { method(first, second) } else { status(first, second) };
        if found == 0 || (guess && kind != 0 && !to.waiting()) {
            if guess {
                self.forget();
                return event::END;
            }
            return self.lose();
        }
        set!(self.found = found);
        set!(self.flags = if guess { kind | GUESSED } else { kind });
        set!(self.state = SKIP);
        event::START
    }

    /// At a line's beginning or inside a line: looks at its name, or goes on to its end.
    #[inline(always)]
    fn line(&mut self, state: u32, pos: u64, have: u64) -> u32 {
        let first = self.word_at(pos);
        let byte = first & 0xff;
        let mut next = if state == PEEK { PEEK } else { SKIP };
        if state == LINE {
            if byte == u64::from(b'\n') {
                set!(self.pos = pos.wrapping_add(1));
                return self.lines_end();
            }
            if byte == u64::from(b'\r') {
                if have < 2 {
                    return event::END;
                }
                if first >> 8 & 0xff == u64::from(b'\n') {
                    set!(self.pos = pos.wrapping_add(2));
                    return self.lines_end();
                }
            }
            let small = byte | 0x20;
            if small == u64::from(b'c') || small == u64::from(b't') {
                if have < NAME_BYTES {
                    set!(self.mark = pos);
                    next = PEEK;
                } else if self.name(word::lower(first), pos) {
                    return event::MORE;
                }
            }
        }
        let found = self.line_end(first, pos);
        if found < LOOK && found < have {
            set!(self.pos = pos.wrapping_add(found).wrapping_add(1));
            if state == EXTENSION {
                return self.size_end();
            }
            set!(self.state = LINE);
        } else {
            set!(self.pos = pos.wrapping_add(if have < LOOK { have } else { LOOK }));
            if state != EXTENSION {
                set!(self.state = next);
            }
        }
        event::MORE
    }

    /// Distance from `pos`, where the word `first` is, to the next line end; [`LOOK`] if it is farther.
    #[inline(always)]
    fn line_end(&self, first: u64, pos: u64) -> u64 {
        let mut found = u64::from(word::find(first, b'\n'));
        let mut next = 8;
        while next < LOOK {
            if found == next {
                found += u64::from(word::find(self.word_at(pos.wrapping_add(next)), b'\n'));
            }
            next += 8;
        }
        found
    }

    /// Whether the line at `pos` has a name that matters; if so, goes on to its value.
    #[inline(always)]
    fn name(&mut self, first: u64, pos: u64) -> bool {
        const LENGTH_NAME: u64 = word::of(b"length:\0");
        if get!(self.flags) & TRAILER != 0 {
            return false;
        }
        let second = word::lower(self.word_at(pos.wrapping_add(8)));
        if first == word::of(b"content-") && second & 0xff_ffff_ffff_ffff == LENGTH_NAME {
            set!(self.pos = pos.wrapping_add(15));
            set!(self.token = 0);
            set!(self.state = LENGTH);
            return true;
        }
        if first == word::of(b"transfer") && second == word::of(b"-encodin") {
            let third = word::lower(self.word_at(pos.wrapping_add(16)));
            if third & 0xffff == u64::from(b'g') | u64::from(b':') << 8 {
                set!(self.pos = pos.wrapping_add(18));
                set!(self.token = 0);
                set!(self.state = CODING);
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn length(&mut self, pos: u64, have: u64) -> u32 {
        let byte = self.byte_at(pos);
        let token = get!(self.token);
        // A blank and up to seven digits, as nearly every length has them, are one turn.
        let word = self.word_at(pos.wrapping_add(1));
        let count = word::digits(word);
        if token == 0 && byte == u64::from(b' ') && have > 8 && count > 0 && count < 8 {
            set!(self.token = word::decimal(word, count));
            set!(self.pos = pos.wrapping_add(1).wrapping_add(u64::from(count)));
            return event::MORE;
        }
        let digit = byte.wrapping_sub(u64::from(b'0'));
        set!(self.pos = pos.wrapping_add(1));
        if digit < 10 && token < 1 << 56 {
            set!(self.token = token.wrapping_mul(10).wrapping_add(digit));
        } else if byte == u64::from(b'\r') || byte == u64::from(b'\n') {
            // The line's end is found as that of any other.
            let mut flags = get!(self.flags);
            if flags & HAS_LENGTH != 0 && get!(self.length) != token {
                flags |= BAD;
            }
            set!(self.flags = flags | HAS_LENGTH);
            set!(self.length = token);
            set!(self.pos = pos);
            set!(self.state = SKIP);
        } else if byte != u64::from(b' ') && byte != u64::from(b'\t') {
            set!(self.flags = get!(self.flags) | BAD);
        }
        event::MORE
    }

    #[inline(always)]
    fn coding(&mut self, pos: u64) -> u32 {
        const LAST_CODING: u64 = u64::from_be_bytes(*b"\0chunked");
        let byte = self.byte_at(pos);
        set!(self.pos = pos.wrapping_add(1));
        if byte == u64::from(b'\n') {
            let flags = get!(self.flags) & !(CHUNKED | CODED);
            let chunked = get!(self.token) == LAST_CODING;
            set!(self.flags = flags | if chunked { CHUNKED } else { CODED });
            set!(self.state = LINE);
        } else if byte == u64::from(b',') {
            set!(self.token = 0);
        } else if byte != u64::from(b' ') && byte != u64::from(b'\t') && byte != u64::from(b'\r') {
            set!(self.token = get!(self.token) << 8 | byte | 0x20);
        }
        event::MORE
    }

    #[inline(always)]
    fn size(&mut self, pos: u64) -> u32 {
        let byte = self.byte_at(pos);
        let digits = get!(self.token);
        // The first step of a size finds what is left of the previous one.
        let so_far = if digits == 0 { 0 } else { get!(self.remaining) };
        let decimal = byte.wrapping_sub(u64::from(b'0'));
        let letter = (byte | 0x20).wrapping_sub(u64::from(b'a'));
        let digit = if decimal < 10 { decimal } else { letter.wrapping_add(10) };
        if (decimal < 10 || letter < 6) && digits < 14 {
            set!(self.pos = pos.wrapping_add(1));
            set!(self.token = digits.wrapping_add(1));
            set!(self.remaining = so_far << 4 | digit);
        } else {
            set!(self.state = EXTENSION);
        }
        event::MORE
    }

    /// A chunk's size line is complete.
    #[inline(always)]
    fn size_end(&mut self) -> u32 {
        if get!(self.token) == 0 {
            return self.lose();
        }
        let size = get!(self.remaining);
        if size == 0 {
            set!(self.flags = get!(self.flags) | TRAILER);
            set!(self.state = LINE);
        } else {
            // The line end behind the chunk's bytes is skipped with them.
            set!(self.remaining = size.wrapping_add(2));
            set!(self.flags = get!(self.flags) | IN_CHUNKS);
            set!(self.state = BYTES);
        }
        event::MORE
    }

    /// An empty line was read: the end of a head, or of a message's trailers.
    #[inline(always)]
    fn lines_end(&mut self) -> u32 {
        if get!(self.flags) & TRAILER == 0 {
            return event::HEAD;
        }
        self.message_end();
        event::MORE
    }

    /// Makes room in the window and loads more of the segment into it.
    #[inline(always)]
    fn refill(&mut self, to: &mut impl Surroundings) -> bool {
        let fill = get!(self.fill);
        let mut keep = fill.wrapping_sub(get!(self.pos));
        if keep > CARRY as u64 {
            keep = CARRY as u64;
        }
        let from = fill.wrapping_sub(CARRY as u64);
        let carried = [
            self.word_at(from),
            self.word_at(from.wrapping_add(8)),
            self.word_at(from.wrapping_add(16)),
            self.word_at(from.wrapping_add(24)),
        ];
        // SAFETY: the window is longer than the four words, and nothing else refers to it.
        unsafe {
            let front = (&raw mut self.window).cast::<u64>();
            front.write_unaligned(carried[0].to_le());
            front.add(1).write_unaligned(carried[1].to_le());
            front.add(2).write_unaligned(carried[2].to_le());
            front.add(3).write_unaligned(carried[3].to_le());
        }
        let at = get!(self.at);
        let mut len = get!(self.len).wrapping_sub(at);
        if len > LOAD {
            len = LOAD;
        }
        set!(self.pos = CARRY as u64 - keep);
        set!(self.fill = CARRY as u64 + len);
        set!(self.at = at.wrapping_add(len));
        to.load(self, at, len)
    }

    /// The word at `pos` of the window.
    #[inline(always)]
    pub(super) fn word_at(&self, pos: u64) -> u64 {
        // SAFETY: masked, `pos` is inside the window, and the slack behind it holds a whole word.
        unsafe {
            let window = (&raw const self.window).cast::<u8>();
            u64::from_le(window.add(pos as usize & (WINDOW - 1)).cast::<u64>().read_unaligned())
        }
    }

    /// The byte at `pos` of the window.
    #[inline(always)]
    fn byte_at(&self, pos: u64) -> u64 {
        // SAFETY: masked, `pos` is inside the window.
        unsafe { u64::from(*(&raw const self.window).cast::<u8>().add(pos as usize & (WINDOW - 1))) }
    }
}
