//! Showing what a model knows.

use std::fmt::Write as _;

use gait_common::interface::Interfaces;
use gait_common::model::ModelData;

/// Interfaces and ways shown of each, at most.
const SHOWN: usize = 10;

/// A model in words. With `interface`, only the graphs that begin at an interface whose name contains it.
pub fn describe(model: &ModelData, interface: Option<&str>) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match interface {
        None => overview(model, &mut out).and_then(|()| graphs(model, None, &mut out)),
        Some(part) => graphs(model, Some(part), &mut out),
    };
    out
}

fn overview(model: &ModelData, out: &mut String) -> std::fmt::Result {
    let meta = &model.meta;
    writeln!(out, "trained by gait-trainer {} with seed {}", meta.trainer, meta.seed)?;
    writeln!(out, "from {} calls in {} sessions of {} callers", meta.calls, meta.sessions, meta.callers)?;
    for (name, value) in &meta.parameters {
        writeln!(out, "  {name} = {value}")?;
    }
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    writeln!(
        out,
        "operations end after {:.3} s, sessions after {:.0} s of silence",
        seconds(model.timing.operation_gap),
        seconds(model.timing.session_idle)
    )?;
    let calibration = &model.calibration;
    writeln!(
        out,
        "a session is anomalous from a score of {:.2} on, for a false-alarm rate of {}",
        calibration.threshold, calibration.false_alarm_rate
    )?;
    writeln!(out, "markov model: {} n-grams, back-off {:?}", model.markov.grams.len(), model.markov.backoff)?;
    let mut calls: Vec<(u64, &str)> = model
        .markov
        .grams
        .iter()
        .filter(|gram| gram.parent == 0)
        .filter_map(|gram| Some((gram.count, model.interfaces.get(gram.symbol as usize)?.as_str())))
        .collect();
    calls.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    writeln!(out, "{} interfaces, the most called:", model.interfaces.len().saturating_sub(1))?;
    for (count, name) in calls.iter().take(2 * SHOWN) {
        writeln!(out, "{count:>10}  {name}")?;
    }
    Ok(())
}

fn graphs(model: &ModelData, part: Option<&str>, out: &mut String) -> std::fmt::Result {
    let Ok(interfaces) = Interfaces::new(&model.interfaces, model.naming.clone()) else {
        return writeln!(out, "the model's interfaces are not sound");
    };
    let mut graphs: Vec<_> = model
        .patterns
        .graphs
        .iter()
        .filter(|graph| part.is_none_or(|part| interfaces.name(graph.entry).contains(part)))
        .collect();
    graphs.sort_by_key(|graph| (std::cmp::Reverse(graph.support), graph.entry));
    writeln!(out, "{} pattern graphs", graphs.len())?;
    for graph in graphs.iter().take(if part.is_some() { usize::MAX } else { SHOWN }) {
        writeln!(out, "\nfrom {} ({} sessions)", interfaces.name(graph.entry), graph.support)?;
        for path in graph.paths.iter().take(SHOWN) {
            let steps: Vec<_> = path.steps.iter().map(|&step| interfaces.name(step)).collect();
            writeln!(out, "{:>10}  {}", path.support, steps.join(" > "))?;
        }
    }
    Ok(())
}
