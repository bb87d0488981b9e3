//! `run`: starts capture, engine and writers, waits for the end, and stops them so that nothing captured is lost.
//!
//! Three threads: the engine reads the rings and judges, one writer keeps the spool, one the sinks; where functions are
//! followed, one more looks for them and one keeps the spool of their trees; where alerts are triaged one does that, where
//! callers are screened one looks their names up, and one serves the web page, where there is one. They are joined by
//! bounded channels and end from front to back: the engine stops capturing and takes in what the rings still hold,
//! then its channels close, and each writer ends with the last thing it was sent. All of it has five seconds.

mod follow;
mod stage;
mod summary;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Error, Result};
use gait_common::call::Nanos;
use gait_common::sequence::Timing;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::capture::{Capture, Drained, Features};
use crate::config::{self, Config};
use crate::engine::{Engine, Outputs};
use crate::report::{self, Reporter};
use crate::screen::{self, Live, Screener};
use crate::spool::{self, Spool, TreeSpool};
use crate::triage::{self, link, live};
use crate::web::{self, Server};
use crate::{host, key, model};
use follow::Follower;
use stage::Stage;

pub use summary::Summary;
use summary::{Captured, Sources};

/// How long stopping may take.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// Exchanges that are taken in at a time: few, so that the agent never keeps a CPU for longer than a server's queue of
/// requests lasts, ...
const BATCH: usize = 128;
/// ... and ever more up to this many while it falls behind.
const LARGE_BATCH: usize = 8192;
/// Batches of rows that may wait for the spool.
const ROWS_QUEUE: usize = 16;
/// Findings that may wait for the sinks.
const FINDINGS_QUEUE: usize = 1024;
/// How often losses are spoken of, at most.
const SAY_LOSSES: Duration = Duration::from_secs(10);
/// SIGXFSZ: the process may not make a file that large. Handled, the write that did it fails instead.
const FILE_TOO_LARGE: i32 = 25;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration.
    pub config: Config,
    /// Where to write what was counted, as JSON, at the end.
    pub summary: Option<PathBuf>,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Write findings for people.
    pub pretty: bool,
}

/// Captures until SIGTERM, SIGINT or the end of the duration.
///
/// # Errors
/// When something is missing at the start, a part fails, or something captured could not be written;
/// [`crate::exit::code`] tells which.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime for signals and timers")?;
    let (summary, failure) = runtime.block_on(supervise(options))?;
    tracing::info!("{}", summary.line());
    if let Some(path) = &options.summary {
        summary.write(path)?;
    }
    failure.map_or_else(|| summary.losses(), Err)
}

/// The running parts.
struct Parts {
    engine: Stage<Captured>,
    spool: Option<Stage<spool::Counts>>,
    tree_spool: Option<Stage<spool::Counts>>,
    reporter: Stage<report::Counts>,
    triage: Option<Triaging>,
    screening: Option<Stage<screen::Counts>>,
    web: Option<Stage<()>>,
    screener: Option<Arc<Screener>>,
    stop: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
    sources: Sources,
}

/// The part that judges alerts. It stops after the others, so that it gets to know of the last exchanges.
struct Triaging {
    stage: Option<Stage<live::Counts>>,
    stop: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
}

/// Runs to the end: the account, and what failed although there is one.
async fn supervise(options: &Options) -> Result<(Summary, Option<Error>)> {
    // Before anything starts: a signal from now on ends the agent in order.
    let mut terminate = signal(SignalKind::terminate()).context("failed to handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to handle SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("failed to handle SIGHUP")?;
    let _too_large = signal(SignalKind::from_raw(FILE_TOO_LARGE)).context("failed to handle SIGXFSZ")?;
    let mut parts = start(options)?;
    let end = options.duration.map(|duration| Instant::now() + duration);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tokio::time::sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
            _ = hangup.recv() => parts.hang_up(),
            // A part that ends unasked has failed; the others are stopped and the first failure is reported.
            () = parts.engine.ended() => break,
            () = parts.reporter.ended() => break,
            () = stage::any_ended(&mut parts.spool) => break,
            () = stage::any_ended(&mut parts.tree_spool) => break,
            () = triage_ended(&mut parts.triage) => break,
            () = stage::any_ended(&mut parts.screening) => break,
            () = stage::any_ended(&mut parts.web) => break,
        }
    }
    tracing::info!("stopping");
    stop(parts).await
}

impl Parts {
    /// What SIGHUP asks for: files that were moved away are opened anew, and the list is read if it has changed.
    fn hang_up(&self) {
        self.reopen.store(true, Ordering::Relaxed);
        self.triage.iter().for_each(|triage| triage.reopen.store(true, Ordering::Relaxed));
        if let Some(screener) = &self.screener {
            screener.look_now();
        }
    }
}

/// Starts everything, from back to front, and proves that capture sees.
fn start(options: &Options) -> Result<Parts> {
    let config = &options.config;
    let started = now();
    let host = host::name();
    let model = config.model.path.as_deref().map(model::load).transpose()?;
    let fingerprint = model.as_ref().map(|m| m.fingerprint.clone());
    let mut capture_options = config.capture.options()?;
    capture_options.cgroups = host::cgroup_ids(&config.capture.cgroups)?;
    capture_options.trees = config.tree_options()?;
    let screener = Screener::open(config)?.map(Arc::new);
    let site = web::Site { host: host.clone(), screener: screener.clone() };
    let server = Server::open(&config.web, site)?;
    // Before all else that fails for want of privilege: it needs the most, and says what.
    let mut capture = Capture::start(&capture_options)?;
    let alerts = open_triage(config, model.as_ref())?;
    let namer = key::namer(config)?;
    let (spool, tree_spool) = open_spools(config, &host, started)?;
    let (tap, live, listed) = match screener.as_ref().and_then(|screener| Live::new(config, screener)) {
        Some((tap, live, listed)) => (Some(tap), Some(live), Some(listed)),
        None => (None, None, None),
    };
    let reporter = Reporter::open(&report::Options {
        file: config.findings.file.clone(),
        pretty: options.pretty,
        origin: report::Origin { host: host.clone(), model: fingerprint.clone().unwrap_or_default() },
        listed,
    })?;
    let proof = capture.self_test()?;
    tracing::debug!("self-test: {proof:?}");
    say_missing(capture.features());
    let follower = Follower::start(&mut capture, &config.functions)?;
    match (&fingerprint, &spool) {
        (Some(name), _) => tracing::info!("judging by model {name}"),
        (None, Some(_)) => tracing::warn!("there is no model: calls are recorded, nothing is detected"),
        (None, None) => tracing::warn!("there is no model and the spool is off: calls are only counted"),
    }

    let (stop, reopen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (rows_in, rows) = sync_channel(ROWS_QUEUE);
    let (findings_in, findings) = sync_channel(FINDINGS_QUEUE);
    let listed_in = findings_in.clone();
    let outputs =
        Outputs { rows: spool.is_some().then_some(rows_in), findings: findings_in, stop: Arc::clone(&stop) };
    let mut engine = Engine::new(namer, model.map(|m| m.model), config.sequence.limits(), outputs);
    if let Some((_, links)) = &alerts {
        engine.link_alerts(Arc::clone(links));
    }
    if let Some(tap) = tap {
        engine.screen_callers(tap);
    }
    let (trees_in, trees) = sync_channel(ROWS_QUEUE);
    if follower.is_some() {
        let every = config.findings.trees_false_alarm_every.0;
        let key = key::of_values(config)?;
        engine.follow_trees(&host, Some(every), tree_spool.is_some().then_some(trees_in), key);
    }
    let parts = Parts {
        spool: spool.map(|spool| Stage::start("spool", move || spool.run(&rows))).transpose()?,
        tree_spool: tree_spool
            .map(|spool| Stage::start("tree spool", move || spool.run(&trees)))
            .transpose()?,
        screening: live
            .map(|live| {
                let stop = Arc::clone(&stop);
                Stage::start("screening", move || live.run(&listed_in, &stop))
            })
            .transpose()?,
        web: server
            .map(|server| {
                tracing::info!("serving http://{}", server.address());
                let stop = Arc::clone(&stop);
                Stage::start("web", move || server.run(&stop))
            })
            .transpose()?,
        screener,
        reporter: {
            let reopen = Arc::clone(&reopen);
            Stage::start("findings", move || reporter.run(&findings, &reopen))?
        },
        engine: {
            let (stop, interval) = (Arc::clone(&stop), config.capture.drain_interval.0);
            Stage::start("engine", move || keep_capturing(capture, engine, follower, interval, &stop))?
        },
        triage: alerts.map(|(live, _)| Triaging::start(live)).transpose()?,
        stop,
        reopen,
        sources: Sources { host, model: fingerprint, started },
    };
    // Said past the log and its level: whoever starts the agent waits for it.
    let _ = writeln!(std::io::stderr(), "gait-agent: ready, capturing");
    Ok(parts)
}

/// What judges alerts, and what ties them to exchanges; `None` where none are to be judged.
fn open_triage(config: &Config, model: Option<&model::Loaded>) -> Result<Option<(live::Live, link::Shared)>> {
    let triage = &config.triage;
    if !triage.is_on() {
        return Ok(None);
    }
    let setup = triage::command::setup(config, model)?;
    let idle = model.map_or(Timing::default().session_idle, |loaded| loaded.model.timing.session_idle);
    let links = Arc::new(Mutex::new(link::Links::new(idle)));
    let options = live::Options {
        inputs: triage.eve.clone(),
        output: triage.out.clone(),
        state: Some(config::Triage::state_file(&config.state_dir)),
        alerts_only: triage.alerts_only,
        link_wait: triage.link_wait.0,
    };
    let live = live::Live::open(options, Arc::new(setup), Some(Arc::clone(&links)))?;
    Ok(Some((live, links)))
}

impl Triaging {
    fn start(live: live::Live) -> Result<Self> {
        let (stop, reopen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopping, reopening) = (Arc::clone(&stop), Arc::clone(&reopen));
        let stage = Some(Stage::start("triage", move || live.run(&stopping, &reopening))?);
        Ok(Self { stage, stop, reopen })
    }
}

async fn triage_ended(triage: &mut Option<Triaging>) {
    match triage {
        Some(triage) => stage::any_ended(&mut triage.stage).await,
        None => std::future::pending().await,
    }
}

/// The spool of calls, and that of call trees where functions are followed.
fn open_spools(config: &Config, host: &str, started: Nanos) -> Result<(Option<Spool>, Option<TreeSpool>)> {
    if !config.spool.enabled {
        return Ok((None, None));
    }
    let options = spool::Options::new(&config.spool, host.to_owned(), started);
    if config.functions.is_empty() {
        return Ok((Some(Spool::open(options)?), None));
    }
    let (calls, trees) = options.with_trees();
    Ok((Some(Spool::open(calls)?), Some(TreeSpool::open(trees)?)))
}

fn say_missing(features: &Features) {
    for missing in &features.missing {
        tracing::warn!("this host lacks {}: {} ({})", missing.what, missing.instead, missing.reason);
    }
}

/// Empties the rings into the engine until told to stop, then takes in what is left.
fn keep_capturing(
    mut capture: Capture,
    mut engine: Engine,
    mut follower: Option<Follower>,
    interval: Duration,
    stop: &AtomicBool,
) -> Result<Captured> {
    let mut captured = Captured::default();
    let mut losses = Losses::default();
    while !stop.load(Ordering::Relaxed) {
        capture.wait(interval);
        if let Some(follower) = &mut follower {
            follower.look(&mut capture, &mut engine)?;
        }
        let mut batch = BATCH;
        loop {
            let drained = capture.drain(batch, &mut |exchange| engine.take(&exchange));
            captured.add(&drained);
            losses.note(&drained);
            engine.end_batch(now(), !drained.gaps.is_empty())?;
            if !drained.more {
                break;
            }
            batch = LARGE_BATCH.min(batch + BATCH);
            std::thread::yield_now();
        }
        if follower.is_some() {
            follow::take(&mut capture, &mut engine, false)?;
        }
    }
    if let Some(follower) = follower {
        follower.end(&mut capture, &mut engine)?;
        captured.trees = capture.tree_counters()?;
    }
    let (drained, counters) = capture.stop(&mut |exchange| engine.take(&exchange))?;
    captured.add(&drained);
    engine.end_batch(now(), !drained.gaps.is_empty())?;
    captured.kernel = counters;
    captured.engine = engine.finish()?;
    Ok(captured)
}

/// Says while it happens that records are lost, but not with every one of them.
#[derive(Default)]
struct Losses {
    unsaid: u64,
    said: Option<std::time::Instant>,
}

impl Losses {
    fn note(&mut self, drained: &Drained) {
        self.unsaid += drained.gaps.iter().map(|gap| gap.count).sum::<u64>();
        if self.unsaid > 0 && self.said.is_none_or(|said| said.elapsed() >= SAY_LOSSES) {
            tracing::warn!(
                "{} exchanges were lost because a ring was full; callers are not judged across the gap; raise \
                 capture.ring_bytes if this goes on",
                std::mem::take(&mut self.unsaid)
            );
            self.said = Some(std::time::Instant::now());
        }
    }
}

/// Ends the parts from front to back, all within [`SHUTDOWN`].
async fn stop(parts: Parts) -> Result<(Summary, Option<Error>)> {
    let Parts { engine, spool, tree_spool, reporter, triage, screening, web, stop, sources, .. } = parts;
    let deadline = Instant::now() + SHUTDOWN;
    stop.store(true, Ordering::Relaxed);
    let captured = engine.end(deadline).await;
    triage.iter().for_each(|triage| triage.stop.store(true, Ordering::Relaxed));
    // Each is waited for, whatever became of the others: what can still be written is.
    let (spool, spool_failure) = apart(stage::end_any(spool, deadline).await);
    let (tree_spool, tree_failure) = apart(stage::end_any(tree_spool, deadline).await);
    let (screening, screening_failure) = apart(stage::end_any(screening, deadline).await);
    let (_, web_failure) = apart(stage::end_any(web, deadline).await);
    let findings = reporter.end(deadline).await;
    let (findings, findings_failure) = apart(findings);
    let (alerts, alerts_failure) =
        apart(stage::end_any(triage.and_then(|triage| triage.stage), deadline).await);
    // A writer's failure is the cause of the engine's, not the other way round.
    let failures = [tree_failure, findings_failure, alerts_failure, screening_failure, web_failure];
    let failure = failures.into_iter().fold(spool_failure, Option::or);
    match (captured, failure) {
        (Ok(captured), failure) => {
            let spools = (spool.flatten(), tree_spool.flatten());
            let mut summary = Summary::new(sources, now(), &captured, spools, findings, alerts.flatten());
            summary.screening = screening.flatten();
            Ok((summary, failure))
        }
        (Err(_), Some(failure)) => Err(failure),
        (Err(error), None) => Err(error),
    }
}

fn apart<T>(outcome: Result<T>) -> (Option<T>, Option<Error>) {
    match outcome {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

/// The time, in nanoseconds since 1970.
pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
