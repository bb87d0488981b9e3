//! What `check` says of `[triage]`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::{self, Config};
use crate::model::Loaded;
use crate::triage::judge::Setup;
use crate::triage::{rules, state::State};

/// What was found.
#[derive(Debug)]
pub(super) struct Triage {
    /// Each log, and why it cannot be read. One that is not there yet is no mistake.
    logs: Vec<(PathBuf, Log)>,
    /// Why no verdict can be given.
    trouble: Option<&'static str>,
    /// The rules that the model was learned from.
    learned: Option<String>,
    /// Those that the configuration names, or why they cannot be read.
    now: Result<Option<String>, String>,
    /// What a run before left that cannot be read.
    state: Option<String>,
}

#[derive(Debug)]
enum Log {
    /// It has so many bytes.
    There(u64),
    Missing,
    Unreadable(String),
}

/// Looks at what triage would need; `None` where it is off.
pub(super) fn look(config: &Config, model: Option<&Loaded>) -> Option<Triage> {
    if !config.triage.is_on() {
        return None;
    }
    let now = rules::hash(&config.triage.rules).map_err(|error| format!("{error:#}"));
    let setup = Setup::new(model, now.as_ref().ok().and_then(Option::as_deref));
    let log = |path: &PathBuf| match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) => Log::There(meta.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Log::Missing,
        Err(error) => Log::Unreadable(error.to_string()),
    };
    Some(Triage {
        logs: config.triage.eve.iter().map(|path| (path.clone(), log(path))).collect(),
        trouble: setup.trouble(),
        learned: setup.rules().map(str::to_owned),
        now,
        state: State::read(&config::Triage::state_file(&config.state_dir))
            .err()
            .map(|error| format!("{error:#}")),
    })
}

impl Triage {
    /// Whether a start would fail.
    pub(super) fn wrong(&self) -> bool {
        self.now.is_err()
            || self.state.is_some()
            || self.logs.iter().any(|(_, log)| matches!(log, Log::Unreadable(_)))
    }

    /// For people, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (path, log) in &self.logs {
            let path = path.display();
            lines.push(match log {
                Log::There(bytes) => format!("triage         follows {path}, {bytes} bytes now"),
                Log::Missing => format!("triage         follows {path}, which is not there yet"),
                Log::Unreadable(error) => format!("triage         {path} CANNOT BE READ: {error}"),
            });
        }
        if let Some(trouble) = self.trouble {
            lines.push(format!("triage         every alert passes with the verdict \"abstain\": {trouble}"));
        }
        lines.extend(self.state.iter().map(|error| format!("triage         WRONG: {error}")));
        lines.push(match (&self.now, &self.learned) {
            (Err(error), _) => format!("rules          WRONG: {error}"),
            (Ok(None), Some(learned)) => {
                format!("rules          learned from {learned}; triage.rules names none that run now")
            }
            (Ok(Some(now)), Some(learned)) if now == learned => {
                format!("rules          {now}, as learned from")
            }
            (Ok(Some(now)), Some(learned)) => format!("rules          {now}, but learned from {learned}"),
            (Ok(now), None) => format!(
                "rules          {}; the model does not say what it was learned from",
                now.as_deref().unwrap_or("not named")
            ),
        });
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let log = |(path, log): &(PathBuf, Log)| match log {
            Log::There(bytes) => json!({"path": path, "bytes": bytes}),
            Log::Missing => json!({"path": path, "bytes": null}),
            Log::Unreadable(error) => json!({"path": path, "error": error}),
        };
        json!({
            "logs": self.logs.iter().map(log).collect::<Vec<_>>(),
            "trouble": self.trouble,
            "state_error": self.state,
            "rules_learned": self.learned,
            "rules_now": self.now.as_ref().ok(),
            "rules_error": self.now.as_ref().err(),
        })
    }
}
