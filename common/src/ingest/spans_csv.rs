//! Spans as CSV, with a first line that names the columns.
//!
//! ```text
//! TraceID,SpanID,ParentID,service,operation,start,duration
//! 7b1f,01,root,gateway,GET /cart,1674982159219000000,28160
//! 7b1f,02,01,cart,Cart.list,1674982159221196428,25942
//! ```
//!
//! Names of columns are compared without case, blanks, `_`, `-` and `.`; several spellings are known for each (see
//! [`COLUMNS`]). Trace, span, operation and start are needed, and either a duration or an end, and a service or a pod, of
//! whose name the service is a part. A start or end is RFC 3339 or a number whose size tells its unit; a duration is in
//! microseconds unless its column's name ends in `ns`, `ms` or `s`, and where there is an end, end less start wins. No parent
//! is an empty field, `root`, `0`, `null` or `none`. Fields may be quoted, with `""` for a quote; a field holds no line end.

use std::io::Read;
use std::ops::Range;

use anyhow::Result;

use super::lines::{Line, Lines};
use super::spans::{self, Span, Visit};
use super::{Malformed, Options, time};
use crate::call::Nanos;

/// Columns that are looked at, and how they may be called.
const COLUMNS: [(Column, &[&str]); 10] = [
    (Column::Trace, &["traceid", "trace"]),
    (Column::Span, &["spanid", "span"]),
    (Column::Parent, &["parentid", "parentspanid", "parentspan", "parent"]),
    (Column::Service, &["service", "servicename", "serviceid"]),
    (Column::Instance, &["podname", "pod", "instance", "instanceid", "host", "hostname"]),
    (Column::Operation, &["operation", "operationname", "spanname", "name", "method"]),
    (Column::Start, &["start", "starttime", "starttimeunixnano", "startts", "timestamp"]),
    (Column::End, &["end", "endtime", "endtimeunixnano", "endts"]),
    (
        Column::Duration,
        &[
            "duration",
            "durationus",
            "durationns",
            "durationms",
            "durations",
            "elapsed",
            "elapsedus",
            "elapsedms",
        ],
    ),
    (Column::Failed, &["error", "failed", "status", "statuscode"]),
];

/// Fields of a line that are told apart; what is behind them is passed over.
const MAX_FIELDS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Trace,
    Span,
    Parent,
    Service,
    Instance,
    Operation,
    Start,
    End,
    Duration,
    Failed,
}

/// Reads every span.
///
/// # Errors
/// When the stream cannot be read or the visitor fails.
pub(super) fn read(bytes: &mut dyn Read, options: &Options, visit: &mut Visit<'_>) -> Result<()> {
    let mut lines = Lines::new(bytes, options.max_line);
    let (mut number, mut header, mut row) = (0, None, Row::default());
    while let Some(line) = lines.next_line()? {
        number += 1;
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong(start) => {
                visit(number, Err((Malformed::TooLong, start)))?;
                continue;
            }
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let Some(columns) = &header else {
            match Header::parse(text, &mut row) {
                Ok(columns) => header = Some(columns),
                Err(reason) => {
                    // Without names nothing of the file can be understood: every line of it counts as malformed.
                    visit(number, Err((reason, text)))?;
                }
            }
            continue;
        };
        visit(number, columns.span(text, &mut row).map_err(|reason| (reason, text)))?;
    }
    Ok(())
}

/// Where the columns stand.
#[derive(Debug, Default)]
struct Header {
    places: [Option<usize>; COLUMNS.len()],
    /// Nanoseconds in a unit of the duration.
    unit: f64,
}

impl Header {
    /// Understands the first line.
    fn parse(line: &[u8], row: &mut Row) -> Result<Header, Malformed> {
        row.split(line);
        let mut header = Header { unit: 1e3, ..Header::default() };
        for (place, name) in row.fields().enumerate() {
            let plain: String = name
                .chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '.'))
                .map(|c| c.to_ascii_lowercase())
                .collect();
            let Some((column, _)) = COLUMNS.iter().find(|(_, names)| names.contains(&plain.as_str())) else {
                continue;
            };
            if header.places[*column as usize].is_some() {
                continue;
            }
            header.places[*column as usize] = Some(place);
            if *column == Column::Duration {
                header.unit = match plain.trim_start_matches("duration").trim_start_matches("elapsed") {
                    "ns" => 1.0,
                    "ms" => 1e6,
                    "s" => 1e9,
                    _ => 1e3,
                };
            }
        }
        let has = |column: Column| header.places[column as usize].is_some();
        for (there, what) in [
            (has(Column::Trace), "column TraceID"),
            (has(Column::Span), "column SpanID"),
            (has(Column::Operation), "column operation"),
            (has(Column::Service) || has(Column::Instance), "column service or PodName"),
            (has(Column::Start), "column start"),
            (has(Column::End) || has(Column::Duration), "column duration or end"),
        ] {
            if !there {
                return Err(Malformed::Missing(what));
            }
        }
        Ok(header)
    }

    /// One line.
    fn span<'r>(&self, line: &[u8], row: &'r mut Row) -> Result<Span<'r>, Malformed> {
        row.split(line);
        let row = &*row;
        let field = |column: Column| self.places[column as usize].map_or("", |place| row.field(place).trim());
        let instant = |column: Column| time::text(field(column)).filter(|_| !field(column).is_empty());
        let start = instant(Column::Start).ok_or(Malformed::Bad("start"))?;
        let duration = match instant(Column::End) {
            Some(end) => end.saturating_sub(start),
            None => self.duration(field(Column::Duration))?,
        };
        let instance = spans::cut(field(Column::Instance));
        let service = match spans::cut(field(Column::Service)) {
            "" => spans::service_of_pod(instance),
            service => service,
        };
        let operation = spans::cut(field(Column::Operation));
        if service.is_empty() {
            return Err(Malformed::Missing("service"));
        }
        if operation.is_empty() {
            return Err(Malformed::Missing("operation"));
        }
        Ok(Span {
            trace: spans::trace_id(field(Column::Trace)).ok_or(Malformed::Missing("TraceID"))?,
            id: spans::parent_id(field(Column::Span)).ok_or(Malformed::Missing("SpanID"))?,
            parent: spans::parent_id(field(Column::Parent)),
            service,
            instance,
            operation,
            start,
            duration,
            failed: failed(field(Column::Failed)),
        })
    }

    fn duration(&self, text: &str) -> Result<Nanos, Malformed> {
        let bad = Malformed::Bad("duration");
        if let Ok(count) = text.parse::<u64>() {
            return count.checked_mul(self.unit as u64).ok_or(bad);
        }
        let nanos = text.parse::<f64>().map_err(|_| bad)? * self.unit;
        if (0.0..1e19).contains(&nanos) { Ok(nanos.round() as Nanos) } else { Err(bad) }
    }
}

/// Whether the field says that the span failed: a flag, OpenTelemetry's status, or an HTTP status from 500.
fn failed(text: &str) -> bool {
    let says = ["true", "1", "2", "error", "status_code_error", "failed", "fail", "failure", "yes"];
    says.iter().any(|word| text.eq_ignore_ascii_case(word))
        || text.parse().is_ok_and(|status: u16| (500..600).contains(&status))
}

/// The fields of a line, in buffers that are used again.
#[derive(Debug, Default)]
struct Row {
    text: String,
    fields: Vec<Range<usize>>,
}

impl Row {
    fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|range| &self.text[range.clone()])
    }

    fn field(&self, place: usize) -> &str {
        self.fields.get(place).map_or("", |range| &self.text[range.clone()])
    }

    /// Takes a line apart. What is not UTF-8 is replaced.
    fn split(&mut self, line: &[u8]) {
        self.text.clear();
        self.fields.clear();
        let line = String::from_utf8_lossy(line);
        let mut rest = line.as_ref();
        loop {
            let start = self.text.len();
            rest = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted),
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    &rest[end..]
                }
            };
            self.fields.push(start..self.text.len());
            match rest.strip_prefix(',') {
                Some(more) if self.fields.len() < MAX_FIELDS => rest = more,
                _ => return,
            }
        }
    }

    /// Takes a field up to its closing quote, and what stands between that and the comma.
    fn quoted<'a>(&mut self, mut rest: &'a str) -> &'a str {
        while let Some(at) = rest.find('"') {
            self.text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    self.text.push('"');
                    rest = more;
                }
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    return &rest[end..];
                }
            }
        }
        self.text.push_str(rest);
        ""
    }
}

#[cfg(test)]
mod tests;
