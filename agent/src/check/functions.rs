//! What `[[functions]]` would attach to now, and what that costs.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};

use crate::capture::{self, ProbeCost};
use crate::config::Config;
use crate::functions::{Plan, Selection};

/// Functions that cannot be followed are named up to this many of a file.
const NAMED: usize = 3;
/// Values that are listed of a file.
const VALUES: usize = 20;

/// What became of the targets.
#[derive(Debug)]
pub(super) struct Functions {
    found: Vec<Found>,
    /// What the probes of one call cost here, or why that was not measured.
    cost: Result<ProbeCost, String>,
}

/// One target in one file.
#[derive(Debug)]
struct Found {
    target: String,
    file: Option<String>,
    selection: Selection,
    points: usize,
    /// What is attached to, in words.
    how: String,
    return_instructions: bool,
    /// Every function is held to the rule of success, those that return nothing included.
    success_of_all: bool,
    /// There is such a rule.
    rule: bool,
}

/// Looks at the host once. `None` when the configuration follows no functions.
pub(super) fn look(config: &Config) -> Option<Functions> {
    if config.functions.is_empty() {
        return None;
    }
    // The configuration was checked when it was read.
    let mut plan = Plan::new(&config.functions).ok()?;
    plan.refresh(Instant::now());
    let found = plan.reports().into_iter().map(|report| Found {
        target: report.target.label(),
        file: report.file.map(|file| file.display().to_string()),
        selection: report.selection.cloned().unwrap_or_default(),
        points: report.points,
        how: match (report.target.usdt(), report.unwinds) {
            (Some(pair), _) => format!("pair of USDT probes, {pair}"),
            (None, true) => "functions, their returns at their instructions".to_owned(),
            (None, false) => "functions, their returns by the kernel's return probe".to_owned(),
        },
        return_instructions: report.target.usdt().is_none() && report.unwinds,
        success_of_all: report.target.success_of_all(),
        rule: report.target.has_success(),
    });
    let found = found.collect();
    Some(Functions { found, cost: capture::probe_cost().map_err(|error| error.to_string()) })
}

impl Functions {
    /// Whether there are files for a target, and none of them has anything of what it asks for: hardly what was meant.
    pub(super) fn wrong(&self) -> bool {
        self.found.iter().any(|one| {
            let mut same = self.found.iter().filter(|found| found.target == one.target);
            same.all(|found| found.file.is_some() && found.points == 0)
        })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for found in &self.found {
            lines.push(found.line());
            lines.extend(found.details());
        }
        lines.push(match &self.cost {
            Ok(cost) => format!(
                "cost of a call {:.1} us for its probes, measured here on a function of the agent; half as much again \
                 where returns are seen at their instructions; about 0.5 us for coding it",
                cost.call.as_secs_f64() * 1e6
            ),
            Err(reason) => format!(
                "cost of a call 1 to 3 us on most hardware, ten times as much in some virtual machines; not measured \
                 here: {reason}"
            ),
        });
        lines
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "targets": self.found.iter().map(Found::json).collect::<Vec<_>>(),
            "call_ns": self.cost.as_ref().ok().map(|cost| cost.call.as_nanos() as u64),
        })
    }
}

impl Found {
    fn line(&self) -> String {
        let Some(file) = &self.file else {
            return format!(
                "functions      {}: no such file is there or runs now; it is looked for again",
                self.target
            );
        };
        let Selection { followed, refused, beyond, trouble, .. } = &self.selection;
        if let Some(trouble) = trouble {
            return format!("functions      {}: {file}: NOTHING TO FOLLOW: {trouble}", self.target);
        }
        let mut line = format!(
            "functions      {}: {file}: {} {} ({} points)",
            self.target,
            followed.len(),
            self.how,
            self.points,
        );
        // Writing to a String cannot fail.
        if *beyond > 0 {
            let _ = write!(line, "; {beyond} more are beyond max_functions");
        }
        if !refused.is_empty() {
            let named = refused.iter().take(NAMED).map(|(name, reason)| format!("{name} ({reason})"));
            let more = if refused.len() > NAMED { ", ..." } else { "" };
            let named = named.collect::<Vec<_>>().join(", ");
            let _ = write!(line, "; {} cannot be followed: {named}{more}", refused.len());
        }
        line
    }

    /// What is taken of the calls, and what may not be meant so.
    fn details(&self) -> Vec<String> {
        let Selection { followed, values, values_refused, ruled, trouble, .. } = &self.selection;
        if trouble.is_some() {
            return Vec::new();
        }
        let mut lines: Vec<String> = (values.iter().take(VALUES))
            .map(|(function, value)| format!("values         {function}: {value}"))
            .collect();
        if values.len() > VALUES {
            lines.push(format!("values         and {} more", values.len() - VALUES));
        }
        if followed.len() > 1 && self.success_of_all {
            lines.push(format!(
                "success        CAUTION: the rule holds for all {} functions; those that return nothing (void) fail by \
                 chance: name by success_functions whom it is for",
                followed.len()
            ));
        } else if *ruled > 0 {
            lines.push(format!("success        the rule holds for {ruled} of {} functions", followed.len()));
        } else if self.ruled_none() {
            lines.push(
                "success        CAUTION: success_functions matches no function that is followed".to_owned(),
            );
        }
        lines.extend(
            values_refused.iter().take(NAMED).map(|reason| format!("values         CAUTION: {reason}")),
        );
        lines
    }

    /// Whether there is a rule of success and no function that it is for.
    fn ruled_none(&self) -> bool {
        self.rule && self.selection.ruled == 0 && !self.selection.followed.is_empty()
    }

    fn json(&self) -> Value {
        let Selection { followed, refused, beyond, trouble, values, values_refused, ruled, .. } =
            &self.selection;
        json!({
            "target": self.target,
            "file": self.file,
            "functions": followed,
            "points": self.points,
            "return_instructions": self.return_instructions,
            "beyond": beyond,
            "ruled": ruled,
            "values": values.iter().map(|(function, value)| json!({
                "function": function,
                "of": value.which.to_string(),
                "type": value.form.to_string(),
                "hash": value.hash,
            })).collect::<Vec<_>>(),
            "values_refused": values_refused,
            "refused": refused.iter().map(|(name, reason)| json!({
                "function": name, "reason": reason.to_string(),
            })).collect::<Vec<_>>(),
            "trouble": trouble,
        })
    }
}
