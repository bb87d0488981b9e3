//! What was counted, from the first packet to the last finding.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use gait_common::call::Nanos;
use gait_common::pipeline::Funnel;
use serde::Serialize;

use crate::capture::{Counters, Drained, TreeCounters};
use crate::triage::live;
use crate::{engine, exit, report, screen, spool};

/// The agent's own test request, which the kernel counts and nobody else.
const SELF_TEST: u64 = 1;

/// What capture and engine counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Captured {
    pub(super) kernel: Counters,
    pub(super) engine: engine::Account,
    pub(super) trees: Option<TreeCounters>,
    filtered: u64,
    malformed: u64,
    missing: u64,
}

impl Captured {
    pub(super) fn add(&mut self, drained: &Drained) {
        self.filtered += drained.filtered as u64;
        self.malformed += drained.malformed as u64;
        self.missing += drained.gaps.iter().map(|gap| gap.count).sum::<u64>();
    }
}

/// Who counted, with what.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) host: String,
    pub(super) model: Option<String>,
    pub(super) started: Nanos,
}

/// The agent's account of a run: seen → paired → named → sequenced → scored, and where everything else went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// This host.
    pub host: String,
    /// The model's fingerprint.
    pub model: Option<String>,
    /// When the agent started (Unix, ns).
    pub started: Nanos,
    /// When it had stopped (Unix, ns).
    pub ended: Nanos,
    /// Exchanges that reached the agent whole.
    pub captured: u64,
    /// Exchanges that were seen and could not be captured, for every reason of the agent's own.
    pub lost: u64,
    /// Exchanges left out by the process filters, or of the agent itself.
    pub filtered: u64,
    /// Ring entries that were no valid record; anything but 0 is a defect.
    pub malformed: u64,
    /// Records that the numbering shows to be missing.
    pub missing: u64,
    /// The kernel side's counters.
    pub kernel: BTreeMap<&'static str, u64>,
    /// Requests that had no response yet when the agent stopped.
    pub in_flight: u64,
    /// What became of the exchanges.
    pub engine: engine::Counts,
    /// What became of the calls; absent without a model.
    pub pipeline: Option<Funnel>,
    /// What became of call trees; absent where none were followed.
    pub trees: Option<Trees>,
    /// What became of the recorded calls; absent when nothing was to be recorded.
    pub spool: Option<spool::Counts>,
    /// What became of Suricata's lines; absent where none were triaged.
    pub triage: Option<live::Counts>,
    /// What became of the findings; absent when the sinks did not end in time.
    pub findings: Option<report::Counts>,
    /// What became of the names of callers; absent where none are screened.
    pub screening: Option<screen::Counts>,
    /// Whether every stage handed on as much as it took in, but for what is counted as lost.
    pub balanced: bool,
}

/// What became of call trees, from the kernel to the spool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trees {
    /// The kernel side's counters of trees.
    pub kernel: BTreeMap<&'static str, u64>,
    /// What the engine made of them.
    pub engine: engine::TreeCounts,
    /// What became of the recorded ones; absent when nothing was to be recorded.
    pub spool: Option<spool::Counts>,
}

impl Summary {
    pub(super) fn new(
        sources: Sources,
        ended: Nanos,
        captured: &Captured,
        (spool, tree_spool): (Option<spool::Counts>, Option<spool::Counts>),
        findings: Option<report::Counts>,
        triage: Option<live::Counts>,
    ) -> Self {
        let Captured { kernel, engine, trees, filtered, malformed, missing } = *captured;
        let engine::Account { counts: engine, funnel, trees: judged } = engine;
        let emitted = engine.exchanges + filtered + malformed + SELF_TEST == kernel.emitted;
        let decoded = engine.calls + engine.unreadable == engine.exchanges;
        let scored = funnel.is_none_or(|f| f.named + f.new == engine.calls && f.scored == engine.calls);
        let recorded =
            spool.is_none_or(|s| s.rows_in == engine.calls && s.rows_written + s.rows_lost == s.rows_in);
        let tied =
            judged.is_none_or(|t| t.served == t.by_thread + t.by_sender + t.untied + t.open + t.partial);
        let kept = tree_spool.is_none_or(|s| {
            judged.is_some_and(|t| s.rows_in == t.recorded) && s.rows_written + s.rows_lost == s.rows_in
        });
        let judged_all = triage.as_ref().is_none_or(live::Counts::balanced);
        let trees = judged.map(|engine| Trees {
            kernel: trees.iter().flat_map(TreeCounters::named).collect(),
            engine,
            spool: tree_spool,
        });
        Self {
            host: sources.host,
            model: sources.model,
            started: sources.started,
            ended,
            captured: engine.exchanges,
            lost: kernel.lost() + malformed,
            filtered,
            malformed,
            missing,
            kernel: kernel.named().into_iter().collect(),
            in_flight: kernel.in_flight(),
            engine,
            pipeline: funnel,
            trees,
            spool,
            findings,
            balanced: emitted && decoded && scored && recorded && tied && kept && judged_all,
            triage,
            screening: None,
        }
    }

    /// What could not be written, as an error.
    ///
    /// # Errors
    /// When there is such a thing.
    pub(super) fn losses(&self) -> Result<()> {
        let lost = exit::Lost {
            calls: self.spool.map_or(0, |spool| spool.rows_lost)
                + self.trees.as_ref().and_then(|trees| trees.spool).map_or(0, |spool| spool.rows_lost),
            findings: self.findings.map_or(0, |findings| findings.lost)
                + self.engine.findings_given_up
                + self.screening.map_or(0, |screening| screening.findings_given_up),
        };
        match self.triage.as_ref().map_or(0, |triage| triage.unwritten) {
            _ if lost.calls + lost.findings > 0 => Err(lost.into()),
            0 => Ok(()),
            lines => Err(exit::Unwritten(lines).into()),
        }
    }

    /// The account in one line, for the log.
    pub fn line(&self) -> String {
        let requests = self.kernel.get("requests").copied().unwrap_or_default().saturating_sub(SELF_TEST);
        let mut line = format!(
            "seen {requests}, captured {}, lost {}, filtered {}, unanswered {}, unreadable {}, calls {}",
            self.captured,
            self.lost,
            self.filtered,
            self.kernel.get("unanswered").copied().unwrap_or_default() + self.in_flight,
            self.engine.unreadable,
            self.engine.calls
        );
        if let Some(f) = &self.pipeline {
            line += &format!(
                "; named {}, new {}, sequenced {}, scored {}, findings {}",
                f.named, f.new, f.sequenced, f.scored, f.findings
            );
        }
        if let Some(t) = &self.trees {
            line += &format!(
                "; trees counted {}, new {}, with requests {}",
                t.engine.counted, t.engine.shapes, t.engine.served
            );
        }
        if let Some(s) = &self.screening {
            line += &format!(
                "; names screened {}, block {}, review {}, dropped {}",
                s.screened, s.block, s.review, s.dropped
            );
        }
        if let Some(s) = &self.spool {
            line +=
                &format!("; recorded {} in {} files, {} lost", s.rows_written, s.files_written, s.rows_lost);
        }
        if let Some(t) = &self.triage {
            line += &format!(
                "; alerts {} (real {}, false alarms {}, abstained {}), of exchanges {}",
                t.judged.alerts,
                t.judged.real,
                t.judged.false_alarm,
                t.judged.abstain,
                t.links.map_or(0, |links| links.matched)
            );
        }
        line + if self.balanced { "" } else { "; the account does not balance" }
    }

    /// Writes the account as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).context("failed to render the summary")?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("failed to write the summary {}", path.display()))
    }
}
