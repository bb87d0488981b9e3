//! What people say of alerts: JSON lines of `{key, class, by, time, note}`, which an agent appends to and a trainer reads.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::key::{self, Key};
use super::{Class, KeyError};
use crate::call::Nanos;

/// Longest line of a file of labels, in bytes.
pub const MAX_LINE: usize = 64 << 10;
/// Longest name of who says it, in bytes.
const MAX_BY: usize = 256;
/// Longest note, in bytes. Escaped and with all else it is shorter than a line.
const MAX_NOTE: usize = 4096;

/// One word of a person about one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The alert.
    #[serde(serialize_with = "write_text", deserialize_with = "read_key")]
    pub key: Key,
    /// What it is.
    pub class: Class,
    /// Who says so; may be empty.
    #[serde(default)]
    pub by: String,
    /// When it was said, in nanoseconds since 1970; as text, in UTC.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub time: Nanos,
    /// Why, or anything else; may be empty.
    #[serde(default)]
    pub note: String,
}

/// What is wrong with a line of labels.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Not a label in JSON.
    #[error("no label: {0}")]
    Json(#[from] serde_json::Error),
    /// The line, or a text in it, is longer than it may be.
    #[error("`{what}` has {bytes} bytes, more than {most}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
}

impl Label {
    /// Reads a line, with or without its end.
    ///
    /// # Errors
    /// When it is no label.
    pub fn parse(line: &[u8]) -> Result<Self, LabelError> {
        at_most("line", line.len(), MAX_LINE)?;
        let label: Self = serde_json::from_slice(line)?;
        label.check()?;
        Ok(label)
    }

    /// The label as a line, with its end.
    ///
    /// # Errors
    /// When one of its texts is too long.
    pub fn line(&self) -> Result<String, LabelError> {
        self.check()?;
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn check(&self) -> Result<(), LabelError> {
        at_most("by", self.by.len(), MAX_BY)?;
        at_most("note", self.note.len(), MAX_NOTE)
    }
}

fn at_most(what: &'static str, bytes: usize, most: usize) -> Result<(), LabelError> {
    if bytes > most { Err(LabelError::TooLong { what, bytes, most }) } else { Ok(()) }
}

/// What is said of alerts; of several words about one alert the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    by_key: BTreeMap<Key, Label>,
    /// Words that a later one has taken back.
    pub replaced: u64,
}

impl Labels {
    /// Takes a line of a file in; lines with nothing in them are passed over.
    ///
    /// # Errors
    /// When it is no label.
    pub fn take(&mut self, line: &[u8]) -> Result<(), LabelError> {
        if !line.trim_ascii().is_empty() {
            self.insert(Label::parse(line)?);
        }
        Ok(())
    }

    /// Takes a label in; it counts from now on, whatever was said of the alert.
    pub fn insert(&mut self, label: Label) {
        self.replaced += u64::from(self.by_key.insert(label.key, label).is_some());
    }

    /// What is said of an alert.
    pub fn get(&self, key: &Key) -> Option<&Label> {
        self.by_key.get(key)
    }

    /// Everything that counts, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.by_key.values()
    }

    /// How many alerts something is said of.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

fn write_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn write_time<S: Serializer>(time: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
    write_text(&key::Time(*time), serializer)
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error: KeyError| serde::de::Error::custom(error))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
    let text = String::deserialize(deserializer)?;
    key::parse_time(&text)
        .ok_or_else(|| serde::de::Error::custom("`time` is no time such as 2026-11-22T14:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "2023-11-14T22:13:20.000699Z/203.0.0.0:20000/192.168.56.10:80/TCP/0/2006445";

    fn label(class: Class) -> Label {
        Label {
            key: KEY.parse().expect("a key"),
            class,
            by: "ann".to_owned(),
            time: 1_795_332_600_000_000_000,
            note: "our own scanner,\nsee \"ops\"".to_owned(),
        }
    }

    #[test]
    fn a_label_is_one_line_and_is_read_as_it_was_written() {
        let line = label(Class::FalseAlarm).line().expect("a line");
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.contains(r#""class":"false_alarm","by":"ann","time":"2026-11-22T"#), "{line}");
        assert_eq!(Label::parse(line.as_bytes()).expect("a label"), label(Class::FalseAlarm));
        let short = format!(r#"{{"key":"{KEY}","class":"real","time":"2026-11-22T14:00:00+0000"}}"#);
        assert_eq!(Label::parse(short.as_bytes()).expect("a label").by, "");
    }

    #[test]
    fn the_last_word_counts() {
        let mut labels = Labels::default();
        for class in [Class::Real, Class::FalseAlarm, Class::Real] {
            labels.take(label(class).line().expect("a line").as_bytes()).expect("a label");
        }
        labels.take(b" \n").expect("nothing");
        assert_eq!((labels.len(), labels.replaced), (1, 2));
        assert_eq!(labels.get(&KEY.parse().expect("a key")).map(|label| label.class), Some(Class::Real));
    }

    #[test]
    fn what_is_no_label_is_refused_with_its_reason() {
        let good = label(Class::Real).line().expect("a line");
        for (from, to, want) in [
            ("real", "maybe", "unknown variant `maybe`"),
            ("/TCP/", "/", "no alert's key"),
            ("2026-11-22T", "yesterday", "`time` is no time"),
            ("\"note\"", "\"sid\"", "unknown field `sid`"),
            ("}", "", "EOF while parsing"),
        ] {
            let error = Label::parse(good.replacen(from, to, 1).as_bytes()).expect_err(to).to_string();
            assert!(error.contains(want), "{error}");
        }
        let mut long = label(Class::Real);
        long.note = "x".repeat(5000);
        assert_eq!(long.line().expect_err("too long").to_string(), "`note` has 5000 bytes, more than 4096");
        assert!(Label::parse(&[b' '; MAX_LINE + 1]).is_err());
    }
}
