//! A spool whose disk refuses to take more. The refusal is the kernel's own: a limit on the size of files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_array::RecordBatch;
use gait_agent::spool::{Options, Spool};
use gait_common::call::Call;
use gait_common::spool::{CALLS, Extra, Rows};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

const SIGXFSZ: i32 = 25;

fn batch(rows: u64) -> RecordBatch {
    let mut batch = Rows::default();
    for row in 0..rows {
        let target = format!("/item/{:x}", row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        batch.push(&Call { target: &target, caller: "ann", ..Call::default() }, &Extra::default());
    }
    batch.finish().expect("columns of equal length")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let hour = dir.join("calls/date=1970-01-01/hour=00");
    let mut files: Vec<_> =
        fs::read_dir(hour).expect("directory").map(|e| e.expect("entry").path()).collect();
    files.sort_unstable();
    files
}

fn rows(path: &Path) -> usize {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("file")).expect("a whole file");
    reader.build().expect("reader").map(|batch| batch.expect("batch").num_rows()).sum()
}

fn limit_files(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit may be lowered");
}

/// Alone in its file: the limit holds for the whole process.
#[test]
fn nothing_written_is_lost_and_what_comes_waits() {
    // As in the agent: without a handler the signal would end the process.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let _handled = runtime.block_on(async { signal(SignalKind::from_raw(SIGXFSZ)) }).expect("handler");
    let dir = tempfile::tempdir().expect("directory");
    let options = Options {
        dir: dir.path().to_owned(),
        table: CALLS,
        host: "web1".to_owned(),
        started: 0,
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3600),
        flush_interval: Duration::from_secs(10),
        max_waiting: 1 << 20,
    };
    let mut spool = Spool::open(options).expect("spool");
    spool.push(&batch(1000)).expect("push");
    spool.flush().expect("flush");

    limit_files(Some(2048));
    spool.push(&batch(2000)).expect("push");
    spool.flush().expect("a disk that refuses is no error");
    let first = files(dir.path());
    assert_eq!(first.len(), 1, "no unfinished file is left behind: {first:?}");
    assert_eq!(rows(&first[0]), 1000, "what was written is whole");
    let counts = spool.counts();
    assert_eq!((counts.failed_writes, counts.rows_written, counts.rows_lost), (1, 1000, 0));

    limit_files(None);
    let counts = spool.finish().expect("finish");
    assert_eq!((counts.rows_in, counts.rows_written, counts.rows_lost), (3000, 3000, 0));
    let all = files(dir.path());
    assert_eq!(all.iter().map(|path| rows(path)).sum::<usize>(), 3000);
}
