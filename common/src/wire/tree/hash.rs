//! The mixing behind ids and codes: multiplications and rotations that the kernel and every host compute alike.

/// Bytes of a name that the kernel reads; it cuts a longer one off there.
pub const NAME_BYTES: usize = 128;

/// An odd constant: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Its inverse modulo 2^64.
const UNGOLDEN: u64 = inverse(GOLDEN);
const SEED: u64 = 0x6761_6974_2074_7265;
const ROTATION: u32 = 29;

/// The number of a function of this name: never 0.
///
/// The name is read as little-endian words of eight bytes, the last one filled up with zeroes.
#[must_use]
pub const fn function_id(name: &[u8]) -> u64 {
    let mut state = SEED;
    let mut at = 0;
    while at < name.len() {
        let mut word = 0;
        let mut byte = 0;
        while byte < 8 && at + byte < name.len() {
            word |= (name[at + byte] as u64) << (8 * byte);
            byte += 1;
        }
        state = step(state, word);
        at += 8;
    }
    id_of_words(state, name.len() as u64)
}

/// The number of a name of `len` bytes whose words were taken in one by one ([`step`], beginning with [`START`]): for
/// the kernel, which reads them from another process.
#[inline(always)]
#[must_use]
pub const fn id_of_words(state: u64, len: u64) -> u64 {
    let id = avalanche(state ^ len);
    if id == 0 { 1 } else { id }
}

/// What a name begins with.
pub const START: u64 = SEED;

/// Takes the next word of a name, or the next child of a call, in. Without loss: `unstep` is the way back.
#[inline(always)]
#[must_use]
pub const fn step(state: u64, word: u64) -> u64 {
    (state.rotate_left(ROTATION) ^ word).wrapping_mul(GOLDEN)
}

/// The state before `word` was taken in.
#[inline(always)]
#[must_use]
pub(super) const fn unstep(state: u64, word: u64) -> u64 {
    (state.wrapping_mul(UNGOLDEN) ^ word).rotate_right(ROTATION)
}

/// A call's code: its function and how it ended, and what its children came to.
#[inline(always)]
#[must_use]
pub(super) const fn finish(function: u64, how: u64, children: u64) -> u64 {
    avalanche(step(children, function) ^ how.wrapping_mul(GOLDEN))
}

/// Lets every bit of `x` decide about every bit of the outcome (the finaliser of MurmurHash3).
#[inline(always)]
#[must_use]
const fn avalanche(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut round = 0;
    while round < 6 {
        x = x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x)));
        round += 1;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_step_can_be_taken_back(state: u64, word: u64) {
            prop_assert_eq!(unstep(step(state, word), word), state);
        }

        #[test]
        fn names_that_differ_have_different_ids(name: String, other: String) {
            prop_assert_eq!(name == other, function_id(name.as_bytes()) == function_id(other.as_bytes()));
        }
    }

    #[test]
    fn ids_never_change() {
        // Models hold them: another value here makes every model's trees unknown.
        assert_eq!(function_id(b""), 16_785_536_469_934_024_058);
        assert_eq!(function_id(b"nginx:ngx_http_process_request"), 15_850_262_857_732_782_988);
        assert_ne!(function_id(b"a"), function_id(b"a\0"));
    }
}
