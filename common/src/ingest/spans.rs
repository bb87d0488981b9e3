//! Spans of distributed traces: what every format of them is read into.
//!
//! [`read`] streams the spans of every input to a visitor, as [`super::read`] does with calls: nothing is kept, what
//! cannot be read is counted by reason and shown with its file and line. Putting spans together is
//! [`super::traces`]'s business.

use std::io::Read;

use anyhow::{Context, Result, bail};

use super::{Format, Malformed, Options, Place, ReadReport, Reader, input, watch_size};
use crate::call::Nanos;

/// Longest text of a span that is kept, in bytes; a longer one is cut there.
const MAX_TEXT: usize = 512;

/// One unit of work that a service did for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span<'a> {
    /// The trace it is part of.
    pub trace: u128,
    /// Its own id, unique in the trace.
    pub id: u64,
    /// The span that caused it; none for the one that everything began with.
    pub parent: Option<u64>,
    /// The service, alike for all its instances.
    pub service: &'a str,
    /// The instance: pod or host. Empty when the input does not say.
    pub instance: &'a str,
    /// What was done, as the instrumentation names it.
    pub operation: &'a str,
    /// When it began, Unix time.
    pub start: Nanos,
    /// How long it took.
    pub duration: Nanos,
    /// It was marked as failed.
    pub failed: bool,
}

/// Called with each span in input order; an error ends the reading.
pub type SpanSink<'s> = dyn FnMut(Span<'_>, Place<'_>) -> Result<()> + 's;

/// What a format's reader found at a line: a span, or what is wrong and with which text.
pub(super) type Found<'a> = Result<Span<'a>, (Malformed, &'a [u8])>;

/// Called with what is found and the line it stood in.
pub(super) type Visit<'v> = dyn FnMut(u64, Found<'_>) -> Result<()> + 'v;

/// Reads all spans of one file.
pub(super) type SpanReader = fn(&mut dyn Read, &Options, &mut Visit<'_>) -> Result<()>;

/// Reads every span of `inputs` in order. An input is what it is for [`super::read`].
///
/// # Errors
/// A format that holds no spans, an input that does not exist or cannot be read, a visitor's error, or too many malformed
/// spans.
pub fn read<S: AsRef<str>>(
    inputs: &[S],
    format: Format,
    options: &Options,
    sink: &mut SpanSink<'_>,
) -> Result<ReadReport> {
    options.check()?;
    let reader = reader(format)?;
    let mut report = ReadReport::new(format, options);
    let sources = input::resolve(inputs, None)?;
    watch_size(options, &sources);
    for source in sources {
        let name = source.name();
        let open = || source.open(options.watch.as_ref());
        let mut bytes = open().with_context(|| format!("failed to open {name}"))?;
        read_one(&mut bytes, &name, reader, options, &mut report, sink)
            .with_context(|| format!("failed to read {name}"))?;
    }
    report.check_share()?;
    Ok(report)
}

/// Reads spans from anything readable: the part of [`read`] that opens nothing.
///
/// # Errors
/// As for [`read`].
pub fn read_stream(
    mut bytes: impl Read,
    name: &str,
    format: Format,
    options: &Options,
    sink: &mut SpanSink<'_>,
) -> Result<ReadReport> {
    options.check()?;
    let mut report = ReadReport::new(format, options);
    read_one(&mut bytes, name, reader(format)?, options, &mut report, sink)?;
    report.check_share()?;
    Ok(report)
}

fn reader(format: Format) -> Result<SpanReader> {
    match format.reader() {
        Reader::Spans(reader) => Ok(reader),
        Reader::Lines(_) | Reader::Table(_) => bail!("format {format} holds no spans"),
    }
}

fn read_one(
    bytes: &mut dyn Read,
    name: &str,
    reader: SpanReader,
    options: &Options,
    report: &mut ReadReport,
    sink: &mut SpanSink<'_>,
) -> Result<()> {
    report.begin_file();
    reader(bytes, options, &mut |line, found| {
        report.lines += 1;
        let place = Place { file: name, line };
        match found {
            Ok(span) => {
                report.records += 1;
                sink(span, place)
            }
            Err((reason, text)) => report.skipped(place, reason, text),
        }
    })
}

/// An id as a number. Ids that are not hexadecimal, or longer than they should be, are hashed.
pub(super) fn trace_id(text: &str) -> Option<u128> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text.len() <= 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return u128::from_str_radix(text, 16).ok();
    }
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().first_chunk().map(|bytes| u128::from_le_bytes(*bytes))
}

/// As [`trace_id`], for the id of a span.
pub(super) fn span_id(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.len() <= 16 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return u64::from_str_radix(text, 16).ok();
    }
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The parent's id; none where the text says that there is no parent.
pub(super) fn parent_id(text: &str) -> Option<u64> {
    let none = ["root", "none", "null", "nan", "nil", "-", ""];
    let text = text.trim();
    if none.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return None;
    }
    span_id(text).filter(|&id| id != 0)
}

/// A text cut to a sensible length.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// The service of a Kubernetes pod: its name without what the replica set, or a number without what the stateful set, added.
pub(super) fn service_of_pod(pod: &str) -> &str {
    // What Kubernetes makes random parts of names from.
    let random = |part: &str| part.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    if !last.is_empty() && last.len() <= 3 && last.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty() {
        return rest;
    }
    match rest.rsplit_once('-') {
        Some((name, set)) if !name.is_empty() && last.len() == 5 && random(last) => {
            if (6..=10).contains(&set.len()) && random(set) { name } else { rest }
        }
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_one_service_have_its_name() {
        for (pod, service) in [
            ("ts-gateway-service-6f6cfc45b-h5m2n", "ts-gateway-service"),
            ("shop-775f544d9-zqvjb", "shop"),
            ("db-0", "db"),
            ("agent-x7k2p", "agent-x7k2p"),
            ("node-agent-x7k2p", "node-agent"),
            ("front-end", "front-end"),
            ("user-service", "user-service"),
            ("-", "-"),
            ("", ""),
        ] {
            assert_eq!(service_of_pod(pod), service, "{pod}");
        }
    }

    #[test]
    fn ids_of_every_kind() {
        assert_eq!(
            trace_id("5B8EFFF798038103D269B633813FC60C"),
            Some(0x5b8e_fff7_9803_8103_d269_b633_813f_c60c)
        );
        assert_eq!(span_id("eee19b7ec3c1b174"), Some(0xeee1_9b7e_c3c1_b174));
        assert_eq!(trace_id(" "), None);
        assert_ne!(trace_id("order 1"), trace_id("order 2"));
        assert_ne!(span_id("00000000000000001"), span_id("1"), "too long to be a number");
        for none in ["root", "", "0", "0000000000000000", "NULL", "-"] {
            assert_eq!(parent_id(none), None, "{none}");
        }
        assert_eq!(parent_id("a"), Some(10));
        assert_eq!(cut(&"é".repeat(400)).len(), MAX_TEXT);
    }
}
