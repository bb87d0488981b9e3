//! Reads calls and ready-made sequences from logs, files of many formats, and the agent's spool.
//!
//! [`read`] streams every record of every input to a visitor. Nothing is kept: a line is parsed in place, the
//! record borrows from the read buffer, and in steady state no memory is allocated per line. Lines that
//! cannot be read are counted by reason and a few are sampled; they are an error only when their share of all
//! lines passes [`Options::max_malformed`].
//!
//! A new line format is one file with a pure `fn parse(&[u8], &mut Scratch) -> Result<Record, Malformed>` and
//! one entry in the table of [`Format`]s below.

pub mod access;
pub mod calls;
mod documents;
mod input;
mod jaeger;
mod json;
pub mod lines;
mod malformed;
pub mod nginx_json;
mod otlp;
mod report;
mod scratch;
pub mod sequences;
pub mod spans;
mod spans_csv;
mod spool;
mod spool_trees;
pub mod time;
pub mod traces;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use crate::call::{Call, Nanos};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

pub use malformed::Malformed;
pub use report::{ReadReport, Sample};
pub use scratch::Scratch;
pub use sequences::Tokens;
pub use spool_trees::{TreesRead, read_spooled_trees};

use input::Source;
use lines::{Line, Lines};

/// One thing that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// An HTTP exchange.
    Call(Call<'a>),
    /// A session whose steps the input has already named.
    Sequence {
        /// The session's name, where the input gives one.
        id: Option<&'a str>,
        /// Its steps in order.
        tokens: Tokens<'a>,
    },
    /// Calls were lost shortly before this time, and nobody knows whose. It stands in front of the next call.
    Interruption(Nanos),
}

/// Where a record stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file's path, `<stdin>` for standard input.
    pub file: &'a str,
    /// Line (for a spool, row) number, from 1.
    pub line: u64,
}

/// Called with each record in input order; an error ends the reading.
pub type Sink<'s> = dyn FnMut(Record<'_>, Place<'_>) -> Result<()> + 's;

/// Parses one line without its line end.
type LineParser = for<'a> fn(&'a [u8], &'a mut Scratch) -> Result<Record<'a>, Malformed>;

/// How a format's files are taken apart.
enum Reader {
    /// Text, a record a line.
    Lines(LineParser),
    /// Files of records.
    Table(Table),
    /// Spans of distributed traces.
    Spans(spans::SpanReader),
}

/// Called with each record of a file.
type Visit<'v> = dyn FnMut(Record<'_>) -> Result<()> + 'v;

/// A kind of files that hold records as they are, and cannot be read from a stream.
#[derive(Clone, Copy)]
struct Table {
    /// What their names end with.
    extension: &'static str,
    /// The part of a directory that holds them, where there is one.
    directory: &'static str,
    read: fn(&Path, &mut Visit<'_>) -> Result<()>,
}

macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $variant:ident = $reader:expr,)+) => {
        /// The formats that can be read. Names on the command line are in kebab case, e.g. `nginx-json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
        pub enum Format {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Format {
            fn reader(self) -> Reader {
                use Reader::*;
                match self { $(Format::$variant => $reader,)+ }
            }
        }
    };
}

formats! {
    /// Access log of Apache or nginx in "combined" form
    Combined = Lines(access::parse_combined),
    /// Access log of Apache or nginx in "common" form, also with further fields behind it
    Common = Lines(access::parse_common),
    /// JSON access log of nginx (`log_format … escape=json`), one object a line
    NginxJson = Lines(nginx_json::parse),
    /// JSON lines: ts, caller, method and path or interface, status, duration_ms, host
    Calls = Lines(calls::parse),
    /// One session a line: tokens separated by blanks, with an optional `id,` before them
    Sequences = Lines(sequences::parse),
    /// The agent's spool: its directory, or Parquet files of calls
    Spool = Table(spool::TABLE),
    /// Spans: OTLP in JSON, one document or one a line as OpenTelemetry's collector writes
    Otlp = Spans(otlp::read),
    /// Spans: what Jaeger's query service and page export
    Jaeger = Spans(jaeger::read),
    /// Spans: CSV with a first line that names the columns (TraceID, SpanID, ParentID, operation, service or PodName, start, duration, ..)
    SpansCsv = Spans(spans_csv::read),
}

impl Format {
    /// Whether it holds spans, which [`spans::read`] reads, rather than calls.
    pub fn holds_spans(self) -> bool {
        matches!(self.reader(), Reader::Spans(_))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(name, false).map_err(|_| {
            let known: Vec<_> = Self::value_variants().iter().map(Self::to_string).collect();
            format!("unknown format {name:?}; known are {}", known.join(", "))
        })
    }
}

/// Bounds and choices for [`read`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest line in bytes; a longer one is malformed and is skipped without being buffered.
    pub max_line: usize,
    /// The share of malformed lines, 0 to 1, above which reading fails.
    pub max_malformed: f64,
    /// How many malformed lines are kept as samples.
    pub samples: usize,
    /// Take a caller from `X-Forwarded-For` where the format carries it. Only right behind a proxy that sets
    /// it.
    pub forwarded: bool,
    /// Who is told how far reading has come.
    pub watch: Option<Watch>,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_line: 1 << 20, max_malformed: 0.1, samples: 5, forwarded: false, watch: None }
    }
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It begins: so many bytes lie on disk, 0 when nobody can tell.
    Begins(u64),
    /// So many more of them were read.
    Read(u64),
}

/// Somebody who is told how far reading has come.
#[derive(Clone)]
pub struct Watch(pub Arc<dyn Fn(Reading) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        ensure!(self.max_line > 0, "the longest line must be at least 1 byte");
        ensure!(
            (0.0..=1.0).contains(&self.max_malformed),
            "the share of malformed lines must lie between 0 and 1, not at {}",
            self.max_malformed
        );
        Ok(())
    }
}

/// Reads every record of `inputs` in order.
///
/// An input is a file, a directory (all files in it, sorted by path, without hidden ones), a glob, or `-` for
/// standard input; gzip and zstd are told by their first bytes.
///
/// # Errors
/// An input that does not exist or cannot be read, a visitor's error, or too many malformed lines.
pub fn read<S: AsRef<str>>(
    inputs: &[S],
    format: Format,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<ReadReport> {
    options.check()?;
    let mut report = ReadReport::new(format, options);
    let mut scratch = Scratch::new(options.forwarded);
    let reader = format.reader();
    let table = match reader {
        Reader::Lines(_) => None,
        Reader::Table(table) => Some(table),
        Reader::Spans(_) => return Err(only_spans(format)),
    };
    let sources = input::resolve(inputs, table)?;
    watch_size(options, &sources);
    for source in sources {
        let name = source.name();
        match (&reader, &source) {
            (Reader::Lines(parse), source) => {
                let watch = options.watch.as_ref();
                let bytes = source.open(watch).with_context(|| format!("failed to open {name}"))?;
                read_lines(bytes, &name, *parse, options, &mut scratch, &mut report, sink)
            }
            (Reader::Table(table), Source::File(path)) => {
                let read = read_table(path, &name, table, &mut report, sink);
                options.watch.iter().for_each(|watch| (watch.0)(Reading::Read(source.size())));
                read
            }
            (Reader::Table(_), Source::Stdin) => Err(no_stream(format)),
            (Reader::Spans(_), _) => Err(only_spans(format)),
        }
        .with_context(|| format!("failed to read {name}"))?;
    }
    report.check_share()?;
    Ok(report)
}

/// Opens every file that `inputs` name, as [`read`] does: its name and its unpacked bytes.
pub fn streams<S: AsRef<str>>(inputs: &[S]) -> Result<impl Iterator<Item = Result<(String, Box<dyn Read>)>>> {
    Ok(input::resolve(inputs, None)?.into_iter().map(|source| {
        let name = source.name();
        let bytes = source.open(None).with_context(|| format!("failed to open {name}"))?;
        Ok((name, bytes))
    }))
}

/// The unpacked bytes of a file that begins like gzip or zstd, from its start; `None` of any other file.
///
/// # Errors
/// When the file cannot be read.
pub fn unpacked(file: File) -> io::Result<Option<Box<dyn Read + Send>>> {
    input::unpacked(file)
}

/// Reads lines from anything readable: the part of [`read`] that opens nothing.
///
/// # Errors
/// A read error, a visitor's error, or too many malformed lines.
pub fn read_stream(
    bytes: impl Read,
    name: &str,
    format: Format,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<ReadReport> {
    options.check()?;
    let mut report = ReadReport::new(format, options);
    match format.reader() {
        Reader::Lines(parse) => {
            let mut scratch = Scratch::new(options.forwarded);
            read_lines(bytes, name, parse, options, &mut scratch, &mut report, sink)?;
        }
        Reader::Table(_) => return Err(no_stream(format)),
        Reader::Spans(_) => return Err(only_spans(format)),
    }
    report.check_share()?;
    Ok(report)
}

fn no_stream(format: Format) -> anyhow::Error {
    anyhow::anyhow!("format {format} needs files; it cannot be read from a stream")
}

fn only_spans(format: Format) -> anyhow::Error {
    anyhow::anyhow!(
        "format {format} holds spans of traces, not calls: `gait-trainer train` learns call trees from it"
    )
}

/// Tells whoever watches how much there is to read.
fn watch_size(options: &Options, sources: &[Source]) {
    if let Some(watch) = &options.watch {
        (watch.0)(Reading::Begins(sources.iter().map(Source::size).sum()));
    }
}

fn read_table(
    path: &Path,
    name: &str,
    table: &Table,
    report: &mut ReadReport,
    sink: &mut Sink<'_>,
) -> Result<()> {
    report.begin_file();
    let mut row = 0;
    (table.read)(path, &mut |record| {
        if !matches!(record, Record::Interruption(_)) {
            row += 1;
            report.records += 1;
            report.lines += 1;
        }
        sink(record, Place { file: name, line: row.max(1) })
    })
}

fn read_lines(
    bytes: impl Read,
    name: &str,
    parse: LineParser,
    options: &Options,
    scratch: &mut Scratch,
    report: &mut ReadReport,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut lines = Lines::new(bytes, options.max_line);
    let mut number = 0;
    report.begin_file();
    while let Some(line) = lines.next_line()? {
        number += 1;
        let place = Place { file: name, line: number };
        match line {
            Line::Text(text) if text.trim_ascii_start().is_empty() => report.blank += 1,
            Line::Text(text) => match parse(text, scratch) {
                Ok(record) => {
                    report.records += 1;
                    sink(record, place)?;
                }
                Err(reason) => report.skipped(place, reason, text)?,
            },
            Line::TooLong(start) => report.skipped(place, Malformed::TooLong, start)?,
        }
    }
    report.lines += number;
    Ok(())
}

#[cfg(test)]
mod tests;
