//! The pipeline under calls of any caller, time and order: nothing is lost, and no finding is without its reason.
#![no_main]

use std::sync::{Arc, LazyLock};

use gait_common::call::Call;
use gait_common::model::{Model, file};
use gait_common::pipeline::Pipeline;
use gait_common::sequence::Limits;

static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| file::read(gait_fuzz::MODEL).expect("model").interfaces);
static TRAINED: LazyLock<Arc<Model>> =
    LazyLock::new(|| Arc::new(Model::new(file::read(gait_fuzz::MODEL).expect("model")).expect("sound")));

// Four bytes are a call: caller and what happens before, interface, and how far the time goes on or back.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { callers: 4, operation: 8, lateness: 1 << 28 };
    let mut pipeline = Pipeline::new(Arc::clone(&TRAINED), limits);
    let (mut found, mut now, mut calls) = (Vec::new(), 1_u64 << 60, 0);
    for call in bytes.chunks_exact(4) {
        let distance = u64::from(call[2]) << (call[3] % 60);
        now = if call[3] & 0x80 == 0 { now.wrapping_add(distance) } else { now.wrapping_sub(distance) };
        match call[0] >> 5 {
            0 => pipeline.interrupt(&mut found),
            1 => pipeline.advance(now, &mut found),
            2 => pipeline.finish(&mut found),
            _ => {}
        }
        let name = &NAMES[usize::from(call[1]) % NAMES.len()];
        let (method, target) = name.split_once(' ').unwrap_or(("", name));
        let caller = ["a", "b", "c", "d", "e", "f", "g", "h"][usize::from(call[0] & 7)];
        let (gap, duration) = (call[0] & 8 != 0, distance >> 3);
        pipeline.process(
            &[Call { start: now, duration, method, target, caller, gap, ..Call::default() }],
            &mut found,
        );
        calls += 1;
    }
    pipeline.finish(&mut found);
    let funnel = pipeline.funnel();
    assert_eq!((funnel.named + funnel.new, funnel.sequenced, funnel.scored), (calls, calls, calls));
    assert_eq!((funnel.open_sessions, funnel.findings), (0, found.len() as u64));
    for finding in &found {
        assert!(finding.score >= finding.threshold && !finding.reasons.is_empty(), "{finding:?}");
        assert!(finding.steps.iter().filter(|step| step.offending).count() <= 1, "{finding:?}");
    }
});
