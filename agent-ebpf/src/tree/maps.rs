//! What the tree coder keeps.

use core::ffi::c_void;

use aya_ebpf::{
    Global,
    bindings::{
        BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE,
        task_struct,
    },
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_task_btf, bpf_task_storage_delete, bpf_task_storage_get},
    },
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use gait_common::wire::tree::{
    ENTRY_BYTES, Fold, Key, MAX_ENTRIES, NAME_BYTES, Statistics, counter, point::Point,
};

use crate::{atomic, connection::Slot};

/// Whether call trees are coded at all: without it nothing of this is part of the other programs.
#[unsafe(no_mangle)]
static TREES: Global<u8> = Global::new(0);
/// Most threads whose calls are followed at a time.
#[unsafe(no_mangle)]
static MAX_THREADS: Global<u64> = Global::new(10_000);
/// Whether `gait_thread_end` is attached; without it nobody would count the threads that end.
#[unsafe(no_mangle)]
static THREAD_END_HOOK: Global<u8> = Global::new(0);

#[inline(always)]
pub(crate) fn trees() -> bool {
    TREES.load() != 0
}

/// A map whose values belong to a task and end with it.
///
/// Laid out as the loader reads maps from BTF, for `aya_ebpf` has this kind of map for sockets and inodes only.
#[repr(C)]
pub(crate) struct TaskStorage<T: 'static> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the fields are a description for the loader and are never read by a program.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    pub(super) const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    pub(super) const fn raw(&'static self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

/// What is kept of a thread that calls functions.
#[repr(C)]
pub(crate) struct Thread {
    pub(crate) fold: Fold,
    /// Bytes read from the process: a path.
    pub(crate) path: [u8; PATH_BYTES],
    /// A function's name under construction, with room for a second one that begins inside it.
    pub(crate) text: [u8; 2 * NAME_BYTES + 8],
}

/// Bytes of a path that are looked at.
pub(crate) const PATH_BYTES: usize = 256;

/// Which request a thread works on. Seen from packet programs as well, which have no storage of threads.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Tie {
    /// Cookie of the connection that the thread last received a request from, 0 once the response is out.
    pub(crate) cookie: u64,
    /// Whether a call is open.
    pub(crate) open: u32,
    /// Whether a record waits for that call in [`DEFERRED`].
    pub(crate) deferred: u32,
    /// Whether the open call has outlived a request before: no record waits for it any more.
    pub(crate) lasting: u32,
    /// Whether the thread has answered another request than it received last: it works on several at a time.
    pub(crate) interleaves: u32,
    /// Whether no call has ended since the thread last received.
    pub(crate) fresh: u32,
    pub(crate) unused: u32,
}

/// Trees that ended within a request whose response is not out yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) entries: [[u64; ENTRY_BYTES / 8]; MAX_ENTRIES],
    pub(crate) count: u32,
    pub(crate) flags: u32,
}

#[btf_map]
static THREADS: TaskStorage<Thread> = TaskStorage::new();
/// Threads in [`THREADS`].
#[map]
static LIVE_THREADS: Array<u64> = Array::with_max_entries(1, 0);
/// The places that programs are attached to, by their cookies.
#[map]
static POINTS: Array<Point> = Array::with_max_entries(1, 0);
/// How often each of them was reached.
#[map]
static POINT_HITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static TREE_STATS: PerCpuHashMap<Key, Statistics> =
    PerCpuHashMap::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static TIES: LruHashMap<u32, Tie> = LruHashMap::with_max_entries(1, 0);
#[map]
pub(crate) static REQUESTS: LruHashMap<u64, Request> = LruHashMap::with_max_entries(1, 0);
/// Records that wait for a tree to end, by thread.
#[map]
pub(crate) static DEFERRED: HashMap<u32, Slot> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);
/// Functions whose names have been sent.
#[map]
pub(crate) static NAMED: LruHashMap<u64, u8> = LruHashMap::with_max_entries(1, 0);
#[map]
pub(crate) static TREE_RING: RingBuf = RingBuf::with_byte_size(4096, 0);
/// Counters, by the numbers in `wire::tree::counter`.
#[map]
static TREE_COUNTERS: PerCpuArray<[u64; counter::COUNT as usize]> = PerCpuArray::with_max_entries(1, 0);

/// Counts one more.
#[inline(always)]
pub(crate) fn count(counter: u32) {
    if let Some(counters) = TREE_COUNTERS.get_ptr_mut(0) {
        // SAFETY: the map's value lives as long as the program, and the counters' numbers are constants.
        unsafe { atomic::add(counters.cast::<u64>().add(counter as usize), 1) };
    }
}

/// What is known of the place with this cookie, which is reached.
#[inline(always)]
pub(crate) fn point(cookie: u64) -> Option<&'static Point> {
    let point = POINTS.get(cookie as u32).filter(|point| point.function != 0)?;
    if let Some(hits) = POINT_HITS.get_ptr_mut(cookie as u32) {
        // For the breaker, which does not mind if a program that is interrupted right here loses one.
        // SAFETY: the map's value lives as long as the program.
        unsafe { hits.write_volatile(hits.read_volatile().wrapping_add(1)) };
    }
    Some(point)
}

/// The thread's number, unique on the host.
#[inline(always)]
pub(crate) fn thread_number() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The current thread, if it is followed.
#[inline(always)]
pub(crate) fn followed() -> Option<*mut Thread> {
    // SAFETY: the kernel gives back null or a value of the map.
    let value =
        unsafe { bpf_task_storage_get(THREADS.raw(), bpf_get_current_task_btf(), core::ptr::null_mut(), 0) };
    if value.is_null() { None } else { Some(value.cast()) }
}

/// The current thread, followed from now on if it was not and there is room.
#[inline(always)]
pub(crate) fn follow() -> Option<*mut Thread> {
    if let Some(thread) = followed() {
        return Some(thread);
    }
    if !take_place() {
        count(counter::THREADS_FULL);
        return None;
    }
    // SAFETY: as above.
    let value = unsafe {
        bpf_task_storage_get(
            THREADS.raw(),
            bpf_get_current_task_btf(),
            core::ptr::null_mut(),
            u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE),
        )
    };
    if value.is_null() {
        leave_place();
        count(counter::THREADS_FULL);
        return None;
    }
    Some(value.cast())
}

/// What is kept of a task that ends.
#[inline(always)]
pub(crate) fn followed_task(task: *mut task_struct) -> Option<*mut Thread> {
    // SAFETY: as above.
    let value = unsafe { bpf_task_storage_get(THREADS.raw(), task, core::ptr::null_mut(), 0) };
    if value.is_null() { None } else { Some(value.cast()) }
}

/// Forgets a task that ends.
#[inline(always)]
pub(crate) fn forget_task(task: *mut task_struct) {
    // SAFETY: the kernel checks the task; what was not there is not an error.
    if unsafe { bpf_task_storage_delete(THREADS.raw(), task) } == 0 {
        leave_place();
    }
}

#[inline(always)]
fn take_place() -> bool {
    if THREAD_END_HOOK.load() == 0 {
        return true;
    }
    let Some(live) = LIVE_THREADS.get_ptr_mut(0) else { return false };
    // SAFETY: the map's value is an aligned u64 that lives as long as the program.
    unsafe {
        if atomic::fetch_add(live, 1) < MAX_THREADS.load() {
            return true;
        }
        atomic::add(live, u64::MAX);
    }
    false
}

#[inline(always)]
fn leave_place() {
    if let (true, Some(live)) = (THREAD_END_HOOK.load() != 0, LIVE_THREADS.get_ptr_mut(0)) {
        // SAFETY: as in `take_place`.
        unsafe { atomic::add(live, u64::MAX) };
    }
}
