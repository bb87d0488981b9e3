//! `cargo xtask demo`: the whole story on one machine, from real requests to explained findings.
//!
//! A real nginx serves a small shop. While callers walk through it the agent records from the kernel; the trainer
//! learns; then the agent watches live while normal callers go on and some walk differently. With `--from-logs` the
//! same story is told from nginx's access log, without root.

mod client;
mod crowd;
mod misbehaviour;
mod paint;
mod persona;
mod shop;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::nginx::{Nginx, Setup};
use crate::shell::{is_root, say};
use crate::{build, interrupt};
use crowd::Caller;
use misbehaviour::Misbehaviour;

/// Callers the model is learned from.
const KNOWN: usize = 120;
/// Normal callers that come only after the training.
const NEWCOMERS: usize = 12;
/// How long callers walk while the agent records.
const RECORD: Duration = Duration::from_secs(45);
/// How long they walk while the agent detects.
const LIVE: Duration = Duration::from_secs(20);

/// How the demo is run.
pub(crate) struct Options {
    /// Varies the traffic.
    pub(crate) seed: u64,
    /// From nginx's access log instead of the kernel.
    pub(crate) from_logs: bool,
    /// Keeps the directory with logs, spool, model and findings.
    pub(crate) keep: bool,
}

/// Runs the demo.
///
/// # Errors
/// When a part fails, something was not captured or accounted for, an injected behaviour was not found, or one normal
/// caller in a hundred raised a false alarm.
pub(crate) fn demo(options: &Options) -> Result<()> {
    if !options.from_logs && !is_root() {
        bail!(
            "capturing in the kernel needs root: run this as root (`sudo -E env PATH=\"$PATH\" cargo xtask demo`), \
             or run `cargo xtask demo --from-logs`: the same story from nginx's access log, without root"
        );
    }
    interrupt::watch()?;
    let dir = Workplace::new(options.keep)?;
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let known = crowd::callers(0, KNOWN, &mut rng);
    let newcomers = crowd::callers(KNOWN, NEWCOMERS, &mut rng);
    let abnormal = crowd::assign(&known, &mut rng)?;

    let setup = Setup { dir: &dir.path.join("nginx"), workers: 2, server: shop::SERVER, log: true, main: "" };
    let nginx = Nginx::start(&setup)?;
    say(format!("nginx serves a small shop at 127.0.0.1:{}", nginx.port));
    let all_known: Vec<_> = known.iter().map(|caller| (caller.clone(), None)).collect();
    let answers = crowd::walk(&all_known, nginx.port, RECORD, options.seed)?;
    let log = nginx.rotate("history.log")?;
    eprintln!("{answers} {} {}", nginx.requests()?, lines(&log)?);
    let live = cast(&known, &newcomers, &abnormal);
    let answers = crowd::walk(&live, nginx.port, LIVE, options.seed + 1)?;
    eprintln!("{answers} {} {}", nginx.requests()?, lines(&nginx.log())?);
    nginx.stop()
}

fn cast(
    known: &[Caller],
    newcomers: &[Caller],
    abnormal: &[(&Caller, &'static Misbehaviour)],
) -> Vec<(Caller, Option<&'static Misbehaviour>)> {
    let misbehaviour = |caller: &Caller| {
        abnormal.iter().find(|(who, _)| who.identity.name == caller.identity.name).map(|(_, what)| *what)
    };
    known.iter().chain(newcomers).map(|caller| (caller.clone(), misbehaviour(caller))).collect()
}

fn lines(file: &Path) -> Result<u64> {
    let text = std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count() as u64)
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
