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

use aya_ebpf::{
    EbpfContext, bindings::task_struct, helpers::bpf_get_current_pid_tgid,
    helpers::generated::bpf_get_attach_cookie, helpers::generated::bpf_ktime_get_ns,
    programs::BtfTracePointContext,
};
use gait_common::wire::tree::{
    DEAD, FAILED, Fold, MAX_DEPTH, NONE, RETURNED, ROOT, counter,
    point::{PYTHON, Point},
};

use maps::{count, follow, followed, point};

/// Open calls among which the one that returns is looked for.
const LOOK: u32 = 64;

/// A function's first instruction is reached.
#[inline(always)]
pub(crate) fn enter(ctx: &impl EbpfContext) {
    let Some(point) = here(ctx) else { return };
    let mark = Fold::mark_of(registers::stack_pointer(ctx));
    begin(point.function, mark, u32::from(registers::link(ctx)));
}

/// A USDT probe says that a call begins.
#[inline(always)]
pub(crate) fn usdt_enter(ctx: &impl EbpfContext) {
    let Some(point) = here(ctx) else { return };
    if follow().is_none() {
        return;
    }
    let mut function = point.function;
    if point.naming == PYTHON {
        function = name::python(ctx, point);
    }
    begin(function, Fold::mark_of(registers::stack_pointer(ctx)), USDT);
}

/// A call has returned, the stack pointer is behind its return address.
#[inline(always)]
pub(crate) fn returned(ctx: &impl EbpfContext) {
    let Some(point) = here(ctx) else { return };
    let mark = Fold::mark_of(registers::entry_stack_pointer(ctx));
    end(point.function, mark, failed(point, registers::return_value(ctx)), 0);
}

/// A call is about to return, the stack pointer is at its return address.
#[inline(always)]
pub(crate) fn exits(ctx: &impl EbpfContext) {
    let Some(point) = here(ctx) else { return };
    let mark = Fold::mark_of(registers::stack_pointer(ctx));
    end(point.function, mark, failed(point, registers::return_value(ctx)), 0);
}

/// A call ends by jumping into another function.
#[inline(always)]
pub(crate) fn tail(ctx: &impl EbpfContext) {
    let Some(point) = here(ctx) else { return };
    end(point.function, Fold::mark_of(registers::stack_pointer(ctx)), 0, 0);
}

/// A USDT probe says that a call is over.
#[inline(always)]
pub(crate) fn usdt_return(ctx: &impl EbpfContext) {
    if here(ctx).is_none() {
        return;
    }
    end(0, Fold::mark_of(registers::stack_pointer(ctx)), 0, USDT);
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

/// In place of a link: the call was announced by a USDT probe.
const USDT: u32 = 1 << 16;

#[inline(always)]
fn here(ctx: &impl EbpfContext) -> Option<&'static Point> {
    // SAFETY: the helper has no conditions.
    point(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) })
}

#[inline(always)]
fn failed(point: &Point, value: u64) -> u32 {
    if point.fails(value) { FAILED } else { 0 }
}

/// A call begins at `mark` of the stack.
#[inline(always)]
fn begin(function: u64, mark: u32, link: u32) {
    gait_tree_begin(function, mark, link);
}

/// A call that began at `mark` ends; `flags` are added to its tree.
#[inline(always)]
fn end(function: u64, mark: u32, flags: u32, link: u32) {
    gait_tree_end(function, mark, flags, link);
}

/// A call begins. A function of its own, without pointers, so that the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_begin(function: u64, mark: u32, link: u32) -> u32 {
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
    fold.enter_at(function, mark, link as u16);
    0
}

/// A call ends. As [`gait_tree_begin`], a function of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gait_tree_end(function: u64, mark: u32, flags: u32, link: u32) -> u32 {
    let Some(thread) = followed() else { return 0 };
    // SAFETY: as in `gait_tree_begin`.
    let fold = unsafe { &mut (*thread).fold };
    let calls = if link == USDT { fold.ends_near::<LOOK>(mark) } else { fold.ends::<LOOK>(function, mark) };
    if calls == 0 {
        count(counter::STRAY);
        return 0;
    }
    fold.mark(flags);
    // Those inside it ended unseen.
    for turn in 1..=LOOK {
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
    statistics::count_tree(thread);
    tie::closes(thread);
    0
}
