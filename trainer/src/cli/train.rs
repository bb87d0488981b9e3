//! `gait-trainer train`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use super::learn::LearnArgs;
use super::store::StoreArgs;
use super::{InputArgs, note};
use crate::ingest::Format;
use crate::report::{self, About};
use crate::train::{TrainParams, Trained};
use crate::trees::{self, FEW_WINDOWS, Learned};

/// Learn a model from normal traffic.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer train --format combined --out shop.gait /var/log/nginx/access.log*
  gait-trainer train --format spool --out shop.gait /var/lib/gait/spool
  gait-trainer train --format combined --out shop.gait --store /var/lib/gait/store access.log.1
  gait-trainer train --format otlp --out shop.gait traces.json
  gait-trainer train --format sequences --out hdfs.gait --false-alarm-rate 0.002 sessions.txt")]
pub(super) struct TrainArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Files, directories and globs
    #[arg(required_unless_present = "store", value_name = "INPUT")]
    inputs: Vec<String>,
    /// The model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write a page about what was read and learned: one HTML file, to be opened in a browser
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Spans: keep what this model knows otherwise, and give it their call trees
    #[arg(long, value_name = "MODEL", conflicts_with = "store")]
    onto: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    learn: LearnArgs,
}

impl TrainArgs {
    pub(super) fn run(self) -> Result<()> {
        let params = self.learn.params()?;
        if self.input.format.holds_spans() {
            return self.spans(&params);
        }
        ensure!(self.onto.is_none(), "--onto is for spans (--format otlp, jaeger or spans-csv)");
        let input = self.input.repeated(&self.inputs, &params.progress)?;
        let mut trained = self.store.train(&input, &params)?;
        if self.input.format == Format::Spool {
            let read = trees::add_spooled(&mut trained.model, &self.inputs)?;
            if let Some(known) = &trained.model.trees {
                note(&format!(
                    "learned {} call trees of {} roots from {} rows of the spool",
                    known.trees.len(),
                    known.scopes.len(),
                    read.rows
                ));
            }
            if read.refused > 0 {
                note(&format!("{} rows about call trees could not be used", read.refused));
            }
            if read.passed > 0 {
                note(&format!(
                    "{} calls and values of call trees were left out for want of room: train on a shorter time, or follow fewer functions",
                    read.passed
                ));
            }
        }
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
        if trained.share < 1.0 {
            note(&format!(
                "that is {:.1} % of the callers, taken at random, to stay within --max-calls",
                trained.share * 100.0
            ));
        }
        if trained.partial > 0 {
            note(&format!(
                "{} of the sessions were not captured whole: their order was learned, not their lengths and counts",
                trained.partial
            ));
        }
        if let Some(known) = &trained.labelled {
            let flagged = known.scores.iter().filter(|&&score| score >= trained.model.calibration.threshold);
            note(&format!(
                "{} sessions are labelled anomalous and were not learned; the model flags {} of them",
                known.scores.len(),
                flagged.count()
            ));
            if !known.chosen {
                note(
                    "the labels do not help to choose a threshold: normal sessions score as high at the stated rate",
                );
            }
        }
        self.written(&trained, fingerprint)
    }

    /// Learns call trees from spans.
    fn spans(self, params: &TrainParams) -> Result<()> {
        ensure!(self.store.is_unused(), "a store keeps sessions of calls: it cannot be given spans");
        let mut input = self.input.input(&self.inputs);
        input.options.watch = Some(params.progress.watch());
        let base = self.onto.as_deref().map(crate::model::load_data).transpose()?;
        let Learned { trained, counts, windows } = trees::train(&input, base, params)?;
        let fingerprint = crate::model::save(&self.out, &trained.model)?;
        note(&format!("read: {}", trained.report));
        super::trees::read_words(&counts).iter().for_each(|line| note(line));
        if let Some(known) = &trained.model.trees {
            note(&format!(
                "learned {} trees of {} roots from {} windows of {} s",
                known.trees.len(),
                known.scopes.len(),
                known.windows,
                known.window as f64 / 1e9
            ));
        }
        if windows < FEW_WINDOWS {
            note(&format!(
                "there were traces in {windows} windows only: what is rare was hardly seen, and will be flagged when it comes"
            ));
        }
        self.written(&trained, fingerprint)
    }

    fn written(self, trained: &Trained, fingerprint: String) -> Result<()> {
        note(&format!("wrote {} ({fingerprint})", self.out.display()));
        if let Some(path) = &self.report {
            let about =
                About { inputs: self.inputs, format: self.input.format, model: self.out, fingerprint };
            report::save(path, trained, &about)?;
            note(&format!("wrote {}", path.display()));
        }
        Ok(())
    }
}
