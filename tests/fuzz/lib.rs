//! What several fuzz targets share.

pub mod frame;

use gait_common::call::Call;
use gait_common::ingest::traces::{Assembler, Counts, Limits, Trace};
use gait_common::ingest::{Format, Options, Record, read_stream, spans};
use gait_common::interface::{Interfaces, Learner, NEW, Naming};

/// A model that training wrote: what the targets that need one begin with.
pub const MODEL: &[u8] = include_bytes!("../fixtures/model/v4.gait");
/// A list that the trainer wrote.
pub const LIST: &[u8] = include_bytes!("../fixtures/watchlist/v1.gait-list");

/// Reads hostile lines, and does with every record what training does with it: names it.
///
/// # Panics
/// When a reading breaks a promise.
pub fn lines(bytes: &[u8], format: Format) {
    // Lines beyond the bound are common this way, and no share of malformed ones ends the reading.
    let options = Options { max_line: 512, max_malformed: 1.0, samples: 2, forwarded: true, watch: None };
    let mut learner = Learner::new(Naming::default(), Vec::new());
    let report = read_stream(bytes, "fuzz", format, &options, &mut |record, place| {
        assert!(place.line > 0);
        match record {
            Record::Call(call) => {
                assert!(!call.target.is_empty() && !call.caller.is_empty(), "{call:?}");
                learner.observe(&call);
            }
            Record::Sequence { id, tokens } => {
                assert!(id.is_none_or(|id| !id.is_empty()));
                let mut count = 0;
                for token in tokens {
                    assert!(!token.is_empty() && !token.contains(' '));
                    learner.observe_token(token);
                    count += 1;
                }
                assert!(count > 0, "a sequence without steps");
            }
            Record::Interruption(_) => unreachable!("no line format has them"),
        }
        Ok(())
    })
    .expect("memory can be read");
    assert_eq!(report.lines, report.records + report.blank + report.not_http + report.faults());
    let names = learner.finish();
    Interfaces::new(&names, Naming::default()).expect("learned names can be used");
}

/// Learns names from calls and holds that every one of them is known afterwards.
///
/// # Panics
/// When a call that was learned from is unknown.
pub fn learned_names_are_known(calls: &[Call<'_>]) {
    let mut learner = Learner::new(Naming::default(), Vec::new());
    calls.iter().for_each(|call| learner.observe(call));
    let interfaces =
        Interfaces::new(&learner.finish(), Naming::default()).expect("learned names can be used");
    let mut scratch = String::new();
    for call in calls {
        let named = interfaces.name_call(call, &mut scratch);
        assert_ne!(named.id, NEW, "{call:?} was learned from");
        assert!((named.id as usize) < interfaces.len());
    }
}

/// Reads hostile spans and puts them together, with and without room for them.
///
/// # Panics
/// When a reading breaks a promise.
pub fn spans(bytes: &[u8], format: Format) {
    let options = Options { max_line: 512, max_malformed: 1.0, samples: 2, ..Options::default() };
    let tight = Limits { spans: 3, names: 4, complete: 2 };
    for limits in [Limits::default(), tight] {
        let (mut assembler, mut entries) = (Assembler::new(limits), 0);
        let mut sink = |trace: &Trace| {
            for (place, entry) in trace.entries.iter().enumerate() {
                assert!(entry.own <= entry.elapsed && entry.caller.is_none_or(|caller| caller < place));
            }
            entries += trace.entries.len() as u64;
            Ok(())
        };
        let report = spans::read_stream(bytes, "fuzz", format, &options, &mut |span, place| {
            assert!(place.line > 0 && !span.service.is_empty() && !span.operation.is_empty());
            assembler.push(&span, &mut sink)
        })
        .expect("memory can be read");
        assert_eq!(report.lines, report.records + report.faults());
        assembler.finish(&mut sink).expect("the sink takes it");
        let Counts { spans, trees, .. } = assembler.counts();
        assert_eq!((spans, trees), (report.records, entries));
    }
}
