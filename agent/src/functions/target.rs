//! Targets: one `[[functions]]` of the configuration, checked and ready to be held against files and processes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::pattern::Pattern;
use super::spec::{Success, Type};
use super::usdt::Pair;
use super::values::Value;
use crate::config::Functions as Configured;

/// Bytes of a process's name that the kernel keeps.
const COMM: usize = 15;

/// Functions of some files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which one of the configuration's it is, from 0.
    pub index: usize,
    /// Whose files.
    pub(super) service: Option<String>,
    /// Which files: an absolute path in which `*` and `?` stand for text, or a name without directory.
    pub(super) binary: Option<Files>,
    /// Which places in them.
    pub(super) probes: Probes,
    pub(super) success: Option<Success>,
    /// Which functions that is for; empty for all.
    pub(super) success_functions: Vec<Pattern>,
    /// What is taken of calls.
    pub(super) values: Vec<Value>,
    pub(super) max_functions: usize,
}

/// What is looked for in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Probes {
    /// Functions whose symbol, raw or readable, matches one of `include` and none of `exclude`.
    Symbols { include: Vec<Pattern>, exclude: Vec<Pattern> },
    /// A pair of USDT probes.
    Usdt(Pair),
}

/// Files by path or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    text: String,
    pattern: Pattern,
}

impl Target {
    /// The target that a part of the configuration stands for.
    ///
    /// # Errors
    /// The key that is wrong, empty if it is the whole, and what is wrong with it.
    pub fn new(index: usize, config: &Configured) -> Result<Self, (&'static str, String)> {
        let binary = config.binary.as_deref().map(Files::new).transpose();
        let binary = binary.map_err(|reason| ("binary", reason))?;
        if binary.is_none() && config.service.is_none() {
            return Err(("", "neither `binary` nor `service` says whose functions".to_owned()));
        }
        if binary.as_ref().is_some_and(|files| files.is_name()) && config.service.is_none() {
            return Err((
                "binary",
                "a name without directory needs `service`; else use a path or glob".to_owned(),
            ));
        }
        if config.service.as_ref().is_some_and(|name| name.is_empty() || name.contains('/')) {
            return Err((
                "service",
                "use a systemd unit or the name of a process, such as \"nginx\"".to_owned(),
            ));
        }
        if config.max_functions == 0 {
            return Err(("max_functions", "must be at least 1".to_owned()));
        }
        let probes = match &config.usdt {
            None if config.include.is_empty() => {
                return Err(("", "neither `include` nor `usdt` says which functions".to_owned()));
            }
            None => Probes::Symbols { include: config.include.clone(), exclude: config.exclude.clone() },
            Some(pair) => {
                let symbols =
                    [("include", !config.include.is_empty()), ("exclude", !config.exclude.is_empty())];
                let values = [
                    ("returns", config.returns.is_some()),
                    ("success", config.success.is_some()),
                    ("success_functions", !config.success_functions.is_empty()),
                ];
                if let Some((key, _)) = symbols.into_iter().find(|(_, given)| *given) {
                    return Err((key, "is about symbols, and this target has `usdt`".to_owned()));
                }
                if let Some((key, _)) = values.into_iter().find(|(_, given)| *given) {
                    return Err((
                        key,
                        "is about the return value, which a USDT probe does not have".to_owned(),
                    ));
                }
                Probes::Usdt(pair.clone())
            }
        };
        let returns = config.returns.unwrap_or(Type::INT);
        let success = config.success.map(|rule| rule.of(returns)).transpose();
        let success = success.map_err(|error| ("success", error.to_string()))?;
        if config.success.is_none() && !config.success_functions.is_empty() {
            return Err((
                "success_functions",
                "says for which functions a rule is, and there is no `success`".to_owned(),
            ));
        }
        for (place, value) in config.values.iter().enumerate() {
            value.check(config.usdt.as_ref().map(|pair| pair.naming)).map_err(|reason| ("values", reason))?;
            let same = |other: &Value| other.of == value.of && other.functions == value.functions;
            if config.values[..place].iter().any(same) {
                return Err(("values", format!("{} of the same functions is there twice", value.of)));
            }
        }
        Ok(Self {
            index,
            service: config.service.clone(),
            binary,
            probes,
            success,
            success_functions: config.success_functions.clone(),
            values: config.values.clone(),
            max_functions: config.max_functions,
        })
    }

    /// The target as it is named in messages.
    pub fn label(&self) -> String {
        match (&self.service, &self.binary) {
            (Some(service), Some(binary)) => format!("{} of {service}", binary.text),
            (Some(service), None) => format!("service {service}"),
            (None, Some(binary)) => binary.text.clone(),
            (None, None) => String::new(),
        }
    }

    /// The pair of USDT probes that it follows, if it does not follow symbols.
    pub fn usdt(&self) -> Option<&Pair> {
        match &self.probes {
            Probes::Symbols { .. } => None,
            Probes::Usdt(pair) => Some(pair),
        }
    }

    /// Whether it has a rule of success.
    pub fn has_success(&self) -> bool {
        self.success.is_some()
    }

    /// Whether it has a rule that all of its functions are held to, those that return nothing included.
    pub fn success_of_all(&self) -> bool {
        self.success.is_some() && self.success_functions.is_empty()
    }

    /// Whether a process of this name, executable and unit belongs to the service; true when there is none to belong to.
    pub(super) fn is_of_service(&self, comm: &str, exe: &Path, unit: Option<&str>) -> bool {
        let Some(service) = &self.service else { return true };
        let cut = |name: &str| name.as_bytes().get(..COMM) == Some(comm.as_bytes());
        comm == service
            || cut(service)
            || exe.file_name() == Some(OsStr::from_bytes(service.as_bytes()))
            || unit.is_some_and(|unit| unit == service || unit.strip_suffix(".service") == Some(service))
    }
}

impl Files {
    fn new(text: &str) -> Result<Self, String> {
        if text.contains('/') && !text.starts_with(['/', '*']) {
            return Err(format!("{text:?} is a relative path: use an absolute one"));
        }
        let pattern = text.parse().map_err(|_| "is empty".to_owned())?;
        Ok(Self { text: text.to_owned(), pattern })
    }

    fn is_name(&self) -> bool {
        !self.text.contains('/')
    }

    /// Whether a path, or its last part where only a name is given, matches.
    pub(super) fn matches(&self, path: &Path) -> bool {
        let text = if self.is_name() { path.file_name().unwrap_or_default() } else { path.as_os_str() };
        text.to_str().is_some_and(|text| self.pattern.matches(text))
    }

    /// The files on this host: one that is named, or those of its directory that match. A wildcard in a directory's name
    /// finds only what processes run.
    pub(super) fn here(&self, most: usize) -> Vec<PathBuf> {
        let path = Path::new(&self.text);
        let wild = |text: &OsStr| text.as_bytes().iter().any(|byte| b"*?".contains(byte));
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        if wild(directory.as_os_str()) || self.is_name() {
            return Vec::new();
        }
        if !wild(name) {
            return vec![path.to_owned()];
        }
        let Ok(entries) = directory.read_dir() else { return Vec::new() };
        let mut found: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| self.matches(path))
            .collect();
        found.sort();
        found.truncate(most);
        found
    }
}
