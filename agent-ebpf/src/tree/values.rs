//! Chosen arguments and return values: taken where a call begins or returns, kept beside the thread's calls until its tree
//! is complete, and then counted under the tree's code.
//!
//! A tree's code is known only when its outermost call has returned, so values wait with the thread. Each counts once in a
//! tree however often it came, as a loop is one code however often it ran. Threads, values of a tree and values of a code
//! are bounded; the agent takes out what was counted, and so makes room again.

use aya_ebpf::{
    EbpfContext, Global,
    bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, BPF_NOEXIST},
    helpers::generated::{
        bpf_get_current_task_btf, bpf_probe_read_user, bpf_probe_read_user_str, bpf_task_storage_get,
    },
    macros::{btf_map, map},
    maps::{Array, HashMap},
};
use gait_common::wire::tree::{
    counter,
    point::{MEMORY, Point, Take, Takes},
    value::{
        HASHED, MAX_HELD, MAX_HELD_EACH, MAX_VALUES_EACH, NULL, OTHER, SIGNED, TAKES as PLACES, TEXT,
        TEXT_BYTES, Value, ValueCount, ValueKey, WORDS, extend,
    },
};

use super::{
    maps::{TaskStorage, count, followed},
    registers,
};
use crate::{atomic, bound};

/// Whether any value is taken at all: without it nothing of this is part of the program.
#[unsafe(no_mangle)]
static VALUES: Global<u8> = Global::new(0);

/// The values of a thread's tree.
#[repr(C)]
struct Held {
    /// When the tree began that they are of.
    tree: u64,
    /// How many there are.
    count: u32,
    unused: u32,
    values: [Value; MAX_HELD],
}

/// What is taken at the points that have values, by their cookies.
#[map]
static TAKES: Array<Takes> = Array::with_max_entries(1, 0);
#[btf_map]
static HELD: TaskStorage<Held> = TaskStorage::new();
/// How often each value was seen since the agent last took them out.
#[map]
static TREE_VALUES: HashMap<ValueKey, ValueCount> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

static NOTHING: ValueCount = ValueCount { trees: 0, distinct: 0 };
static ONCE: ValueCount = ValueCount { trees: 1, distinct: 0 };

/// Whether trees may have values.
#[inline(always)]
pub(super) fn any() -> bool {
    VALUES.load() != 0
}

/// Whether values are taken at this point.
#[inline(always)]
pub(super) fn wanted(point: &Point) -> bool {
    any() && point.values != 0
}

/// Takes what is wanted of a call of `function`, which is open.
#[inline(always)]
pub(super) fn take(ctx: &impl EbpfContext, cookie: u64, function: u64) {
    let Some(takes) = TAKES.get(cookie as u32) else { return };
    for number in 0..PLACES {
        let take = &takes.takes[number];
        if take.bytes == 0 {
            break;
        }
        if take.function != 0 && take.function != function {
            continue;
        }
        let found = registers::locate(ctx, &take.place);
        gait_tree_value(function, found, cookie as u32, number as u32);
    }
}

/// Takes one value: `found` holds it, or is its address in memory. A function of its own, without pointers, so that the
/// verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_value(function: u64, found: u64, cookie: u32, number: u32) -> u32 {
    let Some(takes) = TAKES.get(cookie) else { return 0 };
    // SAFETY: masked, the place is inside.
    let take: &Take = unsafe {
        let at = bound::offset::<{ PLACES as u64 }>(u64::from(number));
        &*(&raw const takes.takes).cast::<Take>().add(at)
    };
    let Some(thread) = followed() else { return 0 };
    // SAFETY: the value belongs to this thread; the kernel frees it no sooner than the program has ended.
    let (depth, tree) = unsafe { ((*thread).fold.depth(), (*thread).fold.header.start_ns) };
    // A call that is not followed, for want of room.
    if depth == 0 {
        return 0;
    }
    let mut raw = found;
    if take.place.kind == MEMORY {
        let bytes = if take.kind & !HASHED == TEXT { 8 } else { take.bytes };
        let len = bound::length::<8>(u64::from(bytes));
        raw = 0;
        // SAFETY: the helper leaves zeroes where the address cannot be read.
        if unsafe { bpf_probe_read_user((&raw mut raw).cast(), len, found as *const _) } != 0 {
            count(counter::VALUES_UNREADABLE);
            return 0;
        }
    }
    let mut value = Value { function, words: [0; WORDS], which: take.which, kind: take.kind, unused: [0; 6] };
    if take.kind & !HASHED != TEXT {
        let signed = take.kind & !HASHED == SIGNED;
        value.words[0] = extend(raw >> (take.shift & 8), take.bytes, signed);
    } else if raw == 0 {
        value.kind = NULL;
    } else {
        // One byte more than is kept, for the zero at the end.
        let mut text = [0_u64; WORDS + 1];
        // SAFETY: the text has room for so many bytes.
        let len = unsafe {
            bpf_probe_read_user_str((&raw mut text).cast(), TEXT_BYTES as u32 + 1, raw as *const _)
        };
        if len <= 0 {
            count(counter::VALUES_UNREADABLE);
            return 0;
        }
        value.words = [text[0], text[1], text[2], text[3]];
    }
    hold(tree, &value);
    0
}

/// Keeps a value until the thread's tree is complete, unless the tree has it already.
#[inline(always)]
fn hold(tree: u64, value: &Value) {
    let Some(held) = held(BPF_LOCAL_STORAGE_GET_F_CREATE) else {
        count(counter::VALUES_FULL);
        return;
    };
    // SAFETY: the value belongs to this thread, whose programs do not run beside each other; masked, the places are
    // inside.
    unsafe {
        if (*held).tree != tree {
            (*held).tree = tree;
            (*held).count = 0;
        }
        let used = (*held).count;
        let mut same = 0;
        for at in 0..MAX_HELD as u32 {
            if at >= used {
                break;
            }
            let at = bound::offset::<{ MAX_HELD as u64 }>(u64::from(at));
            let other = &*(&raw const (*held).values).cast::<Value>().add(at);
            if other.is_of(value) {
                if other.kind == value.kind
                    && other.words[0] == value.words[0]
                    && other.words[1] == value.words[1]
                    && other.words[2] == value.words[2]
                    && other.words[3] == value.words[3]
                {
                    return;
                }
                same += 1;
            }
        }
        // The last one of an argument stands for all that are beyond.
        if same > MAX_HELD_EACH {
            return;
        }
        if used >= MAX_HELD as u32 {
            count(counter::VALUES_FULL);
            return;
        }
        let at = bound::offset::<{ MAX_HELD as u64 }>(u64::from(used));
        let to = (&raw mut (*held).values).cast::<Value>().add(at);
        to.write(*value);
        if same == MAX_HELD_EACH {
            (*to).kind = OTHER;
            (*to).words = [0; WORDS];
        }
        (*held).count = used + 1;
    }
}

/// Counts the values of the thread's tree, which is complete. As [`gait_tree_value`], a function of its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn gait_tree_values() -> u32 {
    let Some(thread) = followed() else { return 0 };
    let Some(held) = held(0) else { return 0 };
    // SAFETY: as in `hold`.
    let (same, count) = unsafe { ((*held).tree == (*thread).fold.header.start_ns, (*held).count) };
    if same {
        for at in 0..MAX_HELD as u32 {
            if at >= count {
                break;
            }
            gait_tree_count_value(at);
        }
    }
    0
}

/// Counts one of them. As [`gait_tree_value`], a function of its own.
#[unsafe(no_mangle)]
#[inline(never)]
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "the key is too large for the stack more than once"
)]
extern "C" fn gait_tree_count_value(at: u32) -> u32 {
    let Some(thread) = followed() else { return 0 };
    let Some(held) = held(0) else { return 0 };
    // SAFETY: as in `hold`.
    let mut key = unsafe {
        let at = bound::offset::<{ MAX_HELD as u64 }>(u64::from(at));
        let header = &(*thread).fold.header;
        let value = (&raw const (*held).values).cast::<Value>().add(at).read();
        ValueKey { root: header.root, ordered: header.ordered, value }
    };
    if let Some(known) = TREE_VALUES.get_ptr_mut(&key) {
        // SAFETY: the map's value stays readable while the program runs.
        unsafe { atomic::add(&raw mut (*known).trees, 1) };
        count(counter::VALUES);
        return 0;
    }
    let kind = key.value.kind;
    let words = key.value.words;
    key.value.kind = OTHER;
    key.value.words = [0; WORDS];
    if TREE_VALUES.get_ptr_mut(&key).is_none() {
        let nothing = &NOTHING;
        let _ = TREE_VALUES.insert(&key, nothing, u64::from(BPF_NOEXIST));
    }
    let Some(others) = TREE_VALUES.get_ptr_mut(&key) else {
        count(counter::VALUES_FULL);
        return 0;
    };
    // SAFETY: as above.
    unsafe {
        if kind != OTHER && atomic::fetch_add(&raw mut (*others).distinct, 1) < MAX_VALUES_EACH {
            key.value.kind = kind;
            key.value.words = words;
            let once = &ONCE;
            if TREE_VALUES.insert(&key, once, u64::from(BPF_NOEXIST)).is_err() {
                // Another CPU was faster; or there is no room, which makes the value none of the others.
                let Some(known) = TREE_VALUES.get_ptr_mut(&key) else {
                    count(counter::VALUES_FULL);
                    return 0;
                };
                atomic::add(&raw mut (*known).trees, 1);
            }
        } else {
            atomic::add(&raw mut (*others).trees, 1);
        }
    }
    count(counter::VALUES);
    0
}

/// The values of the current thread.
#[inline(always)]
fn held(flags: u32) -> Option<*mut Held> {
    // SAFETY: the kernel gives back null or a value of the map.
    let value = unsafe {
        bpf_task_storage_get(HELD.raw(), bpf_get_current_task_btf(), core::ptr::null_mut(), u64::from(flags))
    };
    if value.is_null() { None } else { Some(value.cast()) }
}
