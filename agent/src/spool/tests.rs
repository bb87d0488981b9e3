//! What is recorded is there to be read, stays within its bounds, and survives crashes.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use gait_common::call::Call;
use gait_common::spool::{Calls, Extra, Rows, VERSION_KEY};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// 2026-11-22 07:30 UTC.
const NOW: Nanos = 1_795_332_600_000_000_000;

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_owned(),
        table: CALLS,
        host: "web/1.example".to_owned(),
        started: NOW,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3600),
        flush_interval: Duration::from_secs(10),
        max_waiting: 1 << 20,
    }
}

fn batch(start: Nanos, rows: usize) -> RecordBatch {
    let mut batch = Rows::default();
    for row in 0..rows {
        let target = format!("/item/{row}");
        let call = Call {
            start: start + row as u64 * 1000,
            method: "GET",
            target: &target,
            caller: "ann",
            ..Call::default()
        };
        batch.push(&call, &Extra::default());
    }
    batch.finish().expect("columns of equal length")
}

fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("directory") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push(path.strip_prefix(dir).expect("below").display().to_string());
            }
        }
    }
    found.sort_unstable();
    found
}

fn targets(path: &Path) -> Vec<String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("file")).expect("parquet");
    let metadata = reader.metadata().file_metadata().key_value_metadata().expect("metadata");
    let version = metadata.iter().find(|pair| pair.key == VERSION_KEY).and_then(|pair| pair.value.as_deref());
    Calls::check_version(version).expect("a version that is known");
    let mut targets = Vec::new();
    for batch in reader.build().expect("reader") {
        let batch = batch.expect("batch");
        let calls = Calls::new(&batch).expect("the schema");
        targets.extend((0..calls.len()).map(|row| calls.call(row).target.to_owned()));
    }
    targets
}

#[test]
fn files_appear_by_day_and_hour_and_hold_the_rows() {
    let dir = tempfile::tempdir().expect("directory");
    let mut spool = Spool::open(options(dir.path())).expect("spool");
    spool.push(&batch(NOW, 3)).expect("push");
    spool.push(&batch(NOW, 2)).expect("push");
    spool.push(&batch(NOW + 3_600_000_000_000, 1)).expect("push");
    let counts = spool.finish().expect("finish");
    let names = [
        "calls/date=2026-11-22/hour=07/web_1_example-1795332600000000-0.parquet",
        "calls/date=2026-11-22/hour=08/web_1_example-1795332600000000-1.parquet",
    ];
    assert_eq!(files(dir.path()), names);
    assert_eq!(targets(&dir.path().join(names[0])), ["/item/0", "/item/1", "/item/2", "/item/0", "/item/1"]);
    assert_eq!((counts.rows_in, counts.rows_written, counts.rows_lost, counts.files_written), (6, 6, 0, 2));
}

#[test]
fn what_a_crash_left_unfinished_is_removed_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().expect("directory");
    let hour = dir.path().join("calls/date=2026-11-21/hour=23");
    fs::create_dir_all(&hour).expect("directory");
    for name in
        [".web_1_example-1-0.parquet.tmp", ".other-1-0.parquet.tmp", "web_1_example-1-1.parquet", "notes"]
    {
        fs::write(hour.join(name), "x").expect("file");
    }
    let spool = Spool::open(options(dir.path())).expect("spool");
    assert_eq!(spool.counts().leftovers_removed, 1);
    let kept = [".other-1-0.parquet.tmp", "notes", "web_1_example-1-1.parquet"];
    assert_eq!(files(&hour), kept);
}

#[test]
fn the_oldest_files_make_room() {
    let dir = tempfile::tempdir().expect("directory");
    let one = {
        let mut spool = Spool::open(options(dir.path())).expect("spool");
        spool.push(&batch(NOW - 86_400_000_000_000, 1000)).expect("push");
        spool.finish().expect("finish").bytes_written
    };
    let options = Options { max_bytes: one * 5 / 2, started: NOW + 1000, ..options(dir.path()) };
    let mut spool = Spool::open(options.clone()).expect("spool");
    for _ in 0..3 {
        spool.push(&batch(NOW, 1000)).expect("push");
        spool.flush().expect("flush");
    }
    assert_eq!(spool.counts().files_deleted, 2);
    let left = files(dir.path());
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].ends_with("-1.parquet") && left[1].ends_with("-2.parquet"), "the newest stay: {left:?}");
    assert!(!dir.path().join("calls/date=2026-11-21").exists(), "a day without files is gone");

    let old = SystemTime::now() - 2 * options.max_age;
    File::options()
        .write(true)
        .open(dir.path().join(&left[0]))
        .and_then(|f| f.set_modified(old))
        .expect("mtime");
    let spool = Spool::open(options).expect("spool");
    assert_eq!((spool.counts().files_deleted, files(dir.path()).len()), (1, 1), "too old");
}

#[test]
fn rows_wait_for_a_disk_that_refuses_and_are_lost_only_past_the_bound() {
    let dir = tempfile::tempdir().expect("directory");
    let waiting = 3 * Encoder::new(0, &batch(NOW, 1))
        .and_then(|mut e| e.push(&batch(NOW, 9)).and_then(|()| e.finish()))
        .expect("file")
        .bytes
        .len();
    let mut spool = Spool::open(Options { max_waiting: waiting, ..options(dir.path()) }).expect("spool");
    // A file where the day's directory should be: no privilege gets past that.
    let day = dir.path().join("calls/date=2026-11-22");
    fs::write(&day, "in the way").expect("file");
    for _ in 0..5 {
        spool.push(&batch(NOW, 9)).expect("push");
        spool.flush().expect("a disk that refuses is no error");
    }
    let counts = spool.counts();
    assert_eq!((counts.rows_written, counts.rows_lost, counts.failed_writes), (0, 18, 5));
    fs::remove_file(&day).expect("file");
    let counts = spool.finish().expect("finish");
    assert_eq!((counts.rows_in, counts.rows_written, counts.rows_lost), (45, 27, 18));
    assert_eq!(files(dir.path()).len(), 3);
}

#[test]
fn a_closed_channel_flushes_everything() {
    let dir = tempfile::tempdir().expect("directory");
    let spool = Spool::open(options(dir.path())).expect("spool");
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let writer = std::thread::spawn(move || spool.run(&receiver));
    for _ in 0..4 {
        sender.send(batch(NOW, 5)).expect("the writer is there");
    }
    drop(sender);
    let counts = writer.join().expect("no panic").expect("written");
    assert_eq!((counts.rows_in, counts.rows_written), (20, 20));
}
