//! Objects of JSON: one a line, or the elements of one list.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, ensure};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::rows::{Line, Lines};
use super::sink::Sink;

/// Most bytes of one object.
const MAX_OBJECT: usize = 16 << 20;

/// Hands over every object with the line it begins or ends at. A line that is no object is rejected; a list that is
/// broken is an error, since nobody knows how much of it is missing.
///
/// # Errors
/// When the text cannot be read, a list is broken, or `visit` fails.
pub(super) fn objects(
    mut text: impl BufRead,
    sink: &mut Sink<'_>,
    mut visit: impl FnMut(u64, &Value, &mut Sink<'_>) -> Result<()>,
) -> Result<()> {
    let mut blank = 0;
    loop {
        let chunk = text.fill_buf()?;
        match chunk.first() {
            Some(b'\n') => blank += 1,
            Some(byte) if byte.is_ascii_whitespace() => {}
            Some(b'[') => return elements(text, blank, sink, visit),
            _ => break,
        }
        text.consume(1);
    }
    let mut lines = Lines::new(text, MAX_OBJECT);
    while let Some((number, line)) = lines.next()? {
        let number = number + blank;
        match line {
            Line::Text(line) if line.trim().is_empty() => {}
            Line::Text(line) => match serde_json::from_str(&line) {
                Ok(object @ Value::Object(_)) => visit(number, &object, sink)?,
                Ok(_) => sink.reject(number, "", "row", "is no JSON object", &line)?,
                Err(error) => {
                    let reason = format!(
                        "is no whole JSON object: {} (column {}); write one object a line, or one list",
                        word(&error),
                        error.column()
                    );
                    sink.reject(number, "", "row", reason, &line)?;
                }
            },
            Line::TooLong(start) => sink.reject(number, "", "row", "is longer than 16 MiB", &start)?,
        }
    }
    Ok(())
}

fn word(error: &serde_json::Error) -> &'static str {
    if error.is_eof() { "it ends too early" } else { "its syntax is wrong" }
}

fn elements(
    text: impl BufRead,
    blank: u64,
    sink: &mut Sink<'_>,
    mut visit: impl FnMut(u64, &Value, &mut Sink<'_>) -> Result<()>,
) -> Result<()> {
    let line = Rc::new(Cell::new(1 + blank));
    let since = Rc::new(Cell::new(0));
    let paced = Paced { text, line: Rc::clone(&line), since: Rc::clone(&since) };
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_reader(paced);
    let each = Each {
        visit: |value: Value| {
            since.set(0);
            let done = match value {
                object @ Value::Object(_) => visit(line.get(), &object, sink),
                other => sink.reject(line.get(), "", "row", "is no JSON object", &other.to_string()),
            };
            done.map_err(|error| failed = Some(error)).is_ok()
        },
    };
    let read = each.deserialize(&mut json).and_then(|()| json.end());
    if let Some(error) = failed {
        return Err(error);
    }
    read.map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("line {}: the JSON list is broken or cut short", line.get()))
}

/// Hands over the elements of a list; `visit` says whether it wants more.
struct Each<F> {
    visit: F,
}

impl<'de, F: FnMut(Value) -> bool> DeserializeSeed<'de> for Each<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Value) -> bool> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element()? {
            if !(self.visit)(value) {
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// Text of which no more than a bound is read for one element.
struct Paced<R> {
    text: R,
    line: Rc<Cell<u64>>,
    since: Rc<Cell<usize>>,
}

impl<R: BufRead> Read for Paced<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > MAX_OBJECT {
            return Err(io::Error::other("an element is longer than 16 MiB"));
        }
        let read = self.text.read(out)?;
        let lines = out[..read].iter().filter(|&&byte| byte == b'\n').count();
        self.line.set(self.line.get() + lines as u64);
        self.since.set(self.since.get() + read);
        Ok(read)
    }
}

/// The texts that a value holds: its own, or those of its elements. Objects hold none.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(flag) => vec![flag.to_string()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

/// The values at a path like `person.names.full`; lists on the way are walked through.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    path.split('.').fold(vec![value], |values, key| {
        let elements = values.into_iter().flat_map(|value| match value {
            Value::Array(list) => list.iter().collect(),
            other => vec![other],
        });
        elements.filter_map(|value| value.get(key)).collect()
    })
}

/// Refuses what has no object at all, e.g. a page of HTML that an error made.
pub(super) fn some_rows(sink: &Sink<'_>) -> Result<()> {
    let counts = &sink.counts;
    ensure!(counts.rows + counts.passed_over > 0, "it holds no rows");
    Ok(())
}
