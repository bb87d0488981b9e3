//! What the commands do with spans of traces.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use gait_common::ingest::traces::Counts;
use gait_common::tree::TreesData;

use crate::corpus::Input;
use crate::trees::evaluate::{Evaluation, FaultResult, Params, Window, evaluate};
use crate::trees::faults;

/// How spans are evaluated.
#[derive(Clone, Debug, Args)]
pub(super) struct FaultArgs {
    /// Spans: the known faults, a JSON list of objects with time, instance or service, kind and duration_s
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,
    /// Spans: how long a fault lasts of which the list does not say
    #[arg(long, value_name = "SECONDS", default_value_t = 180.0)]
    fault_duration: f64,
}

/// Measures on spans.
pub(super) fn measure(
    input: &Input,
    model: Option<TreesData>,
    args: &FaultArgs,
    false_alarm_rate: f64,
) -> Result<Evaluation> {
    let params = Params {
        duration: super::learn::nanos("--fault-duration", args.fault_duration)?,
        false_alarm_rate,
        ..Params::default()
    };
    let faults =
        args.faults.as_deref().map(|path: &Path| faults::read(path)).transpose()?.unwrap_or_default();
    evaluate(input, model, &faults, &params)
}

/// What became of the spans, in words.
pub(super) fn read_words(counts: &Counts) -> Vec<String> {
    let mut lines = vec![format!(
        "put together: {} spans, {} traces, {} trees of services",
        counts.spans, counts.traces, counts.trees
    )];
    let odd = [
        ("duplicates", counts.duplicates),
        ("came after their trace was complete", counts.late),
        ("without their parent", counts.orphans),
        ("by another clock, corrected", counts.skewed),
    ];
    lines.extend(odd.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("  spans {what}: {n}")));
    if counts.several_roots > 0 {
        lines.push(format!("  traces with several beginnings: {}", counts.several_roots));
    }
    if counts.pressed > 0 {
        lines.push(format!("  traces taken for complete, since too many spans waited: {}", counts.pressed));
    }
    if counts.names_passed > 0 {
        lines.push(format!("  names that there was no room for: {}", counts.names_passed));
    }
    lines
}

/// A measurement in words.
pub(super) fn words(result: &Evaluation) -> Vec<String> {
    let Evaluation { spans, malformed, duplicates, traces, trees, .. } = result;
    let mut lines = vec![
        format!(
            "{spans} spans ({malformed} malformed, {duplicates} duplicates), {traces} traces, {trees} trees of services"
        ),
        format!(
            "windows of {} s, flagged from {:.2} on{}",
            result.window_s,
            result.limit,
            if result.cross_judged { "; each block of time is judged by what the others taught" } else { "" }
        ),
        format!("normal windows: {}, flagged {}", result.normal.len(), result.false_alarms),
    ];
    lines
        .extend(result.normal.iter().filter(|w| w.score >= result.limit).map(|w| format!("  {}", window(w))));
    if result.faults.is_empty() {
        return lines;
    }
    let all = result.faults.len();
    lines.extend([
        format!(
            "faults: {all}, detected {} (in their first window {}), above all normal windows {}",
            result.detected, result.detected_first, result.above_all_normal
        ),
        format!(
            "culprit: first suspect {}, among three {}, among five {} of {all}",
            result.culprit_first, result.culprit_in_three, result.culprit_in_five
        ),
    ]);
    lines.extend(result.faults.iter().map(|found| fault(found, result.limit)));
    lines
}

fn window(window: &Window) -> String {
    let suspects: Vec<String> =
        window.suspects.iter().map(|(name, evidence)| format!("{name} {evidence:.1}")).collect();
    format!(
        "{} traces {:4} score {:8.2}  {}",
        super::words::time(window.start),
        window.traces,
        window.score,
        suspects.join(", ")
    )
}

fn fault(result: &FaultResult, limit: f64) -> String {
    let rank = result.culprit_rank.map_or("none".to_owned(), |rank| rank.to_string());
    let scores: Vec<String> = result.windows.iter().map(|window| format!("{:.1}", window.score)).collect();
    format!(
        "  {} {:14} {:44} {} score {:8.2} [{}], normal windows as high {}, culprit's rank {rank}",
        super::words::time(result.start),
        result.kind,
        result.culprit,
        if result.score >= limit { "detected" } else { "missed  " },
        result.score,
        scores.join(" "),
        result.normal_above,
    )
}
