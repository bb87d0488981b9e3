//! Mutations of files in our container that reach every section: lengths and checksum are put right.

use libfuzzer_sys::fuzzer_mutate;

/// Where the number of sections stands, and where their table begins.
const COUNT: usize = 12;
const TABLE: usize = 16;
const CHECKSUM: usize = 32;

/// Alters one section of a file, or now and then any byte of it; what is no such file becomes `base`.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, base: &[u8]) -> usize {
    let Some(mut sections) = sections(&data[..size], base) else {
        return put(base, data, max_size);
    };
    let count = sections.len();
    let Some(section) = sections.get_mut(seed as usize % (count + 1)) else {
        return fuzzer_mutate(data, size, max_size);
    };
    let len = section.len();
    section.resize(len + 64, 0);
    let room = section.len();
    let len = fuzzer_mutate(section, len, room);
    section.truncate(len);
    put(&assemble(&sections, base), data, max_size)
}

fn put(bytes: &[u8], data: &mut [u8], max_size: usize) -> usize {
    let len = bytes.len().min(max_size).min(data.len());
    data[..len].copy_from_slice(&bytes[..len]);
    len
}

/// The sections of a file that has as many as `base`.
fn sections(bytes: &[u8], base: &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = usize::from(*base.get(COUNT)?);
    let bodies = TABLE + count * 16;
    let table = bytes.get(TABLE..bodies)?;
    let mut at = bodies;
    table
        .chunks_exact(16)
        .map(|entry| {
            let length = usize::try_from(u64::from_le_bytes(entry[8..].try_into().ok()?)).ok()?;
            let body = bytes.get(at..at.checked_add(length)?)?;
            at += length;
            Some(body.to_vec())
        })
        .collect()
}

fn assemble(sections: &[Vec<u8>], base: &[u8]) -> Vec<u8> {
    let mut out = base[..TABLE].to_vec();
    for (kind, body) in (1u64..).zip(sections) {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    }
    sections.iter().for_each(|body| out.extend_from_slice(body));
    let checksum: [u8; CHECKSUM] = blake3::hash(&out).into();
    out.extend_from_slice(&checksum);
    out
}
