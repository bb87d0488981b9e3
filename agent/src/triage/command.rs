//! `triage`: a file of alerts, or standard input, judged to its end or followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, ensure};
use gait_common::ingest;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::judge::{self, Setup};
use super::live::{self, Live};
use super::{file, rules};
use crate::config::Config;
use crate::exit;
use crate::model::{self, Loaded};

/// What to judge.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration; of it the model and the rules are used.
    pub config: Config,
    /// The file, or `-`.
    pub input: String,
    /// Where judged lines go; standard output without it.
    pub output: Option<PathBuf>,
    /// Go on when the file grows.
    pub follow: bool,
    /// Where to remember how far a followed file was read. Default: beside the output.
    pub state: Option<PathBuf>,
    /// Threads that judge a finished file.
    pub threads: usize,
    /// Say what was counted as JSON.
    pub json: bool,
}

/// Makes what verdicts are made with, and says what is missing or does not fit.
///
/// # Errors
/// When rules that the configuration names cannot be read.
pub fn setup(config: &Config, model: Option<&Loaded>) -> Result<Setup> {
    let now = rules::hash(&config.triage.rules)?;
    let setup = Setup::new(model, now.as_deref());
    if let Some(trouble) = setup.trouble() {
        tracing::warn!("{trouble}: every alert passes with the verdict \"abstain\"");
    }
    if let (Some(learned), Some(now)) = (setup.rules(), &now)
        && learned != now
    {
        tracing::warn!(
            "the rules are not those that the model was learned from: {now}, learned from {learned}"
        );
    }
    Ok(setup)
}

/// Judges a file.
///
/// # Errors
/// When something cannot be read or written, or the model is refused; [`exit::code`] tells which.
pub fn run(options: &Options) -> Result<()> {
    let model = options.config.model.path.as_deref().map(model::load).transpose()?;
    let setup = Arc::new(setup(&options.config, model.as_ref())?);
    if options.follow {
        let counts = follow(options, setup)?;
        say(&counts, &counts.judged, options.json)?;
        return match counts.unwritten {
            0 => Ok(()),
            lines => Err(exit::Unwritten(lines).into()),
        };
    }
    let counts = match finished(options, &setup) {
        // Whoever reads has read enough.
        Err(error) if options.output.is_none() && is_broken_pipe(&error) => return Ok(()),
        other => other?,
    };
    say(&counts, &counts, options.json)?;
    ensure!(
        counts.malformed == 0 || counts.malformed + counts.too_long < counts.lines,
        "none of the {} lines of {} is an event: it is no eve.json",
        counts.lines,
        options.input
    );
    Ok(())
}

fn is_broken_pipe(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn finished(options: &Options, setup: &Arc<Setup>) -> Result<judge::Counts> {
    let name = if options.input == "-" { "standard input" } else { &options.input };
    let mut input: Box<dyn Read> = if options.input == "-" {
        let (_, stream) = ingest::streams(&["-"])?.next().context("there is no standard input")??;
        stream
    } else {
        let open = || File::open(&options.input);
        let unpacked = open().and_then(ingest::unpacked).with_context(|| format!("failed to open {name}"))?;
        match unpacked {
            Some(stream) => stream,
            None => Box::new(open().with_context(|| format!("failed to open {name}"))?),
        }
    };
    let at_once = options.input == "-";
    let judge = |input: &mut dyn Read, out: &mut (dyn Write + Send)| {
        file::judge(setup, input, out, options.threads, at_once)
            .with_context(|| format!("failed to judge {name}"))
    };
    let Some(path) = &options.output else {
        return judge(&mut input, &mut io::stdout());
    };
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        // A device or a pipe is written to, never replaced.
        let mut out = File::options()
            .write(true)
            .open(path)
            .with_context(|| format!("failed to open {}", path.display()))?;
        return judge(&mut input, &mut out);
    }
    // It appears whole or not at all, also where the output is the input.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = Path::new(&unfinished);
    let failed = || format!("failed to write {}", path.display());
    let mut out = File::create(unfinished).with_context(failed)?;
    let counts = judge(&mut input, &mut out).and_then(|counts| {
        out.sync_all().with_context(failed)?;
        std::fs::rename(unfinished, path).with_context(failed)?;
        Ok(counts)
    });
    if counts.is_err() {
        let _ = std::fs::remove_file(unfinished);
    }
    counts
}

fn follow(options: &Options, setup: Arc<Setup>) -> Result<live::Counts> {
    ensure!(options.input != "-", "standard input is read to its end anyway: leave --follow out");
    let state = options.state.clone().or_else(|| {
        let mut beside = options.output.clone()?.into_os_string();
        beside.push(".position");
        Some(beside.into())
    });
    let live = live::Options {
        inputs: vec![options.input.clone().into()],
        output: options.output.clone(),
        state,
        alerts_only: false,
        link_wait: Duration::ZERO,
    };
    let live = Live::open(live, setup, None)?;
    let (stop, reopen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime for signals")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("failed to handle SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("failed to handle SIGINT")?;
        let mut hangup = signal(SignalKind::hangup()).context("failed to handle SIGHUP")?;
        let (stopping, reopening) = (Arc::clone(&stop), Arc::clone(&reopen));
        let mut running = tokio::task::spawn_blocking(move || live.run(&stopping, &reopening));
        loop {
            tokio::select! {
                _ = terminate.recv() => stop.store(true, Ordering::Relaxed),
                _ = interrupt.recv() => stop.store(true, Ordering::Relaxed),
                _ = hangup.recv() => reopen.store(true, Ordering::Relaxed),
                ended = &mut running => return ended.context("the triaging thread panicked")?,
            }
        }
    })
}

/// How many threads judge when nobody says.
pub fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

fn say(all: &impl Serialize, counts: &judge::Counts, json: bool) -> Result<()> {
    let text =
        if json { serde_json::to_string(all).context("failed to render the counts")? } else { line(counts) };
    let _ = writeln!(io::stderr(), "{text}");
    Ok(())
}

/// The counts in one line.
pub fn line(counts: &judge::Counts) -> String {
    let judge::Counts {
        lines, alerts, real, false_alarm, abstain, not_http, other, malformed, too_long, ..
    } = counts;
    let mut text = format!(
        "lines {lines}: alerts {alerts} (real {real}, false alarms {false_alarm}, abstained {abstain}, of them not \
         HTTP {not_http}), other events {other}, malformed {malformed}"
    );
    if !counts.malformed_because.is_empty() {
        let each = counts.malformed_because.iter().map(|(why, count)| format!("{why}: {count}"));
        text += &format!(" ({})", each.collect::<Vec<_>>().join("; "));
    }
    text + &format!(", too long {too_long}")
}
