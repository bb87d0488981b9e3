//! The tree coder: follows the calls of each thread and codes them as they end.
//!
//! A thread's open calls are in storage that belongs to the task ([`maps`]) and cannot outlive it. A call that begins or
//! ends first puts right what went unseen ([`Fold::is_dead`]): no return that never comes can leave a thread wrong. When
//! the outermost call ends, its code is counted ([`statistics`]), and tied to the request that the thread works
//! on ([`tie`]).

pub(crate) mod maps;
mod name;
mod registers;
mod statistics;
pub(crate) mod tie;
mod values;

use aya_ebpf::{
    EbpfContext,
    bindings::task_struct,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_attach_cookie, bpf_ktime_get_ns},
    },
    programs::BtfTracePointContext,
};
use gait_common::wire::tree::{
    DEAD, FAILED, Fold, MAX_DEPTH, NONE, RETURNED, ROOT, TRUNCATED, counter,
    point::{ENTER, PYTHON, Point, RETURN, TAIL, USDT_ENTER, USDT_RETURN},
};

use maps::{count, follow, followed, point};

/// In place of a link: the call was announced by a USDT probe.
const USDT: u32 = 1 << 16;

/// A place that a program is attached to is reached.
#[inline(always)]
pub(crate) fn reached(ctx: &impl EbpfContext) {
    // SAFETY: the helper has no conditions.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let Some(point) = point(cookie) else { return };
    match point.kind {
        ENTER | USDT_ENTER => begins(ctx, cookie, point),
        _ => ends(ctx, cookie, point),
    }
}

#[inline(always)]
fn begins(ctx: &impl EbpfContext, cookie: u64, point: &Point) {
    let mark = Fold::mark_of(registers::stack_pointer(ctx));
    let (mut function, mut link) = (point.function, USDT);
    if point.kind == ENTER {
        link = u32::from(registers::link(ctx));
    } else if point.naming == PYTHON {
        if follow().is_none() {
            return;
        }
        function = name::python(ctx, point);
    }
    // What was not entered has no part in the tree.
    if gait_tree_begin(function, mark, link, u32::from(point.max_depth)) != 0 && values::wanted(point) {
        values::take(ctx, cookie, function);
    }
}

#[inline(always)]
fn ends(ctx: &impl EbpfContext, cookie: u64, point: &Point) {
    let function = point.function;
    let mark = Fold::mark_of(match point.kind {
        RETURN => registers::entry_stack_pointer(ctx),
        _ => registers::stack_pointer(ctx),
    });
    let (flags, link) = match point.kind {
        USDT_RETURN => (0, USDT),
        TAIL => (0, 0),
        _ => (failed(ctx, point), 0),
    };
    // As in `begins`.
    if values::wanted(point) && gait_tree_find(function, mark, link) != 0 {
        values::take(ctx, cookie, function);
    }
    gait_tree_end(function, mark, flags, link);
}

/// What a call's return value says of its tree.
#[inline(always)]
fn failed(ctx: &impl EbpfContext, point: &Point) -> u32 {
    if point.fails(registers::return_value(ctx)) { FAILED } else { 0 }
}

/// A thread ends.
#[inline(always)]
pub(crate) fn thread_ended(ctx: &BtfTracePointContext) {
    let task: *mut task_struct = ctx.arg(0);
    if let Some(thread) = maps::followed_task(task) {
        // SAFETY: the kernel frees the value no sooner than the program has ended.
        if unsafe { (*thread).fold.depth() } != 0 {
            count(counter::ABANDONED);
        }
        maps::forget_task(task);
    }
    tie::thread_ended();
}

/// A call begins at `mark` of the stack; whether it is followed. A function of its own, without pointers, so that the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_begin(function: u64, mark: u32, link: u32, max_depth: u32) -> u32 {
    let Some(thread) = follow() else { return 0 };
    // SAFETY: the value belongs to this thread, whose programs do not run beside each other; the kernel frees it no
    // sooner than the program has ended.
    let fold = unsafe { &mut (*thread).fold };
    // Each turn ends one call whose end went unseen.
    for _ in 0..MAX_DEPTH {
        let dead = if link == USDT {
            fold.is_dead_near(mark)
        } else {
            fold.is_dead(mark) || (fold.is_at(mark) && !fold.is_tail_call(function, link as u16))
        };
        if !dead {
            break;
        }
        count(counter::UNSEEN);
        if gait_tree_leave(DEAD) == ROOT {
            gait_tree_complete(0);
            break;
        }
    }
    if fold.depth() == 0 {
        // SAFETY: the helper has no conditions.
        fold.header.start_ns = unsafe { bpf_ktime_get_ns() };
        tie::opens();
    }
    if fold.depth() >= max_depth {
        fold.mark(TRUNCATED);
        return 0;
    }
    fold.enter_at(function, mark, link as u16);
    1
}

/// A call that began at `mark` ends; `flags` are added to its tree. As [`gait_tree_begin`], a function of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_end(function: u64, mark: u32, flags: u32, link: u32) -> u32 {
    let Some(thread) = followed() else { return 0 };
    // SAFETY: as in `gait_tree_begin`.
    let fold = unsafe { &mut (*thread).fold };
    let calls = gait_tree_find(function, mark, link);
    if calls == 0 {
        count(counter::STRAY);
        return 0;
    }
    fold.mark(flags);
    // Those inside it ended unseen.
    for turn in 1..=MAX_DEPTH as u32 {
        if turn >= calls {
            break;
        }
        count(counter::UNSEEN);
        gait_tree_leave(DEAD);
    }
    if gait_tree_leave(RETURNED) == ROOT {
        gait_tree_complete(1);
    }
    0
}

/// How many calls end with the one that began at `mark`. As [`gait_tree_begin`], a function of its own: of its outcome
/// the verifier knows nothing, and does not go through what follows for each.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_find(function: u64, mark: u32, link: u32) -> u32 {
    let Some(thread) = followed() else { return 0 };
    // SAFETY: as in `gait_tree_begin`.
    let fold = unsafe { &(*thread).fold };
    if link == USDT { fold.ends_near(mark) } else { fold.ends(function, mark) }
}

/// The innermost open call ends. As [`gait_tree_begin`], a function of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_leave(how: u32) -> u32 {
    // SAFETY: as in `gait_tree_begin`.
    followed().map_or(NONE, |thread| unsafe { (*thread).fold.leave_tracked(how) })
}

/// The tree of the current thread is complete. As [`gait_tree_begin`], a function of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_complete(returned: u32) -> u32 {
    let Some(thread) = followed() else { return 0 };
    // SAFETY: as in `gait_tree_begin`.
    let fold = unsafe { &mut (*thread).fold };
    let header = &mut fold.header;
    header.duration_ns = 0;
    if returned != 0 {
        // SAFETY: the helper has no conditions.
        header.duration_ns = unsafe { bpf_ktime_get_ns() }.wrapping_sub(header.start_ns);
    }
    header.thread = bpf_get_current_pid_tgid();
    if statistics::count_tree(thread) && values::any() {
        values::gait_tree_values();
    }
    tie::closes(thread);
    0
}
