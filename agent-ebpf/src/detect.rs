//! What an unknown connection is: HTTP, TLS or something else.

use aya_ebpf::{
    bindings::bpf_sock,
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_cgroup_id, bpf_tcp_sock},
    programs::SkBuffContext,
};
use gait_common::wire::{
    counter,
    exchange::{MIDWAY, ROLE_CLIENT, ROLE_SERVER},
    stream,
};

use crate::{
    connection::{Connection, Flow, HTTP, MUTED},
    early,
    maps::{
        CGROUPS, CONNECTIONS, Counters, SERVED, by_cgroup, client_role, leave_place, port_captured, raw,
        server_role, stored_or_new, take_place, waived,
    },
    packet::{EGRESS, INGRESS, Segment, addresses, load},
    reorder,
};

/// Turns of direction after which an unknown connection is muted: an older one has begun a request by then.
const MAX_TURNS: u32 = 6;
/// Segments after which it is muted even if it never turns.
const MAX_SEGMENTS: u32 = 4096;

/// What the first bytes of a segment are.
enum Kind {
    Request,
    Response,
    Tls,
    Other,
}

/// Looks at a segment of an unknown connection; `true` if it is HTTP and now followed.
#[inline(always)]
pub(crate) fn segment(
    ctx: &SkBuffContext,
    socket: *mut bpf_sock,
    flow: *mut Flow,
    segment: &Segment,
    direction: u32,
    stats: Counters,
) -> bool {
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    let first = unsafe { (*flow).segments == 0 };
    let begun = first && early::take(ctx, socket, segment, direction, stats);
    let role = match kind(ctx, segment) {
        _ if begun => ROLE_SERVER,
        Kind::Request => {
            if direction == INGRESS {
                ROLE_SERVER
            } else {
                ROLE_CLIENT
            }
        }
        Kind::Response => {
            if direction == EGRESS {
                ROLE_SERVER
            } else {
                ROLE_CLIENT
            }
        }
        Kind::Tls => {
            mute(flow, stats, counter::TLS);
            return false;
        }
        Kind::Other => {
            if direction == INGRESS && keep_early(ctx, socket, segment) {
                return false;
            }
            wait(flow, direction, stats);
            return false;
        }
    };
    follow(ctx, socket, flow, segment, direction, role, begun, stats)
}

/// Keeps a segment that came before the connection's first one, which alone tells what the connection is.
#[inline(always)]
fn keep_early(ctx: &SkBuffContext, socket: *mut bpf_sock, segment: &Segment) -> bool {
    let Some(next) = early::first_sequence(socket) else { return false };
    let ahead = segment.sequence.wrapping_sub(next);
    // SAFETY: the kernel checks the socket, and gives back null or what it knows of it.
    let fresh = unsafe {
        let tcp = bpf_tcp_sock(socket);
        !tcp.is_null() && (*tcp).bytes_received == 0
    };
    fresh && (ahead as i32) > 0 && reorder::keep(ctx, next, ahead, segment.payload, segment.len)
}

/// Judges the first sixteen bytes. A shorter segment of capitals may be the beginning of a request.
#[inline(always)]
fn kind(ctx: &SkBuffContext, segment: &Segment) -> Kind {
    if segment.len < 16 {
        let Some(first) = load::<u8>(ctx, segment.payload) else { return Kind::Other };
        return if first.is_ascii_uppercase() && first != b'H' { Kind::Request } else { Kind::Other };
    }
    let Some([first, second]) = load::<[u64; 2]>(ctx, segment.payload) else { return Kind::Other };
    let (first, second) = (u64::from_le(first), u64::from_le(second));
    if stream::method(first, second) != 0 {
        Kind::Request
    } else if stream::status(first, second) != 0 {
        Kind::Response
    } else if first & 0xff == 0x16 && first >> 8 & 0xff == 3 && first >> 16 & 0xff <= 4 {
        Kind::Tls
    } else {
        Kind::Other
    }
}

#[inline(always)]
fn mute(flow: *mut Flow, stats: Counters, reason: u32) {
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    unsafe { (*flow).state = MUTED };
    stats.add(reason);
}

/// Neither HTTP nor TLS yet: waits for the next turns of direction, then mutes.
#[inline(always)]
fn wait(flow: *mut Flow, direction: u32, stats: Counters) {
    // SAFETY: as in `mute`. Two CPUs may lose a count to each other, which only prolongs the wait.
    unsafe {
        (*flow).segments += 1;
        if (*flow).direction != direction + 1 {
            (*flow).direction = direction + 1;
            (*flow).turns += 1;
        }
        if (*flow).turns > MAX_TURNS || (*flow).segments > MAX_SEGMENTS {
            mute(flow, stats, counter::MUTED);
        }
    }
}

/// Begins to follow an HTTP connection, unless a filter or a bound forbids it.
#[expect(
    clippy::too_many_arguments,
    reason = "inlined: a struct of them would be spilled to the small stack"
)]
#[inline(always)]
fn follow(
    ctx: &SkBuffContext,
    socket: *mut bpf_sock,
    flow: *mut Flow,
    segment: &Segment,
    direction: u32,
    role: u8,
    begun: bool,
    stats: Counters,
) -> bool {
    let outward = direction == EGRESS;
    let (local_port, peer_port) = if outward {
        (segment.source_port, segment.destination_port)
    } else {
        (segment.destination_port, segment.source_port)
    };
    let Some((source, destination)) = addresses(ctx, segment.v6) else { return false };
    let (local, peer) = if outward { (source, destination) } else { (destination, source) };
    let (wanted, server_port) =
        if role == ROLE_SERVER { (server_role(), local_port) } else { (client_role(), peer_port) };
    // SAFETY: the kernel checks the context.
    let cgroup = unsafe { bpf_skb_cgroup_id(ctx.skb.skb) };
    // SAFETY: the value is only tested for presence.
    let cgroup_wanted = !by_cgroup() || unsafe { CGROUPS.get(cgroup) }.is_some();
    let filtered = !port_captured(server_port) || !cgroup_wanted;
    if !wanted || (filtered && !waived(server_port)) {
        mute(flow, stats, counter::FILTERED);
        return false;
    }
    if !take_place() {
        mute(flow, stats, counter::TABLE_FULL);
        return false;
    }
    let Some(connection) = stored_or_new(&CONNECTIONS, socket) else {
        leave_place();
        mute(flow, stats, counter::TABLE_FULL);
        return false;
    };
    // SAFETY: as in `mute`; the kernel checks the socket.
    unsafe {
        let c = connection;
        (*c).streams[0].open(0);
        (*c).streams[1].open(stream::RESPONSES);
        (*c).flip = u32::from(role == ROLE_CLIENT);
        // The socket knows better than the packet where the stream began, and whether it has just begun.
        let tcp = bpf_tcp_sock(socket);
        if !tcp.is_null() {
            let fresh = begun || (*tcp).bytes_received == 0;
            if fresh && role == ROLE_SERVER && (begun || !outward) {
                (*c).streams[0].next = (*tcp).rcv_nxt.wrapping_sub((*tcp).bytes_received as u32);
                (*c).streams[0].placed = 1;
            } else if !fresh || !outward {
                (*c).midway = u32::from(MIDWAY);
            }
        }
        let record = &raw mut (*c).slot.record;
        (*record).cookie = bpf_get_socket_cookie(raw(ctx));
        (*record).cgroup = cgroup;
        (*record).local = core::mem::transmute::<[u32; 4], [u8; 16]>(local);
        (*record).peer = core::mem::transmute::<[u32; 4], [u8; 16]>(peer);
        (*record).local_port = local_port;
        (*record).peer_port = peer_port;
        (*record).role = role;
        (*c).stashed = u32::from(!reorder::is_empty(socket));
        (*flow).state = HTTP;
        if role == ROLE_SERVER && client_role() {
            let _ = SERVED.insert(Connection::ends(c), 0, 0);
        }
    }
    stats.add(counter::CONNECTIONS);
    true
}
