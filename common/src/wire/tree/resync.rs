//! Calls whose end nobody sees: exceptions, long jumps, tail calls.
//!
//! The kernel knows where on its stack a call is: the stack pointer at its first instruction, of which the fold keeps the
//! *mark*, 32 bits of it in units of eight bytes. Stacks grow downwards. So a call that is open while another begins
//! *above* it (or at its place) has ended unseen, unless it ended by jumping to that other one. The two are told apart by
//! the word at the stack pointer, of which the fold keeps the low half as *link*: a call pushes the address it
//! returns to, a tail call leaves what is there. A return probe has replaced that word by the address of its
//! trampoline, which begins a page.

use super::MAX_DEPTH;
use super::fold::{Fold, INNER};

/// Bits of an address that are zero at the beginning of a page.
const IN_PAGE: u16 = 0xfff;
/// How far apart the entry and the return probe of a USDT pair may be on the stack, in units of eight bytes.
const NEAR: u32 = 16;

impl Fold {
    /// The mark of a stack pointer.
    #[inline(always)]
    #[must_use]
    pub const fn mark_of(stack_pointer: u64) -> u32 {
        (stack_pointer >> 3) as u32
    }

    /// Whether the innermost open call must have ended, now that a call with this mark begins.
    ///
    /// At the same place, [`Fold::is_tail_call`] decides.
    #[inline(always)]
    #[must_use]
    pub fn is_dead(&self, mark: u32) -> bool {
        self.depth() != 0 && below(self.innermost().1, mark)
    }

    /// Whether a call begins exactly where the innermost open one is.
    #[inline(always)]
    #[must_use]
    pub fn is_at(&self, mark: u32) -> bool {
        self.depth() != 0 && self.innermost().1 == mark
    }

    /// Whether a call of `function`, which begins where the innermost open one is and finds `link` there, was jumped to
    /// from that one. A function that finds the very link it was called with has been called again.
    #[inline(always)]
    #[must_use]
    pub fn is_tail_call(&self, function: u64, link: u16) -> bool {
        let (open, _, linked) = self.innermost();
        link & IN_PAGE == 0 || (link == linked && function != open)
    }

    /// Opens a call at a place of the stack; `false` if it is too deep to be tracked.
    #[inline(always)]
    pub fn enter_at(&mut self, function: u64, mark: u32, link: u16) -> bool {
        self.push(function, mark, link) == INNER
    }

    /// How many open calls end when the call of `function` with this mark returns: itself and those inside it, whose
    /// ends were not seen. 0 when it is not among the open ones.
    #[inline(always)]
    #[must_use]
    pub fn ends(&self, function: u64, mark: u32) -> u32 {
        let depth = self.depth();
        let mut back = 1;
        while back <= MAX_DEPTH as u32 {
            if back > depth {
                return 0;
            }
            let (open, at) = self.open_call(back);
            if at == mark && open == function {
                return back;
            }
            if below(mark, at) {
                return 0;
            }
            back += 1;
        }
        0
    }

    /// How many open calls end when a USDT probe at this mark says that a call is over. Such probes are somewhere inside a
    /// function, at entry and return not at quite the same depth of the stack, and one function may open several calls
    /// in one place: the innermost one that is near ends.
    #[inline(always)]
    #[must_use]
    pub fn ends_near(&self, mark: u32) -> u32 {
        let depth = self.depth();
        let mut back = 1;
        while back <= MAX_DEPTH as u32 {
            if back > depth {
                return 0;
            }
            let (_, at) = self.open_call(back);
            if below(mark.wrapping_add(NEAR), at) {
                return 0;
            }
            if !below(at.wrapping_add(NEAR), mark) {
                return back;
            }
            back += 1;
        }
        0
    }

    /// As [`Fold::is_dead`], when a USDT probe at this mark says that a call begins.
    #[inline(always)]
    #[must_use]
    pub fn is_dead_near(&self, mark: u32) -> bool {
        self.is_dead(mark.wrapping_sub(NEAR))
    }

    /// Ends the innermost tracked call; see [`Fold::leave`].
    #[inline(always)]
    pub fn leave_tracked(&mut self, how: u32) -> u32 {
        self.pop(how)
    }
}

/// Whether the place `mark` is below `other`, also where the difference has lost its high bits.
#[inline(always)]
const fn below(mark: u32, other: u32) -> bool {
    mark.wrapping_sub(other) as i32 > i32::MIN && (mark.wrapping_sub(other) as i32) < 0
}
