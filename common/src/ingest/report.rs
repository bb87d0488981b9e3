//! What a reading found: counts, malformed lines by reason, and a few samples of them.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

use super::{Format, Malformed, Options, Place};

/// A file of which this many first lines are all malformed is given up: it is in another format.
const HOPELESS: u64 = 10_000;

/// How much of a malformed line a sample shows, in bytes before escaping.
const EXCERPT: usize = 120;

/// One malformed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The file's path.
    pub file: String,
    /// Line number, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: Malformed,
    /// The line's beginning, with everything unprintable escaped.
    pub excerpt: String,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.reason, self.excerpt)
    }
}

/// What was read. `lines = records + blank + not_http + malformed`.
#[derive(Clone, Debug)]
pub struct ReadReport {
    /// Files read, standard input included.
    pub files: u64,
    /// Lines (for a spool: rows).
    pub lines: u64,
    /// Records handed to the visitor.
    pub records: u64,
    /// Lines with nothing in them.
    pub blank: u64,
    /// Well-formed lines about something that was no HTTP request.
    pub not_http: u64,
    /// Malformed lines by reason.
    pub malformed: BTreeMap<Malformed, u64>,
    /// The first malformed lines.
    pub samples: Vec<Sample>,
    format: Format,
    max_samples: usize,
    max_malformed: f64,
    records_before_file: u64,
    faults_before_file: u64,
}

impl ReadReport {
    pub(super) fn new(format: Format, options: &Options) -> Self {
        ReadReport {
            files: 0,
            lines: 0,
            records: 0,
            blank: 0,
            not_http: 0,
            malformed: BTreeMap::new(),
            samples: Vec::new(),
            format,
            max_samples: options.samples,
            max_malformed: options.max_malformed,
            records_before_file: 0,
            faults_before_file: 0,
        }
    }

    /// How many lines are malformed.
    pub fn faults(&self) -> u64 {
        self.malformed.values().sum()
    }

    pub(super) fn begin_file(&mut self) {
        self.files += 1;
        self.records_before_file = self.records;
        self.faults_before_file = self.faults();
    }

    /// Counts a line that gave no record. An error when the file is evidently in another format.
    pub(super) fn skipped(&mut self, place: Place<'_>, reason: Malformed, line: &[u8]) -> Result<()> {
        if !reason.is_fault() {
            self.not_http += 1;
            return Ok(());
        }
        *self.malformed.entry(reason).or_default() += 1;
        if self.samples.len() < self.max_samples {
            let excerpt = excerpt(line);
            self.samples.push(Sample { file: place.file.to_owned(), line: place.line, reason, excerpt });
        }
        if place.line == HOPELESS
            && self.max_malformed < 1.0
            && self.faults() - self.faults_before_file == HOPELESS
        {
            bail!("none of its first {HOPELESS} lines is in format {}; {}", self.format, self.excerpts());
        }
        Ok(())
    }

    /// Fails when the share of malformed lines is too large.
    pub(super) fn check_share(&self) -> Result<()> {
        let (faults, lines) = (self.faults(), self.lines);
        if faults as f64 > self.max_malformed * lines as f64 {
            bail!(
                "{faults} of {lines} lines are not in format {} (more than {} %); {}",
                self.format,
                self.max_malformed * 100.0,
                self.excerpts()
            );
        }
        Ok(())
    }

    fn excerpts(&self) -> String {
        let mut text = "the first ones are:".to_owned();
        for sample in &self.samples {
            text.push_str(&format!("\n  {sample}"));
        }
        text
    }
}

/// The line's beginning, without values: those of a query may be secret.
fn excerpt(line: &[u8]) -> String {
    let (mut text, mut hidden) = (String::new(), false);
    for &byte in line.iter().take(EXCERPT) {
        hidden &= !(byte.is_ascii_whitespace() || matches!(byte, b'"' | b'&'));
        if !hidden {
            text.extend(byte.escape_ascii().map(char::from));
        }
        if !hidden && matches!(byte, b'?' | b'=') {
            text.push_str("...");
            hidden = true;
        }
    }
    text
}

impl fmt::Display for ReadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadReport { files, lines, records, not_http, .. } = self;
        write!(f, "records: {records}, lines: {lines}, files: {files}")?;
        if *not_http > 0 {
            write!(f, "; not about HTTP: {not_http}")?;
        }
        for (reason, count) in &self.malformed {
            write!(f, "; malformed because {reason}: {count}")?;
        }
        for sample in &self.samples {
            write!(f, "\n  {sample}")?;
        }
        Ok(())
    }
}
