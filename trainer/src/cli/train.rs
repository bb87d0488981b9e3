//! `gait-trainer train`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::learn::LearnArgs;
use super::store::StoreArgs;
use super::{InputArgs, note};
use crate::report::{self, About};

/// Learn a model from normal traffic.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gait-trainer train --format combined --out shop.gait /var/log/nginx/access.log*
  gait-trainer train --format spool --out shop.gait /var/lib/gait/spool
  gait-trainer train --format combined --out shop.gait --store /var/lib/gait/store access.log.1
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
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    learn: LearnArgs,
}

impl TrainArgs {
    pub(super) fn run(self) -> Result<()> {
        let params = self.learn.params()?;
        let input = self.input.repeated(&self.inputs, &params.progress)?;
        let trained = self.store.train(&input, &params)?;
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
