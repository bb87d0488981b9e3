//! Exchanges: keeps each request in its slot, pairs each response with its request, emits the record.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, bpf_sock},
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_comm, bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_probe_read_kernel,
            bpf_ringbuf_output, bpf_ringbuf_query, bpf_skb_load_bytes, bpf_tcp_sock,
        },
    },
    programs::SkBuffContext,
};
use gait_common::wire::{
    counter,
    exchange::{
        EARLY, HEAD_BYTES, INCOMPLETE, LOST_BEFORE, PIPELINED, RECORD_BYTES, RESYNCED, ROLE_CLIENT, Record,
        SOURCE_RECEIVER, SOURCE_SENDER, TREES_SHIFT, TRUNCATED, UPGRADED,
    },
    stream::{self, LOAD, Stream, Surroundings, verdict},
    tree::ENTRY_BYTES,
};

use crate::{
    bound,
    connection::{self, Connection, Slot},
    maps::{
        Counters, QUEUED, QueueKey, SERVED, STASHES, Stats, current_comm_known, current_thread_known,
        head_limit, raw, ring, ring_half, server_role, socket, stored, turns,
    },
    packet::EGRESS,
    reorder,
    tree::{maps::trees, tie},
};

/// Bytes of a message's beginning that are copied from the window, not from the packet.
const FRONT: u64 = 32;
/// Of so many records of a CPU one asks whether the ring is half full.
const ASK_EVERY: u64 = 16;
const METHOD_HEAD: u32 = 2;
const METHOD_CONNECT: u32 = 3;
const SWITCHING_PROTOCOLS: u32 = 101;

/// A packet in the light of its connection.
pub(crate) struct Http<'a> {
    pub(crate) ctx: &'a SkBuffContext,
    pub(crate) socket: *mut bpf_sock,
    pub(crate) connection: *mut Connection,
    pub(crate) stream: *mut Stream,
    pub(crate) source: *mut connection::Source,
    pub(crate) stats: Counters,
    /// Whether the packet leaves.
    leaving: bool,
}

impl<'a> Http<'a> {
    #[inline(always)]
    pub(crate) fn new(
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
            Self { ctx, socket, connection, stream, source, stats, leaving: direction == EGRESS }
        }
    }

    /// The stream that the packet belongs to.
    #[inline(always)]
    pub(crate) fn stream(&self) -> &'static mut Stream {
        // SAFETY: the kernel frees the value no sooner than the program has ended, and the lock of the side keeps
        // every other program away from it.
        unsafe { &mut *self.stream }
    }

    /// The packet in a function of its own: what it was given could be null as far as the verifier knows.
    #[inline(always)]
    pub(crate) fn of(ctx: &'a SkBuffContext, connection: *mut Connection, direction: u32) -> Option<Self> {
        let socket = socket(ctx);
        if socket.is_null() || connection.is_null() {
            return None;
        }
        Some(Self::new(ctx, socket, connection, direction, Stats::here()?))
    }

    /// Keeps a segment that begins `ahead` bytes after the `next` expected one; `false` if it does not fit.
    #[inline(always)]
    pub(crate) fn stash(&mut self, next: u32, ahead: u32, payload: u32, len: u32) -> bool {
        let kept = reorder::keep(self.ctx, next, ahead, payload, len);
        if kept {
            // SAFETY: the pointer is into the connection, which the kernel frees no sooner than the program has ended.
            unsafe { (*self.connection).stashed = 1 };
        }
        kept
    }

    /// Takes the socket's word for where an arriving stream goes on, for its own is lost.
    #[inline(always)]
    pub(crate) fn replace(&mut self) {
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
    pub(crate) fn unstash(&mut self) -> bool {
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
    pub(crate) fn append(&mut self) {
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
            (*record).response_ns = self.sent_at((*record).request_ns);
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
            // Only a body's end is not noted in the slot itself.
            let requests = &raw const (*c).streams[0];
            if flags & EARLY != 0 && (*requests).done.wrapping_sub(ordinal) as i32 > 0 {
                flags &= !EARLY;
            }
            if (*c).lost != 0 {
                flags |= LOST_BEFORE;
            }
            if meaning & verdict::LAST != 0 {
                flags |= UPGRADED;
            }
            (*record).flags = flags;
            if trees() && (*record).role != ROLE_CLIENT && tie::answered(slot, (*record).cookie) {
                (*c).lost = 0;
                return;
            }
            (*c).lost = u32::from(!hand_over(slot, self.stats));
        }
    }

    /// When the packet went out. TCP has just read the clock for a packet that leaves, and reading it is dear.
    #[inline(always)]
    fn sent_at(&self, not_before: u64) -> u64 {
        // SAFETY: the verifier lets this field be read.
        let stamp = unsafe { (*self.ctx.skb.skb).tstamp };
        // Another clock's time, should a kernel put one there, is centuries off.
        if self.leaving && stamp.wrapping_sub(not_before) < 1 << 40 {
            return stamp;
        }
        // SAFETY: the helper has no conditions.
        unsafe { bpf_ktime_get_ns() }
    }

    /// Notes the current thread, where the kernel tells a packet program.
    #[inline(always)]
    unsafe fn current_thread(&self, record: *mut gait_common::wire::exchange::Record) {
        if current_thread_known() {
            let thread = bpf_get_current_pid_tgid();
            // SAFETY: as in `copy`.
            unsafe {
                (*record).thread = thread;
                let comm = (&raw mut (*record).comm).cast::<u64>();
                // Two plain stores, for which the compiler would call a function.
                comm.write_volatile(0);
                comm.add(1).write_volatile(0);
                if current_comm_known() {
                    // SAFETY: the helper writes sixteen bytes.
                    bpf_get_current_comm(comm.cast(), 16);
                }
                (*record).source = if thread == 0 { 0 } else { SOURCE_SENDER };
            }
        }
    }
}

/// Hands a finished record, its head and its trees to the ring; `false` if that is full.
#[inline(always)]
pub(crate) unsafe fn output(slot: *mut Slot) -> bool {
    // SAFETY: by the caller.
    Stats::here().is_some_and(|stats| unsafe { hand_over(slot, stats) })
}

#[inline(always)]
unsafe fn hand_over(slot: *mut Slot, stats: Counters) -> bool {
    // SAFETY: the slot is a map's value that the kernel frees no sooner than the program has ended.
    unsafe {
        let record = &raw mut (*slot).record;
        let cpu = bpf_get_smp_processor_id();
        (*record).cpu = cpu;
        let sequence = stats.next_sequence();
        (*record).sequence = sequence;
        let carried = bound::length::<{ HEAD_BYTES as u64 }>(u64::from((*record).head_len));
        let trees = bound::offset::<16>(u64::from((*record).flags >> TREES_SHIFT)) as u64;
        let len = u64::from(carried) + RECORD_BYTES as u64 + trees * ENTRY_BYTES as u64;
        let ring = core::ptr::from_ref(ring(cpu)).cast_mut().cast();
        // Asking costs a tenth of writing, and the records between two questions are few against half a ring.
        let wake = sequence.is_multiple_of(ASK_EVERY)
            && bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA)) >= ring_half();
        let flags = if wake { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
        if bpf_ringbuf_output(ring, slot.cast(), len, u64::from(flags)) == 0 {
            stats.add(counter::EMITTED);
            return true;
        }
        stats.add(counter::RING_FULL);
        false
    }
}

impl Surroundings for Http<'_> {
    #[inline(always)]
    fn turns(&self) -> u32 {
        turns()
    }

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
                let blank = &connection::BLANK;
                if waiting == 0 {
                    place = connection::INLINE;
                } else if let (Ok(()), Some(slot)) = (QUEUED.insert(key, blank, 0), QUEUED.get_ptr_mut(key)) {
                    // As the connection's own; everything that differs is overwritten below.
                    let (to, from) = (&raw mut (*slot).record, &raw const (*c).slot.record);
                    bpf_probe_read_kernel(to.cast(), size_of::<Record>() as u32, from.cast());
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
                connection::gait_end(self.ctx.skb.skb, 1);
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
                let key = QueueKey { cookie: (*c).slot.record.cookie, ordinal };
                let inline = (*c).slot.record.ordinal == ordinal as u32;
                let slot = if inline { Some(&raw mut (*c).slot) } else { QUEUED.get_ptr_mut(key) };
                if let Some(slot) = slot {
                    self.emit(slot, status, meaning);
                    if !inline {
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
            let truncated = if u64::from(total) > carried { TRUNCATED } else { 0 };
            (*record).flags = (*record).flags & !INCOMPLETE | truncated;
            // Nothing is added behind the head's end.
            (*self.connection).carried = u64::MAX;
        }
    }

    #[inline(always)]
    fn bodiless(&mut self, stream: &mut Stream) {
        if stream.is_response() {
            return;
        }
        if let Some(slot) = self.current() {
            // SAFETY: as in `copy`.
            unsafe { (*slot).record.flags &= !EARLY };
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
            let mut flags = (*self.connection).midway as u16 | INCOMPLETE | EARLY;
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
