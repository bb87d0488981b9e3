//! `replay`: recorded calls through the pipeline that runs live, with the time of the calls in place of a clock.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use gait_common::call::{Call, Nanos};
use gait_common::finding::Finding;
use gait_common::ingest::{self, Format, ReadReport, Record};
use gait_common::pipeline::{Funnel, Pipeline};
use serde::Serialize;

use crate::config::Config;
use crate::report::{self, Reporter};
use crate::{exit, host, model};

/// How often, in the calls' own time, the pipeline is told that time has passed. Far below what it holds calls back for.
const TICK: Nanos = 100_000_000;

/// What to replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration; of it the model, the sequences' bounds and the findings' file are used.
    pub config: Config,
    /// Format of the inputs.
    pub format: Format,
    /// Files, directories, globs, or `-`.
    pub inputs: Vec<String>,
    /// Bounds and choices of the reading.
    pub reading: ingest::Options,
    /// Where to write what was counted, as JSON.
    pub summary: Option<PathBuf>,
    /// Write findings for people.
    pub pretty: bool,
}

/// The account of a replay. Named as in the account of a live run where it is the same thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The model's fingerprint.
    pub model: Option<String>,
    /// Calls read.
    pub captured: u64,
    /// Calls lost: none, a replay reads all there are.
    pub lost: u64,
    /// Files read.
    pub files: u64,
    /// Lines, or rows of a spool.
    pub lines: u64,
    /// Lines with nothing in them.
    pub blank: u64,
    /// Lines about something that was no HTTP request.
    pub not_http: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// Times that the recording says something was lost before a call.
    pub interruptions: u64,
    /// What became of the calls; absent without a model.
    pub pipeline: Option<Funnel>,
    /// What became of the findings.
    pub findings: report::Counts,
    /// Whether every stage handed on as much as it took in.
    pub balanced: bool,
}

/// Replays recorded calls and reports what it finds. Without a model it only reads and counts.
///
/// # Errors
/// When an input cannot be read, the model is refused, or findings could not be written; [`exit::code`] tells which.
pub fn replay(options: &Options) -> Result<()> {
    let config = &options.config;
    if options.format == Format::Sequences {
        bail!("format sequences holds no calls; `gait-trainer score` judges its sessions");
    }
    let loaded = config.model.path.as_deref().map(model::load).transpose()?;
    let fingerprint = loaded.as_ref().map(|model| model.fingerprint.clone());
    if loaded.is_none() {
        tracing::warn!("there is no model: calls are counted, nothing is detected");
    }
    let reporter = Reporter::open(&report::Options {
        file: config.findings.file.clone(),
        pretty: options.pretty,
        origin: report::Origin { host: host::name(), model: fingerprint.clone().unwrap_or_default() },
    })?;
    let pipeline = loaded.map(|loaded| Pipeline::new(loaded.model, config.sequence.limits()));
    let mut player =
        Player { pipeline, reporter, found: Vec::new(), now: 0, told: 0, calls: 0, interruptions: 0 };
    let read =
        ingest::read(&options.inputs, options.format, &options.reading, &mut |record, _| match record {
            Record::Call(call) => player.call(&call),
            Record::Interruption(_) => player.interrupt(),
            Record::Sequence { .. } => bail!("a session without calls cannot be replayed"),
        })?;
    tracing::info!("read {read}");
    let summary = player.finish(fingerprint, &read)?;
    if summary.pipeline.is_some_and(|funnel| funnel.named == 0 && funnel.new > 0) {
        tracing::warn!(
            "the model knows none of the interfaces called: was it learned from another kind of input?"
        );
    }
    tracing::info!("{}", summary.line());
    if let Some(path) = &options.summary {
        summary.write(path)?;
    }
    match summary.findings.lost {
        0 => Ok(()),
        findings => Err(exit::Lost { calls: 0, findings }.into()),
    }
}

/// The pipeline, with the calls' own time.
struct Player {
    pipeline: Option<Pipeline>,
    reporter: Reporter,
    found: Vec<Finding>,
    /// The latest time a call has shown.
    now: Nanos,
    /// The latest time that the pipeline was told.
    told: Nanos,
    calls: u64,
    interruptions: u64,
}

impl Player {
    fn call(&mut self, call: &Call<'_>) -> Result<()> {
        self.calls += 1;
        let Some(pipeline) = &mut self.pipeline else { return Ok(()) };
        self.now = self.now.max(call.end());
        if self.now.saturating_sub(self.told) >= TICK {
            self.told = self.now;
            // Before the call: what its time closes was closed when it came.
            pipeline.advance(self.now, &mut self.found);
        }
        pipeline.process(std::slice::from_ref(call), &mut self.found);
        self.report()
    }

    fn interrupt(&mut self) -> Result<()> {
        self.interruptions += 1;
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.interrupt(&mut self.found);
        }
        self.report()
    }

    fn report(&mut self) -> Result<()> {
        self.found.drain(..).try_for_each(|finding| self.reporter.report(finding))
    }

    fn finish(mut self, model: Option<String>, read: &ReadReport) -> Result<Summary> {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.finish(&mut self.found);
        }
        self.report()?;
        let funnel = self.pipeline.as_ref().map(Pipeline::funnel);
        let calls = self.calls;
        Ok(Summary {
            model,
            captured: calls,
            lost: 0,
            files: read.files,
            lines: read.lines,
            blank: read.blank,
            not_http: read.not_http,
            malformed: read.faults(),
            interruptions: self.interruptions,
            pipeline: funnel,
            findings: self.reporter.finish(),
            balanced: read.lines == calls + read.blank + read.not_http + read.faults()
                && funnel.is_none_or(|f| f.named + f.new == calls && f.scored == calls),
        })
    }
}

impl Summary {
    /// The account in one line, for the log.
    fn line(&self) -> String {
        let mut line =
            format!("calls {}, malformed {}, not HTTP {}", self.captured, self.malformed, self.not_http);
        if let Some(f) = &self.pipeline {
            line += &format!(
                "; named {}, new {}, sequenced {}, scored {}, sessions {}, findings {}",
                f.named, f.new, f.sequenced, f.scored, f.sessions, f.findings
            );
        }
        line
    }

    fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).context("failed to render the summary")?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("failed to write the summary {}", path.display()))
    }
}
