//! Payload that completes a connection's handshake.
//!
//! When a client's first acknowledgement is lost, late or held back (`TCP_DEFER_ACCEPT`, TCP Fast Open), its first
//! payload arrives while there is no socket yet but the listening one. It is kept by its addresses until the new socket
//! has a packet of its own.

use aya_ebpf::{
    bindings::bpf_sock,
    helpers::generated::{bpf_probe_read_kernel, bpf_skb_load_bytes, bpf_tcp_sock},
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray},
    programs::SkBuffContext,
};
use gait_common::wire::{counter, stream};

use crate::{
    bound,
    connection::Tuple,
    maps::{Counters, raw},
    packet::{EGRESS, Segment, addresses},
    reorder,
};

/// Bytes of such a payload that are kept: a power of two.
const KEPT: u32 = 2048;
const TCP_LISTEN: u32 = 10;

/// A first payload.
#[repr(C)]
struct Early {
    sequence: u32,
    len: u32,
    data: [u8; KEPT as usize],
}

/// First payloads that wait for their socket.
#[map]
static EARLY: LruHashMap<Tuple, Early> = LruHashMap::with_max_entries(512, 0);
/// Where a value of that map is put together; what arrives is not interrupted by what arrives.
#[map]
static EARLY_DRAFT: PerCpuArray<Early> = PerCpuArray::with_max_entries(1, 0);
/// Whether there ever was one, so that others need not look.
#[map]
static EARLY_EVER: Array<u32> = Array::with_max_entries(1, 0);

/// Whether the socket listens.
#[inline(always)]
pub(crate) fn listens(socket: *mut bpf_sock) -> bool {
    // SAFETY: the verifier lets this field be read through a socket of any kind.
    unsafe { (*socket).state == TCP_LISTEN }
}

#[inline(always)]
fn ends(ctx: &SkBuffContext, segment: &Segment, direction: u32) -> Option<Tuple> {
    let (source, destination) = addresses(ctx, segment.v6)?;
    let ports = [u32::from(segment.source_port), u32::from(segment.destination_port)];
    Some(if direction == EGRESS {
        Tuple { client: destination, server: source, ports: [ports[1], ports[0]] }
    } else {
        Tuple { client: source, server: destination, ports }
    })
}

/// Keeps a payload that arrives at a listening socket.
#[inline(always)]
pub(crate) fn keep(ctx: &SkBuffContext, segment: &Segment, direction: u32, stats: Counters) {
    let (Some(draft), Some(ever)) = (EARLY_DRAFT.get_ptr_mut(0), EARLY_EVER.get_ptr_mut(0)) else { return };
    let Some(ends) = ends(ctx, segment, direction) else { return };
    if segment.len == 0 || segment.len > KEPT {
        return;
    }
    // SAFETY: the values of arrays live as long as the program; the length is bounded by the room.
    unsafe {
        (*draft).sequence = segment.sequence;
        (*draft).len = segment.len;
        let len = bound::length::<{ KEPT as u64 }>(u64::from(segment.len));
        let to = (&raw mut (*draft).data).cast();
        if bpf_skb_load_bytes(raw(ctx), segment.payload, to, len) == 0 {
            *ever = 1;
            // Sent again, it is the same one.
            if EARLY.get_ptr(ends).is_none() {
                stats.add(counter::EARLY_KEPT);
            }
            let _ = EARLY.insert(ends, &*draft, 0);
        }
    }
}

/// Moves the first payload of a new socket to its stash. Says whether it begins the stream with a request.
#[inline(always)]
pub(crate) fn take(
    ctx: &SkBuffContext,
    socket: *mut bpf_sock,
    segment: &Segment,
    direction: u32,
    stats: Counters,
) -> bool {
    if EARLY_EVER.get(0).is_none_or(|&ever| ever == 0) {
        return false;
    }
    let Some(ends) = ends(ctx, segment, direction) else { return false };
    let Some(early) = EARLY.get_ptr(ends) else { return false };
    // SAFETY: an entry may be replaced while it is read, which at worst costs one request; the length is bounded.
    let begins = unsafe {
        let Some(first) = first_sequence(socket) else { return false };
        let ahead = (*early).sequence.wrapping_sub(first);
        let len = (*early).len;
        let from = (&raw const (*early).data).cast::<u8>();
        let moved = reorder::keep_copy(socket, first, ahead, len, |to| {
            let len = bound::length::<{ KEPT as u64 }>(u64::from(len));
            bpf_probe_read_kernel(to.cast(), len, from.cast()) == 0
        });
        let words = from.cast::<[u64; 2]>().read_unaligned();
        let request = if len < 16 {
            // Too short to judge: the framing will tell, and give it up if it is none.
            (words[0].to_le() as u8).is_ascii_uppercase()
        } else {
            stream::method(u64::from_le(words[0]), u64::from_le(words[1])) != 0
        };
        moved && ahead == 0 && request
    };
    let _ = EARLY.remove(ends);
    stats.add(counter::EARLY_TAKEN);
    begins
}

/// Sequence number of the first byte that the socket ever received.
#[inline(always)]
pub(crate) fn first_sequence(socket: *mut bpf_sock) -> Option<u32> {
    // SAFETY: the kernel checks the socket, and gives back null or what it knows of it.
    unsafe {
        let tcp = bpf_tcp_sock(socket);
        if tcp.is_null() {
            return None;
        }
        Some((*tcp).rcv_nxt.wrapping_sub((*tcp).bytes_received as u32))
    }
}
