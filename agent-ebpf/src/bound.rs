//! Bounds that the verifier believes.
//!
//! It believes a mask right before the use. The compiler drops masks that it can prove to be useless, so the value is
//! hidden from it first.

use core::arch::asm;

/// The value, of which the compiler now knows nothing.
#[inline(always)]
fn hidden(mut value: u64) -> u64 {
    // SAFETY: copies a register to itself; without any instruction the kernel would refuse the line table.
    unsafe {
        asm!("{value} = {value}", value = inout(reg) value, options(pure, nomem, nostack, preserves_flags))
    };
    value
}

/// `len`, which is 1 to `MAX`, a power of two.
#[inline(always)]
pub(crate) fn length<const MAX: u64>(len: u64) -> u32 {
    ((hidden(len).wrapping_sub(1) & (MAX - 1)) + 1) as u32
}

/// `offset`, which is below `END`, a power of two.
#[inline(always)]
pub(crate) fn offset<const END: u64>(offset: u64) -> usize {
    (hidden(offset) & (END - 1)) as usize
}
