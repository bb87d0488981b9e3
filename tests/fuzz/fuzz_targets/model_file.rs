//! A model file, and the use of whatever is accepted. Mutations reach every section: lengths and checksum are put right.
#![no_main]

use std::sync::Arc;

use gait_common::call::Call;
use gait_common::model::{Model, file};
use gait_common::pipeline::Pipeline;
use gait_common::sequence::Limits;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

const SECTIONS: usize = 14;
/// Where the section table begins, and where the sections do.
const TABLE: usize = 16;
const BODIES: usize = TABLE + SECTIONS * 16;
const CHECKSUM: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    let Ok(data) = file::read(bytes) else { return };
    let written = file::write(&data).expect("what was read can be written");
    assert!(file::read(&written).is_ok());
    let names = data.interfaces.clone();
    let Ok(model) = Model::new(data) else { return };
    let threshold = model.threshold();
    assert!(!threshold.is_nan());
    let mut pipeline = Pipeline::new(Arc::new(model), Limits::default());
    let mut found = Vec::new();
    for (at, name) in names.iter().cycle().take(64.min(4 * names.len())).enumerate() {
        let (method, target) = name.split_once(' ').unwrap_or(("", name));
        let start = (at as u64) << (at % 50);
        let call = Call { start, method, target, caller: "ann", gap: at % 13 == 12, ..Call::default() };
        pipeline.process(&[call], &mut found);
        pipeline.advance(start, &mut found);
    }
    pipeline.advance(u64::MAX, &mut found);
    pipeline.finish(&mut found);
    assert!(found.iter().all(|finding| finding.score >= threshold));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let Some(mut sections) = sections(&data[..size]) else {
        return put(gait_fuzz::MODEL, data, max_size);
    };
    let Some(section) = sections.get_mut(seed as usize % (SECTIONS + 1)) else {
        return fuzzer_mutate(data, size, max_size);
    };
    let len = section.len();
    section.resize(len + 64, 0);
    let room = section.len();
    let len = fuzzer_mutate(section, len, room);
    section.truncate(len);
    put(&assemble(&sections), data, max_size)
});

fn put(bytes: &[u8], data: &mut [u8], max_size: usize) -> usize {
    let len = bytes.len().min(max_size).min(data.len());
    data[..len].copy_from_slice(&bytes[..len]);
    len
}

fn sections(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let table = bytes.get(TABLE..BODIES)?;
    let mut at = BODIES;
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

fn assemble(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut out = gait_fuzz::MODEL[..TABLE].to_vec();
    for (kind, body) in (1u64..).zip(sections) {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    }
    sections.iter().for_each(|body| out.extend_from_slice(body));
    let checksum: [u8; CHECKSUM] = blake3::hash(&out).into();
    out.extend_from_slice(&checksum);
    out
}
