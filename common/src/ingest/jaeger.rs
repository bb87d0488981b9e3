//! Spans as Jaeger's query service and its page export them.
//!
//! ```text
//! {"data":[{"traceID":"84b3...","spans":[{"traceID":"84b3...","spanID":"487f...","operationName":"OrderVehicle",
//!   "references":[{"refType":"CHILD_OF","traceID":"84b3...","spanID":"1f2e..."}],"startTime":1660049722779884,
//!   "duration":1181596,"tags":[{"key":"error","type":"bool","value":true}],"processID":"p1"}],
//!   "processes":{"p1":{"serviceName":"load-generator","tags":[{"key":"hostname","value":"a1"}]}}}]}
//! ```
//!
//! Times are in microseconds. A trace may also stand alone, and documents may come one a line. The parent is the span
//! of the same trace that `CHILD_OF` names, or else one that `FOLLOWS_FROM` names. A span has failed when its tags hold
//! `error` = true or `otel.status_code` = `ERROR`. The instance is the process's tag `hostname` or `ip`.
//!
//! A trace's spans wait until its processes are known; those past a bound are counted as too long.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use anyhow::Result;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::documents::{Object, Sink, Walk, skip, walk};
use super::json::{Name, Value};
use super::spans::{self, Span, Visit};
use super::{Malformed, Options};
use crate::call::Nanos;

/// Spans of one trace, and processes, at most.
const MAX_SPANS: usize = 100_000;
const MAX_PROCESSES: usize = 10_000;

const MICROSECOND: Nanos = 1000;

/// Reads every span.
///
/// # Errors
/// When the stream cannot be read or the visitor fails.
pub(super) fn read(bytes: &mut dyn Read, options: &Options, visit: &mut Visit<'_>) -> Result<()> {
    let line = Cell::new(1);
    let mut document = Trace {
        line: &line,
        sink: Sink::new(visit),
        spans: Vec::new(),
        depth: 0,
        too_many: 0,
        processes: BTreeMap::new(),
    };
    walk(bytes, options.max_line, &line, &mut document, |document, line, reason| {
        document.depth = 0;
        document.forget();
        document.sink.bad(line, reason)
    })
}

/// A document or a trace: one may stand in the place of the other.
struct Trace<'d, 'v> {
    line: &'d Cell<u64>,
    sink: Sink<'d, 'v>,
    /// The trace's spans and their lines.
    spans: Vec<(u64, Raw)>,
    /// How many objects are open: 1 in a document, 2 in the `data` of one.
    depth: usize,
    /// Spans that there was no room for.
    too_many: u64,
    processes: BTreeMap<String, Process>,
}

impl Trace<'_, '_> {
    fn forget(&mut self) {
        self.spans.clear();
        self.processes.clear();
        self.too_many = 0;
    }

    fn emit<E: Error>(&mut self) -> Result<(), E> {
        let unknown = Process::default();
        for (line, raw) in &self.spans {
            let process = match (&raw.process.service[..], self.processes.get(&raw.process_id)) {
                ("", Some(process)) => process,
                ("", None) => &unknown,
                _ => &raw.process,
            };
            let found = raw.parse(process).map_err(|reason| (reason, raw.operation.as_bytes()));
            self.sink.give(*line, found)?;
        }
        for _ in 0..self.too_many {
            self.sink.give(self.line.get(), Err((Malformed::TooLong, b"a trace of too many spans")))?;
        }
        Ok(())
    }
}

impl Object for Trace<'_, '_> {
    fn begin(&mut self) {
        self.depth += 1;
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "data" if self.depth == 1 => map.next_value_seed(Walk(self)),
            "spans" => map.next_value_seed(Walk(&mut Spans(self))),
            "processes" => map.next_value_seed(Processes(&mut self.processes)),
            _ => skip(map),
        }
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        self.depth -= 1;
        let emitted = self.emit();
        self.forget();
        emitted
    }
}

struct Spans<'o, 'd, 'v>(&'o mut Trace<'d, 'v>);

impl Object for Spans<'_, '_, '_> {
    fn begin(&mut self) {
        if self.0.spans.len() < MAX_SPANS {
            self.0.spans.push((self.0.line.get(), Raw::default()));
        } else {
            self.0.too_many += 1;
        }
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let Some((_, span)) = self.0.spans.last_mut().filter(|_| self.0.too_many == 0) else {
            return skip(map);
        };
        match name {
            "traceID" => span.trace = text(&map.next_value()?),
            "spanID" => span.id = text(&map.next_value()?),
            "parentSpanID" => span.parent = text(&map.next_value()?),
            "operationName" => span.operation = text(&map.next_value()?),
            "startTime" => span.start = micros(&map.next_value()?),
            "duration" => span.duration = micros(&map.next_value()?),
            "processID" => span.process_id = text(&map.next_value()?),
            "process" => map.next_value_seed(Walk(&mut span.process))?,
            "references" => {
                map.next_value_seed(Walk(&mut Reference { span, to: ReferenceTo::default() }))?;
            }
            "tags" => map.next_value_seed(Walk(&mut Tag::of_span(span)))?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// One reference of a span to another.
struct Reference<'o> {
    span: &'o mut Raw,
    to: ReferenceTo,
}

#[derive(Default)]
struct ReferenceTo {
    follows: bool,
    trace: String,
    id: String,
}

impl Object for Reference<'_> {
    fn begin(&mut self) {
        self.to = ReferenceTo::default();
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "refType" => self.to.follows = text(&map.next_value()?) != "CHILD_OF",
            "traceID" => self.to.trace = text(&map.next_value()?),
            "spanID" => self.to.id = text(&map.next_value()?),
            _ => skip(map)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let to = std::mem::take(&mut self.to);
        let better = self.span.references.as_ref().is_none_or(|known| known.follows && !to.follows);
        // One into another trace is a link; the span's own trace may stand behind its references.
        if better {
            self.span.references = Some(to);
        }
        Ok(())
    }
}

/// A process or an element of its or a span's tags.
#[derive(Default)]
struct Process {
    service: String,
    /// `hostname` wins over `ip`.
    host: String,
    ip: String,
}

impl Object for Process {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "serviceName" => self.service = text(&map.next_value()?),
            "tags" => map.next_value_seed(Walk(&mut Tag::of_process(self)))?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

enum Tagged<'o> {
    Span(&'o mut Raw),
    Process(&'o mut Process),
}

struct Tag<'o> {
    of: Tagged<'o>,
    key: String,
    value: String,
}

impl<'o> Tag<'o> {
    fn of_span(span: &'o mut Raw) -> Self {
        Tag { of: Tagged::Span(span), key: String::new(), value: String::new() }
    }

    fn of_process(process: &'o mut Process) -> Self {
        Tag { of: Tagged::Process(process), key: String::new(), value: String::new() }
    }
}

impl Object for Tag<'_> {
    fn begin(&mut self) {
        self.key.clear();
        self.value.clear();
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "key" => self.key = text(&map.next_value()?),
            "value" => {
                self.value = match map.next_value()? {
                    Value::Bool(yes) => yes.to_string(),
                    value => text(&value),
                };
            }
            _ => skip(map)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let value = std::mem::take(&mut self.value);
        match (&mut self.of, self.key.as_str()) {
            (Tagged::Span(span), "error") => span.failed |= value.eq_ignore_ascii_case("true"),
            (Tagged::Span(span), "otel.status_code") => span.failed |= value.eq_ignore_ascii_case("error"),
            (Tagged::Process(process), "hostname") => process.host = value,
            (Tagged::Process(process), "ip") => process.ip = value,
            _ => {}
        }
        Ok(())
    }
}

/// The processes of a trace by their ids.
struct Processes<'o>(&'o mut BTreeMap<String, Process>);

impl<'de> DeserializeSeed<'de> for Processes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Processes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("processes by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(id)) = map.next_key()? {
            let mut process = Process::default();
            map.next_value_seed(Walk(&mut process))?;
            if self.0.len() < MAX_PROCESSES {
                self.0.insert(id.into_owned(), process);
            }
        }
        Ok(())
    }
}

/// A span as it was written.
#[derive(Default)]
struct Raw {
    trace: String,
    id: String,
    parent: String,
    operation: String,
    start: Option<Nanos>,
    duration: Option<Nanos>,
    references: Option<ReferenceTo>,
    process_id: String,
    process: Process,
    failed: bool,
}

impl Raw {
    fn parse<'a>(&'a self, process: &'a Process) -> Result<Span<'a>, Malformed> {
        let trace = spans::trace_id(&self.trace).ok_or(Malformed::Missing("traceID"))?;
        let referred = self.references.as_ref().and_then(|to| {
            let here = to.trace.is_empty() || spans::trace_id(&to.trace) == Some(trace);
            spans::parent_id(&to.id).filter(|_| here)
        });
        Ok(Span {
            trace,
            id: spans::parent_id(&self.id).ok_or(Malformed::Missing("spanID"))?,
            parent: referred.or_else(|| spans::parent_id(&self.parent)),
            service: match spans::cut(&process.service) {
                "" => return Err(Malformed::Missing("serviceName")),
                service => service,
            },
            instance: spans::cut(if process.host.is_empty() { &process.ip } else { &process.host }),
            operation: match spans::cut(&self.operation) {
                "" => return Err(Malformed::Missing("operationName")),
                operation => operation,
            },
            start: self.start.ok_or(Malformed::Bad("startTime"))?,
            duration: self.duration.ok_or(Malformed::Bad("duration"))?,
            failed: self.failed,
        })
    }
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => spans::cut(text).to_owned(),
        _ => String::new(),
    }
}

fn micros(value: &Value<'_>) -> Option<Nanos> {
    match value {
        Value::Integer(micros) => micros.checked_mul(MICROSECOND),
        Value::Text(text) => text.parse::<u64>().ok()?.checked_mul(MICROSECOND),
        Value::Number(micros) if (0.0..1e16).contains(micros) => Some((micros * 1e3) as Nanos),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
