//! What is kept for a socket, from its first payload to its end.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    programs::{BtfTracePointContext, SkBuffContext},
};
use gait_common::wire::{
    counter,
    exchange::{HEAD_BYTES, ROLE_SERVER, Record},
    stream::Stream,
};

use crate::atomic;
use crate::maps::{
    CONNECTIONS, FLOWS, QUEUED, QueueKey, STASHES, Stats, forget, leave_place, socket, stored,
};

/// Nothing is known about the connection.
pub(crate) const UNKNOWN: u32 = 0;
/// It is HTTP and has a [`Connection`].
pub(crate) const HTTP: u32 = 1;
/// It does not matter: one look-up a packet.
pub(crate) const MUTED: u32 = 2;

/// A request has no slot.
pub(crate) const NOWHERE: u32 = 0;
/// Its slot is in the [`Connection`].
pub(crate) const INLINE: u32 = 1;
/// Its slot is in the map of queued requests.
pub(crate) const QUEUE: u32 = 2;

const TCP_CLOSE: i32 = 7;

/// What a TCP socket is.
#[repr(C)]
pub(crate) struct Flow {
    /// [`UNKNOWN`], [`HTTP`] or [`MUTED`].
    pub(crate) state: u32,
    /// While unknown: how often the direction has turned.
    pub(crate) turns: u32,
    /// While unknown: segments seen.
    pub(crate) segments: u32,
    /// While unknown: direction of the last segment, plus one.
    pub(crate) direction: u32,
}

/// A request that waits for its response: the record that will be emitted, as it is.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) record: Record,
    /// The head; twice its size, for the verifier adds the largest offset to the largest length.
    pub(crate) head: [u8; 2 * HEAD_BYTES],
}

/// What a slot in a map begins as. A connection comes to [`gait_meet`](crate::http) and its like as plain memory, from which
/// no value of a map can be taken before Linux 6.2; so the entry is made first, and what it is to hold copied into it.
pub(crate) static BLANK: Slot = {
    // SAFETY: all zero is a slot.
    unsafe { core::mem::MaybeUninit::zeroed().assume_init() }
};

/// Both ends of a connection, the client's first.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Tuple {
    pub(crate) client: [u32; 4],
    pub(crate) server: [u32; 4],
    pub(crate) ports: [u32; 2],
}

/// Where a stream's segment comes from.
#[repr(C)]
pub(crate) struct Source {
    /// Offset of the segment in the packet or in the stash.
    pub(crate) base: u64,
    /// Non-zero when it is in the stash.
    pub(crate) stash: u64,
}

/// What an HTTP connection has said so far. The request side fills and counts `asked`, the response side `answered`;
/// neither writes what the other one owns, so they may run at the same time on two CPUs.
#[repr(C)]
pub(crate) struct Connection {
    /// Requests, then responses.
    pub(crate) streams: [Stream; 2],
    pub(crate) sources: [Source; 2],
    /// The thread that last received from the socket: process in the high half.
    pub(crate) thread: u64,
    pub(crate) comm: [u64; 2],
    /// Of the last 64 requests: which were HEAD, which CONNECT.
    pub(crate) head_requests: u64,
    pub(crate) connects: u64,
    /// Number of the request that begun last.
    pub(crate) current: u64,
    /// Bytes of its head in its slot.
    pub(crate) carried: u64,
    /// Requests begun.
    pub(crate) asked: u64,
    /// Requests answered.
    pub(crate) answered: u64,
    /// Where the slot of that request is.
    pub(crate) place: u32,
    /// Whether an exchange was lost since the last one emitted.
    pub(crate) lost: u32,
    /// Whether the connection is no longer HTTP.
    pub(crate) opaque: u32,
    /// Zero, one or two FINs seen, by direction.
    pub(crate) fins: u32,
    /// `wire::exchange::MIDWAY` or nothing.
    pub(crate) midway: u32,
    /// Index of the stream of arriving bytes.
    pub(crate) flip: u32,
    /// Whether the stash holds something.
    pub(crate) stashed: u32,
    pub(crate) unused: u32,
    /// The request that waits first; its addresses, role, cookie and cgroup are the connection's.
    pub(crate) slot: Slot,
}

impl Connection {
    /// Whether this CPU now holds the arriving side.
    #[inline(always)]
    pub(crate) fn try_lock(this: *mut Self) -> bool {
        // SAFETY: the kernel frees the value no sooner than the program has ended.
        unsafe { atomic::exchange(&raw mut (*this).streams[0].lock, 1) == 0 }
    }

    /// Gives the arriving side back.
    #[inline(always)]
    pub(crate) fn unlock(this: *mut Self) {
        // SAFETY: as in `try_lock`.
        unsafe { atomic::exchange(&raw mut (*this).streams[0].lock, 0) };
    }

    /// Both ends, the client's first.
    #[inline(always)]
    pub(crate) fn ends(this: *mut Self) -> Tuple {
        // SAFETY: as in `try_lock`; addresses are plain bytes.
        unsafe {
            let record = &raw const (*this).slot.record;
            let local = core::mem::transmute::<[u8; 16], [u32; 4]>((*record).local);
            let peer = core::mem::transmute::<[u8; 16], [u32; 4]>((*record).peer);
            let (here, there) = (u32::from((*record).local_port), u32::from((*record).peer_port));
            if (*record).role == ROLE_SERVER {
                Tuple { client: peer, server: local, ports: [there, here] }
            } else {
                Tuple { client: local, server: peer, ports: [here, there] }
            }
        }
    }

    /// Counts one more request; its slot is visible before the number is.
    #[inline(always)]
    pub(crate) fn ask(this: *mut Self) {
        // SAFETY: as in `try_lock`.
        unsafe { atomic::fetch_add(&raw mut (*this).asked, 1) };
    }

    /// Counts one more answer; its slot is free afterwards.
    #[inline(always)]
    pub(crate) fn answer(this: *mut Self) {
        // SAFETY: as in `try_lock`.
        unsafe { atomic::fetch_add(&raw mut (*this).answered, 1) };
    }
}

/// Ends the connections whose socket closes.
#[inline(always)]
pub(crate) fn state_changed(ctx: &BtfTracePointContext) {
    if ctx.arg::<i32>(2) != TCP_CLOSE {
        return;
    }
    let socket: *mut bpf_sock = ctx.arg(0);
    if let Some(connection) = stored(&CONNECTIONS, socket) {
        end(socket, connection, false);
    }
}

/// Ends the packet's connection; what was left waiting counts as doubled (non-zero) or unanswered.
///
/// A function of its own, with the context as its only pointer, so that the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn gait_end(skb: *mut __sk_buff, doubled: u32) -> u32 {
    let socket = socket(&SkBuffContext::new(skb));
    if !socket.is_null()
        && let Some(connection) = stored(&CONNECTIONS, socket)
    {
        end(socket, connection, doubled != 0);
    }
    0
}

/// Counts what was left waiting and forgets the connection.
#[inline(always)]
fn end(socket: *mut bpf_sock, connection: *mut Connection, doubled: bool) {
    let Some(stats) = Stats::here() else { return };
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    let (asked, answered, first, cookie) = unsafe {
        let c = connection;
        ((*c).asked, (*c).answered, (*c).slot.record.ordinal, (*c).slot.record.cookie)
    };
    let waiting = asked.wrapping_sub(answered);
    for i in 0..64 {
        if i >= waiting {
            break;
        }
        let ordinal = answered.wrapping_add(i);
        // A request that is in neither place was counted when it found none.
        if first == ordinal as u32 || QUEUED.remove(QueueKey { cookie, ordinal }).is_ok() {
            if doubled {
                stats.add(counter::DOUBLED);
            } else {
                stats.add(counter::UNANSWERED);
            }
        }
    }
    if let Some(flow) = stored(&FLOWS, socket) {
        // SAFETY: as above.
        unsafe { (*flow).state = MUTED };
    }
    stats.add(counter::ENDED);
    leave_place();
    forget(&CONNECTIONS, socket);
    forget(&STASHES, socket);
}
