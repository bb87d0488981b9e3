//! Follows Suricata's logs while they grow, and writes each of their lines with what is thought of it.
//!
//! One thread reads, judges and writes; nothing is read while the output cannot be written. Once a second, when the output is on
//! disk, it is remembered how far the inputs were read. After a crash the lines in between are read again, recognised in the
//! output by what they hold, and left out. So each line is written once, but for two cases, in which lines of the last second may come
//! twice: the output was moved away within that second, and lines longer than a mebibyte.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use gait_common::alert::Rates;
use serde::Serialize;

use super::judge::{self, Judge, Read, Setup};
use super::link::{self, Sought};
use super::output::{Output, Place, Written};
use super::queue::Queue;
use super::state::{Input, State};
use super::tail::{self, Piece, Tail};
use crate::run::now;

/// How often a log is looked at that has nothing new.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is remembered how far the inputs were read.
const COMMIT: Duration = Duration::from_secs(1);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How much later than its alert a line may be read and still wait for the exchange, beyond the wait itself, in nanoseconds.
const OLD: u64 = 10_000_000_000;

/// What to follow.
#[derive(Clone, Debug)]
pub struct Options {
    /// The logs.
    pub inputs: Vec<PathBuf>,
    /// A file to append to; standard output without one.
    pub output: Option<PathBuf>,
    /// Where to remember how far the inputs were read; without it every start begins with theirs.
    pub state: Option<PathBuf>,
    /// Leave everything out but alerts.
    pub alerts_only: bool,
    /// How long an alert may wait for the exchange that it is about.
    pub link_wait: Duration,
}

/// What became of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// What was judged.
    #[serde(flatten)]
    pub judged: judge::Counts,
    /// Lines that a run before this one had written already.
    pub written_before: u64,
    /// Lines left out because only alerts are wanted.
    pub left_out: u64,
    /// Lines that could not be written. They are read again at the next start, if it is remembered how far this one came.
    pub unwritten: u64,
    /// Times that an input could not be read.
    pub read_errors: u64,
    /// What happened to the inputs, together.
    pub inputs: tail::Counts,
    /// How alerts and exchanges found each other; absent where nothing is captured.
    pub links: Option<link::Counts>,
}

impl Counts {
    /// Whether every line that was read went somewhere.
    pub(crate) fn balanced(&self) -> bool {
        let judge::Counts { lines, alerts, real, false_alarm, abstain, other, malformed, too_long, .. } =
            self.judged;
        self.inputs.lines == lines + self.written_before
            && lines == alerts + other + malformed + too_long
            && alerts == real + false_alarm + abstain
    }
}

/// Follows logs.
pub struct Live {
    options: Options,
    tails: Vec<Tail>,
    intake: Intake,
    sink: Sink,
    /// What is to be written next.
    out: Vec<u8>,
    failing: Option<Instant>,
    read_failed: Option<Instant>,
    read_errors: u64,
    committed: Instant,
    commit_failed: bool,
    state: State,
    snapshot: Option<Snapshot>,
}

/// What lines go through on their way in.
struct Intake {
    judge: Judge,
    rates: Rates,
    queue: Queue,
    written: Written,
    written_before: u64,
    left_out: u64,
    alerts_only: bool,
    links: Option<link::Shared>,
    link_wait: Duration,
}

enum Sink {
    File(Output),
    Stdout,
}

/// How far the inputs were read when `came` lines had come.
struct Snapshot {
    came: u64,
    inputs: Vec<Input>,
    /// Where the output ends with them, once they are in it.
    place: Option<Place>,
}

impl Live {
    /// Opens everything, and finds where the run before this one stopped. With `links`, alerts wait for their exchanges.
    ///
    /// # Errors
    /// When an input that is there, the output, or what was remembered cannot be read.
    pub fn open(options: Options, setup: Arc<Setup>, links: Option<link::Shared>) -> Result<Self> {
        let state = options.state.as_deref().map(State::read).transpose()?.unwrap_or_default();
        let sink = match &options.output {
            Some(path) => Sink::File(Output::open(path)?),
            None => Sink::Stdout,
        };
        let mut written = Written::default();
        if let (Sink::File(output), Some(place)) = (&sink, &state.output) {
            written = output.written_since(place).context("failed to read the end of the output")?;
            if (place.device, place.inode) != (output.place().device, output.place().inode) {
                tracing::info!("{} is a new file since the last run", output.path().display());
            }
        }
        let mut tails = Vec::new();
        for path in &options.inputs {
            if options.output.as_deref().is_some_and(|output| same_file(path, output)) {
                bail!("{} is both input and output", path.display());
            }
            tails.push(Tail::open(path, state.position(path))?);
        }
        let judge = Judge::new(setup);
        let intake = Intake {
            judge: if links.is_some() { judge.with_requests() } else { judge },
            rates: Rates::default(),
            queue: Queue::default(),
            written,
            written_before: 0,
            left_out: 0,
            alerts_only: options.alerts_only,
            links,
            link_wait: options.link_wait,
        };
        Ok(Self {
            options,
            tails,
            intake,
            sink,
            out: Vec::new(),
            failing: None,
            read_failed: None,
            read_errors: 0,
            committed: Instant::now(),
            commit_failed: false,
            state,
            snapshot: None,
        })
    }

    /// Follows until `stop` is set. When `reopen` is set the output is opened anew, and it is cleared.
    ///
    /// # Errors
    /// When standard output is closed, or what was done cannot be remembered.
    pub fn run(mut self, stop: &AtomicBool, reopen: &AtomicBool) -> Result<Counts> {
        // From now on what is rotated is known not to have been read.
        self.commit(Duration::ZERO)?;
        while !stop.load(Ordering::Relaxed) {
            if reopen.swap(false, Ordering::Relaxed) {
                self.reopen();
            }
            if !self.turn()? {
                std::thread::sleep(LOOK);
            }
        }
        self.finish()
    }

    /// Reads, judges and writes some more. False when there is nothing to do now.
    fn turn(&mut self) -> Result<bool> {
        let mut more = false;
        if self.out.is_empty() && !self.intake.queue.is_full() {
            more = self.read()?;
        }
        if let Some(links) = &self.intake.links {
            self.intake.queue.resolve(&mut link::lock(links));
        }
        self.release(Some(Instant::now()));
        self.write()?;
        self.try_to_commit();
        Ok(more && self.out.is_empty())
    }

    /// Takes in some lines of each input. An input that cannot be read now does not keep the others back.
    fn read(&mut self) -> Result<bool> {
        if self.read_failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return Ok(false);
        }
        let (mut more, mut failed) = (false, false);
        for tail in &mut self.tails {
            match tail.poll(&mut |piece| {
                self.intake.piece(piece);
                Ok(())
            }) {
                Ok(read) => more |= read,
                Err(error) => {
                    failed = true;
                    self.read_errors += 1;
                    if self.read_failed.is_none() {
                        tracing::error!("{error:#}; it is tried again");
                    }
                }
            }
        }
        self.read_failed = failed.then(Instant::now);
        if !more && !failed && !self.intake.written.is_empty() {
            // All that was read before the last crash was read again.
            self.intake.written.clear();
        }
        Ok(more)
    }

    /// Moves what need not wait any longer to the end of what is to be written.
    fn release(&mut self, now: Option<Instant>) {
        if !self.out.is_empty() {
            return;
        }
        let place = match &self.sink {
            Sink::File(output) => Some(output.place()),
            Sink::Stdout => None,
        };
        let Self { snapshot, intake: Intake { queue, links, .. }, out, .. } = self;
        let passing = |went: u64, bytes: usize| {
            if let Some(snapshot) = snapshot.as_mut().filter(|snapshot| snapshot.came == went) {
                snapshot.place = place.map(|place| Place { size: place.size + bytes as u64, ..place });
            }
        };
        let given_up = |sought: Sought| {
            if let Some(links) = links {
                link::lock(links).wait(sought);
            }
        };
        queue.release(now, out, passing, given_up);
    }

    fn write(&mut self) -> Result<()> {
        if self.out.is_empty() || self.failing.is_some_and(|failed| failed.elapsed() < RETRY) {
            return Ok(());
        }
        let written = match &mut self.sink {
            Sink::File(output) => output.write(&self.out),
            Sink::Stdout => {
                let mut stdout = std::io::stdout().lock();
                stdout
                    .write_all(&self.out)
                    .and_then(|()| stdout.flush())
                    .context("failed to write to stdout")?;
                true
            }
        };
        self.failing = (!written).then(Instant::now);
        if written {
            self.out.clear();
        }
        Ok(())
    }

    /// Remembers how far the inputs were read, every so often, once all that was read of them is on disk.
    fn commit(&mut self, every: Duration) -> Result<()> {
        let Some(path) = &self.options.state else { return Ok(()) };
        if self.snapshot.is_none() {
            if self.committed.elapsed() < every {
                return Ok(());
            }
            let inputs = self
                .tails
                .iter()
                .map(|tail| Input { path: tail.path().to_owned(), position: tail.position() });
            let came = self.intake.queue.came();
            self.snapshot = Some(Snapshot { came, inputs: inputs.collect(), place: None });
        }
        let Some(snapshot) = &mut self.snapshot else { return Ok(()) };
        if snapshot.place.is_none() && self.intake.queue.went() == snapshot.came && self.out.is_empty() {
            // Everything had been written when it was taken.
            snapshot.place = match &self.sink {
                Sink::File(output) => Some(output.place()),
                Sink::Stdout => None,
            };
        }
        if self.intake.queue.went() < snapshot.came || !self.out.is_empty() {
            return Ok(());
        }
        self.committed = Instant::now();
        let Some(Snapshot { inputs, place, .. }) = self.snapshot.take() else { return Ok(()) };
        // Lines of a run before this one that are still to be recognised stand behind where that one had come to.
        if !self.intake.written.is_empty() || (self.state.inputs == inputs && self.state.output == place) {
            return Ok(());
        }
        if let Sink::File(output) = &self.sink {
            output.sync().with_context(|| format!("failed to write {}", output.path().display()))?;
        }
        let mut state = State { output: place, inputs, ..State::default() };
        state.write(path)?;
        self.state = state;
        Ok(())
    }

    /// Remembers how far the inputs were read. Where that fails it is tried again: a disk that is full stops nothing else.
    fn try_to_commit(&mut self) {
        match self.commit(COMMIT) {
            Ok(()) => self.commit_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut self.commit_failed, true) {
                    tracing::error!("{error:#}; it is tried again");
                }
            }
        }
    }

    fn reopen(&mut self) {
        self.release(Some(Instant::now()));
        if self.write().and_then(|()| self.commit(Duration::ZERO)).is_err() || !self.out.is_empty() {
            tracing::error!("the output is not opened anew while it cannot be written");
            return;
        }
        let Sink::File(output) = &mut self.sink else { return };
        match output.reopen() {
            Ok(()) => {
                // It is of the old file.
                self.snapshot = None;
                tracing::debug!("opened {} anew", output.path().display());
            }
            Err(error) => tracing::error!("{error:#}"),
        }
    }

    /// Writes what waits, and remembers it.
    fn finish(mut self) -> Result<Counts> {
        if let Some(links) = &self.intake.links {
            self.intake.queue.resolve(&mut link::lock(links));
        }
        for _ in 0..2 {
            self.release(None);
            self.failing = None;
            self.write()?;
        }
        self.commit(Duration::ZERO)?;
        let unwritten = self.out.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if unwritten == 0 {
            // The one before may have been of an earlier moment.
            self.commit(Duration::ZERO)?;
        }
        Ok(Counts { unwritten, ..self.counts() })
    }

    /// What became of the lines so far.
    pub fn counts(&self) -> Counts {
        let mut inputs = tail::Counts::default();
        self.tails.iter().for_each(|tail| inputs += tail.counts());
        Counts {
            judged: self.intake.judge.counts(),
            written_before: self.intake.written_before,
            left_out: self.intake.left_out,
            unwritten: 0,
            read_errors: self.read_errors,
            inputs,
            links: self.intake.links.as_ref().map(|links| link::lock(links).counts()),
        }
    }
}

impl Intake {
    fn piece(&mut self, piece: Piece<'_>) {
        let (text, start) = self.queue.begin_line();
        let bytes = match piece {
            Piece::Line(line) => line,
            Piece::Part(part) => {
                let last = part.ends_with(b"\n");
                if last {
                    self.judge.pass_over();
                }
                if self.alerts_only {
                    self.left_out += u64::from(last);
                } else {
                    text.extend_from_slice(part);
                    self.queue.end_line(start, None);
                }
                return;
            }
        };
        if self.written.take(bytes) {
            self.written_before += 1;
            return;
        }
        let mut read = Read::new(bytes);
        read.observe(&mut self.rates);
        let judged = self.judge.write(bytes, &read, text);
        if judged.is_none() && self.alerts_only {
            self.left_out += 1;
            self.queue.take_back(start);
            return;
        }
        if !bytes.ends_with(b"\n") {
            text.push(b'\n');
        }
        let sought = judged.zip(self.links.as_ref()).and_then(|(judged, links)| {
            let (request, signature) = judged.about?;
            link::lock(links).seek();
            // Of an alert that is old already, as when a log is read for the first time, the exchange is there or will never be.
            let is_old = now().saturating_sub(judged.key.time) > self.link_wait.as_nanos() as u64 + OLD;
            let wait = if is_old { Duration::ZERO } else { self.link_wait };
            let sought = Sought { key: judged.key, verdict: judged.verdict, request, signature };
            Some((sought, judged.end, Instant::now() + wait))
        });
        self.queue.end_line(start, sought);
    }
}

fn same_file(a: &std::path::Path, b: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let of = |path: &std::path::Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    a == b || (of(a).is_some() && of(a) == of(b))
}
