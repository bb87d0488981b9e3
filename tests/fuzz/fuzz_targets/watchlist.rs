//! A source of a watchlist in any format, the first byte saying which, and the list that is made of it.
#![no_main]

use gait_common::identity::file;
use gait_trainer::watchlist::format::Format;
use gait_trainer::watchlist::list::build;
use gait_trainer::watchlist::source::{Options, read};
use gait_trainer::watchlist::spec::SourceSpec;

const FORMATS: [Option<Format>; 8] = [
    None,
    Some(Format::OfacCsv),
    Some(Format::OfacXml),
    Some(Format::OfacAdvanced),
    Some(Format::Un),
    Some(Format::Ftm),
    Some(Format::Csv),
    Some(Format::Json),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    let format = FORMATS[usize::from(which) % FORMATS.len()];
    let spec = SourceSpec { file: "fuzz".into(), format, ..SourceSpec::default() };
    let options = Options { max_rejected: 1.0, ..Options::default() };
    let mut rejected = 0;
    let mut tell = |problem: &gait_trainer::watchlist::sink::Problem| {
        assert!(!problem.reason.is_empty());
        rejected += 1;
        Ok(())
    };
    let Ok(loaded) = read(bytes, &spec, &options, &mut tell) else { return };
    let counts = loaded.counts;
    assert_eq!(counts.rows, counts.entities + counts.rejected + counts.replaced);
    assert_eq!(loaded.entities.len() as u64, counts.entities);
    assert!(rejected >= counts.rejected);
    let list = build(vec![loaded]).expect("one source fits");
    let bytes = file::write(&list).expect("what was read can be written");
    assert_eq!(file::read(&bytes).expect("what was written can be read"), list);
});
