//! Measuring on spans: are the windows of known faults told from normal ones, and is the right instance named?
//!
//! Time is cut into windows of the model's length. Those in which no fault was on are thought to be normal: how many pass
//! the limit is the false-alarm rate. A fault's windows begin with the fault. Without a model one is learned from the windows
//! without a fault, and each block of time is judged by what was learned from the other blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Result, anyhow, ensure};
use gait_common::call::Nanos;
use gait_common::ingest::traces::Counts;
use gait_common::sequence::SECOND;
use gait_common::tree::{MAX_CELLS, TreeKind, TreeStats, TreesData, WINDOW};
use serde::Serialize;

use super::faults::Fault;
use super::judge::{Judge, Sign, score};
use super::rows::Rows;
use super::{Gathered, blame};
use crate::corpus::Input;

/// Blocks of time that are judged by what was learned from the others.
const BLOCKS: usize = 10;
/// The share of a fault's window that must lie within the fault and the data.
const LEAST_SHARE: f64 = 0.5;

/// How to measure.
#[derive(Clone, Debug)]
pub struct Params {
    /// How long a fault lasts of which the list does not say.
    pub duration: Nanos,
    /// Share of normal windows that may be flagged.
    pub false_alarm_rate: f64,
    /// How many suspects are named.
    pub suspects: usize,
}

impl Default for Params {
    fn default() -> Self {
        Params { duration: 180 * SECOND, false_alarm_rate: 0.01, suspects: 3 }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Spans read.
    pub spans: u64,
    /// Lines or spans that could not be read.
    pub malformed: u64,
    /// Spans that were there more than once.
    pub duplicates: u64,
    /// Traces.
    pub traces: u64,
    /// Trees, one for each service entry.
    pub trees: u64,
    /// The rows' own model was used: none was given.
    pub cross_judged: bool,
    /// Length of a window (s).
    pub window_s: f64,
    /// Scores from here on are flagged.
    pub limit: f64,
    /// Windows without a fault.
    pub normal: Vec<Window>,
    /// How many of them were flagged.
    pub false_alarms: usize,
    /// The faults.
    pub faults: Vec<FaultResult>,
    /// Faults with a flagged window.
    pub detected: usize,
    /// Faults of which the first window is flagged.
    pub detected_first: usize,
    /// Faults with a window above all normal ones.
    pub above_all_normal: usize,
    /// Faults whose culprit is the first suspect of the strongest window, and among the first so many.
    pub culprit_first: usize,
    /// As above, among the first three.
    pub culprit_in_three: usize,
    /// As above, among the first five.
    pub culprit_in_five: usize,
}

/// A window and its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// When it begins (Unix, ns).
    pub start: Nanos,
    /// Traces that began in it.
    pub traces: usize,
    /// Its score: how much speaks against its being normal (nats).
    pub score: f64,
    /// The most suspect instances, and the evidence that is theirs.
    pub suspects: Vec<(String, f64)>,
    /// The tests with the strongest evidence.
    pub reasons: Vec<Reason>,
}

/// A test that speaks against normality.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The instance that was tested.
    pub instance: String,
    /// The function at the root; empty for roots that were never seen.
    pub root: String,
    /// What was tested.
    pub kind: TreeKind,
    /// So many...
    pub hits: u64,
    /// ...of so many.
    pub trials: u64,
    /// The evidence (nats).
    pub evidence: f64,
}

/// A fault and its windows.
#[derive(Clone, Debug, Serialize)]
pub struct FaultResult {
    /// When it began (Unix, ns).
    pub start: Nanos,
    /// Who is to blame.
    pub culprit: String,
    /// What kind it is.
    pub kind: String,
    /// Its windows in the order of time; none when there are no traces.
    pub windows: Vec<Window>,
    /// The highest score.
    pub score: f64,
    /// Normal windows with a score as high, of those that were judged.
    pub normal_above: usize,
    /// The culprit's place among the suspects over all its windows, from 1; `None` when it has no trees.
    pub culprit_rank: Option<usize>,
}

/// Measures on the traces of an input.
///
/// # Errors
/// When the input cannot be read, or there is nothing to learn from or to judge.
pub fn evaluate(
    input: &Input,
    model: Option<TreesData>,
    faults: &[Fault],
    params: &Params,
) -> Result<Evaluation> {
    ensure!(
        params.false_alarm_rate > 0.0 && params.false_alarm_rate < 1.0,
        "the false-alarm rate must lie between 0 and 1, not at {}",
        params.false_alarm_rate
    );
    let (rows, read) = Rows::read(input)?;
    let last = rows
        .starts()
        .last()
        .ok_or_else(|| anyhow!("there are no traces in {}: {}", input.paths.join(", "), read.report))?;
    let window = model.as_ref().map_or(WINDOW, |model| model.window);
    ensure!(window > 0, "the windows of the model's trees have no length");
    let spans: Vec<Range<Nanos>> = faults
        .iter()
        .map(|fault| fault.start..fault.start.saturating_add(fault.duration.unwrap_or(params.duration)))
        .collect();
    // Of the windows that time is cut into, those with traces: times that others wrote may lie centuries apart.
    let cuts: BTreeSet<Nanos> = rows.starts().map(|start| start - start % window).collect();
    let normal: Vec<Range<Nanos>> = cuts
        .into_iter()
        .map(|start| start..start.saturating_add(window))
        .filter(|time| !spans.iter().any(|fault| fault.start < time.end && time.start < fault.end))
        .collect();
    let cross_judged = model.is_none();
    let judges = Judges::new(&rows, &normal, model, window)?;
    let limit = (1.0 / params.false_alarm_rate).ln();
    let normal: Vec<Window> =
        normal.iter().map(|time| judge(&rows, time, judges.of(time.start), params.suspects)).collect();
    let results: Vec<FaultResult> = faults
        .iter()
        .zip(&spans)
        .map(|(fault, time)| {
            let judge = judges.of(time.start);
            fault_result(&rows, fault, time, last, window, judge, &normal, params.suspects)
        })
        .collect();
    let count = |of: &dyn Fn(&FaultResult) -> bool| results.iter().filter(|result| of(result)).count();
    let within =
        |places: usize| count(&|result: &FaultResult| result.culprit_rank.is_some_and(|rank| rank <= places));
    let Counts { spans, duplicates, traces, trees, .. } = read.counts;
    Ok(Evaluation {
        spans,
        malformed: read.report.faults(),
        duplicates,
        traces,
        trees,
        cross_judged,
        window_s: window as f64 / SECOND as f64,
        limit,
        false_alarms: normal.iter().filter(|window| window.score >= limit).count(),
        detected: count(&|result| result.score >= limit),
        detected_first: count(&|result| result.windows.first().is_some_and(|window| window.score >= limit)),
        above_all_normal: count(&|result| !result.windows.is_empty() && result.normal_above == 0),
        culprit_first: within(1),
        culprit_in_three: within(3),
        culprit_in_five: within(5),
        faults: results,
        normal,
    })
}

/// By what each time is judged.
struct Judges {
    /// From when on which one judges, by time.
    by_time: Vec<(Nanos, Judge)>,
}

impl Judges {
    /// One for all, or learned from the normal windows of the other blocks of time.
    fn new(rows: &Rows, normal: &[Range<Nanos>], model: Option<TreesData>, window: Nanos) -> Result<Self> {
        let sound =
            |data| Judge::new(data).map_err(|what| anyhow!("the trees of the model are not sound: {what}"));
        if let Some(model) = model {
            return Ok(Judges { by_time: vec![(0, sound(model)?)] });
        }
        ensure!(
            normal.len() >= 2 * BLOCKS,
            "{} windows without a fault are too few to learn from and to judge: give a model with --model, or at least {} windows",
            normal.len(),
            2 * BLOCKS
        );
        let mut by_time = Vec::with_capacity(BLOCKS);
        for block in 0..BLOCKS {
            let held = block * normal.len() / BLOCKS..(block + 1) * normal.len() / BLOCKS;
            let mut gathered = Gathered {
                stats: TreeStats::new(window, MAX_CELLS),
                shapes: rows.shapes.clone(),
                ..Gathered::default()
            };
            for (_, time) in normal.iter().enumerate().filter(|(place, _)| !held.contains(place)) {
                rows.count(time, None, false, &mut gathered);
            }
            let from = if block == 0 { 0 } else { normal[held.start].start };
            by_time.push((from, sound(gathered.learn()?)?));
        }
        Ok(Judges { by_time })
    }

    fn of(&self, time: Nanos) -> &Judge {
        let after = self.by_time.partition_point(|(from, _)| *from <= time);
        &self.by_time[after.saturating_sub(1)].1
    }
}

fn judge(rows: &Rows, time: &Range<Nanos>, judge: &Judge, suspects: usize) -> Window {
    let signs = judge.signs(rows, time);
    let ranked = blame::rank(rows, time, &signs, judge.trees());
    let named = ranked
        .iter()
        .take(suspects)
        .map(|&(place, evidence)| (rows.names[place as usize].to_string(), evidence));
    let mut strongest: Vec<&Sign> = signs.iter().filter(|sign| sign.ln_e > 0.0).collect();
    strongest.sort_by(|a, b| b.ln_e.total_cmp(&a.ln_e));
    let reasons = strongest.iter().take(suspects).map(|sign| Reason {
        instance: rows.names[sign.instance as usize].to_string(),
        root: rows.shapes.name_of(sign.root).unwrap_or_default().to_owned(),
        kind: sign.kind,
        hits: sign.hits,
        trials: sign.trials,
        evidence: sign.ln_e,
    });
    Window {
        reasons: reasons.collect(),
        start: time.start,
        traces: rows.within(time).count(),
        score: score(&signs),
        suspects: named.collect(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one place that knows what a fault is measured by")]
fn fault_result(
    rows: &Rows,
    fault: &Fault,
    time: &Range<Nanos>,
    last: Nanos,
    window: Nanos,
    by: &Judge,
    normal: &[Window],
    suspects: usize,
) -> FaultResult {
    let (mut windows, mut blamed) = (Vec::new(), BTreeMap::<u32, f64>::new());
    let end = time.end.min(last.saturating_add(1));
    for start in (time.start..end).step_by(window as usize) {
        let part = start..start.saturating_add(window).min(time.end);
        let covered = part.end.min(end).saturating_sub(part.start) as f64;
        if !windows.is_empty() && covered < LEAST_SHARE * window as f64 {
            break;
        }
        if rows.within(&part).next().is_none() {
            continue;
        }
        windows.push(judge(rows, &part, by, suspects));
        for (place, evidence) in blame::rank(rows, &part, &by.signs(rows, &part), by.trees()) {
            *blamed.entry(place).or_default() += evidence;
        }
    }
    let mut ranked: Vec<(u32, f64)> = blamed.into_iter().collect();
    let name = |place: u32| &*rows.names[place as usize];
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| name(a.0).cmp(name(b.0))));
    let is_culprit =
        |place: u32| [Some(name(place)), rows.service_of(place)].contains(&Some(fault.culprit.as_str()));
    let culprit_rank = ranked.iter().position(|&(place, _)| is_culprit(place)).map(|place| place + 1);
    let score = windows.iter().map(|window: &Window| window.score).reduce(f64::max).unwrap_or(0.0);
    FaultResult {
        start: fault.start,
        culprit: fault.culprit.clone(),
        kind: fault.kind.clone(),
        normal_above: normal.iter().filter(|normal| normal.score >= score).count(),
        windows,
        score,
        culprit_rank,
    }
}
