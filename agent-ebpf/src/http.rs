//! HTTP over packets: puts segments in order, pairs each response with its request, emits the exchange.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, bpf_sock},
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid,
        generated::{
            bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_ringbuf_output,
            bpf_ringbuf_query, bpf_skb_load_bytes, bpf_tcp_sock,
        },
    },
    programs::SkBuffContext,
};
use aya_log_ebpf::debug;
use gait_common::wire::{
    counter,
    exchange::{
        EARLY, HEAD_BYTES, INCOMPLETE, LOST_BEFORE, PIPELINED, RECORD_BYTES, RESYNCED, ROLE_CLIENT,
        SOURCE_RECEIVER, SOURCE_SENDER, TRUNCATED, UPGRADED,
    },
    stream::{self, LOAD, SCANS, Stream, Surroundings, event, verdict},
};

use crate::{
    bound,
    connection::{self, Connection, HTTP, MUTED, Slot},
    detect, early,
    maps::{
        CONNECTIONS, Counters, FLOWS, QUEUED, QueueKey, SERVED, STASHES, Stats, current_comm_known,
        current_thread_known, head_limit, raw, ring, ring_half, server_role, socket, state_hook, stored,
        stored_or_new,
    },
    packet::{self, EGRESS, INGRESS, Segment},
    reorder,
};

/// Bytes of a message's beginning that are copied from the window, not from the packet.
const FRONT: u64 = 32;
/// How often the lock is tried; a holder runs for a few microseconds at most.
const LOCK_TRIES: u32 = 4000;
const METHOD_HEAD: u32 = 2;
const METHOD_CONNECT: u32 = 3;
const SWITCHING_PROTOCOLS: u32 = 101;

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
        stats.add(counter::PACKETS);
        payload(ctx, socket, connection, &segment, direction, stats);
    }
    if !state_hook() && ends(connection, &segment, direction) {
        connection::end(socket, connection, counter::UNANSWERED);
    }
}

/// Looks at a segment of a connection of which nothing is known; non-zero if it is HTTP and to be followed.
///
/// A function of its own for the same reason as [`gait_step`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_detect(skb: *mut __sk_buff, direction: u32) -> u32 {
    let ctx = SkBuffContext::new(skb);
    let socket = socket(&ctx);
    if socket.is_null() {
        return 0;
    }
    let Some(segment) = packet::parse(&ctx) else { return 0 };
    if early::listens(socket) {
        early::keep(&ctx, &segment, direction);
        return 0;
    }
    let Some(stats) = Stats::here() else { return 0 };
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
        connection::end(socket, connection, counter::UNANSWERED);
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
    for _ in 0..SCANS {
        if gait_step(http.ctx.skb.skb, direction) != event::END {
            continue;
        }
        // SAFETY: the kernel frees the value no sooner than the program has ended.
        let stashed = direction == INGRESS && unsafe { (*http.connection).stashed } != 0;
        if !stashed || gait_unstash(http.ctx.skb.skb) == 0 {
            return;
        }
    }
    if http.stream().unread() && http.stream().lose() == event::LOSS {
        http.stats.add(counter::DESYNCS);
    }
}

/// Reads the announced segment of the packet's connection up to the next event, and deals with that; says which it was.
///
/// A function of its own, with the context as its only pointer, so that the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_step(skb: *mut __sk_buff, direction: u32) -> u32 {
    let ctx = SkBuffContext::new(skb);
    let Some(mut http) = Http::of(&ctx, direction) else { return event::END };
    let event = http.stream().scan(&mut http);
    http.stream().handle(event, &mut http)
}

/// Announces what waits in the stash of the packet's connection; 0 if nothing does.
///
/// A function of its own for the same reason as [`gait_step`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_unstash(skb: *mut __sk_buff) -> u32 {
    let ctx = SkBuffContext::new(skb);
    Http::of(&ctx, INGRESS).map_or(0, |mut http| u32::from(http.unstash()))
}

/// A packet in the light of its connection.
struct Http<'a> {
    ctx: &'a SkBuffContext,
    socket: *mut bpf_sock,
    connection: *mut Connection,
    stream: *mut Stream,
    source: *mut connection::Source,
    stats: Counters,
}

impl<'a> Http<'a> {
    #[inline(always)]
    fn new(
        ctx: &'a SkBuffContext,
        socket: *mut bpf_sock,
        connection: *mut Connection,
        direction: u32,
        stats: Counters,
    ) -> Self {
        // SAFETY: the kernel frees the value no sooner than the program has ended, and the index is 0 or 1.
        unsafe {
            let index = ((*connection).flip ^ direction) as usize & 1;
            let stream = (&raw mut (*connection).streams).cast::<Stream>().add(index);
            let source = (&raw mut (*connection).sources).cast::<connection::Source>().add(index);
            Self { ctx, socket, connection, stream, source, stats }
        }
    }

    /// The stream that the packet belongs to.
    #[inline(always)]
    fn stream(&self) -> &'static mut Stream {
        // SAFETY: the kernel frees the value no sooner than the program has ended, and the lock of the side keeps
        // every other program away from it.
        unsafe { &mut *self.stream }
    }

    /// The packet's connection, found anew.
    #[inline(always)]
    fn of(ctx: &'a SkBuffContext, direction: u32) -> Option<Self> {
        let socket = socket(ctx);
        if socket.is_null() {
            return None;
        }
        let connection = stored(&CONNECTIONS, socket)?;
        Some(Self::new(ctx, socket, connection, direction, Stats::here()?))
    }

    /// Keeps a segment that begins `ahead` bytes after the `next` expected one; `false` if it does not fit.
    #[inline(always)]
    fn stash(&mut self, next: u32, ahead: u32, payload: u32, len: u32) -> bool {
        let kept = reorder::keep(self.ctx, next, ahead, payload, len);
        if kept {
            // SAFETY: the pointer is into the connection, which the kernel frees no sooner than the program has ended.
            unsafe { (*self.connection).stashed = 1 };
        }
        kept
    }

    /// Takes the socket's word for where an arriving stream goes on, for its own is lost.
    #[inline(always)]
    fn replace(&mut self) {
        // SAFETY: the kernel checks the socket, and gives back null or what it knows of it.
        unsafe {
            let tcp = bpf_tcp_sock(self.socket);
            if !tcp.is_null() {
                (*self.stream).next = (*tcp).rcv_nxt;
            }
        }
    }

    /// Announces what waits in the stash behind the bytes read, if anything does.
    #[inline(always)]
    fn unstash(&mut self) -> bool {
        // SAFETY: the pointers are into the connection, which the kernel frees no sooner than the program has ended.
        let next = unsafe { (*self.stream).next };
        let Some((offset, len)) = reorder::take(self.socket, next) else { return false };
        // SAFETY: as above.
        unsafe {
            (*self.source).base = u64::from(offset);
            (*self.source).stash = 1;
            if reorder::is_empty(self.socket) {
                (*self.connection).stashed = 0;
            }
        }
        self.stream().begin(next, u64::from(len));
        self.append();
        true
    }

    /// Copies bytes of the segment; `len` must be provably 1 to 1024 and `to` have room for them.
    #[inline(always)]
    fn copy(&self, from: u64, to: *mut u8, len: u32) -> bool {
        // SAFETY: the pointers are into map values that the kernel frees no sooner than the program has ended, and the
        // verifier proves that `to` has room for `len` bytes.
        unsafe {
            let from = (*self.source).base.wrapping_add(from);
            if (*self.source).stash == 0 {
                return bpf_skb_load_bytes(raw(self.ctx), from as u32, to.cast(), len) == 0;
            }
            let Some(stash) = stored(&STASHES, self.socket) else { return false };
            let data = (&raw const (*stash).data).cast::<u8>().add(bound::offset::<4096>(from));
            bpf_probe_read_kernel(to.cast(), len, data.cast()) == 0
        }
    }

    /// The slot of the request whose head is under way.
    #[inline(always)]
    fn current(&self) -> Option<*mut Slot> {
        // SAFETY: as in `copy`.
        unsafe {
            let c = self.connection;
            if (*c).place == connection::NOWHERE {
                return None;
            }
            if (*c).place == connection::INLINE {
                return Some(&raw mut (*c).slot);
            }
            let ordinal = (*c).current;
            let key = QueueKey { cookie: (*c).slot.record.cookie, ordinal };
            QUEUED.get_ptr_mut(key)
        }
    }

    /// Adds the segment's bytes to the head under way, if there is one.
    #[inline(always)]
    fn append(&mut self) {
        let stream = self.stream();
        if !stream.in_head() || stream.is_response() {
            return;
        }
        self.carry(stream.segment_len(), 0);
    }

    /// Adds `len` bytes of the segment, from offset `from` on, to the current request's head, as far as there is room.
    #[inline(always)]
    fn carry(&mut self, len: u64, from: u64) {
        // SAFETY: as in `copy`.
        let carried = unsafe { (*self.connection).carried };
        let limit = head_limit();
        if carried >= limit || len == 0 {
            return;
        }
        let room = limit - carried;
        let len = if len < room { len } else { room };
        let Some(slot) = self.current() else { return };
        // SAFETY: masked, the offset is inside the first half of the head's room and the length no longer than the
        // second half.
        unsafe {
            let to =
                (&raw mut (*slot).head).cast::<u8>().add(bound::offset::<{ HEAD_BYTES as u64 }>(carried));
            let checked = bound::length::<{ HEAD_BYTES as u64 }>(len);
            if self.copy(from, to, checked) {
                (*self.connection).carried = carried + len;
                (*slot).record.head_len = (carried + len) as u16;
                (*slot).record.head_total = (carried + len) as u32;
            }
        }
    }

    /// Hands the slot of a request to the ring.
    #[inline(always)]
    fn emit(&mut self, slot: *mut Slot, status: u32, meaning: u32) {
        // SAFETY: as in `copy`.
        unsafe {
            let c = self.connection;
            let record = &raw mut (*slot).record;
            (*record).response_ns = bpf_ktime_get_ns();
            (*record).status = status as u16;
            if (*record).role != ROLE_CLIENT {
                if (*c).thread != 0 {
                    (*record).thread = (*c).thread;
                    (*record).comm = core::mem::transmute::<[u64; 2], [u8; 16]>((*c).comm);
                    (*record).source = SOURCE_RECEIVER;
                } else {
                    self.current_thread(record);
                }
            }
            let mut flags = (*record).flags;
            let ordinal = (*record).ordinal;
            let requests = &raw const (*c).streams[0];
            if (*requests).heads.wrapping_sub(ordinal) as i32 <= 0 {
                flags |= INCOMPLETE;
            }
            if (*requests).done.wrapping_sub(ordinal) as i32 <= 0 {
                flags |= EARLY;
            }
            if (*c).lost != 0 {
                flags |= LOST_BEFORE;
            }
            if meaning & verdict::LAST != 0 {
                flags |= UPGRADED;
            }
            (*record).flags = flags;
            let cpu = bpf_get_smp_processor_id();
            (*record).cpu = cpu;
            (*record).sequence = self.stats.next_sequence();
            let carried = bound::length::<{ HEAD_BYTES as u64 }>(u64::from((*record).head_len));
            let len = u64::from(carried) + RECORD_BYTES as u64;
            let ring = core::ptr::from_ref(ring(cpu)).cast_mut().cast();
            let filled = bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA));
            let half = ring_half();
            let wake = filled < half && filled + len + 8 >= half;
            let flags = if wake { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
            if bpf_ringbuf_output(ring, slot.cast(), len, u64::from(flags)) == 0 {
                (*c).lost = 0;
                self.stats.add(counter::EMITTED);
            } else {
                (*c).lost = 1;
                self.stats.add(counter::RING_FULL);
            }
        }
    }

    /// Notes the current thread, where the kernel tells a packet program.
    #[inline(always)]
    unsafe fn current_thread(&self, record: *mut gait_common::wire::exchange::Record) {
        if current_thread_known() {
            let thread = bpf_get_current_pid_tgid();
            // SAFETY: as in `copy`.
            unsafe {
                (*record).thread = thread;
                (*record).comm = [0; 16];
                if current_comm_known()
                    && let Ok(comm) = bpf_get_current_comm()
                {
                    (*record).comm = comm;
                }
                (*record).source = if thread == 0 { 0 } else { SOURCE_SENDER };
            }
        }
    }
}

impl Surroundings for Http<'_> {
    #[inline(always)]
    fn load(&mut self, stream: &mut Stream, from: u64, len: u64) -> bool {
        const _: () = assert!(LOAD <= 512);
        let checked = bound::length::<512>(len);
        // SAFETY: the window has room for 512 bytes behind what is carried.
        let to = unsafe { (&raw mut stream.window).cast::<u8>().add(stream::CARRY) };
        self.copy(from, to, checked)
    }

    #[inline(always)]
    fn request(&mut self, stream: &mut Stream, method: u32, at: u64, carried: u64, from: u64) {
        self.stats.add(counter::REQUESTS);
        if stream.is_guessed() {
            self.stats.add(counter::RESYNCS);
        }
        // SAFETY: as in `copy`.
        unsafe {
            let c = self.connection;
            let ordinal = (*c).asked;
            let waiting = ordinal.wrapping_sub((*c).answered);
            let mut place = connection::NOWHERE;
            if waiting < 64 {
                let bit = 1_u64 << (ordinal & 63);
                let mut heads = (*c).head_requests & !bit;
                let mut connects = (*c).connects & !bit;
                if method == METHOD_HEAD {
                    heads |= bit;
                } else if method == METHOD_CONNECT {
                    connects |= bit;
                }
                (*c).head_requests = heads;
                (*c).connects = connects;
                let key = QueueKey { cookie: (*c).slot.record.cookie, ordinal };
                if waiting == 0 {
                    place = connection::INLINE;
                // The connection's own slot is the template; everything that differs is overwritten below.
                } else if QUEUED.insert(key, &*(&raw const (*c).slot), 0).is_ok() {
                    place = connection::QUEUE;
                }
            }
            (*c).place = place;
            (*c).current = ordinal;
            (*c).carried = 0;
            if place == connection::NOWHERE {
                (*c).lost = 1;
                self.stats.add(counter::TOO_DEEP);
            } else {
                self.fill(stream, ordinal, waiting, at, carried, from);
            }
            Connection::ask(c);
        }
    }

    #[inline(always)]
    fn response(&mut self, _stream: &mut Stream, status: u32) -> u32 {
        if status < 200 && status != SWITCHING_PROTOCOLS {
            self.stats.add(counter::INTERIM);
            return verdict::BODILESS;
        }
        // SAFETY: as in `copy`.
        unsafe {
            let c = self.connection;
            if server_role()
                && (*c).slot.record.role == ROLE_CLIENT
                && SERVED.get(Connection::ends(c)).is_some()
            {
                connection::end(self.socket, c, counter::DOUBLED);
                return verdict::LAST;
            }
            let ordinal = (*c).answered;
            let mut meaning = verdict::PLAIN;
            if ordinal == (*c).asked {
                self.stats.add(counter::UNPAIRED);
                if status == SWITCHING_PROTOCOLS {
                    meaning = verdict::LAST;
                }
            } else {
                let shift = ordinal & 63;
                if (*c).head_requests >> shift & 1 != 0 {
                    meaning = verdict::BODILESS;
                }
                let accepted = (*c).connects >> shift & 1 != 0 && status < 300;
                if status == SWITCHING_PROTOCOLS || accepted {
                    meaning = verdict::LAST;
                }
                // A request that is in neither place was counted when it found none.
                if (*c).slot.record.ordinal == ordinal as u32 {
                    self.emit(&raw mut (*c).slot, status, meaning);
                } else {
                    let key = QueueKey { cookie: (*c).slot.record.cookie, ordinal };
                    if let Some(slot) = QUEUED.get_ptr_mut(key) {
                        self.emit(slot, status, meaning);
                        let _ = QUEUED.remove(key);
                    }
                }
                Connection::answer(c);
            }
            if meaning & verdict::LAST != 0 {
                (*c).opaque = 1;
                self.stats.add(counter::UPGRADED);
            }
            meaning
        }
    }

    #[inline(always)]
    fn head_end(&mut self, stream: &mut Stream, total: u32) {
        if stream.is_response() {
            return;
        }
        let Some(slot) = self.current() else { return };
        // SAFETY: as in `copy`.
        unsafe {
            let carried = (*self.connection).carried;
            let record = &raw mut (*slot).record;
            let len = if u64::from(total) < carried { u64::from(total) } else { carried };
            (*record).head_len = len as u16;
            (*record).head_total = total;
            if u64::from(total) > carried {
                (*record).flags |= TRUNCATED;
            }
            // Nothing is added behind the head's end.
            (*self.connection).carried = u64::MAX;
        }
    }

    #[inline(always)]
    fn waiting(&mut self) -> bool {
        // SAFETY: as in `copy`.
        unsafe { (*self.connection).asked != (*self.connection).answered }
    }

    #[inline(always)]
    fn lost(&mut self) {
        self.stats.add(counter::DESYNCS);
    }
}

impl Http<'_> {
    /// Writes what is known of a request that begins into its slot.
    #[inline(always)]
    fn fill(&mut self, stream: &mut Stream, ordinal: u64, waiting: u64, at: u64, carried: u64, from: u64) {
        let Some(slot) = self.current() else { return };
        // SAFETY: as in `copy`; the window has slack for the words read, the head has room for them.
        unsafe {
            let record = &raw mut (*slot).record;
            (*record).request_ns = bpf_ktime_get_ns();
            (*record).ordinal = ordinal as u32;
            let mut flags = (*self.connection).midway as u16;
            if stream.is_guessed() {
                flags |= RESYNCED;
            }
            if waiting != 0 {
                flags |= PIPELINED;
            }
            (*record).flags = flags;
            (*record).thread = 0;
            (*record).source = 0;
            if (*record).role == ROLE_CLIENT {
                self.current_thread(record);
            }
            let carried = if carried > FRONT { FRONT } else { carried };
            if carried != 0 {
                for word in 0..FRONT / 8 {
                    let bytes = stream.word(at.wrapping_add(word * 8));
                    (&raw mut (*slot).head).cast::<u64>().add(word as usize).write_unaligned(bytes);
                }
            }
            (*self.connection).carried = carried;
            (*record).head_len = carried as u16;
            (*record).head_total = carried as u32;
        }
        let len = stream.segment_len().wrapping_sub(from);
        self.carry(len, from);
    }
}
