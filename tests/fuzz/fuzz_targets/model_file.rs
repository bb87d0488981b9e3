//! A model file, and the use of whatever is accepted. Mutations reach every section.
#![no_main]

use std::sync::Arc;

use gait_common::call::Call;
use gait_common::model::{Model, file};
use gait_common::pipeline::Pipeline;
use gait_common::sequence::Limits;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

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
    gait_fuzz::frame::mutate(data, size, max_size, seed, gait_fuzz::MODEL)
});
