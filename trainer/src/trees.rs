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

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use gait_common::detect::CalibrationData;
use gait_common::ingest::spans;
use gait_common::ingest::traces::{Assembler, Counts, Limits, Trace};
use gait_common::ingest::{TreesRead, read_spooled_trees};
use gait_common::interface::{Interfaces, NEW, NEW_NAME};
use gait_common::model::{Meta, ModelData};
use gait_common::spool::trees::{TreeRecord, function};
use gait_common::tree::{Observed, Shape, Shapes, TreeStats, TreesData, ValueStats, WINDOW, learn};

use crate::calibrate::HeldOut;
use crate::corpus::{Corpus, Input};
use crate::ingest::ReadReport;
use crate::train::{TrainParams, Trained};

/// What a command says of a model that it needs trees of.
pub const NO_TREES: &str = "the model knows no call trees: train it with a spool that has trees, or with spans (--format otlp, jaeger or spans-csv)";

/// Statistics of trees, what they look like, and where they come from.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// What became of each code, by window.
    pub stats: TreeStats,
    /// What was seen in arguments and return values, by window. Spans have none.
    pub values: ValueStats,
    /// What the trees look like, and the names of functions.
    pub shapes: Shapes,
}

/// Cells, and values of arguments, of all windows of an input: some 600 MB each.
const MAX_GATHERED: usize = 1 << 22;

impl Default for Gathered {
    fn default() -> Self {
        Self {
            stats: TreeStats::new(WINDOW, MAX_GATHERED),
            values: ValueStats::new(WINDOW, MAX_GATHERED),
            shapes: Shapes::default(),
        }
    }
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
        self.values.merge(&other.values);
        self.shapes.merge(&other.shapes);
    }

    /// What is normal, these being normal.
    ///
    /// # Errors
    /// When there is no tree.
    pub fn learn(&self) -> Result<TreesData> {
        ensure!(!self.stats.is_empty(), "there is no call tree to learn from");
        Ok(learn(self.stats.window(), &self.stats.cells(), &self.values.cells(), &self.shapes))
    }
}

/// Gathers the trees of spools; those that served a request count for its interface too.
///
/// # Errors
/// When a spool cannot be read, or the model's interfaces are not sound.
pub fn gather_spools(paths: &[String], model: &ModelData) -> Result<(Gathered, TreesRead)> {
    let interfaces = Interfaces::new(&model.interfaces, model.naming.clone())?;
    let (mut gathered, mut names, mut scratch) = (Gathered::default(), Shapes::default(), String::new());
    let Gathered { stats, values, shapes } = &mut gathered;
    let read = read_spooled_trees(paths, &mut names, &mut |record| {
        match record {
            TreeRecord::Tree(code, shape) => shapes.add(code, shape),
            TreeRecord::Cell(cell, _) => stats.add(&cell),
            TreeRecord::Value(cell) => values.add_cell(&cell),
            TreeRecord::Call(tree) => {
                let named = interfaces.name_call(&tree.call, &mut scratch);
                let root = function(tree.root, &mut Shapes::new(0));
                // As in detection: what serves an unknown interface says nothing about any other.
                if let Some(root) = root.filter(|_| named.id != NEW) {
                    stats.observe(&Observed {
                        time: tree.call.start,
                        source: tree.source,
                        interface: Some(interfaces.name(named.id)),
                        root,
                        code: tree.code,
                        tree: None,
                        duration: tree.duration,
                        failed: tree.failed,
                    });
                }
            }
        }
        Ok(())
    })?;
    gathered.shapes.merge(&names);
    let passed = gathered.stats.passed().saturating_add(gathered.values.passed());
    Ok((gathered, TreesRead { passed, ..read }))
}

/// Gives a model that was trained on spools what their trees teach; nothing where they hold none.
///
/// # Errors
/// As [`gather_spools`].
pub fn add_spooled(model: &mut ModelData, paths: &[String]) -> Result<TreesRead> {
    let (gathered, read) = gather_spools(paths, model)?;
    if !gathered.stats.is_empty() {
        model.trees = Some(gathered.learn()?);
    }
    Ok(read)
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
pub fn train(input: &Input, base: Option<ModelData>, params: &TrainParams) -> Result<Learned> {
    params.progress.reads("1/2 reading spans");
    let (gathered, Read { report, counts }) = gather(input)?;
    params.progress.works("2/2 learning", 1);
    let trees = gathered
        .learn()
        .with_context(|| format!("nothing was learned from {}: {report}", input.paths.join(", ")))?;
    params.progress.end();
    let cells = gathered.stats.cells();
    let base = base.unwrap_or_else(|| {
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
    let windows = cells.iter().map(|cell| cell.window).collect::<BTreeSet<_>>().len();
    Ok(Learned { trained, counts, windows })
}

/// What was learned of spans.
#[derive(Debug)]
pub struct Learned {
    /// The model and what it was made from.
    pub trained: Trained,
    /// What became of the spans.
    pub counts: Counts,
    /// Windows of time in which there were traces.
    pub windows: usize,
}

/// With fewer windows nobody can say how much windows differ: rare ways were not seen, and are flagged when they come.
pub const FEW_WINDOWS: usize = 20;

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

#[cfg(test)]
mod tests {
    use super::*;
    use gait_common::ingest::Format;
    use proptest::prelude::*;

    /// Traces of a gate that calls a shop, one of `kind` ways.
    fn csv(visits: &[(u64, u8)], first: usize) -> String {
        let mut out = "trace,span,parent,service,operation,start,duration\n".to_owned();
        for (number, &(minute, kind)) in visits.iter().enumerate() {
            let (trace, start) = (first + number, 1_700_000_040_000_000_000 + minute * 60_000_000_000);
            out.push_str(&format!("{trace},1,,gate,GET /,{start},900\n"));
            for call in 0..kind {
                let start = start + u64::from(call) * 100_000;
                out.push_str(&format!("{trace},{},1,shop,way {call},{start},{kind}0\n", call + 2));
            }
        }
        out
    }

    fn gathered(text: &str) -> Gathered {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("a file");
        let paths = vec![file.path().display().to_string()];
        gather(&Input::new(paths, Format::SpansCsv, crate::ingest::Options::default())).expect("spans").0
    }

    fn bytes(gathered: &Gathered) -> Vec<u8> {
        let trees = Some(gathered.learn().expect("trees"));
        let data = ModelData { trees, interfaces: vec![NEW_NAME.to_owned()], ..ModelData::default() };
        gait_common::model::file::write(&data).expect("a model")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Parts are gathered on different hosts and merged as they come.
        #[test]
        fn parts_merge_in_any_order_to_the_same_model(visits in proptest::collection::vec((0_u64..5, 0_u8..4), 3..40), cut in any::<prop::sample::Index>()) {
            let cut = cut.index(visits.len() - 2) + 1;
            let (a, b) = visits.split_at(cut);
            let (a, b, whole) = (gathered(&csv(a, 1)), gathered(&csv(b, cut + 1)), gathered(&csv(&visits, 1)));
            let merged = |x: &Gathered, y: &Gathered| {
                let mut sum = x.clone();
                sum.merge(y);
                bytes(&sum)
            };
            prop_assert_eq!(&merged(&a, &b), &bytes(&whole));
            prop_assert_eq!(merged(&b, &a), bytes(&whole));
        }
    }
}
