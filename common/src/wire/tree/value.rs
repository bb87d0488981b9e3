//! Chosen arguments and return values, as the kernel side counts them under a tree's code.
//!
//! What was found in an argument is part of the key itself, the first [`TEXT_BYTES`] bytes of a string included: there is
//! no table of strings that could be out of step with the counts, and no hash that could take two values for one.

use core::mem::size_of;

/// Bytes of a string that are kept; a longer one is cut off there.
pub const TEXT_BYTES: usize = 32;
/// Words of a value.
pub const WORDS: usize = TEXT_BYTES / 8;
/// Values that can be taken at one place.
pub const TAKES: usize = 4;
/// Different values that one tree can show; what comes beyond is [`OTHER`].
pub const MAX_HELD: usize = 16;
/// Different values of one argument that one tree can show, likewise.
pub const MAX_HELD_EACH: u32 = 4;
/// Different values of one argument that are counted under one code until the agent takes them out; those that come
/// beyond are [`OTHER`].
pub const MAX_VALUES_EACH: u64 = 64;

/// In place of an argument's number: the return value.
pub const RETURNED_VALUE: u8 = 0;

/// Values beyond a bound, together.
pub const OTHER: u8 = 0;
/// An integer, extended to 64 bits by its sign.
pub const SIGNED: u8 = 1;
/// An integer, extended to 64 bits by zeroes.
pub const UNSIGNED: u8 = 2;
/// The beginning of a C string, filled up with zeroes.
pub const TEXT: u8 = 3;
/// A string that is not there: its address is 0.
pub const NULL: u8 = 4;
/// Added to the kind of a value of which the agent keeps nothing but a keyed hash.
pub const HASHED: u8 = 1 << 7;

/// An argument or return value of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// [`super::function_id`] of the function that was called.
    pub function: u64,
    /// The integer, or the string's bytes.
    pub words: [u64; WORDS],
    /// Number of the argument from 1 on, or [`RETURNED_VALUE`].
    pub which: u8,
    /// [`OTHER`] and the following, perhaps with [`HASHED`].
    pub kind: u8,
    /// Not used: zeroes, for the value is compared as it stands.
    pub unused: [u8; 6],
}

/// What is counted: a value under the code of the tree that it was seen in.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueKey {
    /// Function of the outermost call.
    pub root: u64,
    /// [`super::Code::ordered`] of the tree.
    pub ordered: u64,
    /// The value.
    pub value: Value,
}

/// How often it was seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueCount {
    /// Trees in which the value was seen, each once.
    pub trees: u64,
    /// Of [`OTHER`]: how many values are counted by themselves.
    pub distinct: u64,
}

const _: () =
    assert!(size_of::<Value>() == 48 && size_of::<ValueKey>() == 64 && size_of::<ValueCount>() == 16);
const _: () = assert!(MAX_HELD.is_power_of_two());

impl Value {
    /// The place in a program that it stands for, whatever was found there.
    #[inline(always)]
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        self.function == other.function && self.which == other.which
    }

    /// The bytes of a string, without the zeroes behind it.
    #[must_use]
    pub fn text(&self) -> ([u8; TEXT_BYTES], usize) {
        let mut bytes = [0; TEXT_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(&self.words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(TEXT_BYTES);
        (bytes, len)
    }
}

/// Cuts a register to so many bytes (1, 2, 4 or 8) and extends it to 64 bits.
#[inline(always)]
#[must_use]
pub const fn extend(register: u64, bytes: u8, signed: bool) -> u64 {
    let shift = 64_u32.wrapping_sub(bytes as u32 * 8) & 63;
    let high = register << shift;
    if signed { ((high as i64) >> shift) as u64 } else { high >> shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_int_is_what_its_lower_half_says() {
        assert_eq!(extend(0xdead_beef_ffff_fffe, 4, true) as i64, -2);
        assert_eq!(extend(0xdead_beef_ffff_fffe, 4, false), 0xffff_fffe);
        assert_eq!(extend(0x180, 1, true) as i64, -128);
        assert_eq!(extend(u64::MAX, 8, false), u64::MAX);
    }

    #[test]
    fn a_string_ends_at_its_first_zero_or_where_it_is_cut() {
        let word = |text: &[u8; 8]| u64::from_le_bytes(*text);
        let value = Value { words: [word(b"hello wo"), word(b"rld\0\0\0\0\0"), 0, 0], ..Value::default() };
        let (bytes, len) = value.text();
        assert_eq!(&bytes[..len], b"hello world");
        let full = Value { words: [word(b"abcdefgh"); 4], ..Value::default() };
        assert_eq!(full.text().1, TEXT_BYTES);
    }
}
