//! JSON documents one after the other, read as a stream: one over many lines, or one a line.
//!
//! Nothing of a document is kept but what its visitor keeps. A text longer than the bound on lines ends the document that
//! it stands in. After one that cannot be read the reading goes on with the next line.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};

use anyhow::Result;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Malformed;
use super::json::Name;
use super::spans::{Found, Visit};

/// What a visitor of documents does with the fields of one kind of object.
pub(super) trait Object {
    /// An object of this kind begins.
    fn begin(&mut self) {}

    /// A field, whose value must be taken from `map` (see [`skip`]).
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// The object ends.
    fn end<E: serde::de::Error>(&mut self) -> Result<(), E> {
        Ok(())
    }
}

/// Takes a field's value and forgets it.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Walks an object, or the objects of a list. Anything else is passed over.
pub(super) struct Walk<'o, O>(pub &'o mut O);

impl<'de, O: Object> DeserializeSeed<'de> for Walk<'_, O> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, O: Object> Visitor<'de> for Walk<'_, O> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.begin();
        while let Some(Name(name)) = map.next_key()? {
            self.0.field(&name, &mut map)?;
        }
        self.0.end()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// Where spans go from inside a document. The JSON parser's error can only say that the visitor wants no more; why is kept
/// until the parser has given up.
pub(super) struct Sink<'d, 'v> {
    visit: &'d mut Visit<'v>,
    stopped: Option<anyhow::Error>,
}

impl<'d, 'v> Sink<'d, 'v> {
    pub(super) fn new(visit: &'d mut Visit<'v>) -> Self {
        Self { visit, stopped: None }
    }

    /// Hands over what was found at a line.
    pub(super) fn give<E: serde::de::Error>(&mut self, line: u64, found: Found<'_>) -> Result<(), E> {
        (self.visit)(line, found).map_err(|error| {
            self.stopped = Some(error);
            E::custom("stopped")
        })
    }

    /// A document could not be read to its end: for `reason`, unless the visitor wanted no more.
    ///
    /// # Errors
    /// The visitor's, now or before.
    pub(super) fn bad(&mut self, line: u64, reason: Malformed) -> Result<()> {
        match self.stopped.take() {
            Some(error) => Err(error),
            None => (self.visit)(line, Err((reason, b""))),
        }
    }
}

/// Walks every document of `bytes`; `bad` is told of each that cannot be read. The line that is being read stands in `line`.
///
/// # Errors
/// When the stream cannot be read, or `bad` fails.
pub(super) fn walk<O: Object>(
    bytes: impl Read,
    max_text: usize,
    line: &Cell<u64>,
    document: &mut O,
    mut bad: impl FnMut(&mut O, u64, Malformed) -> Result<()>,
) -> Result<()> {
    let mut stream = Stream::new(BufReader::with_capacity(64 << 10, bytes), max_text, line);
    while stream.begins_document()? {
        let first = line.get();
        if !matches!(stream.ahead, Some(b'{' | b'[')) {
            bad(document, first, Malformed::NotJson)?;
            stream.last = b' ';
            stream.skip_line()?;
            continue;
        }
        let mut json = serde_json::Deserializer::from_reader(&mut stream);
        if let Err(error) = Walk(&mut *document).deserialize(&mut json) {
            let too_long = stream.text_bytes > max_text;
            if error.is_io() && !too_long {
                return Err(error.into());
            }
            let at = (first + error.line() as u64).saturating_sub(1);
            if line.get() > at {
                stream.give_back();
            }
            bad(document, at, if too_long { Malformed::TooLong } else { Malformed::NotJson })?;
            stream.skip_line()?;
        }
    }
    Ok(())
}

/// Bytes whose lines and texts are measured while they are read.
struct Stream<'l, R> {
    bytes: R,
    line: &'l Cell<u64>,
    max_text: usize,
    /// Bytes of the text that is being read.
    text_bytes: usize,
    in_text: bool,
    escaped: bool,
    /// The byte that comes next, when it was looked at.
    ahead: Option<u8>,
    last: u8,
}

impl<'l, R: Read> Stream<'l, R> {
    fn new(bytes: R, max_text: usize, line: &'l Cell<u64>) -> Self {
        line.set(1);
        Stream {
            bytes,
            line,
            max_text,
            text_bytes: 0,
            in_text: false,
            escaped: false,
            ahead: None,
            last: b'\n',
        }
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.ahead.take() {
            return Ok(Some(byte));
        }
        let mut byte = [0];
        loop {
            match self.bytes.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes over what may stand between documents. Whether there is one more.
    fn begins_document(&mut self) -> io::Result<bool> {
        (self.in_text, self.escaped, self.text_bytes) = (false, false, 0);
        while let Some(byte) = self.next()? {
            match byte {
                b'\n' => self.line.set(self.line.get() + 1),
                // A byte order mark and record separators (RFC 7464) are no documents either.
                b' ' | b'\t' | b'\r' | b',' | 0xef | 0xbb | 0xbf | 0x1e => {}
                _ => {
                    self.ahead = Some(byte);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The parser closes what was open before it gives up, and so looks at what the next line begins with.
    fn give_back(&mut self) {
        if !self.last.is_ascii_whitespace() {
            self.ahead = Some(self.last);
            self.last = b'\n';
        }
    }

    /// Passes over the rest of the line in which reading failed.
    fn skip_line(&mut self) -> io::Result<()> {
        while self.last != b'\n' {
            let Some(byte) = self.next()? else { break };
            self.last = byte;
            if byte == b'\n' {
                self.line.set(self.line.get() + 1);
            }
        }
        Ok(())
    }

    fn measure(&mut self, byte: u8) {
        self.last = byte;
        if byte == b'\n' {
            self.line.set(self.line.get() + 1);
        }
        match byte {
            _ if !self.in_text => {
                self.in_text = byte == b'"';
                self.text_bytes = 0;
                return;
            }
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_text = false,
            _ => {}
        }
        self.text_bytes += 1;
    }
}

impl<R: Read> Read for Stream<'_, R> {
    /// One byte at a time, as the JSON parser asks for them: what is behind a document stays unread.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(slot) = out.first_mut() else { return Ok(0) };
        let Some(byte) = self.next()? else { return Ok(0) };
        self.measure(byte);
        if self.text_bytes > self.max_text {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a text is too long"));
        }
        *slot = byte;
        Ok(1)
    }
}
