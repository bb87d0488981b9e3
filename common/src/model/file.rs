//! The model file: magic, version, section table, sections, checksum. The only place that knows bincode.
//!
//! ```text
//! magic    8 bytes   89 "GAIT" 0D 0A 1A   (as PNG's: a text-mode or 7-bit transfer breaks it visibly)
//! version  u32       little-endian, like every number here
//! sections u32       how many
//! table    (kind u32, reserved u32 = 0, length u64) for each section, in the order of their bodies
//! bodies             bincode 2, standard configuration
//! checksum 32 bytes  BLAKE3 of every byte before it
//! ```
//!
//! Every length is checked against a cap and against the bytes at hand before anything is allocated, and the
//! checksum before anything is decoded. Unknown section kinds of a known version are refused: what this program does
//! not understand it must not half-apply.

use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::detect::{CalibrationData, Part, SimilarityData, Tail};

use super::{ModelData, ModelError};

/// How a model file begins.
pub const MAGIC: [u8; 8] = *b"\x89GAIT\r\n\x1a";
/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = 3;
/// Largest model file, in bytes.
pub const MAX_SIZE: u64 = 256 << 20;

/// Limit on what decoding may allocate, in bytes.
const DECODE_LIMIT: usize = 256 << 20;
const CHECKSUM: usize = 32;
const HEADER: usize = MAGIC.len() + 8;
const TABLE_ENTRY: usize = 16;

const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODE_LIMIT>> = standard().with_limit();

/// The sections, in their order in the file: a section's number is its place plus one.
const SECTIONS: [&str; 11] = [
    "meta",
    "naming",
    "interfaces",
    "timing",
    "markov",
    "counts",
    "patterns",
    "calibration",
    "groups",
    "trees",
    "similarity",
];
/// How many of them each version has, from version 1. Version 2 came with the groups of callers, and with two more kinds
/// of evidence; version 3 with call trees and with intervals of similarity.
const SECTIONS_OF: [usize; VERSION as usize] = [8, 9, 11];
/// Kinds of evidence that version 1 knows.
const PARTS_OF_1: usize = 9;

/// The bytes of a model file. Equal models give equal bytes.
///
/// # Errors
/// When the model is larger than a file may be.
pub fn write(data: &ModelData) -> Result<Vec<u8>, ModelError> {
    let bodies = [
        encode(&data.meta, 0)?,
        encode(&data.naming, 1)?,
        encode(&data.interfaces, 2)?,
        encode(&data.timing, 3)?,
        encode(&data.markov, 4)?,
        encode(&data.counts, 5)?,
        encode(&data.patterns, 6)?,
        encode(&data.calibration, 7)?,
        encode(&data.groups, 8)?,
        encode(&data.trees, 9)?,
        encode(&data.similarity, 10)?,
    ];
    let mut out =
        Vec::with_capacity(HEADER + bodies.iter().map(|b| b.len() + TABLE_ENTRY).sum::<usize>() + CHECKSUM);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(bodies.len() as u32).to_le_bytes());
    for (kind, body) in (1u32..).zip(&bodies) {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    }
    bodies.iter().for_each(|body| out.extend_from_slice(body));
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    check_size(out.len() as u64)?;
    Ok(out)
}

/// Reads the bytes of a model file.
///
/// # Errors
/// When the bytes are not a whole, undamaged model of a known version.
pub fn read(bytes: &[u8]) -> Result<ModelData, ModelError> {
    check_size(bytes.len() as u64)?;
    let bodies = bodies(bytes)?;
    let mut calibration: CalibrationData = decode(bodies[7], 7)?;
    let has_groups = bodies.len() > 8;
    if !has_groups && calibration.tails.len() == PARTS_OF_1 {
        // What version 1 did not know adds nothing.
        calibration.tails.resize(Part::ALL.len(), Tail::default());
    }
    Ok(ModelData {
        meta: decode(bodies[0], 0)?,
        naming: decode(bodies[1], 1)?,
        interfaces: decode(bodies[2], 2)?,
        timing: decode(bodies[3], 3)?,
        markov: decode(bodies[4], 4)?,
        counts: decode(bodies[5], 5)?,
        patterns: decode(bodies[6], 6)?,
        calibration,
        groups: if has_groups { decode(bodies[8], 8)? } else { None },
        trees: bodies.get(9).map_or(Ok(None), |body| decode(body, 9))?,
        similarity: bodies.get(10).map_or(Ok(SimilarityData::default()), |body| decode(body, 10))?,
    })
}

/// The checksum a model file ends with, as hexadecimal: the model's name in logs and findings.
pub fn fingerprint(bytes: &[u8]) -> String {
    let checksum = bytes.last_chunk::<CHECKSUM>().copied().unwrap_or_default();
    blake3::Hash::from_bytes(checksum).to_hex()[..16].to_owned()
}

fn check_size(size: u64) -> Result<(), ModelError> {
    if size > MAX_SIZE {
        return Err(ModelError::TooLarge { what: "whole", size, limit: MAX_SIZE });
    }
    Ok(())
}

/// Checks the frame and returns the sections' bytes.
fn bodies(bytes: &[u8]) -> Result<Vec<&[u8]>, ModelError> {
    if !bytes.starts_with(&MAGIC) {
        let part = bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) && !bytes.is_empty();
        return Err(if part { truncated(bytes, HEADER as u64) } else { ModelError::Magic });
    }
    let number = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let (Some(version), Some(count)) = (number(8), number(12)) else {
        return Err(truncated(bytes, HEADER as u64));
    };
    let known = (version as usize).checked_sub(1).and_then(|at| SECTIONS_OF.get(at));
    let Some(&sections) = known else {
        return Err(ModelError::Version { found: version, newest: VERSION });
    };
    if count as usize != sections {
        return Err(ModelError::Unsound(format!("{count} sections where version {version} has {sections}")));
    }
    let table_end = HEADER + sections * TABLE_ENTRY;
    let Some(table) = bytes.get(HEADER..table_end) else {
        return Err(truncated(bytes, table_end as u64));
    };
    let mut bodies = Vec::with_capacity(sections);
    let mut at = table_end as u64;
    for (index, entry) in table.chunks_exact(TABLE_ENTRY).enumerate() {
        let mut words = [0u64; 2];
        for (word, half) in words.iter_mut().zip(entry.chunks_exact(8)) {
            *word = half.try_into().map(u64::from_le_bytes).unwrap_or_default();
        }
        let [kind, length] = words;
        if kind != index as u64 + 1 {
            return Err(ModelError::Unsound(format!("section {} has the unknown kind {kind:#x}", index + 1)));
        }
        if length > MAX_SIZE {
            return Err(ModelError::TooLarge { what: SECTIONS[index], size: length, limit: MAX_SIZE });
        }
        let end = at + length;
        let body = bytes.get(at as usize..end as usize);
        bodies.push(body.ok_or_else(|| truncated(bytes, end + CHECKSUM as u64))?);
        at = end;
    }
    let want = at + CHECKSUM as u64;
    match (bytes.len() as u64).checked_sub(want) {
        None => return Err(truncated(bytes, want)),
        Some(0) => {}
        Some(more) => return Err(ModelError::Trailing(more)),
    }
    let (body, checksum) = bytes.split_at(at as usize);
    if blake3::hash(body).as_bytes() != checksum {
        return Err(ModelError::Checksum);
    }
    Ok(bodies)
}

fn truncated(bytes: &[u8], want: u64) -> ModelError {
    ModelError::Truncated { have: bytes.len() as u64, want }
}

fn encode<T: Serialize>(value: &T, section: usize) -> Result<Vec<u8>, ModelError> {
    bincode::serde::encode_to_vec(value, CONFIG)
        .map_err(|e| ModelError::Decode { section: SECTIONS[section], reason: e.to_string() })
}

fn decode<T: DeserializeOwned>(body: &[u8], section: usize) -> Result<T, ModelError> {
    let bad = |reason: String| ModelError::Decode { section: SECTIONS[section], reason };
    let (value, used) = bincode::serde::decode_from_slice(body, CONFIG).map_err(|e| bad(e.to_string()))?;
    if used != body.len() {
        return Err(bad(format!("{} bytes are left over", body.len() - used)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelData {
        ModelData { interfaces: vec!["~new".into(), "GET /".into()], ..ModelData::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = write(&model()).expect("model");
        assert_eq!(read(&bytes).expect("same bytes"), model());
        assert_eq!(bytes, write(&model()).expect("model"), "same model, same bytes");
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let bytes = write(&model()).expect("model");
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x20;
            assert!(read(&altered).is_err(), "byte {at}");
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_noticed() {
        let mut bytes = write(&model()).expect("model");
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(matches!(read(&bytes[..40]), Err(ModelError::Truncated { have: 40, .. })));
        bytes.push(0);
        assert!(matches!(read(&bytes), Err(ModelError::Trailing(1))));
    }

    /// A valid checksum over a body that claims a huge list: the decoder's limit must hold.
    #[test]
    fn a_bomb_with_a_valid_checksum_is_refused() {
        let good = write(&model()).expect("model");
        let length_at = HEADER + 2 * TABLE_ENTRY + 8;
        let mut body = vec![253];
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        let table: Vec<u64> = (0..SECTIONS.len())
            .map(|i| {
                let at = HEADER + i * TABLE_ENTRY + 8;
                u64::from_le_bytes(good[at..at + 8].try_into().expect("8 bytes"))
            })
            .collect();
        let start = HEADER + SECTIONS.len() * TABLE_ENTRY + table[..2].iter().sum::<u64>() as usize;
        let mut bomb = good[..start].to_vec();
        bomb.extend_from_slice(&body);
        bomb.extend_from_slice(&good[start + table[2] as usize..good.len() - CHECKSUM]);
        bomb[length_at..length_at + 8].copy_from_slice(&(body.len() as u64).to_le_bytes());
        let checksum = blake3::hash(&bomb);
        bomb.extend_from_slice(checksum.as_bytes());
        assert!(matches!(read(&bomb), Err(ModelError::Decode { section: "interfaces", .. })));
    }
}
