//! A finding as an event of the Open Cybersecurity Schema Framework: class Detection Finding, one JSON object a line.
//!
//! What OCSF has a place for stands there; the finding as a whole is below `unmapped.gait`. Times are milliseconds
//! since 1970, as OCSF has them.

use anyhow::{Context as _, Result};
use gait_common::finding::Finding;
use serde_json::{Value, json};

use super::Origin;
use super::pretty::{reasons, steps};

/// The version of OCSF whose class is written.
const OCSF: &str = "1.5.0";

/// A finding as one line, with its line end.
pub(super) fn line(finding: &Finding, origin: &Origin) -> Result<Vec<u8>> {
    let mut line =
        serde_json::to_vec(&event(finding, origin)).context("failed to render a finding as JSON")?;
    line.push(b'\n');
    Ok(line)
}

fn event(finding: &Finding, origin: &Origin) -> Value {
    let millis = finding.time / 1_000_000;
    let title = format!("{} walks differently", finding.caller);
    let (severity_id, severity) = severity(finding);
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
        "start_time": finding.session_start / 1_000_000,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "message": format!("{title}: {}", reasons(finding)),
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
            "uid": finding.id,
            "title": title,
            "desc": steps(finding),
            "created_time": millis,
            "types": finding.reasons.iter().map(|reason| reason.part.name()).collect::<Vec<_>>(),
            "analytic": {"name": "call sequence", "type_id": 2, "type": "Behavioral", "uid": origin.model},
        },
        "evidences": [{
            "actor": {"user": {"name": finding.caller}},
            "process": {"pid": finding.pid, "name": finding.comm},
            "api": {"operation": offending(finding)},
        }],
        "unmapped": {"gait": finding},
    })
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
