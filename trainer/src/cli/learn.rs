//! The options of learning, for every command that trains.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use gait_common::interface::Naming;

use crate::labels::Labels;
use crate::patterns::PatternParams;
use crate::progress::Progress;
use crate::train::TrainParams;

/// How a model is learned.
#[derive(Clone, Debug, Args)]
pub(super) struct LearnArgs {
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
    /// Known callers or sessions, `id,label` a line (`normal` or `anomalous`): anomalous ones are not learned from, and the
    /// threshold is chosen with them
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// Calls learned from at most, which bounds memory (some 150 bytes each): of more, a share of the callers is taken
    #[arg(long, value_name = "CALLS", default_value_t = TrainParams::default().max_calls)]
    max_calls: u64,
    /// Seed of what is drawn at random; the same data and seed give the same file
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl LearnArgs {
    /// The parameters, checked.
    pub(super) fn params(&self) -> Result<TrainParams> {
        let params = TrainParams {
            order: self.order,
            false_alarm_rate: self.false_alarm_rate,
            session_idle: nanos("--session-idle", self.session_idle)?,
            operation_gap: self.operation_gap.map(|gap| nanos("--operation-gap", gap)).transpose()?,
            naming: Naming { host: self.by_host, ..Naming::default() },
            templates: self.templates.clone(),
            patterns: PatternParams { min_support: self.min_support, ..PatternParams::default() },
            labels: self.labels.as_deref().map(Labels::read).transpose()?,
            max_calls: self.max_calls,
            seed: self.seed,
            progress: Progress::on_terminal(),
        };
        params.check()?;
        Ok(params)
    }
}

pub(super) fn nanos(option: &str, seconds: f64) -> Result<u64> {
    let duration = Duration::try_from_secs_f64(seconds)
        .with_context(|| format!("{option} must be a positive number of seconds, not {seconds}"))?;
    u64::try_from(duration.as_nanos()).with_context(|| format!("{option} is too long: {seconds} seconds"))
}
