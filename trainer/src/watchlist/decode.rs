//! Bytes that others wrote, as UTF-8 text.
//!
//! What is not UTF-8 in a file of UTF-8 is read as Windows-1252, byte by byte: a few rows with accents of an old system are
//! by far the commonest such fault, and a name with its accents is found where one with a replacement character
//! would not be. Each such line is remembered.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use clap::ValueEnum;
use serde::Deserialize;

/// How many lines with repaired bytes are remembered by number; beyond that they are only counted.
const MAX_LINES: usize = 10_000;

/// How text is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8; single bytes that are not are read as Windows-1252 and reported
    #[default]
    #[value(name = "utf-8")]
    #[serde(rename = "utf-8")]
    Utf8,
    /// ISO 8859-1, read as its superset Windows-1252
    #[value(name = "latin-1")]
    #[serde(rename = "latin-1")]
    Latin1,
}

/// Bytes that are decoded at once.
const CHUNK: u64 = 64 << 10;

/// Which lines had bytes that are not UTF-8.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// The first of the lines, from 1, ascending.
    pub(super) lines: Vec<u64>,
    /// How many lines there are.
    pub(super) count: u64,
    last: u64,
}

/// What 0x80 to 0x9f mean in Windows-1252; 0xfffd where nothing is assigned.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152,
    0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122,
    0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178,
];

/// Reads bytes as text.
pub(super) struct Decoder<R> {
    bytes: R,
    encoding: Encoding,
    repairs: Rc<RefCell<Repairs>>,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    line: u64,
    begun: bool,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(bytes: R, encoding: Encoding, repairs: Rc<RefCell<Repairs>>) -> Self {
        let (raw, text) = (Vec::new(), Vec::new());
        Self { bytes, encoding, repairs, raw, text, at: 0, line: 1, begun: false }
    }

    /// Reads and decodes what comes next.
    fn fill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.at = 0;
        while self.text.is_empty() {
            // A whole chunk at once: what a file's format is told by must not hang on how its bytes arrive.
            let read = self.bytes.by_ref().take(CHUNK).read_to_end(&mut self.raw)?;
            if !self.begun && (self.raw.len() >= 3 || read == 0) {
                self.begun = true;
                self.look_at_mark()?;
            }
            if self.begun {
                self.decode(read == 0);
            }
            if read == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A byte order mark is no text, and UTF-16 is none that is understood.
    fn look_at_mark(&mut self) -> io::Result<()> {
        if self.raw.starts_with(&[0xff, 0xfe]) || self.raw.starts_with(&[0xfe, 0xff]) {
            return Err(io::Error::other(
                "the text is UTF-16: convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)",
            ));
        }
        if self.raw.starts_with(&[0xef, 0xbb, 0xbf]) {
            self.raw.drain(..3);
        }
        Ok(())
    }

    fn decode(&mut self, last: bool) {
        let mut raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_slice();
        if self.encoding == Encoding::Latin1 {
            rest.iter().for_each(|&byte| push(&mut self.text, byte));
            rest = &[];
        }
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.take(text.as_bytes());
                    rest = &[];
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.take(good);
                    rest = bad;
                    let len = match error.error_len() {
                        None if !last => break,
                        None => bad.len(),
                        Some(len) => len,
                    };
                    self.repaired();
                    bad[..len].iter().for_each(|&byte| push(&mut self.text, byte));
                    rest = &bad[len..];
                }
            }
        }
        let kept = raw.len() - rest.len();
        raw.drain(..kept);
        self.raw = raw;
    }

    fn take(&mut self, good: &[u8]) {
        self.line += good.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.text.extend_from_slice(good);
    }

    fn repaired(&mut self) {
        let mut repairs = self.repairs.borrow_mut();
        if repairs.last != self.line {
            repairs.last = self.line;
            repairs.count += 1;
            if repairs.lines.len() < MAX_LINES {
                repairs.lines.push(self.line);
            }
        }
    }
}

/// Adds a byte of Windows-1252.
fn push(text: &mut Vec<u8>, byte: u8) {
    let c = match byte {
        0x80..=0x9f => char::from_u32(u32::from(WINDOWS_1252[usize::from(byte - 0x80)]))
            .unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    };
    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

impl<R: Read> BufRead for Decoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.text.len() {
            self.fill()?;
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let text = self.fill_buf()?;
        let len = text.len().min(out.len());
        out[..len].copy_from_slice(&text[..len]);
        self.consume(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reader that gives a few bytes at a time.
    struct Slow<'b>(&'b [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(out.len());
            out[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn decode(bytes: &[u8], step: usize, encoding: Encoding) -> io::Result<(String, Vec<u64>)> {
        let repairs = Rc::new(RefCell::new(Repairs::default()));
        let mut text = String::new();
        Decoder::new(Slow(bytes, step), encoding, Rc::clone(&repairs)).read_to_string(&mut text)?;
        let lines = repairs.borrow().lines.clone();
        Ok((text, lines))
    }

    #[test]
    fn single_bytes_are_read_as_windows_1252_and_their_lines_named() {
        for step in [1, 2, 3, 64] {
            let bytes = b"\xef\xbb\xbfJos\xe9\nplain \xe9\xe8\n\nKir\xc3\xa1ly\nlast \xe2\x82";
            let (text, lines) = decode(bytes, step, Encoding::Utf8).expect("text");
            assert_eq!(text, "José\nplain éè\n\nKirály\nlast â‚", "{step} bytes at a time");
            assert_eq!(lines, [1, 2, 5], "{step} bytes at a time");
        }
        let (text, lines) = decode(b"Jos\xe9 \x80 \x81", 2, Encoding::Latin1).expect("text");
        assert_eq!((text.as_str(), lines), ("José € \u{fffd}", vec![]));
        let error = decode(b"\xff\xfea\0", 9, Encoding::Utf8).expect_err("UTF-16").to_string();
        assert!(error.contains("UTF-16"), "{error}");
    }

    proptest! {
        #[test]
        fn utf_8_stays_as_it_is_and_anything_becomes_text(
            text in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80), step in 1usize..9
        ) {
            if !text.starts_with('\u{feff}') {
                prop_assert_eq!(decode(text.as_bytes(), step, Encoding::Utf8).expect("text"), (text, vec![]));
            }
            if !bytes.starts_with(&[0xff, 0xfe]) && !bytes.starts_with(&[0xfe, 0xff]) {
                let whole = decode(&bytes, 99, Encoding::Utf8).expect("text");
                prop_assert_eq!(decode(&bytes, step, Encoding::Utf8).expect("text"), whole);
            }
        }
    }
}
