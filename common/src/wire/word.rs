//! Searching eight bytes at a time, without a branch per byte: what the kernel can afford per packet.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Position of the first `byte` in the little-endian `word`, 8 when it is not there.
#[inline(always)]
#[must_use]
pub const fn find(word: u64, byte: u8) -> u32 {
    let x = word ^ (ONES * byte as u64);
    let hits = x.wrapping_sub(ONES) & !x & HIGHS;
    if hits == 0 {
        return 8;
    }
    // The lowest hit is exact; its byte number comes out of a multiplication, for BPF cannot count trailing zeroes.
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
        fn makes_small_what_ascii_makes_small(bytes: [u8; 8]) {
            let mut small = bytes;
            small.make_ascii_lowercase();
            prop_assert_eq!(lower(of(&bytes)), of(&small));
        }
    }
}
