//! `replay`: recorded calls through the pipeline that runs live, with the time of the calls in place of a clock.

mod clock;
mod trees;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use gait_common::call::Call;
use gait_common::finding::Finding;
use gait_common::ingest::{self, Format, ReadReport, Record};
use gait_common::model::Model;
use gait_common::pipeline::{Funnel, Pipeline};
use serde::Serialize;

use crate::config::Config;
use crate::report::{self, Reporter};
use crate::{exit, host, model};

use clock::Clock;
pub use trees::Trees;

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
    /// What became of the call trees; absent where there are none.
    pub trees: Option<Trees>,
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
        listed: None,
    })?;
    let model = loaded.map(|loaded| loaded.model);
    let pipeline = model.as_ref().map(|model| Pipeline::new(Arc::clone(model), config.sequence.limits()));
    let clock = Clock::default();
    let mut player = Player { pipeline, reporter, found: Vec::new(), clock, calls: 0, interruptions: 0 };
    let read =
        ingest::read(&options.inputs, options.format, &options.reading, &mut |record, _| match record {
            Record::Call(call) => player.call(&call),
            Record::Interruption(_) => player.interrupt(),
            Record::Sequence { .. } => bail!("a session without calls cannot be replayed"),
        })?;
    tracing::info!("read {read}");
    player.end()?;
    let trees = match options.format {
        Format::Spool => player.trees(&options.inputs, model.as_ref(), config)?,
        _ => None,
    };
    let summary = player.finish(fingerprint, &read, trees);
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
    clock: Clock,
    calls: u64,
    interruptions: u64,
}

impl Player {
    fn call(&mut self, call: &Call<'_>) -> Result<()> {
        self.calls += 1;
        let Some(pipeline) = &mut self.pipeline else { return Ok(()) };
        if let Some(now) = self.clock.tick(call.end()) {
            // Before the call: what its time closes was closed when it came.
            pipeline.advance(now, &mut self.found);
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

    /// All calls were replayed.
    fn end(&mut self) -> Result<()> {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.finish(&mut self.found);
        }
        self.report()
    }

    /// Judges the call trees that stand beside the calls.
    fn trees(
        &mut self,
        inputs: &[String],
        model: Option<&Arc<Model>>,
        config: &Config,
    ) -> Result<Option<Trees>> {
        let every = config.findings.trees_false_alarm_every.as_nanos();
        let mut found = Vec::new();
        let trees = trees::judge(inputs, model, every, &mut found)?;
        if trees.is_some_and(|trees| trees.passed > 0) {
            tracing::warn!("there are more call trees than can be judged at a time; replay a shorter time");
        }
        found.into_iter().try_for_each(|finding| self.reporter.report(finding))?;
        Ok(trees)
    }

    fn finish(self, model: Option<String>, read: &ReadReport, trees: Option<Trees>) -> Summary {
        let funnel = self.pipeline.as_ref().map(Pipeline::funnel);
        let calls = self.calls;
        Summary {
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
            trees,
            findings: self.reporter.finish(),
            balanced: read.lines == calls + read.blank + read.not_http + read.faults()
                && funnel.is_none_or(|f| f.named + f.new == calls && f.scored == calls),
        }
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
        if let Some(trees) = &self.trees {
            let found = trees.judged.map_or(0, |judged| judged.findings);
            line += &format!("; rows of trees {}, findings {found}", trees.rows);
        }
        line
    }

    fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).context("failed to render the summary")?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("failed to write the summary {}", path.display()))
    }
}
