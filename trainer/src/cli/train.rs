//! `gait-trainer train`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use gait_common::interface::Naming;

use super::{InputArgs, note};
use crate::patterns::PatternParams;
use crate::report::{self, About};
use crate::train::{TrainParams, train};

/// Learn a model from normal traffic.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer train --format combined --out shop.gait /var/log/nginx/access.log*
  gait-trainer train --format spool --out shop.gait /var/lib/gait/spool
  gait-trainer train --format sequences --out hdfs.gait --false-alarm-rate 0.002 sessions.txt")]
pub(super) struct TrainArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Files, directories and globs
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// The model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write a page about what was read and learned: one HTML file, to be opened in a browser
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Share of normal sessions that may be flagged
    #[arg(long, value_name = "SHARE", default_value_t = TrainParams::default().false_alarm_rate)]
    false_alarm_rate: f64,
    /// Order of the Markov model
    #[arg(long, default_value_t = TrainParams::default().order)]
    order: usize,
    /// Least support of a pattern, as a share of the sessions that begin at the same interface
    #[arg(long, value_name = "SHARE", default_value_t = PatternParams::default().min_support)]
    min_support: f64,
    /// Silence in seconds that ends a session
    #[arg(long, value_name = "SECONDS", default_value_t = 1800.0)]
    session_idle: f64,
    /// Pause in seconds that ends an operation; derived from the data when not given
    #[arg(long, value_name = "SECONDS")]
    operation_gap: Option<f64>,
    /// Tell interfaces of different hosts apart
    #[arg(long)]
    by_host: bool,
    /// Template that wins over learned ones, e.g. 'GET /users/{id}' (may be repeated)
    #[arg(long = "template", value_name = "TEMPLATE")]
    templates: Vec<String>,
    /// Seed of what is drawn at random; the same data and seed give the same file
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl TrainArgs {
    pub(super) fn run(self) -> Result<()> {
        let params = TrainParams {
            order: self.order,
            false_alarm_rate: self.false_alarm_rate,
            session_idle: nanos("--session-idle", self.session_idle)?,
            operation_gap: self.operation_gap.map(|gap| nanos("--operation-gap", gap)).transpose()?,
            naming: Naming { host: self.by_host, ..Naming::default() },
            templates: self.templates,
            patterns: PatternParams { min_support: self.min_support, ..PatternParams::default() },
            seed: self.seed,
        };
        params.check()?;
        let trained = train(&self.input.input(&self.inputs), &params)?;
        let fingerprint = crate::model::save(&self.out, &trained.model)?;
        let meta = &trained.model.meta;
        note(&format!("read: {}", trained.report));
        note(&format!(
            "learned from {} calls in {} sessions of {} callers; {} interfaces",
            meta.calls,
            meta.sessions,
            meta.callers,
            trained.model.interfaces.len() - 1
        ));
        if trained.partial > 0 {
            note(&format!(
                "{} of the sessions were not captured whole: their order was learned, not their lengths and counts",
                trained.partial
            ));
        }
        note(&format!("wrote {} ({fingerprint})", self.out.display()));
        if let Some(path) = &self.report {
            let about =
                About { inputs: self.inputs, format: self.input.format, model: self.out, fingerprint };
            report::save(path, &trained, &about)?;
            note(&format!("wrote {}", path.display()));
        }
        Ok(())
    }
}

fn nanos(option: &str, seconds: f64) -> Result<u64> {
    let duration = Duration::try_from_secs_f64(seconds)
        .with_context(|| format!("{option} must be a positive number of seconds, not {seconds}"))?;
    u64::try_from(duration.as_nanos()).with_context(|| format!("{option} is too long: {seconds} seconds"))
}
