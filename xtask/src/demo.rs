//! `cargo xtask demo`: the whole story on one machine, from real requests to explained findings.
//!
//! A real nginx serves a small shop. While callers walk through it the agent records from the kernel; the trainer
//! learns; then the agent watches live while normal callers go on and some walk differently. With `--from-logs` the
//! same story is told from nginx's access log, without root.

mod client;
mod crowd;
mod findings;
mod misbehaviour;
mod paint;
mod persona;
mod shop;
mod story;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::nginx::{Nginx, Setup};
use crate::shell::{is_root, say};
use crate::{build, interrupt};
use findings::Finding;
use misbehaviour::Misbehaviour;
use paint::{Painted, Style};
use story::{Counted, Story};
use table::Table;

/// Callers the model is learned from.
const KNOWN: usize = 240;
/// Normal callers that come only after the training.
const NEWCOMERS: usize = 16;
/// How long callers walk while the agent records.
const RECORD: Duration = Duration::from_secs(60);
/// How long they walk while the agent detects.
const LIVE: Duration = Duration::from_secs(12);

/// Lines of output that a picture shows.
const PICTURE_LINES: usize = 44;

/// How the demo is run.
pub(crate) struct Options {
    /// Varies the traffic.
    pub(crate) seed: u64,
    /// From nginx's access log instead of the kernel.
    pub(crate) from_logs: bool,
    /// Keeps the directory with logs, spool, model and findings.
    pub(crate) keep: bool,
    /// Where to put a picture of what was printed.
    pub(crate) picture: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// When a part fails, something was not captured or accounted for, an injected behaviour was not found, or one normal
/// caller in a hundred raised a false alarm.
pub(crate) fn demo(options: &Options) -> Result<()> {
    if !options.from_logs && !is_root() {
        bail!(
            "capturing in the kernel needs root: run `sudo -E env \"PATH=$PATH\" cargo xtask demo`, or \
             `cargo xtask demo --from-logs`: the same story from nginx's access log, without root"
        );
    }
    interrupt::watch()?;
    let built = if options.from_logs { build::build_without_kernel_side()? } else { build::build(true)? };
    let dir = Workplace::new(options.keep)?;
    let setup = Setup { dir: &dir.path.join("nginx"), workers: 2, server: shop::SERVER, log: true, main: "" };
    let nginx = Nginx::start(&setup)?;
    say(format!("nginx serves a small shop at 127.0.0.1:{}", nginx.port));
    let Options { seed, from_logs, .. } = *options;
    let (table, painted) = tell(&Story { built: &built, nginx: &nginx, dir: &dir.path, seed, from_logs })?;
    nginx.stop()?;
    if let Some(file) = &options.picture {
        std::fs::write(file, painted.svg("cargo xtask demo", PICTURE_LINES))
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    painted.print();
    table.print_json()?;
    table.check()
}

/// Goes through the chapters and sums up.
fn tell(story: &Story<'_>) -> Result<(Table, Painted)> {
    let mut rng = fastrand::Rng::with_seed(story.seed);
    let known = crowd::callers(0, KNOWN, &mut rng);
    let newcomers = crowd::callers(KNOWN, NEWCOMERS, &mut rng);
    let abnormal = crowd::assign(&known, &mut rng)?;
    let what = if story.from_logs { "nginx logs them" } else { "the agent records from the kernel" };

    say(format!("1/3 {KNOWN} callers walk through the shop for {} s, {what}", RECORD.as_secs()));
    let cast: Vec<_> = known.iter().map(|caller| (caller.clone(), None)).collect();
    let recorded = story.record(&cast, RECORD)?;
    say(format!("2/3 the trainer learns from {} requests", recorded.summary.captured));
    let model = story.train()?;
    let live = if story.from_logs { "the agent replays the log" } else { "the agent watches live" };
    say(format!(
        "3/3 {} callers walk for {} s, {} of them abnormally once; {live}",
        KNOWN + NEWCOMERS,
        LIVE.as_secs(),
        abnormal.len()
    ));
    let by_name =
        |name: &str| abnormal.iter().find(|(who, _)| who.identity.name == name).map(|(_, what)| *what);
    let cast: Vec<_> = known
        .iter()
        .chain(&newcomers)
        .map(|caller| (caller.clone(), by_name(&caller.identity.name)))
        .collect();
    let detected = story.detect(&model, &cast, LIVE)?;
    let findings = findings::read(&story.findings())?;
    Ok(sum_up(&[recorded, detected], &findings, cast.len(), abnormal.len(), by_name))
}

/// Holds the findings against what was injected: by the callers' names, and nothing else.
fn sum_up(
    counted: &[Counted],
    findings: &[Finding],
    callers: usize,
    injected: usize,
    by_name: impl Fn(&str) -> Option<&'static Misbehaviour>,
) -> (Table, Painted) {
    // One finding a caller is shown: the first.
    let mut first: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in findings {
        first.entry(&finding.caller).or_insert(finding);
    }
    let mut painted = Painted::default();
    // What is most telling comes last, next to the table: people read from the end.
    let place = |name: &str| {
        misbehaviour::ALL.iter().rposition(|what| by_name(name).is_some_and(|of| of.kind == what.kind))
    };
    let mut shown: Vec<_> = first.iter().collect();
    shown.sort_by_key(|(name, _)| std::cmp::Reverse(place(name).unwrap_or(usize::MAX)));
    for (name, finding) in shown {
        finding.paint(by_name(name).map(|what| what.about), &mut painted);
    }
    let found = first.keys().filter(|name| by_name(name).is_some()).count();
    let table = Table {
        served: counted.iter().map(|counted| counted.served).sum(),
        captured: counted.iter().map(|counted| counted.summary.captured).sum(),
        lost: counted.iter().map(|counted| counted.summary.lost).sum(),
        injected,
        found,
        normal_callers: callers - injected,
        false_alarms: first.len() - found,
    };
    let missed = misbehaviour::ALL
        .iter()
        .filter(|what| !first.keys().any(|name| by_name(name).is_some_and(|found| found.kind == what.kind)));
    for what in missed {
        painted.add(Style::Bad, format!("not found: {} ({})", what.kind, what.about)).end_line();
    }
    table.paint(&mut painted);
    (table, painted)
}

/// The demo's own directory; removed at the end, however that comes, unless it is to be kept.
struct Workplace {
    path: PathBuf,
    keep: bool,
}

impl Workplace {
    fn new(keep: bool) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix("gait-demo-")
            .tempdir()
            .context("failed to create a directory")?;
        Ok(Self { path: path.keep(), keep })
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if self.keep {
            say(format!("kept: {}", self.path.display()));
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
