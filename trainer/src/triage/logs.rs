//! Reads a log of alerts: what is no alert about HTTP is counted and left out, and of what is left nothing is lost.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gait_common::alert::{Alert, Key, Line, Malformed};
use ipnet::IpNet;
use serde::Serialize;

use crate::ingest::unpacked;

/// Longest line, in bytes: Suricata's bodies are bounded far below.
pub const MAX_LINE: usize = 4 << 20;
/// Bytes of alerts kept of one log, at most.
const MAX_KEPT: usize = 4 << 30;
/// Kinds of other events that are told apart.
const MAX_KINDS: usize = 64;
/// Malformed lines that are shown.
const MAX_SAMPLES: usize = 5;
/// A log of which this many first lines hold no event at all is given up.
const HOPELESS: u64 = 10_000;

/// What is taken of a log.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Alerts from or to these addresses are left out: scanners of one's own, health checks.
    pub exclude: Vec<IpNet>,
    /// Share of malformed lines above which reading fails, 0 to 1.
    pub max_malformed: f64,
}

impl Default for Filter {
    fn default() -> Self {
        Self { exclude: Vec::new(), max_malformed: 0.1 }
    }
}

/// The alerts of a log, in its order.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The lines, without their ends, one after the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// What was read.
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    from: usize,
    to: usize,
}

/// What was read: `lines = alerts + blank + no_http + excluded + repeated + the others + the malformed ones`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The file, as it was named.
    pub file: String,
    /// Lines.
    pub lines: u64,
    /// Alerts about HTTP that were taken.
    pub alerts: u64,
    /// Lines with nothing in them.
    pub blank: u64,
    /// Alerts about something else.
    pub no_http: u64,
    /// Alerts from or to excluded addresses.
    pub excluded: u64,
    /// Alerts that the log has already, by their key.
    pub repeated: u64,
    /// Events of other types.
    pub other: BTreeMap<String, u64>,
    /// Malformed lines by reason.
    pub malformed: BTreeMap<String, u64>,
    /// The first malformed lines: place and reason.
    pub samples: Vec<String>,
}

impl Counts {
    /// How many lines are malformed.
    pub fn faults(&self) -> u64 {
        self.malformed.values().sum()
    }

    fn fault(&mut self, reason: &str) {
        *self.malformed.entry(reason.to_owned()).or_default() += 1;
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(format!("{}:{}: {reason}", self.file, self.lines));
        }
    }
}

impl Log {
    /// Reads a log; plain, gzip or zstd. `name` is what messages and reports call it.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or too many of its lines are no events.
    pub fn read(path: &Path, name: &str, filter: &Filter) -> Result<Self> {
        let failed = || format!("failed to read the log {}", path.display());
        let file = File::open(path).with_context(failed)?;
        let bytes: Box<dyn Read> =
            match unpacked(file.try_clone().with_context(failed)?).with_context(failed)? {
                Some(bytes) => bytes,
                None => Box::new(file),
            };
        Self::parse(bytes, name, filter).with_context(failed)
    }

    fn parse(bytes: impl Read, name: &str, filter: &Filter) -> Result<Self> {
        let mut log =
            Self { counts: Counts { file: name.to_owned(), ..Counts::default() }, ..Self::default() };
        let mut seen = HashSet::new();
        let mut reader = BufReader::with_capacity(1 << 18, bytes);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            log.counts.lines += 1;
            if read == MAX_LINE && !line.ends_with(b"\n") {
                log.counts.fault("the line is too long");
                skip_line(&mut reader)?;
            } else {
                log.take(line.trim_ascii(), filter, &mut seen)?;
            }
            if log.counts.lines == HOPELESS && log.counts.faults() == HOPELESS && filter.max_malformed < 1.0 {
                break;
            }
        }
        let (faults, lines) = (log.counts.faults(), log.counts.lines);
        if faults as f64 > filter.max_malformed * lines as f64 {
            bail!(
                "{faults} of {lines} lines are no events of an eve.json (more than {} %), the first ones: {}",
                filter.max_malformed * 100.0,
                log.counts.samples.join("; ")
            );
        }
        Ok(log)
    }

    fn take(&mut self, line: &[u8], filter: &Filter, seen: &mut HashSet<Key>) -> Result<()> {
        let counts = &mut self.counts;
        if line.is_empty() {
            counts.blank += 1;
            return Ok(());
        }
        let key = match Alert::parse(line) {
            Ok(Line::Alert(alert)) => alert.key,
            Ok(Line::NoHttp(_)) => {
                counts.no_http += 1;
                return Ok(());
            }
            Ok(Line::Other(kind)) => {
                let kind = kind.text().chars().take(32).collect::<String>();
                let full = counts.other.len() >= MAX_KINDS && !counts.other.contains_key(&kind);
                *counts.other.entry(if full { "others".to_owned() } else { kind }).or_default() += 1;
                return Ok(());
            }
            Err(why) => {
                counts.fault(&why.to_string());
                return Ok(());
            }
        };
        let excluded = |ip: IpAddr| filter.exclude.iter().any(|net| net.contains(&ip.to_canonical()));
        if excluded(key.source.ip()) || excluded(key.destination.ip()) {
            counts.excluded += 1;
        } else if !seen.insert(key) {
            counts.repeated += 1;
        } else {
            ensure!(
                self.bytes.len() + line.len() <= MAX_KEPT,
                "its alerts have more than {MAX_KEPT} bytes: give it in parts"
            );
            counts.alerts += 1;
            let from = self.bytes.len();
            self.bytes.extend_from_slice(line);
            self.entries.push(Entry { key, from, to: self.bytes.len() });
        }
        Ok(())
    }

    /// How many alerts there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The key of an alert.
    pub fn key(&self, at: usize) -> &Key {
        &self.entries[at].key
    }

    /// The keys, in the order of the log.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// The line of an alert.
    pub fn line(&self, at: usize) -> &[u8] {
        let entry = &self.entries[at];
        &self.bytes[entry.from..entry.to]
    }

    /// An alert.
    ///
    /// # Errors
    /// Never: every line that is kept was read before.
    pub fn alert(&self, at: usize) -> Result<Alert<'_>, Malformed> {
        match Alert::parse(self.line(at))? {
            Line::Alert(alert) => Ok(alert),
            _ => Err(Malformed::Missing("http")),
        }
    }

    /// The line of an alert without `flow_id`, where that follows the time, as Suricata writes it: it is drawn anew in every run,
    /// so that equal runs would leave unequal files.
    pub fn lasting(&self, at: usize) -> Vec<u8> {
        let line = self.line(at);
        match flow_id(line) {
            Some((from, to)) => [&line[..from], &line[to..]].concat(),
            None => line.to_owned(),
        }
    }

    /// The alerts as a log of their own, of lasting lines.
    pub fn written(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + self.len());
        for at in 0..self.len() {
            out.extend(self.lasting(at));
            out.push(b'\n');
        }
        out
    }
}

/// Where `"flow_id":N,` stands, if it is the second field.
fn flow_id(line: &[u8]) -> Option<(usize, usize)> {
    const NAME: &[u8] = b"\"flow_id\":";
    let from = line.iter().position(|&byte| byte == b',')? + 1;
    let rest = line.get(from..)?.strip_prefix(NAME)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0 && rest.get(digits) == Some(&b',')).then(|| (from, from + NAME.len() + digits + 1))
}

fn skip_line(reader: &mut impl std::io::BufRead) -> Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A line of an alert: when, in seconds; whose port; which rule.
    pub(crate) fn line(second: u32, port: u16, sid: u32) -> String {
        format!(
            r#"{{"timestamp":"2026-11-22T10:00:{second:02}.000000+0000","flow_id":{}{port},"event_type":"alert","src_ip":"203.0.113.9","src_port":{port},"dest_ip":"10.0.0.1","dest_port":80,"proto":"TCP","tx_id":0,"alert":{{"signature_id":{sid},"rev":1,"signature":"rule {sid}","category":"x","severity":1}},"http":{{"url":"/a?q={port}","http_method":"GET"}}}}"#,
            second + 7
        )
    }

    pub(crate) fn log(lines: &[String]) -> Log {
        Log::parse(lines.join("\n").as_bytes(), "eve.json", &Filter::default()).expect("a log")
    }

    #[test]
    fn what_is_left_out_is_counted_and_adds_up() {
        let filter = Filter { exclude: vec!["198.51.100.0/24".parse().expect("a net")], max_malformed: 0.5 };
        let lines = [
            line(1, 1, 7),
            line(1, 1, 7),
            line(2, 2, 7).replace("203.0.113.9", "198.51.100.3"),
            line(3, 3, 7).replace("10.0.0.1", "::ffff:198.51.100.3"),
            line(4, 4, 7).replace("\"http\"", "\"dns\""),
            r#"{"timestamp":"x","event_type":"flow"}"#.to_owned(),
            String::new(),
            "x".repeat(MAX_LINE + 10),
            line(5, 5, 7)[..50].to_owned(),
        ];
        let log = Log::parse(lines.join("\n").as_bytes(), "e", &filter).expect("a log");
        let Counts { lines, alerts, blank, no_http, excluded, repeated, .. } = log.counts;
        assert_eq!((lines, alerts, blank, no_http, excluded, repeated), (9, 1, 1, 1, 2, 1));
        assert_eq!(log.counts.other, BTreeMap::from([("flow".to_owned(), 1)]));
        assert_eq!(log.counts.samples, ["e:8: the line is too long", "e:9: the line is cut off"]);
        let sum = alerts + blank + no_http + excluded + repeated + 1 + log.counts.faults();
        assert_eq!(sum, lines);
        let strict = Filter { max_malformed: 0.0, ..Filter::default() };
        let error = Log::parse("{}".as_bytes(), "e", &strict).expect_err("no event").to_string();
        assert!(
            error.contains("1 of 1 lines are no events") && error.contains("e:1: `event_type` is missing"),
            "{error}"
        );
    }

    #[test]
    fn written_logs_do_not_depend_on_the_run() {
        let once = log(&[line(1, 1, 7), line(2, 2, 8)]);
        let again = log(&[line(1, 1, 7).replace("\"flow_id\":81", "\"flow_id\":4711"), line(2, 2, 8)]);
        assert_eq!(once.written(), again.written());
        assert_eq!(again.written(), log(&[String::from_utf8(again.written()).expect("text")]).written());
        assert!(!String::from_utf8(once.written()).expect("text").contains("flow_id"));
    }
}
