//! Counts a tree under its code; a code that is new sends its nodes first.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::generated::bpf_ringbuf_output,
};
use gait_common::wire::tree::{
    FAILED, HEADER_BYTES, Key, MAX_NODES, Statistics, TRUNCATED, UNRETURNED, bucket, counter,
};

use super::maps::{TREE_RING, TREE_STATS, Thread, count};
use crate::atomic;

/// Bytes of a new tree's record without its functions.
const FIXED_BYTES: u64 = (HEADER_BYTES + MAX_NODES + 1) as u64;

/// A code that nobody counted yet.
static NOTHING: Statistics = Statistics { calls: 0, failures: 0, sum_ns: 0, buckets: [0; 64] };

/// Counts the thread's tree, which has just ended; says whether there was room for it.
#[inline(always)]
pub(super) fn count_tree(thread: *mut Thread) -> bool {
    count(counter::TREES);
    // SAFETY: the value belongs to this thread; the kernel frees it no sooner than the program has ended.
    let header = unsafe { &(*thread).fold.header };
    if header.flags & TRUNCATED != 0 {
        count(counter::TRUNCATED);
    }
    let key = Key { root: header.root, ordered: header.ordered };
    let mut known = TREE_STATS.get_ptr_mut(key);
    if known.is_none() {
        // By reference, for it is too large for the stack.
        let nothing = &NOTHING;
        if TREE_STATS.insert(key, nothing, u64::from(BPF_NOEXIST)).is_ok() {
            // Nobody else sends it.
            if !send(thread) {
                let _ = TREE_STATS.remove(key);
                count(counter::RING_FULL);
                return false;
            }
        }
        known = TREE_STATS.get_ptr_mut(key);
    }
    let Some(statistics) = known else {
        count(counter::CODES_FULL);
        return false;
    };
    count(counter::COUNTED);
    // SAFETY: the value is this CPU's; the bucket is below their number.
    unsafe {
        atomic::add(&raw mut (*statistics).calls, 1);
        if header.flags & (FAILED | UNRETURNED) != 0 {
            atomic::add(&raw mut (*statistics).failures, 1);
        }
        if header.flags & UNRETURNED == 0 {
            atomic::add(&raw mut (*statistics).sum_ns, header.duration_ns);
            let at = crate::bound::offset::<64>(u64::from(bucket(header.duration_ns)));
            atomic::add32((&raw mut (*statistics).buckets).cast::<u32>().add(at), 1);
        }
    }
    true
}

/// Hands the nodes of the thread's tree to the ring.
#[inline(always)]
fn send(thread: *mut Thread) -> bool {
    // SAFETY: the record is the fold's beginning, and the number of nodes below that of its places.
    let sent = unsafe {
        let nodes = crate::bound::offset::<{ MAX_NODES as u64 + 1 }>(u64::from((*thread).fold.header.nodes));
        let len = FIXED_BYTES + nodes as u64 * 8;
        let ring = core::ptr::from_ref(&TREE_RING).cast_mut().cast();
        bpf_ringbuf_output(ring, (&raw mut (*thread).fold).cast(), len, u64::from(BPF_RB_NO_WAKEUP))
    };
    if sent == 0 {
        count(counter::NEW);
    }
    sent == 0
}
