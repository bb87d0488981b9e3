//! Call trees: statistics of spans and of the spool, merged, and learned from.
//!
//! [`gather`] reads spans into what [`gait_common::tree::learn`] takes: cells of windows, and what the trees look like.
//! Both merge in any order to the same result, so parts may be gathered on different hosts. [`mod@evaluate`] judges windows
//! of spans by what was learned, against a list of [`faults`], and ranks who is to blame ([`blame`]).

pub mod blame;
pub mod evaluate;
pub mod faults;
pub mod judge;
pub mod rows;
pub mod view;

use anyhow::{Context, Result, ensure};
use gait_common::detect::CalibrationData;
use gait_common::ingest::spans;
use gait_common::ingest::traces::{Assembler, Counts, Limits, Trace};
use gait_common::interface::NEW_NAME;
use gait_common::model::{Meta, ModelData};
use gait_common::tree::{Observed, Shape, Shapes, TreeStats, TreesData, learn};

use crate::calibrate::HeldOut;
use crate::corpus::{Corpus, Input};
use crate::ingest::ReadReport;
use crate::train::{TrainParams, Trained};

/// What a command says of a model that it needs trees of.
pub const NO_TREES: &str = "the model knows no call trees: train it with a spool that has trees, or with spans (--format otlp, jaeger or spans-csv)";

/// Statistics of trees, what they look like, and where they come from.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// What became of each code, by window.
    pub stats: TreeStats,
    /// What the trees look like, and the names of functions.
    pub shapes: Shapes,
}

impl Gathered {
    /// Takes in the trees of a trace. They all count where the trace began.
    pub fn add(&mut self, trace: &Trace) {
        for entry in &trace.entries {
            self.stats.observe(&Observed { time: trace.start, ..entry.observed() });
            let key = (entry.tree.root(), entry.code.ordered);
            if self.shapes.get(key.0, key.1).is_none() {
                let shape = Shape { tree: entry.tree.clone(), unordered: entry.code.unordered };
                self.shapes.add(entry.code.ordered, shape);
            }
        }
    }

    /// Adds what others gathered.
    pub fn merge(&mut self, other: &Self) {
        self.stats.merge(&other.stats);
        self.shapes.merge(&other.shapes);
    }

    /// What is normal, these being normal.
    ///
    /// # Errors
    /// When there is no tree.
    pub fn learn(&self) -> Result<TreesData> {
        ensure!(!self.stats.is_empty(), "there is no call tree to learn from");
        Ok(learn(self.stats.window(), &self.stats.cells(), &self.shapes))
    }
}

/// What was read of traces.
#[derive(Clone, Debug)]
pub struct Read {
    /// Lines, spans and what was wrong.
    pub report: ReadReport,
    /// What became of the spans.
    pub counts: Counts,
}

/// Hands on every trace of the input; the order is that of time, unless too many spans waited.
///
/// # Errors
/// When the input cannot be read, or `each` fails.
pub fn traces(input: &Input, names: &mut Shapes, each: &mut dyn FnMut(&Trace) -> Result<()>) -> Result<Read> {
    let mut assembler = Assembler::new(Limits::default());
    let report =
        spans::read(&input.paths, input.format, &input.options, &mut |span, _| assembler.push(&span, each))?;
    assembler.finish(each)?;
    let mut functions: Vec<&str> = assembler.functions().map(|(_, name)| &**name).collect();
    functions.sort_unstable();
    functions.into_iter().for_each(|name| {
        names.name(name);
    });
    Ok(Read { report, counts: assembler.counts() })
}

/// Learns call trees from spans. What a model that is given knows otherwise is kept; without one the model knows trees
/// only, and never flags a session.
///
/// # Errors
/// When the input cannot be read or holds no traces.
pub fn train(input: &Input, base: Option<ModelData>, params: &TrainParams) -> Result<(Trained, Counts)> {
    params.progress.reads("1/2 reading spans");
    let (gathered, Read { report, counts }) = gather(input)?;
    params.progress.works("2/2 learning", 1);
    let trees = gathered
        .learn()
        .with_context(|| format!("nothing was learned from {}: {report}", input.paths.join(", ")))?;
    params.progress.end();
    let base = base.unwrap_or_else(|| {
        let cells = gathered.stats.cells();
        let meta = Meta {
            trainer: env!("CARGO_PKG_VERSION").to_owned(),
            first_call: cells.iter().map(|cell| cell.tally.first).min().unwrap_or_default(),
            last_call: cells.iter().map(|cell| cell.tally.last).max().unwrap_or_default(),
            seed: params.seed,
            ..Meta::default()
        };
        let calibration = CalibrationData { threshold: f64::MAX, ..CalibrationData::default() };
        ModelData { meta, calibration, interfaces: vec![NEW_NAME.to_owned()], ..ModelData::default() }
    });
    let trained = Trained {
        model: ModelData { trees: Some(trees), ..base },
        report,
        share: 1.0,
        partial: 0,
        corpus: Corpus::default(),
        held_out: HeldOut::default(),
        groups: None,
        labelled: None,
    };
    Ok((trained, counts))
}

/// Gathers the trees of spans.
///
/// # Errors
/// When the input cannot be read.
pub fn gather(input: &Input) -> Result<(Gathered, Read)> {
    let (mut gathered, mut names) = (Gathered::default(), Shapes::default());
    let read = traces(input, &mut names, &mut |trace| {
        gathered.add(trace);
        Ok(())
    })?;
    gathered.shapes.merge(&names);
    Ok((gathered, read))
}
