//! `[triage]`: whose alerts are judged while the agent runs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Period;

/// Suricata's logs that are followed, and where their lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Triage {
    /// The logs, as Suricata writes them. Without one nothing is triaged.
    pub eve: Vec<PathBuf>,
    /// A file that every line is appended to, alerts with their verdict. It is opened anew on SIGHUP.
    pub out: Option<PathBuf>,
    /// Leave everything out but alerts.
    pub alerts_only: bool,
    /// The files of rules that Suricata runs with: where the model was learned from others, it is said.
    pub rules: Vec<PathBuf>,
    /// How long an alert is held back for the captured exchange that it is about.
    pub link_wait: Period,
    /// Where `gait-agent feedback` notes what analysts say. Default: `feedback.jsonl` in `state_dir`.
    pub feedback: Option<PathBuf>,
}

impl Default for Triage {
    fn default() -> Self {
        Self {
            eve: Vec::new(),
            out: None,
            alerts_only: false,
            rules: Vec::new(),
            link_wait: Period::from_secs(2),
            feedback: None,
        }
    }
}

impl Triage {
    /// Whether anything is followed.
    pub fn is_on(&self) -> bool {
        !self.eve.is_empty()
    }

    /// Where it is remembered how far the logs were read.
    pub fn state_file(state_dir: &Path) -> PathBuf {
        state_dir.join("triage.json")
    }

    /// Where analysts' words are kept.
    pub fn feedback_file(&self, state_dir: &Path) -> PathBuf {
        self.feedback.clone().unwrap_or_else(|| state_dir.join("feedback.jsonl"))
    }

    /// What the types alone do not rule out: the key and what is wrong there.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.is_on() && self.out.is_none() {
            return Err(("eve", "`out` does not say where judged alerts go".to_owned()));
        }
        let place = |path: &PathBuf| self.eve.iter().position(|other| other == path);
        if let Some((_, path)) = self.eve.iter().enumerate().find(|(at, path)| place(path) != Some(*at)) {
            return Err(("eve", format!("{} is named twice", path.display())));
        }
        if let Some(out) = self.out.as_ref().filter(|out| self.eve.contains(out)) {
            return Err(("out", format!("{} is read by `eve`", out.display())));
        }
        if self.link_wait > Period::from_secs(60) {
            return Err(("link_wait", format!("{} is more than 60s", self.link_wait)));
        }
        Ok(())
    }
}
