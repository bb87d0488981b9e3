//! Where a function is left: its return instructions, and its jumps into other functions.
//!
//! A breakpoint in the middle of an instruction would change what the program does. Code is therefore decoded from the
//! function's first byte to its last; if anything in it makes no sense, or a jump inside it leads between two
//! instructions, the function is refused.

use std::collections::BTreeSet;

use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind};

use super::usdt::Machine;

/// Bytes of a function that are decoded.
pub(super) const MAX_CODE: u64 = 1 << 20;
/// Exits of one function.
const MAX_EXITS: usize = 256;

/// Where a function is left. Addresses, as those of symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exits {
    pub(super) returns: Vec<u64>,
    pub(super) tails: Vec<u64>,
    /// Jumps out of the function to what is no function's beginning: maybe into a part of it that stands elsewhere.
    pub(super) leaps: Vec<u64>,
}

/// Finds the exits of the function whose `code` begins at `address`. `is_function` tells whether a function begins at
/// an address.
pub(super) fn exits(
    code: &[u8],
    address: u64,
    machine: Machine,
    is_function: &dyn Fn(u64) -> bool,
) -> Result<Exits, &'static str> {
    let exits = match machine {
        Machine::X86 => x86(code, address, is_function)?,
        Machine::Arm => arm(code, address, is_function),
    };
    if exits.returns.len() + exits.tails.len() > MAX_EXITS { Err("there are too many") } else { Ok(exits) }
}

fn x86(code: &[u8], address: u64, is_function: &dyn Fn(u64) -> bool) -> Result<Exits, &'static str> {
    let end = address + code.len() as u64;
    let mut exits = Exits::default();
    let (mut starts, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for instruction in &mut Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
        if instruction.is_invalid() {
            return Err("its code cannot be decoded");
        }
        let at = instruction.ip();
        starts.insert(at);
        let near = matches!(
            instruction.op0_kind(),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
        );
        match instruction.flow_control() {
            FlowControl::Return => exits.returns.push(at),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch if near => {
                let target = instruction.near_branch_target();
                if (address..end).contains(&target) {
                    targets.insert(target);
                } else if instruction.flow_control() == FlowControl::UnconditionalBranch
                    && is_function(target)
                {
                    exits.tails.push(at);
                } else {
                    exits.leaps.push(target);
                }
            }
            _ => {}
        }
    }
    if !targets.is_subset(&starts) {
        return Err("a jump leads between two of its instructions");
    }
    Ok(exits)
}

/// Instructions of aarch64 are words; data between them at worst looks like an exit, which no call reaches.
fn arm(code: &[u8], address: u64, is_function: &dyn Fn(u64) -> bool) -> Exits {
    let mut exits = Exits::default();
    let end = address + code.len() as u64;
    for (at, word) in (address..).step_by(4).zip(code.chunks_exact(4)) {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        match word {
            // ret; retaa; retab
            _ if word & 0xffff_fc1f == 0xd65f_0000 || matches!(word, 0xd65f_0bff | 0xd65f_0fff) => {
                exits.returns.push(at);
            }
            // b
            _ if word >> 26 == 0b000101 => {
                let words = i64::from((word << 6) as i32 >> 6);
                let target = at.wrapping_add_signed(words * 4);
                if (address..end).contains(&target) {
                } else if is_function(target) {
                    exits.tails.push(at);
                } else {
                    exits.leaps.push(target);
                }
            }
            _ => {}
        }
    }
    exits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn returns_and_jumps_out_are_found() {
        let code = [
            0x85, 0xff, // 100: test edi, edi
            0x74, 0x06, // 102: je 10a
            0xe9, 0xf7, 0x00, 0x00, 0x00, // 104: jmp 200
            0xc3, // 109: ret
            0xe9, 0xf1, 0x01, 0x00, 0x00, // 10a: jmp 300
            0xf3, 0xc3, // 10f: rep ret
            0xc2, 0x08, 0x00, // 111: ret 8
        ];
        let found = exits(&code, 0x100, Machine::X86, &|address| address == 0x200).expect("it decodes");
        assert_eq!(
            found,
            Exits { returns: vec![0x109, 0x10f, 0x111], tails: vec![0x104], leaps: vec![0x300] }
        );
    }

    #[test]
    fn code_that_makes_no_sense_is_refused() {
        // jmp into the middle of the next instruction; push es, which is none in 64 bits.
        for code in [&[0xeb, 0x01, 0xb8, 0, 0, 0, 0, 0xc3][..], &[0x06, 0xc3], &[0xc3, 0x0f]] {
            assert!(exits(code, 0x100, Machine::X86, &|_| false).is_err(), "{code:x?}");
        }
    }

    #[test]
    fn returns_of_aarch64() {
        let words: [u32; 4] = [0xd65f_03c0, 0x1400_0010, 0x17ff_ffff, 0xd65f_0bff];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = exits(&code, 0x100, Machine::Arm, &|address| address == 0x144).expect("it decodes");
        assert_eq!(found, Exits { returns: vec![0x100, 0x10c], tails: vec![0x104], leaps: Vec::new() });
    }

    proptest! {
        #[test]
        fn hostile_code_gives_exits_inside_or_none(code in prop::collection::vec(any::<u8>(), 0..300)) {
            for machine in [Machine::X86, Machine::Arm] {
                if let Ok(found) = exits(&code, 0x1000, machine, &|_| true) {
                    let end = 0x1000 + code.len() as u64;
                    prop_assert!(found.returns.iter().chain(&found.tails).all(|at| (0x1000..end).contains(at)));
                }
            }
        }
    }
}
