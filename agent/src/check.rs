//! `check`: is the configuration right, and what does this host let the agent do? Changes nothing.

mod functions;
mod screening;
mod triage;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{Access, access};
use serde_json::{Value, json};

use crate::capture::{self, CaptureError, HostReport};
use crate::config::Config;
use crate::model::{self, Loaded};
use crate::{exit, host};
use functions::Functions;
use screening::{Screening, Web};
use triage::Triage;

/// What was found.
#[derive(Debug)]
pub struct Checked {
    model: Option<Result<Loaded, model::LoadError>>,
    capture: Result<HostReport>,
    /// Places that the agent has to write to, and what is wrong with them.
    places: Vec<(&'static str, String, Option<String>)>,
    functions: Option<Functions>,
    screening: Option<Screening>,
    web: Option<Web>,
    triage: Option<Triage>,
}

/// Looks at everything that a start of the agent would need. The configuration itself has been read by now.
pub fn check(config: &Config) -> Checked {
    let mut places = vec![("state_dir", config.state_dir.as_path())];
    if config.spool.enabled {
        places.push(("spool.dir", &config.spool.dir));
    }
    if let Some(file) = &config.findings.file {
        places.push(("findings.file", file));
    }
    for (key, file) in [("cleared", &config.screening.cleared), ("audit", &config.screening.audit)] {
        places.extend(file.as_deref().filter(|_| config.screening.list.is_some()).map(|file| (key, file)));
    }
    if let Some(out) = config.triage.out.as_ref().filter(|_| config.triage.is_on()) {
        places.push(("triage.out", out));
    }
    let model = config.model.path.as_deref().map(model::load);
    Checked {
        triage: triage::look(config, model.as_ref().and_then(|model| model.as_ref().ok())),
        model,
        capture: survey(config),
        places: places
            .into_iter()
            .map(|(key, path)| (key, path.display().to_string(), unwritable(path)))
            .collect(),
        functions: functions::look(config),
        screening: Screening::look(config),
        web: Web::look(config),
    }
}

fn survey(config: &Config) -> Result<HostReport> {
    let mut options = config.capture.options()?;
    options.cgroups = host::cgroup_ids(&config.capture.cgroups)?;
    options.trees = config.tree_options()?;
    Ok(capture::survey(&options)?)
}

/// Why a file or directory, or the nearest one above it that exists, cannot be written.
fn unwritable(path: &Path) -> Option<String> {
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    access(existing, Access::WRITE_OK).err().map(|error| format!("{}: {error}", existing.display()))
}

impl Checked {
    /// The exit code: what weighs most of what is wrong.
    pub fn code(&self) -> u8 {
        if let Err(error) = &self.capture {
            return if error.is::<CaptureError>() { exit::code(error) } else { exit::USAGE };
        }
        if matches!(self.model, Some(Err(_))) || self.screening.as_ref().is_some_and(Screening::refused) {
            return exit::MODEL;
        }
        if self.web.as_ref().is_some_and(Web::wrong) {
            return exit::USAGE;
        }
        let wrong = self.places.iter().any(|(_, _, wrong)| wrong.is_some())
            || self.functions.as_ref().is_some_and(Functions::wrong)
            || self.triage.as_ref().is_some_and(Triage::wrong);
        if wrong { exit::FAILURE } else { exit::OK }
    }

    /// The answer for people, a line each.
    pub fn text(&self) -> String {
        let mut lines = vec!["configuration  right".to_owned()];
        match &self.model {
            None => lines.push("model          none: calls are recorded, nothing is detected".to_owned()),
            Some(Ok(model)) => {
                let meta = &model.model.meta;
                lines.push(format!(
                    "model          {}, {} interfaces, learned from {} calls of {} callers",
                    model.fingerprint,
                    model.model.interfaces.len(),
                    meta.calls,
                    meta.callers
                ));
            }
            Some(Err(error)) => lines.push(format!("model          WRONG: {error}")),
        }
        for (key, path, wrong) in &self.places {
            lines.push(match wrong {
                None => format!("{key:<14} {path}"),
                Some(reason) => format!("{key:<14} {path} CANNOT BE WRITTEN: {reason}"),
            });
        }
        match &self.capture {
            Ok(host) => {
                lines.push(format!("kernel         {}", host.kernel));
                lines.push(format!("cgroup v2      {}", host.cgroup2.display()));
                lines.extend(host.hooks.iter().map(|hook| format!("attaches       {hook}")));
                for missing in &host.features.missing {
                    lines.push(format!(
                        "lacks          {}: {} ({})",
                        missing.what, missing.instead, missing.reason
                    ));
                }
            }
            Err(error) => lines.push(format!("capture        NOT POSSIBLE: {error:#}")),
        }
        lines.extend(self.functions.iter().flat_map(Functions::lines));
        lines.extend(self.screening.iter().flat_map(Screening::lines));
        lines.extend(self.web.iter().map(Web::line));
        lines.extend(self.triage.iter().flat_map(Triage::lines));
        lines.into_iter().fold(String::new(), |mut text, line| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
            text
        })
    }

    /// The answer for programs: one JSON object, with a line end.
    ///
    /// # Errors
    /// When it cannot be rendered, which would be a defect.
    pub fn json(&self) -> Result<String> {
        let model = self.model.as_ref().map(|model| match model {
            Ok(model) => json!({
                "fingerprint": model.fingerprint,
                "interfaces": model.model.interfaces.len(),
                "meta": model.model.meta,
            }),
            Err(error) => json!({"error": error.to_string()}),
        });
        let capture = match &self.capture {
            Ok(host) => json!({
                "possible": true,
                "kernel": host.kernel,
                "cgroup2": host.cgroup2,
                "hooks": host.hooks,
                "missing": host.features.missing.iter().map(|missing| json!({
                    "what": missing.what, "instead": missing.instead, "reason": missing.reason,
                })).collect::<Vec<_>>(),
            }),
            Err(error) => json!({"possible": false, "error": format!("{error:#}")}),
        };
        let places: Value = self
            .places
            .iter()
            .map(|(key, path, wrong)| json!({"key": key, "path": path, "error": wrong}))
            .collect();
        let answer = json!({
            "model": model,
            "capture": capture,
            "places": places,
            "functions": self.functions.as_ref().map(Functions::json),
            "screening": self.screening.as_ref().map(Screening::json),
            "web": self.web.as_ref().map(Web::json),
            "triage": self.triage.as_ref().map(Triage::json),
            "exit_code": self.code(),
        });
        Ok(serde_json::to_string(&answer).context("failed to render the answer")? + "\n")
    }
}
