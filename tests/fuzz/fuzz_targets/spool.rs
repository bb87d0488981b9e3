//! A file of the spool. Mutations begin with one that the agent's own columns make.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use gait_common::call::Call;
use gait_common::ingest::{Format, Options, read};
use gait_common::spool::{Extra, Rows, VERSION, VERSION_KEY, schema};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(good);

fuzz_target!(|bytes: &[u8]| {
    let path: PathBuf = DIR.path().join("fuzz.parquet");
    std::fs::write(&path, bytes).expect("file");
    let mut calls = 0;
    let reading = read(&[path.display().to_string()], Format::Spool, &Options::default(), &mut |_, _| {
        calls += 1;
        Ok(())
    });
    if let Ok(report) = reading {
        assert!(report.records <= calls);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, _seed: u32| {
    if !data[..size].starts_with(b"PAR1") && max_size >= GOOD.len() {
        data[..GOOD.len()].copy_from_slice(&GOOD);
        return GOOD.len();
    }
    fuzzer_mutate(data, size, max_size)
});

fn good() -> Vec<u8> {
    let mut rows = Rows::default();
    for at in 0..20 {
        let call =
            Call { start: at << 30, method: "GET", target: "/item/7", caller: "ann", ..Call::default() };
        rows.push(&call, &Extra { interrupted: at == 10, ..Extra::default() });
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), None).expect("writer");
    writer.append_key_value_metadata(KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned()));
    writer.write(&rows.finish().expect("columns of equal length")).expect("memory can be written");
    writer.into_inner().expect("memory can be written")
}
