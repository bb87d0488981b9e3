//! USDT: probes that a program's authors put into it, found by the notes in its ELF file.
//!
//! A note of type 3 and owner `stapsdt` holds three addresses (the probe's, that of the section `.stapsdt.base` when the
//! note was written, and that of the semaphore or 0) and three C strings: provider, name and arguments. Prelinking may
//! have moved the file since; the difference between the base then and the section's address now is added to the others.
//! See <https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation>.

mod pair;
mod place;

pub use pair::{NoPair, Pair};
pub use place::{At, Place, PlaceError};

/// Notes read from one file, at most.
pub const MAX_PROBES: usize = 4096;
/// Arguments of a probe, at most: the header that programs are written with allows no more.
pub const MAX_PLACES: usize = 12;
/// What the notes of probes are called.
const OWNER: &[u8] = b"stapsdt\0";
/// Their type.
const TYPE: u32 = 3;

/// A probe as its note describes it. Addresses are those of the file's symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who put it there, such as `python`.
    pub provider: String,
    /// What it is called, such as `function__entry`.
    pub name: String,
    /// Where it is.
    pub address: u64,
    /// Where its semaphore is, if it has one.
    pub semaphore: Option<u64>,
    /// Where its arguments are, or which of them is not understood.
    pub places: Result<Vec<Place>, PlaceError>,
}

/// Reads a section of notes. `base` is the address of `.stapsdt.base`, if there is one. What is cut off or malformed
/// ends the reading; what came before is given.
pub fn probes(notes: &[u8], base: Option<u64>, machine: Machine) -> Vec<Probe> {
    let mut found = Vec::new();
    let mut rest = notes;
    while found.len() < MAX_PROBES
        && let Some((note, after)) = Note::split(rest)
    {
        rest = after;
        if note.kind == TYPE
            && note.owner == OWNER
            && let Some(probe) = Probe::read(note.description, base, machine)
        {
            found.push(probe);
        }
    }
    found
}

/// A machine whose registers are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86,
    /// aarch64.
    Arm,
}

struct Note<'a> {
    kind: u32,
    owner: &'a [u8],
    description: &'a [u8],
}

impl<'a> Note<'a> {
    /// The first note and what follows it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (owner_len, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let rest = &bytes[12..];
        let owner = rest.get(..owner_len)?;
        let rest = rest.get(owner_len.checked_next_multiple_of(4)?..)?;
        let description = rest.get(..len)?;
        // The last one may lack its padding.
        let rest = rest.get(len.checked_next_multiple_of(4)?..).unwrap_or_default();
        Some((Self { kind, owner, description }, rest))
    }
}

impl Probe {
    fn read(bytes: &[u8], base: Option<u64>, machine: Machine) -> Option<Self> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (address, base_then, semaphore) = (word(0)?, word(8)?, word(16)?);
        let moved = base.map_or(0, |base| base.wrapping_sub(base_then));
        let mut texts = bytes.get(24..)?.split(|&byte| byte == 0);
        let mut text = || Some(std::str::from_utf8(texts.next()?).ok()?.to_owned());
        let (provider, name, arguments) = (text()?, text()?, text()?);
        if provider.is_empty() || name.is_empty() {
            return None;
        }
        Some(Self {
            provider,
            name,
            address: address.wrapping_add(moved),
            semaphore: (semaphore != 0).then(|| semaphore.wrapping_add(moved)),
            places: place::read(&arguments, machine),
        })
    }
}

#[cfg(test)]
pub(super) use place::read as places;

#[cfg(test)]
mod tests;
