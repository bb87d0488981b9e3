//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many edits a key may be away from a known one to be taken for it.
const NEAR: usize = 3;

/// Something in the configuration is wrong. Shown as `FILE:LINE: what is wrong and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; `None` when the file could not be read at all.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.message),
            None => write!(f, "failed to read configuration {}: {}", self.path.display(), self.message),
        }
    }
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, message: String) -> Self {
        Self { path: path.to_owned(), line: None, message }
    }

    /// From what the TOML reader says.
    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        let message = match unknown_key(error.message()) {
            Some((unknown, known)) => {
                let place = match section(text, line) {
                    // The unknown key is a section itself.
                    section if section.is_empty() || section == unknown => "at the top level".to_owned(),
                    section => format!("in [{section}]"),
                };
                let advice = match nearest(unknown, &known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", known.join(", ")),
                };
                format!("unknown key `{unknown}` {place}: {advice}")
            }
            None => error.message().trim_end().to_owned(),
        };
        Self { path: path.to_owned(), line: Some(line), message }
    }

    /// A value of the right type that cannot be used, in the section `wanted`: its line, or that of the section's header
    /// when it is not there. Of several sections of one name it is in the one at `index`.
    pub(super) fn value(
        path: &Path,
        text: &str,
        wanted: &str,
        index: usize,
        key: &str,
        reason: String,
    ) -> Self {
        let is_key = |line: &str| {
            let rest = line.trim_start().strip_prefix(key).filter(|_| !key.is_empty());
            rest.is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        let of_section = (1..).zip(text.lines()).filter(|(number, _)| section(text, *number) == wanted);
        let mut headers = 0;
        let of_this = of_section.filter(|(_, line)| {
            headers += usize::from(line.trim().starts_with('['));
            headers == index + 1
        });
        let lines: Vec<(usize, &str)> = of_this.collect();
        let line = lines.iter().find(|(_, line)| is_key(line)).or(lines.first());
        let place = if key.is_empty() { format!("[[{wanted}]]") } else { format!("{wanted}.{key}") };
        Self {
            path: path.to_owned(),
            line: Some(line.map_or(1, |(number, _)| *number)),
            message: format!("{place}: {reason}"),
        }
    }
}

/// The section that a line, counted from 1, stands in; empty at the top.
fn section(text: &str, line: usize) -> &str {
    let header = |line: &str| line.trim().starts_with('[');
    text.lines().take(line).filter(|line| header(line)).last().map_or("", |header| {
        header.trim().trim_start_matches('[').split(']').next().unwrap_or_default().trim()
    })
}

/// Takes serde's message on an unknown field apart: the field, and those it knows.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|&key| (strsim::damerau_levenshtein(unknown, key), key))
        .filter(|&(edits, key)| edits <= NEAR && edits < key.len())
        .min()
        .map(|(_, key)| key)
}
