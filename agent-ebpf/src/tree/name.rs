//! Names that only the traced process knows: a function of Python is the file and the name that its probe gives.

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_probe_read_user_str, bpf_ringbuf_output},
};
use gait_common::wire::{
    tree::{KIND_NAME, NAME_BYTES, NAME_RECORD_BYTES, Name, START, counter, id_of_words, point::Point, step},
    word,
};

use super::{
    maps::{NAMED, PATH_BYTES, TREE_RING, count, followed},
    registers,
};
use crate::bound;

const SLASHES: u64 = word::of(b"////////");
const SEVENS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The function of a call, `file.py:name`; what cannot be read is the point's own function.
#[inline(always)]
pub(super) fn python(ctx: &impl EbpfContext, point: &Point) -> u64 {
    let file = registers::argument(ctx, &point.places[0]);
    let function = registers::argument(ctx, &point.places[1]);
    match gait_tree_name(file, function) {
        0 => {
            count(counter::UNREADABLE);
            point.function
        }
        id => id,
    }
}

/// The number of the function whose file and name are at these addresses; 0 if they cannot be read.
///
/// A function of its own, without pointers, so that the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_name(file: u64, function: u64) -> u64 {
    let Some(thread) = followed() else { return 0 };
    // SAFETY: the value belongs to this thread; every place is masked to be inside it.
    unsafe {
        let path = (&raw mut (*thread).path).cast::<u8>();
        let len = bpf_probe_read_user_str(path.cast(), PATH_BYTES as u32, file as *const _);
        if len <= 1 {
            return 0;
        }
        let file = file.wrapping_add(behind_last_slash(path, len as u64 - 1));
        // There is room for two names, the second of which begins inside the first one's.
        let text = (&raw mut (*thread).text).cast::<u8>();
        let len = bpf_probe_read_user_str(text.cast(), NAME_BYTES as u32, file as *const _);
        if len <= 0 {
            return 0;
        }
        let colon = bound::offset::<{ NAME_BYTES as u64 }>(len as u64 - 1);
        text.add(colon).write(b':');
        let mut end = colon as u64 + 1;
        if end < NAME_BYTES as u64 {
            let to = text.add(bound::offset::<{ NAME_BYTES as u64 }>(end));
            let len = bpf_probe_read_user_str(to.cast(), NAME_BYTES as u32, function as *const _);
            if len <= 0 {
                return 0;
            }
            end += len as u64 - 1;
        }
        if end > NAME_BYTES as u64 {
            end = NAME_BYTES as u64;
        }
        // The last word ends with zeroes.
        text.add(bound::offset::<256>(end)).cast::<u64>().write_unaligned(0);
        let mut state = START;
        for at in 0..NAME_BYTES as u64 / 8 {
            if at * 8 >= end {
                break;
            }
            state = step(state, text.cast::<u64>().add(at as usize).read());
        }
        let id = id_of_words(state, end);
        if NAMED.get_ptr(id).is_none() {
            send(text, id, end);
        }
        id
    }
}

/// Offset of the last part of a path of `len` bytes.
#[inline(always)]
unsafe fn behind_last_slash(path: *const u8, len: u64) -> u64 {
    let mut behind = 0;
    for at in 0..PATH_BYTES as u64 / 8 {
        if at * 8 >= len {
            break;
        }
        // SAFETY: the path has room for so many words, and is aligned.
        let x = unsafe { path.cast::<u64>().add(at as usize).read() } ^ SLASHES;
        let mut hits = !(((x & SEVENS) + SEVENS) | x | SEVENS);
        let rest = len - at * 8;
        if rest < 8 {
            hits &= (1 << (rest * 8)) - 1;
        }
        if hits != 0 {
            behind = at * 8 + u64::from((63 - hits.leading_zeros()) / 8) + 1;
        }
    }
    behind
}

/// Tells the agent what the function is called.
#[inline(always)]
unsafe fn send(text: *mut u8, id: u64, len: u64) {
    if NAMED.insert(id, 1, 0).is_err() {
        return;
    }
    let mut name = Name { kind: KIND_NAME, len: len as u32, function: id, text: [0; NAME_BYTES] };
    for at in 0..NAME_BYTES / 8 {
        if at as u64 * 8 >= len {
            break;
        }
        // SAFETY: both are inside texts of that length.
        unsafe {
            let word = text.cast::<u64>().add(at).read();
            (&raw mut name.text).cast::<u64>().add(at).write(word);
        }
    }
    // SAFETY: the ring copies the record.
    let sent = unsafe {
        let ring = core::ptr::from_ref(&TREE_RING).cast_mut().cast();
        let flags = u64::from(BPF_RB_NO_WAKEUP);
        bpf_ringbuf_output(ring, (&raw mut name).cast(), NAME_RECORD_BYTES as u64, flags)
    };
    if sent != 0 {
        let _ = NAMED.remove(id);
        count(counter::NAMES_LOST);
    }
}
