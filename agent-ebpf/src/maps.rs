//! Everything the programs keep, and everything the agent sets before it loads them.

use aya_ebpf::{
    EbpfContext as _, Global,
    bindings::{BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    btf_maps::SkStorage,
    helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
    programs::SkBuffContext,
};
use gait_common::wire::{PORT_WORDS, counter, stream};

use crate::{
    atomic,
    connection::{Connection, Flow, Slot, Tuple},
    reorder::Stash,
};

/// Whether requests that this host answers are captured.
#[unsafe(no_mangle)]
static SERVER: Global<u8> = Global::new(1);
/// Whether requests that this host sends are captured.
#[unsafe(no_mangle)]
static CLIENT: Global<u8> = Global::new(0);
/// Whether this kernel lends `bpf_get_current_pid_tgid` to packet programs.
#[unsafe(no_mangle)]
static CURRENT_THREAD: Global<u8> = Global::new(0);
/// Whether it lends `bpf_get_current_comm` as well.
#[unsafe(no_mangle)]
static CURRENT_COMM: Global<u8> = Global::new(0);
/// Whether `gait_state` is attached; without it a FIN sent or a RST ends a connection.
#[unsafe(no_mangle)]
static STATE_HOOK: Global<u8> = Global::new(0);
/// Whether only the cgroups in [`CGROUPS`] are captured.
#[unsafe(no_mangle)]
static BY_CGROUP: Global<u8> = Global::new(0);
/// Most connections followed at a time.
#[unsafe(no_mangle)]
static MAX_CONNECTIONS: Global<u64> = Global::new(65_536);
/// Most bytes of head in a record.
#[unsafe(no_mangle)]
static HEAD_LIMIT: Global<u64> = Global::new(1024);
/// Turns of one scan: the verifier of older kernels gives up on many.
#[unsafe(no_mangle)]
static TURNS: Global<u32> = Global::new(stream::TURNS);
/// Scans of a segment. Given beside [`TURNS`], for the verifier does not divide.
#[unsafe(no_mangle)]
static SCANS: Global<u32> = Global::new(stream::ALL_TURNS / stream::TURNS);
/// A ring filled beyond this many bytes wakes the reader.
#[unsafe(no_mangle)]
static RING_HALF: Global<u64> = Global::new(2 << 20);

#[inline(always)]
pub(crate) fn server_role() -> bool {
    SERVER.load() != 0
}
#[inline(always)]
pub(crate) fn client_role() -> bool {
    CLIENT.load() != 0
}
#[inline(always)]
pub(crate) fn current_thread_known() -> bool {
    CURRENT_THREAD.load() != 0
}
#[inline(always)]
pub(crate) fn current_comm_known() -> bool {
    CURRENT_COMM.load() != 0
}
#[inline(always)]
pub(crate) fn state_hook() -> bool {
    STATE_HOOK.load() != 0
}
#[inline(always)]
pub(crate) fn by_cgroup() -> bool {
    BY_CGROUP.load() != 0
}
#[inline(always)]
pub(crate) fn max_connections() -> u64 {
    MAX_CONNECTIONS.load()
}
#[inline(always)]
pub(crate) fn head_limit() -> u64 {
    HEAD_LIMIT.load()
}
#[inline(always)]
pub(crate) fn turns() -> u32 {
    TURNS.load()
}
#[inline(always)]
pub(crate) fn scans() -> u32 {
    SCANS.load()
}
#[inline(always)]
pub(crate) fn ring_half() -> u64 {
    RING_HALF.load()
}

/// What every TCP socket with a payload is: unknown yet, HTTP, or muted.
#[btf_map]
pub(crate) static FLOWS: SkStorage<Flow> = SkStorage::new();
/// What an HTTP connection has said so far.
#[btf_map]
pub(crate) static CONNECTIONS: SkStorage<Connection> = SkStorage::new();
/// Segments that came before their predecessor.
#[btf_map]
pub(crate) static STASHES: SkStorage<Stash> = SkStorage::new();

/// Requests that wait behind another one on their connection.
#[map]
pub(crate) static QUEUED: HashMap<QueueKey, Slot> = HashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);

/// Captured server ports, one bit each.
#[map]
static PORTS: Array<[u64; PORT_WORDS]> = Array::with_max_entries(1, 0);
/// A server port that passes every filter, for the agent's self test; 0 for none.
#[map]
static WAIVED: Array<u32> = Array::with_max_entries(1, 0);
/// Captured cgroups, if [`BY_CGROUP`].
#[map]
pub(crate) static CGROUPS: HashMap<u64, u8> = HashMap::with_max_entries(1024, 0);
/// Connections whose server end is captured here, so that the client end is not captured as well.
#[map]
pub(crate) static SERVED: LruHashMap<Tuple, u8> = LruHashMap::with_max_entries(16_384, 0);

/// Counters, by the numbers in `wire::counter`; the last one numbers this CPU's records.
#[map]
static STATS: PerCpuArray<Stats> = PerCpuArray::with_max_entries(1, 0);
/// Connections followed now.
#[map]
static LIVE: Array<u64> = Array::with_max_entries(1, 0);

#[map]
static RING_0: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map]
static RING_1: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map]
static RING_2: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map]
static RING_3: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// The ring of this CPU.
#[inline(always)]
pub(crate) fn ring(cpu: u32) -> &'static RingBuf {
    match cpu & 3 {
        0 => &RING_0,
        1 => &RING_1,
        2 => &RING_2,
        _ => &RING_3,
    }
}

/// Which request of which connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct QueueKey {
    pub(crate) cookie: u64,
    pub(crate) ordinal: u64,
}

/// This CPU's counters. Atomic, for a packet program in a process may be interrupted by another one.
#[repr(C)]
pub(crate) struct Stats {
    counters: [u64; counter::COUNT as usize],
    sequence: u64,
}

impl Stats {
    /// This CPU's counters.
    #[inline(always)]
    pub(crate) fn here() -> Option<Counters> {
        STATS.get_ptr_mut(0).map(Counters)
    }
}

/// A CPU's [`Stats`].
#[derive(Clone, Copy)]
pub(crate) struct Counters(*mut Stats);

impl Counters {
    /// Counts one more.
    #[inline(always)]
    pub(crate) fn add(self, counter: u32) {
        // SAFETY: the map's value lives as long as the program, and the counters' numbers are constants.
        unsafe { atomic::add((&raw mut (*self.0).counters).cast::<u64>().add(counter as usize), 1) };
    }

    /// Counts one more, unless a program is interrupted right there: for what need not add up.
    #[inline(always)]
    pub(crate) fn count_roughly(self, counter: u32) {
        // SAFETY: as in `add`.
        unsafe {
            let at = (&raw mut (*self.0).counters).cast::<u64>().add(counter as usize);
            at.write_volatile(at.read_volatile().wrapping_add(1));
        }
    }

    /// Numbers a record.
    #[inline(always)]
    pub(crate) fn next_sequence(self) -> u64 {
        // SAFETY: as in `add`.
        unsafe { atomic::fetch_add(&raw mut (*self.0).sequence, 1) }
    }
}

/// Takes a place among the followed connections, if one is left.
#[inline(always)]
pub(crate) fn take_place() -> bool {
    let Some(live) = LIVE.get_ptr_mut(0) else { return false };
    // SAFETY: the map's value is an aligned u64 that lives as long as the program.
    unsafe {
        if atomic::fetch_add(live, 1) < max_connections() {
            return true;
        }
        atomic::add(live, u64::MAX);
    }
    false
}

/// Gives a place back.
#[inline(always)]
pub(crate) fn leave_place() {
    if let Some(live) = LIVE.get_ptr_mut(0) {
        // SAFETY: as in `take_place`.
        unsafe { atomic::add(live, u64::MAX) };
    }
}

/// Whether a server port is captured.
#[inline(always)]
pub(crate) fn port_captured(port: u16) -> bool {
    let Some(ports) = PORTS.get_ptr(0) else { return false };
    // SAFETY: masked, the index is inside the array.
    let word = unsafe { *ports.cast::<u64>().add((port >> 6) as usize & (PORT_WORDS - 1)) };
    word >> (port & 63) & 1 != 0
}

/// Whether a server port passes every filter.
#[inline(always)]
pub(crate) fn waived(port: u16) -> bool {
    WAIVED.get(0).is_some_and(|&waived| waived == u32::from(port))
}

/// The packet's socket.
#[inline(always)]
pub(crate) fn socket(ctx: &SkBuffContext) -> *mut bpf_sock {
    // SAFETY: the verifier knows this field of the context as a socket or null.
    unsafe { (*ctx.skb.skb).__bindgen_anon_2.sk }
}

/// What the map keeps for the socket.
#[inline(always)]
pub(crate) fn stored<T>(map: &'static SkStorage<T>, socket: *mut bpf_sock) -> Option<*mut T> {
    storage(map, socket, 0)
}

/// What the map keeps for the socket, all zeroes if nothing was kept so far.
#[inline(always)]
pub(crate) fn stored_or_new<T>(map: &'static SkStorage<T>, socket: *mut bpf_sock) -> Option<*mut T> {
    storage(map, socket, u64::from(BPF_SK_STORAGE_GET_F_CREATE))
}

#[inline(always)]
fn storage<T>(map: &'static SkStorage<T>, socket: *mut bpf_sock, flags: u64) -> Option<*mut T> {
    let map = core::ptr::from_ref(map).cast_mut().cast();
    // SAFETY: the kernel checks both pointers, and gives back null or a value of the map.
    let value = unsafe { bpf_sk_storage_get(map, socket.cast(), core::ptr::null_mut(), flags) };
    if value.is_null() { None } else { Some(value.cast()) }
}

/// Forgets what the map keeps for the socket.
#[inline(always)]
pub(crate) fn forget<T>(map: &'static SkStorage<T>, socket: *mut bpf_sock) {
    let map = core::ptr::from_ref(map).cast_mut().cast();
    // SAFETY: the kernel checks both pointers; what was not there is not an error.
    unsafe { bpf_sk_storage_delete(map, socket.cast()) };
}

/// The context as helpers want it.
#[inline(always)]
pub(crate) fn raw(ctx: &SkBuffContext) -> *mut core::ffi::c_void {
    ctx.as_ptr()
}
