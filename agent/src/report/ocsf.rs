//! A finding as an event of the Open Cybersecurity Schema Framework: class Detection Finding, one JSON object a line.
//!
//! What OCSF has a place for stands there; the finding as a whole is below `unmapped.gait`. Times are milliseconds
//! since 1970, as OCSF has them.

use anyhow::{Context as _, Result};
use gait_common::finding::{Anomaly, Finding};
use serde_json::{Value, json};

use super::pretty::{reasons, steps};
use super::{Origin, listed, trees};
use crate::screen::Standing;

/// The version of OCSF whose class is written.
const OCSF: &str = "1.5.0";

/// A finding as one line, with its line end. `standing` is what its caller is known to be on a list.
pub(super) fn line(anomaly: &Anomaly, origin: &Origin, standing: Option<&Standing>) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&event(anomaly, origin, standing))
        .context("failed to render a finding as JSON")?;
    line.push(b'\n');
    Ok(line)
}

/// What findings of different kinds have in different ways.
struct Parts {
    uid: String,
    time: u64,
    start: u64,
    severity: (u8, &'static str),
    title: String,
    why: String,
    description: String,
    types: Vec<&'static str>,
    analytic: Value,
    evidences: Value,
    whole: Value,
}

fn event(anomaly: &Anomaly, origin: &Origin, standing: Option<&Standing>) -> Value {
    let mut parts = match anomaly {
        Anomaly::Session(finding) => of_session(finding, origin),
        Anomaly::Tree(finding) => Parts {
            uid: finding.id.clone(),
            time: finding.time,
            start: finding.window_start,
            severity: trees::severity(finding),
            title: trees::title(finding),
            why: finding.text.clone(),
            description: finding.text.clone(),
            types: vec![finding.kind.name()],
            analytic: trees::analytic(origin),
            evidences: trees::evidences(finding),
            whole: json!(finding),
        },
        Anomaly::Listed(finding) => Parts {
            uid: finding.id.clone(),
            time: finding.time,
            start: finding.time,
            severity: listed::severity(finding),
            title: listed::title(finding),
            why: listed::why(finding),
            description: format!("{}; list {}", listed::why(finding), listed::lists(finding)),
            types: vec!["listed_identity"],
            analytic: listed::analytic(finding),
            evidences: listed::evidences(finding),
            whole: json!(finding),
        },
    };
    if let Some(standing) = standing {
        parts.severity = listed::raised(parts.severity, standing);
        parts.why += &format!("; {}", listed::because(standing));
        parts.types.push("listed_caller");
        parts.whole["listed"] = json!(standing);
    }
    let millis = parts.time / 1_000_000;
    json!({
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": millis,
        "start_time": parts.start / 1_000_000,
        "severity_id": parts.severity.0,
        "severity": parts.severity.1,
        "status_id": 1,
        "status": "New",
        "message": format!("{}: {}", parts.title, parts.why),
        "metadata": {
            "version": OCSF,
            "profiles": ["host"],
            "product": {
                "name": "Gait",
                "vendor_name": "Gait",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "device": {"hostname": origin.host, "type_id": 1, "type": "Server"},
        "finding_info": {
            "uid": parts.uid,
            "title": parts.title,
            "desc": parts.description,
            "created_time": millis,
            "types": parts.types,
            "analytic": parts.analytic,
        },
        "evidences": parts.evidences,
        "unmapped": {"gait": parts.whole},
    })
}

fn of_session(finding: &Finding, origin: &Origin) -> Parts {
    Parts {
        uid: finding.id.clone(),
        time: finding.time,
        start: finding.session_start,
        severity: severity(finding),
        title: format!("{} walks differently", finding.caller),
        why: reasons(finding),
        description: steps(finding),
        types: finding.reasons.iter().map(|reason| reason.part.name()).collect(),
        analytic: json!({"name": "call sequence", "type_id": 2, "type": "Behavioral", "uid": origin.model}),
        evidences: json!([{
            "actor": {"user": {"name": finding.caller}},
            "process": {"pid": finding.pid, "name": finding.comm},
            "api": {"operation": offending(finding)},
        }]),
        whole: json!(finding),
    }
}

/// The interface of the step that stands out most.
fn offending(finding: &Finding) -> &str {
    finding.steps.iter().find(|step| step.offending).map_or("", |step| &step.interface)
}

/// How far past the threshold the score is, in OCSF's terms.
fn severity(finding: &Finding) -> (u8, &'static str) {
    match finding.score / finding.threshold {
        over if over >= 4.0 => (4, "High"),
        over if over >= 2.0 => (3, "Medium"),
        _ => (2, "Low"),
    }
}
