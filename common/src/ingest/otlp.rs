//! Spans as OpenTelemetry's protocol has them in JSON: one document, or one a line as the collector's file exporter writes.
//!
//! ```text
//! {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
//!   "scopeSpans":[{"spans":[{"traceId":"5b8e...","spanId":"eee1...","parentSpanId":"","name":"GET /cart",
//!     "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","status":{"code":2}}]}]}]}
//! ```
//!
//! Ids are hexadecimal, as the protocol has them, or base64, as a generic translation of it writes them. The service is the
//! resource's `service.name`; the instance is `service.instance.id`, `k8s.pod.name` or `host.name`, in this order. A span
//! has failed when its status says so.

use std::cell::Cell;
use std::io::Read;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, MapAccess};

use super::documents::{Object, Sink, Walk, skip, walk};
use super::json::Value;
use super::spans::{self, Found, Span, Visit};
use super::{Malformed, Options};

/// Spans that wait for their resource's name, at most: it stands before them in what is commonly written.
const MAX_WAITING: usize = 10_000;

/// What a service without a name is called, by OpenTelemetry's own rules.
const UNKNOWN: &str = "unknown_service";

/// Reads every span.
///
/// # Errors
/// When the stream cannot be read or the visitor fails.
pub(super) fn read(bytes: &mut dyn Read, options: &Options, visit: &mut Visit<'_>) -> Result<()> {
    let line = Cell::new(1);
    let mut document = Document {
        line: &line,
        sink: Sink::new(visit),
        resource: Resource::default(),
        named: false,
        span: Raw::default(),
        waiting: Vec::new(),
    };
    walk(bytes, options.max_line, &line, &mut document, |document, line, reason| {
        document.waiting.clear();
        document.sink.bad(line, reason)
    })
}

/// A whole document, and what is known at the place that is being read.
struct Document<'d, 'v> {
    line: &'d Cell<u64>,
    sink: Sink<'d, 'v>,
    resource: Resource,
    /// The resource was read.
    named: bool,
    span: Raw,
    /// Spans that came before their resource, and their lines.
    waiting: Vec<(u64, Raw)>,
}

impl Document<'_, '_> {
    fn emit<E: Error>(&mut self, line: u64, span: &Raw) -> Result<(), E> {
        let found: Found<'_> = span.parse(&self.resource).map_err(|reason| (reason, span.name.as_bytes()));
        self.sink.give(line, found)
    }

    fn emit_waiting<E: Error>(&mut self) -> Result<(), E> {
        for (line, span) in std::mem::take(&mut self.waiting) {
            self.emit(line, &span)?;
        }
        Ok(())
    }
}

impl Object for Document<'_, '_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "resourceSpans" | "batches" => map.next_value_seed(Walk(&mut ResourceSpans(self))),
            _ => skip(map),
        }
    }
}

struct ResourceSpans<'o, 'd, 'v>(&'o mut Document<'d, 'v>);

impl Object for ResourceSpans<'_, '_, '_> {
    fn begin(&mut self) {
        self.0.resource = Resource::default();
        self.0.named = false;
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "resource" => {
                map.next_value_seed(Walk(&mut self.0.resource))?;
                self.0.named = true;
                self.0.emit_waiting()
            }
            "scopeSpans" | "instrumentationLibrarySpans" => map.next_value_seed(Walk(&mut Scope(self.0))),
            _ => skip(map),
        }
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        self.0.emit_waiting()
    }
}

/// What the spans of a resource have in common.
#[derive(Default)]
struct Resource {
    service: String,
    /// The best name of the instance, and how good it is.
    instance: (u8, String),
}

impl Object for Resource {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "attributes" => map.next_value_seed(Walk(&mut Attribute {
                resource: self,
                key: String::new(),
                value: String::new(),
            })),
            _ => skip(map),
        }
    }
}

struct Attribute<'o> {
    resource: &'o mut Resource,
    key: String,
    value: String,
}

impl Object for Attribute<'_> {
    fn begin(&mut self) {
        self.key.clear();
        self.value.clear();
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "key" => set(&mut self.key, &map.next_value()?),
            "value" => map.next_value_seed(Walk(&mut Text(&mut self.value)))?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let rank = match self.key.as_str() {
            "service.name" => {
                self.resource.service.clone_from(&self.value);
                0
            }
            "service.instance.id" => 3,
            "k8s.pod.name" => 2,
            "host.name" => 1,
            _ => 0,
        };
        if rank > self.resource.instance.0 {
            self.resource.instance = (rank, std::mem::take(&mut self.value));
        }
        Ok(())
    }
}

/// A value of which only text is wanted.
struct Text<'o>(&'o mut String);

impl Object for Text<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "stringValue" => set(self.0, &map.next_value()?),
            _ => skip(map)?,
        }
        Ok(())
    }
}

struct Scope<'o, 'd, 'v>(&'o mut Document<'d, 'v>);

impl Object for Scope<'_, '_, '_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "spans" => map.next_value_seed(Walk(&mut SpanObject(self.0))),
            _ => skip(map),
        }
    }
}

struct SpanObject<'o, 'd, 'v>(&'o mut Document<'d, 'v>);

impl Object for SpanObject<'_, '_, '_> {
    fn begin(&mut self) {
        self.0.span.clear();
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let span = &mut self.0.span;
        match name {
            "traceId" => set(&mut span.trace, &map.next_value()?),
            "spanId" => set(&mut span.id, &map.next_value()?),
            "parentSpanId" => set(&mut span.parent, &map.next_value()?),
            "name" => set(&mut span.name, &map.next_value()?),
            "startTimeUnixNano" => span.start = nanos(&map.next_value()?),
            "endTimeUnixNano" => span.end = nanos(&map.next_value()?),
            "status" => map.next_value_seed(Walk(&mut Status(&mut span.failed)))?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let line = self.0.line.get();
        let span = std::mem::take(&mut self.0.span);
        if self.0.named || self.0.waiting.len() == MAX_WAITING {
            self.0.emit(line, &span)?;
            self.0.span = span;
        } else {
            self.0.waiting.push((line, span));
        }
        Ok(())
    }
}

struct Status<'o>(&'o mut bool);

impl Object for Status<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "code" => {
                *self.0 = match map.next_value()? {
                    Value::Integer(code) => code == 2,
                    Value::Text(code) => code == "STATUS_CODE_ERROR" || code == "2",
                    _ => false,
                };
            }
            _ => skip(map)?,
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
    name: String,
    start: Option<u64>,
    end: Option<u64>,
    failed: bool,
}

impl Raw {
    fn clear(&mut self) {
        [&mut self.trace, &mut self.id, &mut self.parent, &mut self.name].into_iter().for_each(String::clear);
        (self.start, self.end, self.failed) = (None, None, false);
    }

    fn parse<'a>(&'a self, resource: &'a Resource) -> Result<Span<'a>, Malformed> {
        let start = self.start.ok_or(Malformed::Bad("startTimeUnixNano"))?;
        let end = self.end.ok_or(Malformed::Bad("endTimeUnixNano"))?;
        Ok(Span {
            trace: id::<16>(&self.trace).map(u128::from_be_bytes).ok_or(Malformed::Bad("traceId"))?,
            id: id::<8>(&self.id).map(u64::from_be_bytes).ok_or(Malformed::Bad("spanId"))?,
            parent: match self.parent.as_str() {
                "" => None,
                text => {
                    let parent = id::<8>(text).map(u64::from_be_bytes);
                    Some(parent.ok_or(Malformed::Bad("parentSpanId"))?).filter(|&id| id != 0)
                }
            },
            service: if resource.service.is_empty() { UNKNOWN } else { spans::cut(&resource.service) },
            instance: spans::cut(&resource.instance.1),
            operation: match spans::cut(&self.name) {
                "" => return Err(Malformed::Missing("name")),
                name => name,
            },
            start,
            // Clocks are set back now and then.
            duration: end.saturating_sub(start),
            failed: self.failed,
        })
    }
}

fn set(text: &mut String, value: &Value<'_>) {
    text.clear();
    if let Value::Text(value) = value {
        text.push_str(value);
    }
}

fn nanos(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Integer(nanos) => Some(*nanos),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// An id of `N` bytes, hexadecimal or base64; the two differ in their length.
fn id<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() == 2 * N {
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |b: u8| char::from(b).to_digit(16);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
    } else {
        // Longer texts are not decoded at all.
        let decoded = (text.len() <= 2 * N).then(|| STANDARD.decode(text).ok())??;
        bytes = decoded.try_into().ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
