//! The options of training with a store.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;

use super::note;
use crate::corpus::{Input, Source};
use crate::store::{Memory, Store};
use crate::train::{TrainParams, Trained, train};

/// What is remembered from run to run.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreArgs {
    /// Directory in which sessions and pattern graphs are kept: a run adds its INPUT to what earlier ones read and learns
    /// from all. What is there already is not counted twice. Without INPUT it learns from the store alone. Labels are
    /// not kept: give them in each run
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Days of log time after which a session in the store weighs half; 0: it never weighs less
    #[arg(long, value_name = "DAYS", default_value_t = 30.0, requires = "store")]
    decay: f64,
    /// Most calls that the store keeps
    #[arg(long, value_name = "CALLS", default_value_t = 4_000_000, requires = "store")]
    store_calls: usize,
}

impl StoreArgs {
    /// Whether no store is named.
    pub(super) fn is_unused(&self) -> bool {
        self.store.is_none()
    }

    /// Trains on an input, and on what is in the store, where there is one.
    pub(super) fn train(&self, input: &Input, params: &TrainParams) -> Result<Trained> {
        match &self.store {
            None => train(input, params),
            Some(directory) => self.update(directory, input, params),
        }
    }

    fn update(&self, directory: &Path, input: &Input, params: &TrainParams) -> Result<Trained> {
        ensure!(
            self.decay >= 0.0 && self.decay.is_finite(),
            "--decay must be a number of days, or 0, not {}",
            self.decay
        );
        let memory = Memory {
            half_life: (self.decay > 0.0).then_some(self.decay),
            calls: self.store_calls,
            session_idle: params.session_idle,
        };
        let store = Store::open(directory)?;
        let input: Option<&dyn Source> = if input.paths.is_empty() { None } else { Some(input) };
        let recorded = store.record(input, &memory)?;
        let trained = train(recorded.source(), params)?;
        let run = store.commit(recorded, &trained.model, params.session_idle)?;
        note(&format!(
            "store {}: read {} records, {} of them known; learned from {} calls in {} sessions",
            directory.display(),
            run.read,
            run.known,
            run.calls,
            run.sessions
        ));
        Ok(trained)
    }
}
