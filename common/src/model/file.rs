//! The model file: its sections, in the container that every file of ours has ([`crate::container`]).

use crate::container::{self, ContainerError, Form};
use crate::detect::{CalibrationData, Part, SimilarityData, Tail};
use crate::tree::{TreesData, ValuesData};

use super::ModelData;

/// How a model file begins.
pub const MAGIC: [u8; 8] = *b"\x89GAIT\r\n\x1a"; // As PNG's: a text-mode or 7-bit transfer breaks it visibly.
/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = FORM.version();
/// Largest model file, in bytes.
pub const MAX_SIZE: u64 = 256 << 20;

/// Version 2 came with the groups of callers, and with two more kinds of evidence; version 3 with call trees and with
/// intervals of similarity; version 4 with what is known of alerts, and with the paces of call trees and
/// the values of their arguments.
const FORM: Form = Form {
    what: "model",
    magic: MAGIC,
    max_size: MAX_SIZE,
    sections: &[
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
        "triage",
        "paces",
        "values",
    ],
    sections_of: &[8, 9, 11, 14],
};
/// Kinds of evidence that version 1 knows.
const PARTS_OF_1: usize = 9;

/// The bytes of a model file. Equal models give equal bytes.
///
/// # Errors
/// When the model is larger than a file may be.
pub fn write(data: &ModelData) -> Result<Vec<u8>, ContainerError> {
    let paces = data.trees.as_ref().map(|trees| trees.paces.as_slice()).unwrap_or_default();
    let values = data.trees.as_ref().map(|trees| &trees.values);
    FORM.write(&[
        FORM.encode(&data.meta, 0)?,
        FORM.encode(&data.naming, 1)?,
        FORM.encode(&data.interfaces, 2)?,
        FORM.encode(&data.timing, 3)?,
        FORM.encode(&data.markov, 4)?,
        FORM.encode(&data.counts, 5)?,
        FORM.encode(&data.patterns, 6)?,
        FORM.encode(&data.calibration, 7)?,
        FORM.encode(&data.groups, 8)?,
        FORM.encode(&data.trees, 9)?,
        FORM.encode(&data.similarity, 10)?,
        FORM.encode(&data.triage, 11)?,
        FORM.encode(&paces, 12)?,
        FORM.encode(&values, 13)?,
    ])
}

/// Reads the bytes of a model file.
///
/// # Errors
/// When the bytes are not a whole, undamaged model of a known version.
pub fn read(bytes: &[u8]) -> Result<ModelData, ContainerError> {
    let bodies = FORM.bodies(bytes)?;
    let mut calibration: CalibrationData = FORM.decode(bodies[7], 7)?;
    let has_groups = bodies.len() > 8;
    let mut trees: Option<TreesData> = bodies.get(9).map_or(Ok(None), |body| FORM.decode(body, 9))?;
    let paces = bodies.get(12).map_or(Ok(Vec::new()), |body| FORM.decode(body, 12))?;
    let values: Option<ValuesData> = bodies.get(13).map_or(Ok(None), |body| FORM.decode(body, 13))?;
    if let Some(trees) = &mut trees {
        trees.paces = paces;
        trees.values = values.unwrap_or_default();
    }
    if !has_groups && calibration.tails.len() == PARTS_OF_1 {
        // What version 1 did not know adds nothing.
        calibration.tails.resize(Part::ALL.len(), Tail::default());
    }
    Ok(ModelData {
        meta: FORM.decode(bodies[0], 0)?,
        naming: FORM.decode(bodies[1], 1)?,
        interfaces: FORM.decode(bodies[2], 2)?,
        timing: FORM.decode(bodies[3], 3)?,
        markov: FORM.decode(bodies[4], 4)?,
        counts: FORM.decode(bodies[5], 5)?,
        patterns: FORM.decode(bodies[6], 6)?,
        calibration,
        groups: if has_groups { FORM.decode(bodies[8], 8)? } else { None },
        trees,
        similarity: bodies.get(10).map_or(Ok(SimilarityData::default()), |body| FORM.decode(body, 10))?,
        triage: bodies.get(11).map_or(Ok(None), |body| FORM.decode(body, 11))?,
    })
}

/// The checksum a model file ends with, as hexadecimal: the model's name in logs and findings.
pub fn fingerprint(bytes: &[u8]) -> String {
    container::fingerprint(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{CHECKSUM, HEADER, TABLE_ENTRY};

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
        assert!(matches!(read(&bytes[..40]), Err(ContainerError::Truncated { have: 40, .. })));
        bytes.push(0);
        assert!(matches!(read(&bytes), Err(ContainerError::Trailing { more: 1, .. })));
    }

    /// A valid checksum over a body that claims a huge list: the decoder's limit must hold.
    #[test]
    fn a_bomb_with_a_valid_checksum_is_refused() {
        let good = write(&model()).expect("model");
        let length_at = HEADER + 2 * TABLE_ENTRY + 8;
        let mut body = vec![253];
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        let table: Vec<u64> = (0..FORM.sections.len())
            .map(|i| {
                let at = HEADER + i * TABLE_ENTRY + 8;
                u64::from_le_bytes(good[at..at + 8].try_into().expect("8 bytes"))
            })
            .collect();
        let start = HEADER + FORM.sections.len() * TABLE_ENTRY + table[..2].iter().sum::<u64>() as usize;
        let mut bomb = good[..start].to_vec();
        bomb.extend_from_slice(&body);
        bomb.extend_from_slice(&good[start + table[2] as usize..good.len() - CHECKSUM]);
        bomb[length_at..length_at + 8].copy_from_slice(&(body.len() as u64).to_le_bytes());
        let checksum = blake3::hash(&bomb);
        bomb.extend_from_slice(checksum.as_bytes());
        assert!(matches!(read(&bomb), Err(ContainerError::Decode { section: "interfaces", .. })));
    }
}
