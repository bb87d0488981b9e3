//! Ties trees to the request that their thread works on.
//!
//! The thread that last received from an HTTP connection works on its request. A tree that ends there is kept
//! with the connection until the response goes out, and leaves in the exchange's record. A thread that was seen to answer
//! another request than it received last has several under way, as an event loop does: there, only the call that
//! received, or the next one, is taken to belong to what was received. Many a server sends its response
//! from inside the very call that is followed: then the record waits in [`DEFERRED`] until that call returns, so that
//! request and trees are one event. A record does not wait for ever: it is released without the tree when its thread
//! receives again or ends, and by the agent after a second. A call that has outlived a request, such as a server's event
//! loop, makes no record wait again.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_probe_read_kernel};
use gait_common::wire::{
    exchange::{HEAD_BYTES, TREES, TREES_SHIFT},
    tree::{ENTRY_BYTES, Entry, MAX_ENTRIES, OPEN, counter},
};

use super::maps::{DEFERRED, REQUESTS, Request, TIES, Thread, Tie, count, followed, thread_number};
use crate::{
    bound,
    connection::{BLANK, Slot},
    exchange,
    maps::current_thread_known,
};

const NO_TIE: Tie = Tie { cookie: 0, open: 0, deferred: 0, lasting: 0, interleaves: 0, fresh: 0, unused: 0 };
static NO_TREES: Request = Request { entries: [[0; ENTRY_BYTES / 8]; MAX_ENTRIES], count: 0, flags: 0 };

/// The current thread has received from the connection with this cookie.
#[inline(always)]
pub(crate) fn received(cookie: u64) {
    let number = thread_number();
    let Some(tie) = TIES.get_ptr_mut(number) else {
        let _ = TIES.insert(number, Tie { cookie, fresh: 1, ..NO_TIE }, 0);
        return;
    };
    // SAFETY: the value stays readable while the program runs, as do those below.
    unsafe {
        if (*tie).deferred != 0 {
            release(tie, number);
            (*tie).lasting = 1;
        }
        (*tie).cookie = cookie;
        (*tie).fresh = 1;
    }
}

/// The current thread's outermost call begins.
#[inline(always)]
pub(super) fn opens() {
    let number = thread_number();
    match TIES.get_ptr_mut(number) {
        // SAFETY: as in `received`.
        Some(tie) => unsafe {
            (*tie).lasting = 0;
            (*tie).open = 1;
        },
        None => _ = TIES.insert(number, Tie { open: 1, ..NO_TIE }, 0),
    }
}

/// The current thread's outermost call has ended, with this tree.
#[inline(always)]
pub(super) fn closes(thread: *mut Thread) {
    let number = thread_number();
    let Some(tie) = TIES.get_ptr_mut(number) else { return };
    // SAFETY: as in `received`.
    unsafe {
        (*tie).open = 0;
        let fresh = (*tie).fresh != 0;
        (*tie).fresh = 0;
        let header = &(*thread).fold.header;
        let entry = Entry {
            root: header.root,
            ordered: header.ordered,
            duration_ns: header.duration_ns,
            flags: header.flags,
            unused: 0,
        };
        if (*tie).deferred != 0 {
            (*tie).deferred = 0;
            if let Some(slot) = DEFERRED.get_ptr_mut(number) {
                add(slot, &entry);
                exchange::output(slot);
                let _ = DEFERRED.remove(number);
            }
        } else if (*tie).cookie != 0 && (fresh || (*tie).interleaves == 0) {
            keep((*tie).cookie, &entry);
        }
    }
}

/// The current thread ends.
#[inline(always)]
pub(super) fn thread_ended() {
    let number = thread_number();
    let Some(tie) = TIES.get_ptr_mut(number) else { return };
    // SAFETY: as in `received`.
    if unsafe { (*tie).deferred } != 0 {
        release(tie, number);
    }
    let _ = TIES.remove(number);
}

/// The response to the request in `slot` goes out, on the connection with this cookie; whether its record waits for a
/// call to end. Otherwise the slot now has its trees.
#[inline(always)]
pub(crate) fn answered(slot: *mut Slot, cookie: u64) -> bool {
    if let Some(request) = REQUESTS.get_ptr(cookie) {
        // SAFETY: as in `received`; masked, the entries are inside their place in the slot.
        unsafe {
            let trees = (*request).count;
            if trees != 0 {
                let to = behind_head(slot);
                let bytes = bound::length::<{ (ENTRY_BYTES * MAX_ENTRIES) as u64 }>(
                    u64::from(trees) * ENTRY_BYTES as u64,
                );
                bpf_probe_read_kernel(to.cast(), bytes, (&raw const (*request).entries).cast());
                (*slot).record.flags |= (trees as u16) << TREES_SHIFT;
            }
        }
        let _ = REQUESTS.remove(cookie);
    }
    // SAFETY: as in `received`.
    let number = unsafe { (*slot).record.thread } as u32;
    let Some(tie) = TIES.get_ptr_mut(number) else { return false };
    // SAFETY: as in `received`.
    unsafe {
        if (*tie).cookie == cookie {
            (*tie).cookie = 0;
        } else if (*tie).cookie != 0 {
            (*tie).interleaves = 1;
        }
        let waits = (*tie).open != 0 && (*tie).lasting == 0 && (*tie).deferred == 0;
        if !waits || (current_thread_known() && bpf_get_current_pid_tgid() as u32 != number) {
            return false;
        }
        let blank = &BLANK;
        if DEFERRED.insert(number, blank, 0).is_err() {
            return false;
        }
        let Some(waiting) = DEFERRED.get_ptr_mut(number) else { return false };
        bpf_probe_read_kernel(waiting.cast(), size_of::<Slot>() as u32, slot.cast());
        (*tie).deferred = 1;
        count(counter::DEFERRED);
    }
    true
}

/// Lets the record that waits for the current thread's call go without its tree.
#[inline(always)]
fn release(tie: *mut Tie, number: u32) {
    // SAFETY: as in `received`.
    unsafe {
        (*tie).deferred = 0;
        let Some(slot) = DEFERRED.get_ptr_mut(number) else { return };
        if let Some(thread) = followed() {
            let root = (*thread).fold.header.root;
            if root != 0 {
                add(slot, &Entry { root, ordered: 0, duration_ns: 0, flags: OPEN, unused: 0 });
            }
        }
        count(counter::RELEASED);
        exchange::output(slot);
        let _ = DEFERRED.remove(number);
    }
}

/// Keeps a tree with the request that the connection waits to be answered.
#[inline(always)]
fn keep(cookie: u64, entry: &Entry) {
    let mut request = REQUESTS.get_ptr_mut(cookie);
    if request.is_none() {
        // By reference, for it is too large for the stack.
        let nothing = &NO_TREES;
        let _ = REQUESTS.insert(cookie, nothing, 0);
        request = REQUESTS.get_ptr_mut(cookie);
    }
    let Some(request) = request else {
        count(counter::UNTIED);
        return;
    };
    // SAFETY: as in `received`; masked, the entry is inside.
    unsafe {
        let trees = (*request).count;
        if trees >= MAX_ENTRIES as u32 {
            count(counter::UNTIED);
            return;
        }
        let at = bound::offset::<{ MAX_ENTRIES as u64 }>(u64::from(trees));
        (&raw mut (*request).entries).cast::<Entry>().add(at).write(*entry);
        (*request).count = trees + 1;
    }
    count(counter::TIED);
}

/// Adds a tree to a record.
#[inline(always)]
unsafe fn add(slot: *mut Slot, entry: &Entry) {
    // SAFETY: masked, the entry is inside the slot.
    unsafe {
        let flags = (*slot).record.flags;
        let trees = u64::from(flags >> TREES_SHIFT);
        if trees >= MAX_ENTRIES as u64 {
            count(counter::UNTIED);
            return;
        }
        let at = bound::offset::<{ MAX_ENTRIES as u64 }>(trees) * ENTRY_BYTES;
        let to = behind_head(slot).add(at);
        bpf_probe_read_kernel(to.cast(), ENTRY_BYTES as u32, core::ptr::from_ref(entry).cast());
        (*slot).record.flags = flags & !TREES | ((trees + 1) as u16) << TREES_SHIFT;
    }
    count(counter::TIED);
}

/// Where the trees of a record are.
#[inline(always)]
unsafe fn behind_head(slot: *mut Slot) -> *mut u8 {
    // SAFETY: masked, the place is in the first half of the head's room, or right behind it.
    unsafe {
        let len = bound::length::<{ HEAD_BYTES as u64 }>(u64::from((*slot).record.head_len));
        (&raw mut (*slot).head).cast::<u8>().add(len as usize)
    }
}
