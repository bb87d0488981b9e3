//! Where a USDT probe's argument is, from the assembler's operand in its note: `-4@%eax`, `8@16(%rsp)`, `8@[sp, 8]`.

use super::{MAX_PLACES, Machine};

/// Where a value is when a probe is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// How many bytes it has: 1, 2, 4 or 8.
    pub bytes: u8,
    /// Whether its highest bit is a sign.
    pub signed: bool,
    /// What holds it.
    pub at: At,
}

/// What holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The note itself.
    Constant(i64),
    /// A register, given as the offset of its 64 bits in the kernel's `struct pt_regs`, from whose bit `shift` it is.
    Register {
        /// Offset in `struct pt_regs`, in bytes.
        register: u16,
        /// 8 for the second byte (`%ah`), else 0.
        shift: u8,
    },
    /// Memory at the sum of a register, a scaled second one and a displacement.
    Memory {
        /// Offset of the first register in `struct pt_regs`.
        base: u16,
        /// Offset of the second one and what it is multiplied by: 1, 2, 4 or 8.
        index: Option<(u16, u8)>,
        /// What is added.
        displacement: i64,
    },
}

/// An argument whose place is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Its operand is of no known form.
    #[error("the place of its argument {0}, {1:?}, is not understood")]
    Unknown(usize, String),
    /// There are more than any program has.
    #[error("it has more than {MAX_PLACES} arguments")]
    TooMany,
}

/// Operands are cut to this for messages.
const SHOWN: usize = 40;

/// Reads the places of all arguments of a probe.
pub(in crate::functions) fn read(text: &str, machine: Machine) -> Result<Vec<Place>, PlaceError> {
    let mut places = Vec::new();
    let mut rest = text.trim_matches(' ');
    while !rest.is_empty() {
        if places.len() == MAX_PLACES {
            return Err(PlaceError::TooMany);
        }
        let end = operand_end(rest);
        let (operand, after) = rest.split_at(end);
        let place = place(operand, machine)
            .ok_or_else(|| PlaceError::Unknown(places.len() + 1, operand.chars().take(SHOWN).collect()))?;
        places.push(place);
        rest = after.trim_start_matches(' ');
    }
    Ok(places)
}

/// Where the first operand ends: at a space that is not inside brackets.
fn operand_end(text: &str) -> usize {
    let mut inside = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'(' => inside = true,
            b']' | b')' => inside = false,
            b' ' if !inside => return at,
            _ => {}
        }
    }
    text.len()
}

fn place(operand: &str, machine: Machine) -> Option<Place> {
    let (size, operand) = operand.split_once('@')?;
    let (signed, size) = match size.strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, size),
    };
    // A size such as 8f is that of a floating-point number, which is in no register of these.
    let bytes = size.parse().ok().filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8))?;
    let at = match machine {
        Machine::X86 => x86(operand)?,
        Machine::Arm => arm(operand)?,
    };
    Some(Place { bytes, signed, at })
}

fn x86(operand: &str) -> Option<At> {
    if let Some(number) = operand.strip_prefix('$') {
        return Some(At::Constant(integer(number)?));
    }
    if let Some(name) = operand.strip_prefix('%') {
        let (register, shift) = x86_register(name)?;
        return Some(At::Register { register, shift });
    }
    // displacement(%base,%index,scale); a displacement by symbol names no address without its section, and is refused.
    let (displacement, inside) = operand.strip_suffix(')')?.split_once('(')?;
    let displacement = if displacement.is_empty() { 0 } else { integer(displacement)? };
    let mut parts = inside.split(',').map(str::trim);
    let wide = |name: &str| match x86_register(name.strip_prefix('%')?)? {
        (register, 0) if name.starts_with("%r") => Some(register),
        _ => None,
    };
    let base = wide(parts.next()?)?;
    let index = match parts.next() {
        None => None,
        Some(name) => {
            let scale = parts.next().map_or(Some(1), |scale| scale.parse().ok());
            Some((wide(name)?, scale.filter(|scale| matches!(scale, 1 | 2 | 4 | 8))?))
        }
    };
    parts.next().is_none().then_some(At::Memory { base, index, displacement })
}

fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()? as i64,
        // Notes write large unsigned numbers too.
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse::<u64>().ok()? as i64,
        None => return None,
    };
    Some(if negative { number.wrapping_neg() } else { number })
}

/// `struct pt_regs` of x86-64, in order: the 64-bit name and, where they are not formed by rule, the narrower ones.
const X86: [(&str, &str); 21] = [
    ("r15", ""),
    ("r14", ""),
    ("r13", ""),
    ("r12", ""),
    ("rbp", "bpl"),
    ("rbx", "bl"),
    ("r11", ""),
    ("r10", ""),
    ("r9", ""),
    ("r8", ""),
    ("rax", "al"),
    ("rcx", "cl"),
    ("rdx", "dl"),
    ("rsi", "sil"),
    ("rdi", "dil"),
    ("orig_rax", ""),
    ("rip", ""),
    ("cs", ""),
    ("eflags", ""),
    ("rsp", "spl"),
    ("ss", ""),
];

/// The offset of a register in `struct pt_regs`, and from which bit on it is there.
fn x86_register(name: &str) -> Option<(u16, u8)> {
    let high = matches!(name, "ah" | "bh" | "ch" | "dh");
    let low = if high { format!("{}l", &name[..1]) } else { name.to_owned() };
    let is = |(wide, byte): &(&str, &str)| match byte.is_empty() {
        // r8 to r15, and their parts r8d, r8w, r8b.
        true => {
            let part = low.strip_prefix(wide);
            wide.starts_with('r')
                && *wide != "rip"
                && part.is_some_and(|part| matches!(part, "" | "d" | "w" | "b"))
        }
        // rax, eax, ax, al.
        false => {
            low == *wide || low == *byte || low.strip_prefix('e') == Some(&wide[1..]) || low == wide[1..]
        }
    };
    let index = X86.iter().position(is)?;
    Some((index as u16 * 8, if high { 8 } else { 0 }))
}

fn arm(operand: &str) -> Option<At> {
    if let Some(number) = operand.strip_prefix('#').or(Some(operand)).filter(|text| integer(text).is_some()) {
        return Some(At::Constant(integer(number)?));
    }
    if let Some(register) = arm_register(operand) {
        return Some(At::Register { register, shift: 0 });
    }
    // [base], [base, displacement]
    let inside = operand.strip_prefix('[')?.strip_suffix(']')?;
    let (base, displacement) = match inside.split_once(',') {
        Some((base, displacement)) => {
            let displacement = displacement.trim();
            (base.trim(), integer(displacement.strip_prefix('#').unwrap_or(displacement))?)
        }
        None => (inside.trim(), 0),
    };
    if base.starts_with('w') {
        return None;
    }
    Some(At::Memory { base: arm_register(base)?, index: None, displacement })
}

/// The offset of a register in aarch64's `struct pt_regs`: x0 to x30, then sp.
fn arm_register(name: &str) -> Option<u16> {
    if name == "sp" {
        return Some(31 * 8);
    }
    let digits = name.strip_prefix(['x', 'w'])?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u16>().ok().filter(|number| *number <= 30).map(|number| number * 8)
}
