//! The agent's configuration: one TOML file with strict keys, read into typed values.
//!
//! Every key has a default, so an empty file is a configuration. `agent/gait.toml` shows them all.

mod error;
mod functions;
mod screening;
mod text;
mod triage;
mod units;
mod web;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gait_common::caller::Identity;
use gait_common::sequence::Limits;
use gait_common::tree::FALSE_FINDING_IN;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::capture;
use crate::functions::Plan;

pub use error::ConfigError;
pub use functions::Functions;
pub use screening::Screening;
pub use triage::Triage;
pub use units::{Period, Size};
pub use web::Web;

/// Largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The whole configuration; the fields are the file's sections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the agent keeps what must outlive it: the key that hides callers' names. Made when missing.
    pub state_dir: PathBuf,
    /// `[model]`
    pub model: Model,
    /// `[capture]`
    pub capture: Capture,
    /// `[caller]`
    pub caller: Caller,
    /// `[sequence]`
    pub sequence: Sequence,
    /// `[spool]`
    pub spool: Spool,
    /// `[findings]`
    pub findings: Findings,
    /// `[log]`
    pub log: Log,
    /// `[triage]`
    pub triage: Triage,
    /// `[screening]`
    pub screening: Screening,
    /// `[web]`
    pub web: Web,
    /// `[trees]`
    pub trees: Trees,
    /// `[[functions]]`
    pub functions: Vec<Functions>,
}

/// What calls are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The model file. Without one the agent records and detects nothing.
    pub path: Option<PathBuf>,
}

/// What is captured, and with how much memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Server ports to capture; empty for all.
    pub ports: Vec<u16>,
    /// Server ports to leave out, even if `ports` names them.
    pub exclude_ports: Vec<u16>,
    /// Which ends of a connection to capture: `server` (requests that this host answers), `client` (that it sends).
    pub roles: Vec<Role>,
    /// Capture only sockets of these cgroups: a directory below the cgroup v2 root, e.g. `/system.slice/nginx.service`.
    /// Empty for all.
    pub cgroups: Vec<PathBuf>,
    /// Report only exchanges of these processes; empty for all.
    pub pids: Vec<u32>,
    /// Report only exchanges of processes that run one of these files; empty for all.
    pub executables: Vec<PathBuf>,
    /// Size of each ring between kernel and agent: a power of two from 64 KiB to 256 MiB. One ring per CPU, at most four.
    pub ring_bytes: Size,
    /// Connections followed at a time; each costs about 4 KiB of kernel memory while it is open.
    pub max_connections: u32,
    /// How much of a request's head is carried, 64 to 1024 bytes. Callers are named from the headers in it.
    pub head_bytes: Size,
    /// How often the rings are emptied. They are also emptied when one is half full.
    pub drain_interval: Period,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It answers requests.
    Server,
    /// It sends requests.
    Client,
}

/// How callers are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Caller {
    /// Where a request may say who sent it, tried in this order: `header:NAME`, `jwt:CLAIM`, `cookie:NAME`, `basic`,
    /// `client-cert:HEADER`, `forwarded-for`, `address`. The peer's address is always the last resort.
    #[serde(with = "text")]
    pub identity: Vec<Identity>,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    #[serde(with = "text")]
    pub trusted_proxies: Vec<IpNet>,
    /// Keep identities readable instead of hashing them.
    pub keep_names: bool,
    /// The 32 bytes, or 64 hexadecimal digits, that key the hash. Hosts that share the key agree on a caller's name.
    /// Default: `caller.key` in `state_dir`, made at the first start.
    pub key_file: Option<PathBuf>,
}

/// Bounds of the sequences that are built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sequence {
    /// Callers with an open session. Beyond it the one silent for longest is cut short, and counted.
    pub max_callers: usize,
    /// Calls in one operation. A longer one is handed on in parts.
    pub max_operation: usize,
    /// How long an operation is held open for calls that arrive late.
    pub lateness: Period,
}

/// Where calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Whether calls are recorded at all.
    pub enabled: bool,
    /// The directory. Made when missing.
    pub dir: PathBuf,
    /// Most bytes the spool may take; beyond it the oldest files are deleted.
    pub max_bytes: Size,
    /// Files older than this are deleted.
    pub max_age: Period,
    /// How often calls are written out. Shorter loses less when the host fails, longer makes fewer files.
    pub flush_interval: Period,
    /// Calls that cannot be written, as when the disk is full, wait in this much memory.
    pub max_waiting: Size,
}

/// Where findings go, and how freely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Findings {
    /// A file that findings are appended to, one JSON object a line. It is opened anew on SIGHUP. Default: stdout.
    pub file: Option<PathBuf>,
    /// Of findings about call trees one that nothing has caused is to be expected once in this time, at most.
    pub trees_false_alarm_every: Period,
}

/// How many call trees are followed, and with how much memory, where there are `[[functions]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trees {
    /// Places in programs that are attached to at a time, a function's entry and its exits; 64 bytes of kernel memory each.
    pub max_points: u32,
    /// Threads whose calls are followed at a time; each takes 16 KiB of kernel memory from its first call to its end.
    pub max_threads: u32,
    /// Codes known at a time; each takes some 300 bytes of kernel memory per CPU.
    pub max_codes: u32,
    /// Different arguments and return values counted at a time; each takes some 130 bytes of kernel memory.
    pub max_values: u32,
    /// Size of the ring for new trees: a power of two from 64 KiB to 256 MiB.
    pub ring_bytes: Size,
    /// How often a second one function may be entered and left. Beyond that it is detached for the `pause`, and reported.
    pub max_rate: u64,
    /// How long a function stays detached.
    pub pause: Period,
}

/// What the agent says of itself, on stderr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a list such as `info,gait_agent::spool=debug`.
    pub level: String,
}

impl Default for Findings {
    fn default() -> Self {
        Self { file: None, trees_false_alarm_every: Period(Duration::from_nanos(FALSE_FINDING_IN)) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/gait".into(),
            model: Model::default(),
            capture: Capture::default(),
            caller: Caller::default(),
            sequence: Sequence::default(),
            spool: Spool::default(),
            findings: Findings::default(),
            log: Log::default(),
            triage: Triage::default(),
            screening: Screening::default(),
            web: Web::default(),
            trees: Trees::default(),
            functions: Vec::new(),
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        let options = capture::Options::default();
        Self {
            ports: Vec::new(),
            exclude_ports: options.exclude_ports,
            roles: vec![Role::Server],
            cgroups: Vec::new(),
            pids: options.pids,
            executables: options.executables,
            ring_bytes: Size(options.ring_bytes.into()),
            max_connections: options.max_connections,
            head_bytes: Size(options.head_bytes.into()),
            drain_interval: Period::from_millis(50),
        }
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            identity: vec![Identity::Address],
            trusted_proxies: Vec::new(),
            keep_names: false,
            key_file: None,
        }
    }
}

impl Default for Sequence {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_callers: limits.callers,
            max_operation: limits.operation,
            lateness: Period::from_nanos(limits.lateness),
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            enabled: true,
            dir: "/var/lib/gait/spool".into(),
            max_bytes: Size(10 << 30),
            max_age: Period::from_secs(30 * 86_400),
            flush_interval: Period::from_secs(10),
            max_waiting: Size(64 << 20),
        }
    }
}

impl Default for Trees {
    fn default() -> Self {
        let options = capture::TreeOptions::default();
        Self {
            max_points: options.max_points,
            max_threads: options.max_threads,
            max_codes: options.max_codes,
            max_values: options.max_values,
            ring_bytes: Size(options.ring_bytes.into()),
            max_rate: options.max_rate,
            pause: Period::from_secs(options.pause.as_secs()),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

impl Config {
    /// Reads and checks a configuration file; without one, the defaults.
    ///
    /// # Errors
    /// When the file cannot be read or something in it is wrong; the error names file, line and key.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let unreadable = |reason: String| ConfigError::unreadable(path, reason);
        let size = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > MAX_FILE {
            return Err(unreadable(format!(
                "{size} bytes are more than a configuration may have ({MAX_FILE})"
            )));
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&text, path)
    }

    /// Reads and checks a configuration; `path` is for messages only.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ConfigError::from_toml(path, text, &error))?;
        if let Err((section, key, reason)) = config.check() {
            return Err(ConfigError::value(path, text, section, 0, key, reason));
        }
        match Plan::new(&config.functions) {
            Ok(_) => Ok(config),
            Err((index, key, reason)) => Err(ConfigError::value(path, text, "functions", index, key, reason)),
        }
    }

    /// What the types alone do not rule out: section, key and what is wrong there.
    fn check(&self) -> Result<(), (&'static str, &'static str, String)> {
        match self.capture.options() {
            Err(capture::CaptureError::Option { name, reason }) => return Err(("capture", name, reason)),
            Err(error) => return Err(("capture", "", error.to_string())),
            Ok(_) => {}
        }
        match self.trees.options() {
            Err(capture::CaptureError::Option { name, reason }) => return Err(("trees", name, reason)),
            Err(error) => return Err(("trees", "", error.to_string())),
            Ok(_) => {}
        }
        let at_least = |section, key, value: Period, least: Period| {
            if value < least { Err((section, key, format!("{value} is less than {least}"))) } else { Ok(()) }
        };
        at_least("capture", "drain_interval", self.capture.drain_interval, Period::from_millis(1))?;
        if self.capture.drain_interval > Period::from_secs(1) {
            return Err((
                "capture",
                "drain_interval",
                format!("{} is more than 1s", self.capture.drain_interval),
            ));
        }
        at_least("spool", "flush_interval", self.spool.flush_interval, Period::from_millis(100))?;
        at_least("spool", "max_age", self.spool.max_age, Period::from_secs(60))?;
        if self.spool.max_bytes < Size(1 << 20) {
            return Err(("spool", "max_bytes", format!("{} is less than 1MiB", self.spool.max_bytes)));
        }
        for (key, value) in
            [("max_callers", self.sequence.max_callers), ("max_operation", self.sequence.max_operation)]
        {
            if value == 0 {
                return Err(("sequence", key, "must be at least 1".to_owned()));
            }
        }
        self.triage.check().map_err(|(key, reason)| ("triage", key, reason))?;
        if let Err(reason) = self.log.targets() {
            return Err(("log", "level", reason));
        }
        self.screening.check()?;
        self.web.check().map_err(|(key, reason)| ("web", key, reason))
    }
}

impl Config {
    /// What the capture is told about call trees; `None` where no functions are followed.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn tree_options(&self) -> Result<Option<capture::TreeOptions>, capture::CaptureError> {
        if self.functions.is_empty() {
            return Ok(None);
        }
        let values = self.functions.iter().any(|target| !target.values.is_empty());
        Ok(Some(capture::TreeOptions { values, ..self.trees.options()? }))
    }
}

impl Capture {
    /// What is handed to the capture, but for the cgroups: their ids are the host's to tell.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn options(&self) -> Result<capture::Options, capture::CaptureError> {
        let small = |name, value: Size| {
            u32::try_from(value.0)
                .map_err(|_| capture::CaptureError::Option { name, reason: format!("{value} is too much") })
        };
        let options = capture::Options {
            ports: match &self.ports[..] {
                [] => capture::PortSet::All,
                ports => capture::PortSet::Only(ports.to_vec()),
            },
            exclude_ports: self.exclude_ports.clone(),
            roles: capture::Roles {
                server: self.roles.contains(&Role::Server),
                client: self.roles.contains(&Role::Client),
            },
            cgroups: Vec::new(),
            pids: self.pids.clone(),
            executables: self.executables.clone(),
            ring_bytes: small("ring_bytes", self.ring_bytes)?,
            max_connections: self.max_connections,
            head_bytes: small("head_bytes", self.head_bytes)?,
            trees: None,
            without: capture::Without::default(),
        };
        options.check()?;
        Ok(options)
    }
}

impl Trees {
    /// What is handed to the capture.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn options(&self) -> Result<capture::TreeOptions, capture::CaptureError> {
        let ring_bytes = u32::try_from(self.ring_bytes.0).unwrap_or(u32::MAX);
        let Self { max_points, max_threads, max_codes, max_values, max_rate, pause, .. } = *self;
        let options = capture::TreeOptions {
            max_points,
            max_threads,
            max_codes,
            max_values,
            ring_bytes,
            max_rate,
            pause: pause.0,
            ..capture::TreeOptions::default()
        };
        options.check()?;
        Ok(options)
    }
}

impl Sequence {
    /// The bounds as the sequencer takes them.
    pub fn limits(&self) -> Limits {
        Limits {
            callers: self.max_callers,
            operation: self.max_operation,
            lateness: self.lateness.as_nanos(),
        }
    }
}

impl Log {
    /// The level as a filter.
    ///
    /// # Errors
    /// When it is none.
    pub fn targets(&self) -> Result<Targets, String> {
        self.level.split(',').try_fold(Targets::new(), |targets, part| {
            // A bare word is a level here, never a target: `inof` must not pass for the name of a module.
            let (target, level) =
                part.split_once('=').map_or((None, part), |(name, level)| (Some(name), level));
            let filter: LevelFilter = match level.trim() {
                "" => None,
                level => level.parse().ok(),
            }
            .ok_or_else(|| {
                format!("{level:?} is no log level: use error, warn, info, debug, trace or off")
            })?;
            Ok(match target {
                Some(target) => targets.with_target(target.trim(), filter),
                None => targets.with_default(filter),
            })
        })
    }
}

#[cfg(test)]
mod tests;
