//! `gait-trainer evaluate`.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use clap::Args;
use gait_common::model::Model;
use serde::Serialize;

use super::learn::LearnArgs;
use super::trees::{self, FaultArgs};
use super::{InputArgs, print, words};
use crate::corpus::{Choice, collect};
use crate::evaluate::{Weights, evaluate};
use crate::holdout::{hold_out, trial};
use crate::labels::Labels;
use crate::score::scores;
use crate::trees::NO_TREES;

/// Measure a model: on sessions whose kind is known, on new ones that are thought to be normal, or by holding out.
///
/// With --normal and --abnormal: precision, recall, F1, AUC and the false-alarm rate. With inputs alone: the false-alarm
/// rate, and whether the traffic has drifted from what the model was trained on. With --holdout no model is needed: one is
/// trained on the earlier part of the inputs and tried on the rest. With spans of traces: which windows of time are flagged,
/// and with --faults how many known faults are found and who is blamed; without a model, by what the other windows teach.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer evaluate --model hdfs.gait --format sequences --normal normal.csv --abnormal abnormal.txt
  gait-trainer evaluate --model shop.gait --format combined today.log
  gait-trainer evaluate --model shop.gait --format otlp --faults faults.json traces.json
  gait-trainer evaluate --holdout 0.2 --format combined '/var/log/nginx/access.log*'")]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Sessions that are thought to be normal: files, directories and globs
    #[arg(value_name = "INPUT", required_unless_present = "normal", conflicts_with_all = ["normal", "abnormal"])]
    inputs: Vec<String>,
    /// Normal sessions: file, directory or glob (may be repeated)
    #[arg(long, value_name = "INPUT", requires = "abnormal")]
    normal: Vec<String>,
    /// Abnormal sessions (may be repeated)
    #[arg(long, value_name = "INPUT", requires = "normal")]
    abnormal: Vec<String>,
    /// How many abnormal and normal sessions the given ones stand for, e.g. 16838:553366
    #[arg(long, value_name = "P:N", requires = "normal")]
    weights: Option<Ratio>,
    /// The model
    #[arg(long, value_name = "FILE", required_unless_present_any = ["holdout", "faults"])]
    model: Option<PathBuf>,
    /// Train on the earlier part of the inputs and try the model on this share of them, 0 to 1
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["model", "normal", "abnormal", "labels"], requires = "inputs")]
    holdout: Option<f64>,
    #[command(flatten)]
    faults: FaultArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(
        flatten,
        next_help_heading = "With --holdout, how to train (--labels: which inputs are anomalous)"
    )]
    learn: LearnArgs,
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
        if self.input.format.holds_spans() {
            return self.spans();
        }
        if let Some(share) = self.holdout {
            let input = self.input.input(&self.inputs).kept()?;
            let result = hold_out(&input, share, &self.learn.params()?)?;
            return self.show(&result, words::held_out(&result, input.format));
        }
        let path = self.model.as_deref().context("there is no model to evaluate: name one with --model")?;
        if let Some(labels) = &self.learn.labels {
            let labels = Labels::read(labels)?;
            let model = crate::model::load(path)?;
            let (mut corpus, _) =
                collect(&self.input.input(&self.inputs), &model.interfaces, Choice::Fixed(model.timing))?;
            let all = scores(&corpus, &model);
            let sessions = corpus.sessions.clone();
            // Fails where the labels are about something else.
            labels.take_out(&mut corpus)?;
            let is_anomalous = |at: &usize| labels.is_anomalous(&corpus, &sessions[*at]);
            let (anomalous, normal): (Vec<usize>, Vec<usize>) = (0..sessions.len()).partition(is_anomalous);
            let of = |places: Vec<usize>| -> Vec<f64> { places.into_iter().map(|at| all[at]).collect() };
            let result = evaluate(&of(normal), &of(anomalous), model.threshold(), None);
            return self.show(&result, words::evaluation(&result));
        }
        if !self.inputs.is_empty() {
            let data = crate::model::load_data(path)?;
            let result = trial(&self.input.input(&self.inputs), &data)?;
            return self.show(&result, words::trial(&result));
        }
        let model = crate::model::load(path)?;
        let (normal, abnormal) = (self.scores(&model, &self.normal)?, self.scores(&model, &self.abnormal)?);
        let result = evaluate(&normal, &abnormal, model.threshold(), self.weights.map(|ratio| ratio.0));
        self.show(&result, words::evaluation(&result))
    }

    fn spans(&self) -> Result<()> {
        ensure!(!self.inputs.is_empty(), "name the spans to judge");
        ensure!(
            self.holdout.is_none(),
            "with spans, leave out --model in place of --holdout: windows are cross-judged"
        );
        let load = |path: &PathBuf| crate::model::load_data(path)?.trees.context(NO_TREES);
        let model = self.model.as_ref().map(load).transpose()?;
        let rate = self.learn.params()?.false_alarm_rate;
        let result = trees::measure(&self.input.input(&self.inputs), model, &self.faults, rate)?;
        self.show(&result, trees::words(&result))
    }

    fn show(&self, result: &impl Serialize, lines: Vec<String>) -> Result<()> {
        let lines = if self.json { vec![serde_json::to_string(result)?] } else { lines };
        let mut out = std::io::stdout().lock();
        for line in lines {
            if !print(&mut out, &line)? {
                break;
            }
        }
        Ok(())
    }

    fn scores(&self, model: &Model, inputs: &[String]) -> Result<Vec<f64>> {
        let (corpus, _) = collect(&self.input.input(inputs), &model.interfaces, Choice::Fixed(model.timing))?;
        ensure!(!corpus.sessions.is_empty(), "there are no sessions in {}", inputs.join(", "));
        Ok(scores(&corpus, model))
    }
}
