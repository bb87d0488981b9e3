//! `screen --batch`: a CSV file of names in, a CSV file of answers out, row by row in order.
//!
//! One thread reads, one per CPU looks names up, one writes; what is on its way is bounded. A run that was cut off, by
//! SIGKILL too, is gone on with by `--resume`: the answers' own last whole row says how far it came, and the hash that
//! stands in it says whether the input is still the same up to there. So no row is lost, and none comes twice.

mod answers;
mod columns;
mod rows;

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Screened, Screener};
use answers::{Answers, Done};
use columns::Columns;
use rows::{Row, Rows};

pub(super) use columns::{Mapped, kind};

/// Rows that go from thread to thread at a time.
const CHUNK: usize = 128;
/// Chunks on their way, for each worker.
const AHEAD: usize = 4;
/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(250);

/// What to look up, and where the answers go.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The file of names.
    pub(super) input: PathBuf,
    /// The file of answers.
    pub(super) out: PathBuf,
    /// Go on with answers that were cut off.
    pub(super) resume: bool,
    /// Columns whose header does not say what they are.
    pub(super) columns: Vec<Mapped>,
    /// What stands between fields.
    pub(super) delimiter: u8,
    /// The channel of the risk matrix.
    pub(super) channel: String,
    /// Threads that look names up.
    pub(super) workers: usize,
}

/// What became of the rows. `rows = earlier + passed + review + block + errors`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Rows of the input, without its header.
    pub(super) rows: u64,
    /// Rows that an earlier run had answered.
    pub(super) earlier: u64,
    /// Rows on no list.
    pub(super) passed: u64,
    /// Rows that a person must look at.
    pub(super) review: u64,
    /// Rows as good as certainly listed.
    pub(super) block: u64,
    /// Rows that could not be looked up; the answer says why.
    pub(super) errors: u64,
}

/// Rows, and where their answers go.
struct Job {
    rows: Vec<Row>,
    /// Bytes of the input up to their end.
    read: u64,
    out: SyncSender<Answered>,
}

/// The answers of a chunk: as text, and for the audit log.
struct Answered {
    text: String,
    answers: Vec<Screened>,
    errors: u64,
    read: u64,
}

/// Answers every row.
///
/// # Errors
/// When a file cannot be read or written, or the answers cannot be gone on with.
pub(super) fn run(screener: &Screener, options: &Options) -> Result<Counts> {
    let input =
        File::open(&options.input).with_context(|| format!("failed to open {}", options.input.display()))?;
    let size = input.metadata().map_or(0, |meta| meta.len());
    let (list, policy) = (screener.list().fingerprint.clone(), screener.policy_hash.clone());
    let mut rows = Rows::new(input, options.delimiter);
    let header = rows.next().with_context(|| failed(&options.input))?;
    let header = header.with_context(|| format!("{} is empty", options.input.display()))?;
    let columns = Columns::new(&header, &options.columns)
        .with_context(|| format!("{} cannot be read", options.input.display()))?;
    let (mut answers, done) = Answers::open(&options.out, options.resume, &list, &policy)?;
    let mut counts = Counts::default();
    if let Some(done) = done {
        skip(&mut rows, &done, &options.input)?;
        (counts.rows, counts.earlier) = (done.row, done.row);
    }
    let workers = options.workers.max(1);
    let (jobs_in, jobs) = sync_channel::<Job>(workers * AHEAD);
    let (order_in, order) = sync_channel::<Receiver<Answered>>(workers * AHEAD);
    let jobs = Mutex::new(jobs);
    let work = || {
        loop {
            // Held only while waiting for a job, so that the others get the next ones.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            let answered = answer(screener, &columns, &job, options, (&list, &policy));
            // When the writer has failed it says why.
            let _ = job.out.send(answered);
        }
    };
    let mut progress = Progress::new(size, counts.rows);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
        let reader = scope.spawn(|| read(&mut rows, jobs_in, order_in));
        for chunk in order {
            let Ok(done) = chunk.recv() else { bail!("a thread that looks names up has ended early") };
            screener.record(&done.answers)?;
            answers
                .append(&done.text)
                .with_context(|| format!("failed to write {}", options.out.display()))?;
            counts.take(&done);
            progress.show(counts.rows, done.read);
        }
        let read = reader.join().unwrap_or_else(|_| bail!("the thread that reads has ended early"));
        read.with_context(|| failed(&options.input))
    })?;
    progress.end();
    answers.finish().with_context(|| format!("failed to write {}", options.out.display()))?;
    Ok(counts)
}

fn failed(path: &Path) -> String {
    format!("failed to read {}", path.display())
}

/// Passes over the rows that are answered, and checks that they are the ones that were.
fn skip(rows: &mut Rows<File>, done: &Done, input: &Path) -> Result<()> {
    loop {
        let row = rows.next().with_context(|| failed(input))?;
        let Some(row) = row else {
            bail!(
                "{} has fewer rows than were answered ({}): it is not the same file",
                input.display(),
                done.row
            )
        };
        if row.number == done.row {
            ensure!(
                row.check == done.check,
                "{} is not the file that was begun with: it differs within the first {} rows",
                input.display(),
                done.row
            );
            return Ok(());
        }
    }
}

/// Hands the rows out in chunks, and tells the writer in which order their answers come.
fn read(rows: &mut Rows<File>, jobs: SyncSender<Job>, order: SyncSender<Receiver<Answered>>) -> Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        while chunk.len() < CHUNK
            && let Some(row) = rows.next()?
        {
            chunk.push(row);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        let (out, answers) = sync_channel(1);
        // When the writer has failed it says why.
        let job = Job { rows: chunk, read: rows.read(), out };
        if order.send(answers).is_err() || jobs.send(job).is_err() {
            return Ok(());
        }
    }
}

fn answer(
    screener: &Screener,
    columns: &Columns,
    job: &Job,
    options: &Options,
    with: (&str, &str),
) -> Answered {
    let mut done = Answered { text: String::new(), answers: Vec::new(), errors: 0, read: job.read };
    for row in &job.rows {
        let outcome = columns
            .query(row, &options.channel)
            .map(|(query, caller)| screener.ask(&query, caller.as_deref()));
        answers::push(&mut done.text, row, (columns.id(row), columns.name(row)), &outcome, with);
        match outcome {
            Ok(screened) => done.answers.push(screened),
            Err(_) => done.errors += 1,
        }
    }
    done
}

impl Counts {
    fn take(&mut self, done: &Answered) {
        use gait_common::identity::Decision;
        for screened in &done.answers {
            match screened.answer.decision {
                Decision::Pass => self.passed += 1,
                Decision::Review => self.review += 1,
                Decision::Block => self.block += 1,
            }
        }
        self.errors += done.errors;
        self.rows += done.answers.len() as u64 + done.errors;
    }

    /// What became of the rows, in one line.
    pub(super) fn line(&self) -> String {
        let Self { rows, earlier, passed, review, block, errors } = self;
        let mut line = format!("{rows} rows: {block} block, {review} review, {passed} pass, {errors} errors");
        if *earlier > 0 {
            line += &format!("; {earlier} were answered by an earlier run");
        }
        line
    }
}

/// How far a run has come, on a terminal.
struct Progress {
    shown: bool,
    size: u64,
    begun: Instant,
    from: u64,
    next: Instant,
}

impl Progress {
    fn new(size: u64, from: u64) -> Self {
        let now = Instant::now();
        Self { shown: std::io::stderr().is_terminal(), size, begun: now, from, next: now + SHOW }
    }

    fn show(&mut self, rows: u64, read: u64) {
        if !self.shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + SHOW;
        let rate = (rows - self.from) as f64 / self.begun.elapsed().as_secs_f64();
        let share = if self.size > 0 { 100.0 * read as f64 / self.size as f64 } else { 0.0 };
        let _ = write!(std::io::stderr(), "\r{rows} rows, {share:.0} % read, {rate:.0} a second \x1b[K");
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Reads bytes that anybody may have written as a file of names; what the fuzzer runs.
///
/// # Panics
/// When a row that comes out breaks a promise of this module.
pub fn fuzz(bytes: &[u8]) {
    let mut rows = Rows::new(bytes, b',');
    let Ok(Some(header)) = rows.next() else { return };
    let Ok(columns) = Columns::new(&header, &[]) else { return };
    let (mut number, mut out) = (0, String::new());
    while let Ok(Some(row)) = rows.next() {
        number += 1;
        assert_eq!(row.number, number, "rows are numbered without a gap");
        if let Ok((query, _)) = columns.query(&row, "batch") {
            assert!(super::check(&query).is_ok(), "{query:?}");
        }
        out.clear();
        answers::push(&mut out, &row, (columns.id(&row), columns.name(&row)), &Err(String::new()), ("", ""));
        assert!(out.ends_with('\n') && out.chars().filter(|c| c.is_control()).count() == 1, "{out:?}");
        assert!(out.len() < 16 << 10, "an answer is bounded");
    }
    assert_eq!(rows.read(), bytes.len() as u64, "everything was read");
}
