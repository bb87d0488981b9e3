//! Segments that came before their predecessor, kept until it has come.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::bpf_skb_load_bytes,
    programs::SkBuffContext,
};

use crate::bound;
use crate::maps::{STASHES, raw, socket, stored, stored_or_new};

/// Bytes that a stash covers, from its base on.
const SPAN: u32 = 4096;
/// Pieces that a stash remembers: a power of two.
const PIECES: usize = 8;

/// Bytes of a stream ahead of the next one expected.
#[repr(C)]
pub(crate) struct Stash {
    /// Sequence number of the first byte of `data`; meaningless while `pieces` is zero.
    base: u32,
    /// Pieces kept.
    pieces: u32,
    /// First and behind-last sequence number of each; equal when there is none.
    spans: [[u32; 2]; PIECES],
    /// Twice the span, for the verifier adds the largest offset to the largest length.
    pub(crate) data: [u8; 2 * SPAN as usize],
}

/// Keeps a segment that begins `ahead` bytes after the `next` expected one; `false` if it does not fit.
#[inline(always)]
pub(crate) fn keep(ctx: &SkBuffContext, next: u32, ahead: u32, payload: u32, len: u32) -> bool {
    gait_keep(ctx.skb.skb, next, ahead, payload, len) != 0
}

/// [`keep`] as a function of its own, so that the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_keep(skb: *mut __sk_buff, next: u32, ahead: u32, payload: u32, len: u32) -> u32 {
    let ctx = SkBuffContext::new(skb);
    let socket = socket(&ctx);
    if socket.is_null() {
        return 0;
    }
    let kept = keep_copy(socket, next, ahead, len, |to| {
        let len = bound::length::<{ SPAN as u64 }>(u64::from(len));
        // SAFETY: `to` is in the first half of the room, and the length no longer than the second half.
        unsafe { bpf_skb_load_bytes(raw(&ctx), payload, to.cast(), len) == 0 }
    });
    u32::from(kept)
}

/// Keeps `len` bytes that begin `ahead` bytes after the `next` expected one; `copy` puts them in their place, which has
/// room for 4096.
#[inline(always)]
pub(crate) fn keep_copy(
    socket: *mut bpf_sock,
    next: u32,
    ahead: u32,
    len: u32,
    copy: impl Fn(*mut u8) -> bool,
) -> bool {
    let Some(stash) = stored_or_new(&STASHES, socket) else { return false };
    // SAFETY: the kernel frees the value no sooner than the program has ended; arriving segments are serialised by
    // the connection's lock.
    unsafe {
        if (*stash).pieces == 0 {
            (*stash).base = next;
        }
        let start = next.wrapping_add(ahead);
        let offset = start.wrapping_sub((*stash).base);
        if offset >= SPAN || len > SPAN || offset + len > SPAN || len == 0 {
            return false;
        }
        let room = (&raw mut (*stash).data).cast::<u8>();
        if !copy(room.add(bound::offset::<{ SPAN as u64 }>(u64::from(offset)))) {
            return false;
        }
        let end = start.wrapping_add(len);
        let mut place = PIECES;
        for i in 0..PIECES {
            let [first, behind] = (*stash).spans[i];
            if first == behind {
                place = i;
            } else if before_or_at(first, end) && before_or_at(start, behind) {
                // It overlaps or touches this piece, and the two become one.
                (*stash).spans[i] = [earlier(first, start), later(behind, end)];
                return true;
            }
        }
        if place >= PIECES {
            return false;
        }
        (*stash).spans[place & (PIECES - 1)] = [start, end];
        (*stash).pieces += 1;
    }
    true
}

/// Whether one sequence number is not behind another.
#[inline(always)]
fn before_or_at(one: u32, other: u32) -> bool {
    other.wrapping_sub(one) as i32 >= 0
}

#[inline(always)]
fn earlier(one: u32, other: u32) -> u32 {
    if before_or_at(one, other) { one } else { other }
}

#[inline(always)]
fn later(one: u32, other: u32) -> u32 {
    if before_or_at(one, other) { other } else { one }
}

/// Takes out a piece that holds the `next` byte expected: its offset in the stash and its length from there.
#[inline(always)]
pub(crate) fn take(socket: *mut bpf_sock, next: u32) -> Option<(u32, u32)> {
    let stash = stored(&STASHES, socket)?;
    // SAFETY: as in `keep`.
    unsafe {
        if (*stash).pieces == 0 {
            return None;
        }
        for i in 0..PIECES {
            let span = &raw mut (*stash).spans[i];
            let (start, end) = ((*span)[0], (*span)[1]);
            if start == end || next.wrapping_sub(start) as i32 <= -1 {
                continue;
            }
            (*span)[1] = start;
            (*stash).pieces -= 1;
            let left = end.wrapping_sub(next);
            if (left as i32) > 0 {
                return Some((next.wrapping_sub((*stash).base), left));
            }
        }
    }
    None
}

/// Whether nothing is kept.
#[inline(always)]
pub(crate) fn is_empty(socket: *mut bpf_sock) -> bool {
    // SAFETY: as in `keep`.
    stored(&STASHES, socket).is_none_or(|stash| unsafe { (*stash).pieces } == 0)
}

/// Forgets every piece.
#[inline(always)]
pub(crate) fn clear(socket: *mut bpf_sock) {
    let Some(stash) = stored(&STASHES, socket) else { return };
    // SAFETY: as in `keep`.
    unsafe {
        (*stash).pieces = 0;
        (*stash).spans = [[0; 2]; PIECES];
    }
}
