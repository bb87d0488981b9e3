//! Promises of the parts that everything rests on, for any input.

use gait_common::call::{Call, Process};
use gait_common::detect::Tail;
use gait_common::interface::{Interfaces, Learner, NEW, Naming};
use gait_common::model::{Model, ModelData, file};
use gait_common::sequence::{Limits, Sequencer, SessionOf, Sessions, Step, Timing};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a sequencer hands out: each caller's steps, by their values.
#[derive(Default)]
struct Log {
    steps: Vec<(String, u64)>,
    ended: u64,
}

impl Sessions for Log {
    type State = u32;

    fn operation(&mut self, of: SessionOf<'_>, state: &mut u32, steps: &[Step]) {
        assert!(!steps.is_empty());
        *state += steps.len() as u32;
        self.steps.extend(steps.iter().map(|step| (of.caller.to_owned(), step.value)));
    }

    fn end(&mut self, _: SessionOf<'_>, state: &mut u32, _: bool) {
        assert!(*state > 0, "a session without steps");
        *state = 0;
        self.ended += 1;
    }
}

/// What is done with a sequencer.
#[derive(Clone, Debug)]
enum Act {
    Push { caller: u8, start: u64, duration: u64 },
    Advance(u64),
    Interrupt,
    Finish,
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_000_000_000_u64, 0..40_000_000_000_000_u64, Just(u64::MAX), any::<u64>()]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..6_u8, time(), 0..3_000_000_000_u64).prop_map(|(caller, start, duration)| Act::Push { caller, start, duration }),
        2 => time().prop_map(Act::Advance),
        1 => Just(Act::Interrupt),
        1 => Just(Act::Finish),
    ]
}

proptest! {
    /// Whatever the times, every call that went in comes out, once and as its own caller's.
    #[test]
    fn a_sequencer_never_loses_a_step(acts in vec(act(), 0..200), callers in 1..5_usize, operation in 1..9_usize) {
        let mut log = Log::default();
        let limits = Limits { callers, operation, lateness: 1_000_000 };
        let mut sequencer = Sequencer::new(Timing::default(), limits);
        let mut pushed = Vec::new();
        for (value, act) in (1..).zip(acts) {
            match act {
                Act::Push { caller, start, duration } => {
                    let caller = format!("caller {caller}");
                    let step = Step { start, end: start.saturating_add(duration), value, ..Step::default() };
                    sequencer.push(&caller, Process::default(), step, &mut log);
                    pushed.push((caller, value));
                }
                Act::Advance(now) => sequencer.advance(now, &mut log),
                Act::Interrupt => sequencer.interrupt(&mut log, |_| ()),
                Act::Finish => sequencer.finish(&mut log),
            }
            prop_assert!(sequencer.open_sessions() <= callers);
        }
        sequencer.finish(&mut log);
        pushed.sort_unstable();
        log.steps.sort_unstable();
        prop_assert_eq!(&log.steps, &pushed);
        let counts = sequencer.counts();
        prop_assert_eq!((counts.steps, counts.sessions), (pushed.len() as u64, log.ended));
        prop_assert_eq!(sequencer.open_sessions(), 0);
    }

    /// More evidence must never make a session less suspicious, at any amount.
    #[test]
    fn a_tail_never_falls(sample in vec(prop_oneof![Just(0.0_f32), 0.0..1.0_f32, 0.0..1e6_f32], 0..300),
                          amounts in vec(0.0..2e6_f32, 2..50), least in 0.01..2.0_f32,
                          tolerance in 0.0..1.0_f32) {
        let tail = Tail::fit(&sample, least, tolerance);
        let mut amounts = amounts;
        amounts.extend(&sample);
        amounts.sort_unstable_by(f32::total_cmp);
        let exponents: Vec<f64> = amounts.iter().map(|&amount| tail.exponent(amount)).collect();
        prop_assert!(exponents.iter().all(|e| e.is_finite() && *e >= 0.0), "{:?}", exponents);
        prop_assert!(exponents.is_sorted(), "{:?} {:?}", amounts, exponents);
    }

    /// What training saw it can name: else normal traffic would be reported as never seen.
    #[test]
    fn learned_calls_have_a_name(targets in vec(target(), 1..150)) {
        let call = |target| Call { method: "GET", target, ..Call::default() };
        let mut learner = Learner::new(Naming::default(), Vec::new());
        targets.iter().for_each(|target| learner.observe(&call(target)));
        let interfaces = Interfaces::new(&learner.finish(), Naming::default()).expect("learned names can be used");
        for target in &targets {
            let named = interfaces.name_call(&call(target), &mut String::new());
            prop_assert_ne!(named.id, NEW, "{}", target);
        }
    }

    /// A model is what was written, whatever its names and numbers.
    #[test]
    fn a_model_comes_back_as_it_was_written(names in vec(".{0,20}", 0..20), threshold in any::<f64>(), gap in any::<u64>()) {
        let mut data = ModelData { interfaces: names, ..ModelData::default() };
        data.calibration.threshold = threshold;
        data.timing.operation_gap = gap;
        let bytes = file::write(&data).expect("a small model");
        let read = file::read(&bytes).expect("what was written");
        // As text, for a number that is none equals nothing.
        prop_assert_eq!(format!("{read:?}"), format!("{data:?}"));
        prop_assert_eq!(file::write(&read).expect("the same model"), bytes);
        let _ = Model::new(read);
    }
}

/// Targets as clients send them: few words, so that templates form, and now and then anything.
fn target() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[a-c]{1,2}",
        2 => "[0-9]{1,4}",
        1 => "(admin|login|\\.env|v[0-9])",
        1 => "[a-f0-9]{8}",
        1 => "[A-Za-z%{}*.@~+_-]{1,12}",
    ];
    let query = prop_oneof![3 => Just(String::new()), 1 => "\\?[a-c&=?+% ]{0,8}"];
    (vec(segment, 0..5), query).prop_map(|(segments, query)| format!("/{}{query}", segments.join("/")))
}
