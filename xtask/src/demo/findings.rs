//! The agent's findings, read back and shown as a person wants to read them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::paint::{Painted, Style};

/// A finding as far as the demo shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// Who walked differently.
    pub(crate) caller: String,
    score: f64,
    threshold: f64,
    reasons: Vec<String>,
    steps: Vec<Step>,
    earlier_steps: u64,
    expected: Vec<(String, f64)>,
    edits: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Step {
    interface: String,
    offending: bool,
}

/// What was expected with a smaller probability is not worth a line.
const MIN_SHARE: f64 = 0.05;

/// Steps shown on each side of the offending one.
const AROUND: usize = 4;

/// Reads a file of findings, one JSON object a line.
pub(crate) fn read(file: &Path) -> Result<Vec<Finding>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str::<Value>(line)
            .ok()
            .and_then(|value| Finding::from_ocsf(&value))
            .with_context(|| format!("{}:{}: not a finding: {line}", file.display(), number + 1))
    };
    text.lines().enumerate().map(parse).collect()
}

impl Finding {
    fn from_ocsf(value: &Value) -> Option<Self> {
        let gait = value.get("unmapped")?.get("gait")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let step = |step: &Value| {
            let offending = step.get("offending").and_then(Value::as_bool).unwrap_or(false);
            Some(Step { interface: text(step.get("interface")?)?, offending })
        };
        let expected = |value: &Value| {
            let share = value.get("probability")?.as_f64().filter(|share| *share >= MIN_SHARE)?;
            Some((text(value.get("interface")?)?, share))
        };
        Some(Self {
            caller: name(gait.get("caller")?.as_str()?),
            score: gait.get("score")?.as_f64()?,
            threshold: gait.get("threshold")?.as_f64()?,
            reasons: list(gait, "reasons").iter().filter_map(|reason| text(reason.get("text")?)).collect(),
            steps: list(gait, "steps").iter().filter_map(step).collect(),
            earlier_steps: gait.get("earlier_steps").and_then(Value::as_u64).unwrap_or(0),
            expected: list(gait, "expected").iter().filter_map(expected).collect(),
            edits: gait
                .get("nearest")
                .map(|nearest| list(nearest, "edits").iter().filter_map(text).collect())
                .unwrap_or_default(),
        })
    }

    /// Adds it to what is printed, under the name of what was injected, if anything was.
    pub(crate) fn paint(&self, injected: Option<&str>, out: &mut Painted) {
        out.add(Style::Bold, format!("{:<10}", self.caller));
        match injected {
            Some(about) => out.add(Style::Good, format!(" {about}")),
            None => out.add(Style::Bad, " a normal caller: false alarm"),
        };
        out.add(Style::Dim, format!("   score {:.1}, threshold {:.1}", self.score, self.threshold))
            .end_line();
        if let Some(reason) = self.reasons.first() {
            out.add(Style::Plain, format!("  why       {}", reason.replace('`', ""))).end_line();
        }
        self.paint_steps(out);
        if !self.expected.is_empty() {
            let list = self
                .expected
                .iter()
                .map(|(interface, share)| format!("{interface} ({:.0} %)", share * 100.0));
            out.add(Style::Plain, "  usually   ")
                .add(Style::Note, list.collect::<Vec<_>>().join(", "))
                .end_line();
        }
        if !self.edits.is_empty() {
            let shown = self.edits.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
            let more = self.edits.len().saturating_sub(3);
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            out.add(Style::Plain, "  differs   ").add(Style::Plain, format!("{shown}{more}")).end_line();
        }
        out.end_line();
    }

    /// The steps around the offending one, equal neighbours counted instead of repeated.
    fn paint_steps(&self, out: &mut Painted) {
        let runs = runs(&self.steps);
        let offending = runs.iter().position(|(step, _)| step.offending);
        let centre = offending.unwrap_or(runs.len().saturating_sub(1));
        let shown = centre.saturating_sub(AROUND)..runs.len().min(centre + AROUND / 2 + 1);
        let hidden = self.earlier_steps > 0 || shown.start > 0;
        for (row, (step, count)) in runs[shown.clone()].iter().enumerate() {
            let label = if row == 0 { "  walked " } else { "         " };
            let dots = if row == 0 && hidden { "... " } else { "" };
            let times = if *count > 1 { format!("  x {count}") } else { String::new() };
            out.add(Style::Plain, label);
            let text = format!("{dots}{}{times}", step.interface);
            match step.offending {
                true => out.add(Style::Bad, format!(" > {text}")),
                false => out.add(Style::Plain, format!("   {text}")),
            };
            out.end_line();
        }
        if shown.end < runs.len() {
            out.add(Style::Dim, "            ...").end_line();
        }
    }
}

/// A caller's name as nginx logs it: the agent also says where in the request it found the name (`basic=ann-017`).
fn name(caller: &str) -> String {
    caller.strip_prefix("basic=").unwrap_or(caller).to_owned()
}

/// Equal steps that follow each other, with their number; an offending one stands for its run.
fn runs(steps: &[Step]) -> Vec<(Step, usize)> {
    let mut runs: Vec<(Step, usize)> = Vec::new();
    for step in steps {
        match runs.last_mut() {
            Some((last, count)) if last.interface == step.interface => {
                last.offending |= step.offending;
                *count += 1;
            }
            _ => runs.push((step.clone(), 1)),
        }
    }
    runs
}
