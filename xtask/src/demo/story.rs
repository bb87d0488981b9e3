//! The three chapters, each told either from the kernel or from nginx's access log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::crowd::{self, Caller};
use super::misbehaviour::Misbehaviour;
use crate::agent::{Agent, Summary};
use crate::build::Built;
use crate::interrupt;
use crate::nginx::Nginx;
use crate::shell::run;

/// A caller silent for this long has ended its visit: a shop's half hour, scaled down like all other pauses.
const SESSION_IDLE: Duration = Duration::from_secs(2);

/// The share of visits that may be flagged: a caller makes some three, and fewer than one caller in a hundred may be.
const FALSE_ALARM_RATE: f64 = 0.0005;

/// What happens in all chapters.
pub(crate) struct Story<'a> {
    /// Agent and trainer.
    pub(crate) built: &'a Built,
    /// The shop.
    pub(crate) nginx: &'a Nginx,
    /// The demo's own directory.
    pub(crate) dir: &'a Path,
    /// Varies the traffic.
    pub(crate) seed: u64,
    /// From the access log instead of the kernel.
    pub(crate) from_logs: bool,
}

/// Who takes part in a chapter, and what they do beside walking normally.
pub(crate) type Cast = [(Caller, Option<&'static Misbehaviour>)];

/// What a chapter counted.
pub(crate) struct Counted {
    /// Requests, by nginx's own count.
    pub(crate) served: u64,
    /// What became of them.
    pub(crate) summary: Summary,
}

impl Story<'_> {
    /// Callers walk, and are recorded.
    pub(crate) fn record(&self, cast: &Cast, time: Duration) -> Result<Counted> {
        self.chapter("record", None, cast, time)
    }

    /// The trainer learns from what was recorded.
    pub(crate) fn train(&self) -> Result<PathBuf> {
        let model = self.dir.join("model.gait");
        let mut command = Command::new(&self.built.trainer);
        command.args(["train", "--out"]).arg(&model).args(["--seed", &self.seed.to_string()]);
        command.args(["--false-alarm-rate", &FALSE_ALARM_RATE.to_string()]);
        command.args(["--session-idle", &SESSION_IDLE.as_secs_f64().to_string()]);
        if self.from_logs {
            command.args(["--format", "combined"]).arg(self.dir.join("record.log"));
        } else {
            command.args(["--format", "spool"]).arg(self.dir.join("record/spool"));
        }
        let log = File::create(self.dir.join("trainer.log")).context("failed to create the trainer's log")?;
        run(command.stderr(log)).with_context(|| {
            format!(
                "it said: {}",
                fs::read_to_string(self.dir.join("trainer.log")).unwrap_or_default().trim_end()
            )
        })?;
        Ok(model)
    }

    /// Callers walk, are held against the model, and some walk differently. The findings are in [`Story::findings`].
    pub(crate) fn detect(&self, model: &Path, cast: &Cast, time: Duration) -> Result<Counted> {
        self.chapter("detect", Some(model), cast, time)
    }

    /// Where the findings of the last chapter are.
    pub(crate) fn findings(&self) -> PathBuf {
        self.dir.join("findings.jsonl")
    }

    fn chapter(&self, name: &str, model: Option<&Path>, cast: &Cast, time: Duration) -> Result<Counted> {
        let seed = self.seed.wrapping_mul(2).wrapping_add(u64::from(model.is_some()));
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let agent = match self.from_logs {
            true => None,
            false => Some(Agent::start(&self.built.agent, &dir, &self.config(&dir), model)?),
        };
        crowd::walk(cast, self.nginx.port, time, seed)?;
        // The last visits are over only when their callers have been silent for long enough.
        interrupt::sleep(SESSION_IDLE + Duration::from_secs(1))?;
        let stopped = agent.map(Agent::stop).transpose()?;
        let log = self.nginx.rotate(&self.dir.join(format!("{name}.log")))?;
        let served = lines(&log)?;
        let summary = match stopped {
            Some(summary) => summary,
            None => self.replay(&dir, &log, model)?,
        };
        Ok(Counted { served, summary })
    }

    /// The agent's pipeline over a log; without a model it only reads.
    fn replay(&self, dir: &Path, log: &Path, model: Option<&Path>) -> Result<Summary> {
        let config = dir.join("agent.toml");
        fs::write(&config, self.config(dir))
            .with_context(|| format!("failed to write {}", config.display()))?;
        let summary = dir.join("summary.json");
        let mut command = Command::new(&self.built.agent);
        command
            .args(["replay", "--format", "combined", "--config"])
            .arg(&config)
            .arg("--summary")
            .arg(&summary);
        if let Some(model) = model {
            command.arg("--model").arg(model);
        }
        let stderr =
            File::create(dir.join("agent.stderr")).context("failed to create the agent's stderr file")?;
        run(command.arg(log).stderr(stderr))?;
        Summary::read(&summary)
    }

    fn config(&self, dir: &Path) -> String {
        let (state, spool, findings) = (dir.join("state"), dir.join("spool"), self.findings());
        format!(
            "state_dir = {state:?}\n[capture]\nports = [{}]\n\
             [caller]\nidentity = [\"basic\", \"address\"]\nkeep_names = true\n\
             [spool]\ndir = {spool:?}\n[findings]\nfile = {findings:?}\n",
            self.nginx.port
        )
    }
}

fn lines(file: &Path) -> Result<u64> {
    let text = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count() as u64)
}
