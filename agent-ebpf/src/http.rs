//! HTTP over packets: finds the connection, puts its segments in order, and reads them step by step.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    programs::SkBuffContext,
};
use aya_log_ebpf::debug;
use gait_common::wire::{
    counter,
    stream::{Surroundings as _, event},
};

use crate::{
    connection::{self, Connection, HTTP, MUTED},
    detect, early,
    exchange::Http,
    maps::{CONNECTIONS, Counters, FLOWS, Stats, scans, socket, state_hook, stored, stored_or_new},
    packet::{self, INGRESS, Segment},
    reorder,
};

/// How often the lock is tried; a holder runs for a few microseconds at most.
const LOCK_TRIES: u32 = 4000;

/// Looks at a packet of any socket.
#[inline(always)]
pub(crate) fn packet(ctx: &SkBuffContext, direction: u32) {
    let socket = socket(ctx);
    if socket.is_null() {
        return;
    }
    let flow = stored(&FLOWS, socket);
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    let state = flow.map_or(connection::UNKNOWN, |flow| unsafe { (*flow).state });
    if state == MUTED {
        return;
    }
    let Some(segment) = packet::parse(ctx) else { return };
    if segment.len == 0 && !segment.fin() && !segment.rst() {
        return;
    }
    let Some(stats) = Stats::here() else { return };
    let new = state != HTTP;
    if new && (segment.len == 0 || gait_detect(ctx.skb.skb, direction) == 0) {
        return;
    }
    let Some(connection) = stored(&CONNECTIONS, socket) else { return };
    // SAFETY: as above.
    if new && unsafe { (*connection).stashed } != 0 && acquire(connection, stats) {
        read(&Http::new(ctx, socket, connection, INGRESS, stats), INGRESS);
        Connection::unlock(connection);
    }
    if segment.len != 0 {
        stats.count_roughly(counter::PACKETS);
        payload(ctx, socket, connection, &segment, direction, stats);
    }
    if !state_hook() && ends(connection, &segment, direction) {
        connection::gait_end(ctx.skb.skb, 0);
    }
}

/// Looks at a segment of a connection of which nothing is known; non-zero if it is HTTP and to be followed.
///
/// A function of its own, which the verifier looks at once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_detect(skb: *mut __sk_buff, direction: u32) -> u32 {
    let ctx = SkBuffContext::new(skb);
    let socket = socket(&ctx);
    if socket.is_null() {
        return 0;
    }
    let Some(segment) = packet::parse(&ctx) else { return 0 };
    let Some(stats) = Stats::here() else { return 0 };
    if early::listens(socket) {
        early::keep(&ctx, &segment, direction, stats);
        return 0;
    }
    let Some(flow) = stored_or_new(&FLOWS, socket) else { return 0 };
    u32::from(detect::segment(&ctx, socket, flow, &segment, direction, stats))
}

/// Whether the connection is over: reset, or closed from both ends.
#[inline(always)]
fn ends(connection: *mut Connection, segment: &Segment, direction: u32) -> bool {
    if segment.rst() {
        return true;
    }
    if !segment.fin() {
        return false;
    }
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    unsafe {
        (*connection).fins |= 1 << direction;
        (*connection).fins == 3
    }
}

/// Puts a payload in its place and reads it.
#[inline(always)]
fn payload(
    ctx: &SkBuffContext,
    socket: *mut bpf_sock,
    connection: *mut Connection,
    segment: &Segment,
    direction: u32,
    stats: Counters,
) {
    // What leaves is serialised by the socket's own lock.
    if direction == INGRESS && !acquire(connection, stats) {
        return;
    }
    let mut http = Http::new(ctx, socket, connection, direction, stats);
    let before = http.stream().is_lost();
    if place(&mut http, segment, direction) {
        read(&http, direction);
    }
    if !before && http.stream().is_lost() {
        debug!(ctx, "message boundary lost on port {}", segment.destination_port);
    }
    if direction == INGRESS {
        Connection::unlock(connection);
    }
    // SAFETY: the kernel frees the value no sooner than the program has ended.
    let unproven = unsafe { (*connection).asked == 0 && (*connection).midway == 0 };
    if unproven && http.stream().is_lost() {
        // What looked like the beginning of a request was none.
        connection::gait_end(ctx.skb.skb, 0);
        stats.add(counter::MUTED);
    }
}

/// Waits for the arriving side: two CPUs may hold arriving segments of one connection.
#[inline(always)]
fn acquire(connection: *mut Connection, stats: Counters) -> bool {
    for _ in 0..LOCK_TRIES {
        if Connection::try_lock(connection) {
            return true;
        }
    }
    stats.add(counter::CONTENDED);
    false
}

/// Announces the new bytes of the segment to the stream; `false` when there are none to read.
#[inline(always)]
fn place(http: &mut Http<'_>, segment: &Segment, direction: u32) -> bool {
    let stream = http.stream;
    let mut len = segment.len;
    let mut payload = segment.payload;
    let mut sequence = segment.sequence;
    // SAFETY: the pointers are into the connection, which the kernel frees no sooner than the program has ended.
    unsafe {
        if (*http.connection).opaque != 0 {
            http.stream().end_http();
            return false;
        }
        if (*stream).placed == 0 {
            (*stream).placed = 1;
            (*stream).next = sequence;
        }
    }
    let lost = direction == INGRESS && http.stream().is_lost();
    if lost {
        http.replace();
    }
    // SAFETY: as above.
    let next = unsafe { (*stream).next };
    let ahead = sequence.wrapping_sub(next) as i32;
    if ahead < 0 {
        let seen = next.wrapping_sub(sequence);
        if seen >= len {
            http.stats.add(counter::DUPLICATES);
            return false;
        }
        len -= seen;
        payload += seen;
        sequence = next;
    } else if ahead > 0 {
        http.stats.add(counter::REORDERED);
        let blind = http.stream().blind();
        let jump = ahead as u64 + u64::from(len);
        if lost {
            if http.stash(next, ahead as u32, payload, len) {
                return false;
            }
            // What is kept may be far behind.
            reorder::clear(http.socket);
        } else if blind != u64::MAX {
            if blind >= jump {
                http.stream().leap(jump);
                // SAFETY: as above.
                unsafe { (*stream).next = sequence.wrapping_add(len) };
                return false;
            }
            if direction == INGRESS && http.stash(next, ahead as u32, payload, len) {
                return false;
            }
            reorder::clear(http.socket);
            if http.stream().lose() == event::LOSS {
                http.lost();
            }
        }
    }
    // SAFETY: as above.
    unsafe {
        (*http.source).base = u64::from(payload);
        (*http.source).stash = 0;
    }
    http.stream().begin(sequence, u64::from(len));
    http.append();
    true
}

/// Reads what was announced, and whatever waits behind it in the stash.
#[inline(always)]
fn read(http: &Http<'_>, direction: u32) {
    for _ in 0..scans() {
        let event = if http.stream().between() {
            gait_meet(http.ctx.skb.skb, http.connection, direction)
        } else {
            gait_read(http.ctx.skb.skb, http.connection, direction)
        };
        if event != event::END {
            continue;
        }
        // SAFETY: the kernel frees the value no sooner than the program has ended.
        let stashed = direction == INGRESS && unsafe { (*http.connection).stashed } != 0;
        if !stashed || gait_unstash(http.ctx.skb.skb, http.connection) == 0 {
            return;
        }
    }
    if http.stream().unread() && http.stream().lose() == event::LOSS {
        http.stats.add(counter::DESYNCS);
    }
}

/// Looks for a message that begins in the announced segment of the packet's connection, and deals with its start.
///
/// A function of its own, which the verifier looks at once. It proves there, too, that a connection passed has its
/// whole length. Apart from [`gait_read`], because the two together need more stack than a kernel before 6.10 gives.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_meet(skb: *mut __sk_buff, connection: *mut Connection, direction: u32) -> u32 {
    let ctx = SkBuffContext::new(skb);
    Http::of(&ctx, connection, direction).map_or(event::END, |mut http| http.stream().meet(&mut http))
}

/// Reads on inside a message of the announced segment of the packet's connection, up to the next event.
///
/// A function of its own for the same reasons as [`gait_meet`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_read(skb: *mut __sk_buff, connection: *mut Connection, direction: u32) -> u32 {
    let ctx = SkBuffContext::new(skb);
    Http::of(&ctx, connection, direction).map_or(event::END, |mut http| http.stream().read(&mut http))
}

/// Announces what waits in the stash of the packet's connection; 0 if nothing does.
///
/// A function of its own for the same reasons as [`gait_meet`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_unstash(skb: *mut __sk_buff, connection: *mut Connection) -> u32 {
    let ctx = SkBuffContext::new(skb);
    Http::of(&ctx, connection, INGRESS).map_or(0, |mut http| u32::from(http.unstash()))
}
