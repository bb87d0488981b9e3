//! Searching eight bytes at a time, without a branch per byte: what the kernel can afford per packet.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Position of the first `byte` in the little-endian `word`, 8 when it is not there.
#[inline(always)]
#[must_use]
pub const fn find(word: u64, byte: u8) -> u32 {
    let x = word ^ (ONES * byte as u64);
    // The lowest hit is exact.
    first(x.wrapping_sub(ONES) & !x & HIGHS)
}

/// Position of the first byte of `hits` whose highest bit is set, 8 when none is; no other bits may be set.
#[inline(always)]
const fn first(hits: u64) -> u32 {
    if hits == 0 {
        return 8;
    }
    // The byte number comes out of a multiplication, for BPF cannot count trailing zeroes.
    let lowest = (hits & hits.wrapping_neg()) >> 7;
    (lowest.wrapping_mul(0x0001_0203_0405_0607) >> 56) as u32
}

/// `word` with its ASCII capitals made small; other bytes keep their value.
#[inline(always)]
#[must_use]
pub const fn lower(word: u64) -> u64 {
    let low7 = word & !HIGHS;
    let from_a = low7 + (0x80 - b'A' as u64) * ONES;
    let past_z = low7 + (0x7f - b'Z' as u64) * ONES;
    word | ((from_a & !past_z & !word & HIGHS) >> 2)
}

/// How many of the `word`'s first bytes are decimal digits.
#[inline(always)]
#[must_use]
pub const fn digits(word: u64) -> u32 {
    let x = word ^ (ONES * b'0' as u64);
    // A byte that was no digit is now above 9: its high half is set, or adding 6 sets it.
    let above = (x & !HIGHS).wrapping_add(0x76 * ONES) | x;
    first(above & HIGHS)
}

/// The number that the `word`'s first `count` bytes, 1 to 8 decimal digits, spell.
#[inline(always)]
#[must_use]
pub const fn decimal(word: u64, count: u32) -> u64 {
    // Zeroes move in before the digits; then pairs, fours and eights of digits are joined side by side.
    let word = (word << (64 - 8 * (count & 15))) & (0x0f * ONES);
    let pairs = word.wrapping_mul(10 * 256 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * 65_536 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 * 4_294_967_296 + 1) >> 32
}

/// The eight bytes of `text` as the word that a little-endian load of them gives.
#[must_use]
pub const fn of(text: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(bytes: [u8; 8], near in 0_usize..9) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.get_mut(near) {
                *byte = b'\n';
            }
            let plain = bytes.iter().position(|&b| b == b'\n').unwrap_or(8);
            prop_assert_eq!(find(of(&bytes), b'\n') as usize, plain);
        }

        #[test]
        fn reads_numbers_as_std_does(number in 0_u64..100_000_000, rest: [u8; 8]) {
            let text = number.to_string();
            let mut bytes = rest;
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            let count = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(8);
            prop_assert_eq!(digits(of(&bytes)) as usize, count);
            prop_assert_eq!(decimal(of(&bytes), text.len() as u32), number);
        }

        #[test]
        fn only_digits_are_digits(bytes: [u8; 8]) {
            let count = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(8);
            prop_assert_eq!(digits(of(&bytes)) as usize, count);
        }

        #[test]
        fn makes_small_what_ascii_makes_small(bytes: [u8; 8]) {
            let mut small = bytes;
            small.make_ascii_lowercase();
            prop_assert_eq!(lower(of(&bytes)), of(&small));
        }
    }
}
