//! What the agent tells the kernel about a place where a program is attached. The program's cookie is its number.

use core::mem::size_of;

use super::value::{TAKES, extend};

/// A function's first instruction: a call begins.
pub const ENTER: u8 = 0;
/// The kernel's return probe: a call has returned, the stack pointer is behind its return address.
pub const RETURN: u8 = 1;
/// A return instruction: a call returns, the stack pointer is where it was at the first instruction.
pub const EXIT: u8 = 2;
/// A jump into another function, with the stack pointer as there: a call is over.
pub const TAIL: u8 = 3;
/// A USDT probe: a call begins.
pub const USDT_ENTER: u8 = 4;
/// A USDT probe: a call is over.
pub const USDT_RETURN: u8 = 5;

/// Calls that the kernel's return probe sees the end of are open at most so deep; it passes over the returns of deeper
/// ones (the kernel's `MAX_URETPROBE_DEPTH`).
pub const RETURN_DEPTH: u8 = 64;

/// Calls are of the one function.
pub const NAMED: u8 = 0;
/// Calls are of the function whose file and name the probe's first two arguments are, as Python's probes have it.
pub const PYTHON: u8 = 1;

/// The value is written in the place itself.
pub const CONSTANT: u8 = 0;
/// It is in a register.
pub const REGISTER: u8 = 1;
/// It is in memory.
pub const MEMORY: u8 = 2;
/// There is no such register.
pub const NO_REGISTER: u16 = u16::MAX;

/// Arguments that the kernel side looks at.
pub const PLACES: usize = 2;

/// Where an argument of a USDT probe is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The value itself, or what is added to the address.
    pub displacement: i64,
    /// Offset of the register, or of the base, in `struct pt_regs`.
    pub register: u16,
    /// Offset of the register that is scaled and added, [`NO_REGISTER`] for none.
    pub index: u16,
    /// [`CONSTANT`], [`REGISTER`] or [`MEMORY`].
    pub kind: u8,
    /// By how many bits the second register is shifted to the left.
    pub scale: u8,
    /// Not used.
    pub unused: u16,
}

/// A place where a program is attached. All zeroes stands for one that is attached no longer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// [`super::function_id`] of the function; 0 when the point is not used.
    pub function: u64,
    /// Where the interval of return values that mean success begins.
    pub success_low: u64,
    /// Its length, less one.
    pub success_span: u64,
    /// Bytes of the return value: 1, 2, 4 or 8; 0 where every call that returns succeeds.
    pub success_bytes: u8,
    /// Whether the return value is extended by its sign.
    pub success_signed: u8,
    /// [`NAMED`] or [`PYTHON`].
    pub naming: u8,
    /// [`ENTER`] and the following.
    pub kind: u8,
    /// Where a call begins: not deeper than this.
    pub max_depth: u8,
    /// How many values are taken here: [`Takes`] has them.
    pub values: u8,
    /// Not used.
    pub unused: [u8; 2],
    /// Where the arguments are.
    pub places: [Place; PLACES],
}

/// A value that is taken where a program is attached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Take {
    /// Where it is, or its address if it is a string.
    pub place: Place,
    /// Of calls of this function only, where the point has many; 0 for all.
    pub function: u64,
    /// [`super::value::Value::which`].
    pub which: u8,
    /// [`super::value::Value::kind`].
    pub kind: u8,
    /// Bytes of an integer: 1, 2, 4 or 8.
    pub bytes: u8,
    /// From which bit of its register on it is: 8 for `%ah`, else 0.
    pub shift: u8,
    /// Not used.
    pub unused: u32,
}

/// The values that are taken at a point, beside it and not in it: few points have any.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// The first [`Point::values`] of these.
    pub takes: [Take; TAKES],
}

const _: () = assert!(size_of::<Place>() == 16 && size_of::<Point>() == 32 + 16 * PLACES);
const _: () = assert!(size_of::<Take>() == 32 && size_of::<Takes>() == 32 * TAKES);

impl Point {
    /// Whether a call that left this value in the return register has failed.
    #[inline(always)]
    #[must_use]
    pub fn fails(&self, register: u64) -> bool {
        if self.success_bytes == 0 {
            return false;
        }
        let value = extend(register, self.success_bytes, self.success_signed != 0);
        value.wrapping_sub(self.success_low) > self.success_span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_results_of_a_c_function_fail_where_the_rule_says_so() {
        // ret >= 0 for an int: from 0, for 2^31 values.
        let point =
            Point { success_span: 0x7fff_ffff, success_bytes: 4, success_signed: 1, ..Point::default() };
        assert!(point.fails(0xffff_ffff), "-1 in the lower half of its register");
        assert!(!point.fails(0xdead_beef_0000_0005), "what is left in the upper half means nothing");
        assert!(!Point::default().fails(u64::MAX), "without a rule nothing fails");
    }
}
