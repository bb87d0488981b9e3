//! `gait-trainer evaluate`.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use gait_common::model::Model;

use super::{InputArgs, print};
use crate::corpus::{Choice, collect};
use crate::evaluate::{Weights, evaluate};
use crate::score::scores;

/// Measure a model on sessions whose kind is known.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  gait-trainer evaluate --model hdfs.gait --format sequences --normal normal.csv --abnormal abnormal.txt")]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Normal sessions: file, directory or glob (may be repeated)
    #[arg(long, required = true, value_name = "INPUT")]
    normal: Vec<String>,
    /// Abnormal sessions (may be repeated)
    #[arg(long, required = true, value_name = "INPUT")]
    abnormal: Vec<String>,
    /// How many abnormal and normal sessions the given ones stand for, e.g. 16838:553366
    #[arg(long, value_name = "P:N")]
    weights: Option<Ratio>,
    /// The model
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ratio(Weights);

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| part.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
        let (positive, negative) = text.split_once(':').ok_or("expected two numbers as P:N")?;
        match (parse(positive), parse(negative)) {
            (Some(positive), Some(negative)) => Ok(Self(Weights { positive, negative })),
            _ => Err("expected two positive numbers as P:N".to_owned()),
        }
    }
}

impl EvaluateArgs {
    pub(super) fn run(self) -> Result<()> {
        let model = crate::model::load(&self.model)?;
        let (normal, abnormal) = (self.scores(&model, &self.normal)?, self.scores(&model, &self.abnormal)?);
        let result = evaluate(&normal, &abnormal, model.threshold(), self.weights.map(|ratio| ratio.0));
        let mut out = std::io::stdout().lock();
        if self.json {
            print(&mut out, &serde_json::to_string(&result)?)?;
            return Ok(());
        }
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        let range =
            |(low, high): (f64, f64)| format!("(95 % interval {} to {})", percent(low), percent(high));
        for line in [
            format!("sessions          {} normal, {} abnormal", result.normal, result.abnormal),
            format!("recall            {} {}", percent(result.recall), range(result.recall_interval)),
            format!(
                "false-alarm rate  {} {}",
                percent(result.false_alarm_rate),
                range(result.false_alarm_interval)
            ),
            format!("precision         {}", percent(result.precision)),
            format!("F1                {:.4}", result.f1),
            format!("AUC               {:.4}", result.auc),
        ] {
            print(&mut out, &line)?;
        }
        Ok(())
    }

    fn scores(&self, model: &Model, inputs: &[String]) -> Result<Vec<f64>> {
        let (corpus, _) = collect(&self.input.input(inputs), &model.interfaces, Choice::Fixed(model.timing))?;
        Ok(scores(&corpus, model))
    }
}
