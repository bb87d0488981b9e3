//! `gait-trainer score`.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use gait_common::interface::NEW;

use super::{InputArgs, note, print};
use crate::corpus::{Choice, collect};
use crate::score::score;

/// Judge recorded sessions by a model, one JSON object a line: id, score, threshold, anomalous, reasons.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer score --model shop.gait --format combined access.log | jq 'select(.anomalous)'
  gait-trainer score --model hdfs.gait --format sequences sessions.txt")]
pub(super) struct ScoreArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Files, directories and globs
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// The model
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
}

impl ScoreArgs {
    pub(super) fn run(self) -> Result<()> {
        let model = crate::model::load(&self.model)?;
        let input = self.input.input(&self.inputs);
        let (corpus, _) = collect(&input, &model.interfaces, Choice::Fixed(model.timing))?;
        if !corpus.steps.is_empty() && corpus.steps.iter().all(|step| step.interface == NEW) {
            note("the model knows none of the interfaces called: was it learned from another kind of input?");
        }
        let mut out = BufWriter::new(std::io::stdout().lock());
        let (mut sessions, mut anomalous) = (0u64, 0u64);
        for scored in score(&corpus, &model) {
            sessions += 1;
            anomalous += u64::from(scored.anomalous);
            if !print(&mut out, &serde_json::to_string(&scored)?)? {
                return Ok(());
            }
        }
        out.flush()?;
        note(&format!("{anomalous} of {sessions} sessions are anomalous"));
        Ok(())
    }
}
