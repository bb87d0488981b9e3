//! Atomic arithmetic on map values. The target's `core` offers loads and stores only, so these are the instructions
//! themselves (all of BPF's third instruction set, kernel 5.12).

use core::arch::asm;

/// Adds to `*at`; orders nothing.
///
/// # Safety
/// `at` must point to an aligned u64 of a map value.
#[inline(always)]
pub(crate) unsafe fn add(at: *mut u64, value: u64) {
    // SAFETY: by the caller.
    unsafe { asm!("lock *(u64 *)({at} + 0) += {value}", at = in(reg) at, value = in(reg) value) };
}

/// As [`add`], to a u32.
///
/// # Safety
/// `at` must point to an aligned u32 of a map value.
#[inline(always)]
pub(crate) unsafe fn add32(at: *mut u32, value: u32) {
    // SAFETY: by the caller.
    unsafe { asm!("lock *(u32 *)({at} + 0) += {value}", at = in(reg) at, value = in(reg) u64::from(value)) };
}

/// Adds to `*at` and gives what it was; everything before is visible before, everything after is done after.
///
/// # Safety
/// `at` must point to an aligned u64 of a map value.
#[inline(always)]
pub(crate) unsafe fn fetch_add(at: *mut u64, value: u64) -> u64 {
    let mut old = value;
    // SAFETY: by the caller.
    unsafe {
        asm!("{old} = atomic_fetch_add((u64 *)({at} + 0), {old})", at = in(reg) at, old = inout(reg) old)
    };
    old
}

/// Puts `value` into `*at` and gives what it was; orders as [`fetch_add`] does.
///
/// # Safety
/// `at` must point to an aligned u64 of a map value.
#[inline(always)]
pub(crate) unsafe fn exchange(at: *mut u64, value: u64) -> u64 {
    let mut old = value;
    // SAFETY: by the caller.
    unsafe { asm!("{old} = xchg_64({at} + 0, {old})", at = in(reg) at, old = inout(reg) old) };
    old
}
