//! The agent as the demo and the benchmarks run it: its configuration, its start and what it says at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::interrupt;
use crate::shell::Background;

/// The agent may take this long to write out what it holds.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// A running agent. Dropped, it ends.
pub(crate) struct Agent {
    process: Background,
    dir: PathBuf,
}

/// What the agent counted from its start to its end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    /// Exchanges that reached user space whole.
    pub(crate) captured: u64,
    /// Exchanges it knows of and could not capture, all reasons together.
    pub(crate) lost: u64,
}

impl Agent {
    /// Starts `gait-agent run` with `config` and waits until it captures.
    pub(crate) fn start(binary: &Path, dir: &Path, config: &str, model: Option<&Path>) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
        let file = dir.join("agent.toml");
        fs::write(&file, config).with_context(|| format!("failed to write {}", file.display()))?;
        let stderr =
            fs::File::create(dir.join("agent.stderr")).context("failed to create the agent's stderr file")?;
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(&file).arg("--summary").arg(dir.join("summary.json"));
        if let Some(model) = model {
            command.arg("--model").arg(model);
        }
        command.stdout(Stdio::null()).stderr(stderr);
        let process = Background::start("gait-agent", &mut command)?;
        let mut agent = Self { process, dir: dir.to_path_buf() };
        agent.wait_until_ready()?;
        Ok(agent)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.said().lines().any(|line| line.contains("ready")) {
            self.process.check_alive().with_context(|| format!("it said:\n{}", self.said().trim_end()))?;
            if Instant::now() > deadline {
                bail!("the agent was not ready within 30 s; it said:\n{}", self.said().trim_end());
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// What it wrote to stderr so far.
    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("agent.stderr")).unwrap_or_default()
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it by SIGTERM and reads its summary.
    pub(crate) fn stop(self) -> Result<Summary> {
        let (file, stderr) = (self.dir.join("summary.json"), self.dir.join("agent.stderr"));
        let said = || fs::read_to_string(&stderr).unwrap_or_default();
        self.process.stop(SHUTDOWN).with_context(|| format!("it said:\n{}", said().trim_end()))?;
        Summary::read(&file)
    }
}

impl Summary {
    /// Reads what `--summary` wrote.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("not JSON")?;
        let count = |name: &str| {
            value.get(name).and_then(Value::as_u64).with_context(|| format!("no count {name:?}"))
        };
        Ok(Self { captured: count("captured")?, lost: count("lost")? })
    }
}
