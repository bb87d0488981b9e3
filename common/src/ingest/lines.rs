//! Cuts a byte stream into lines of bounded length, in one buffer that is reused.

use std::io::{self, Read};

use memchr::memchr;

/// How much is asked of the stream at once.
const BLOCK: usize = 256 << 10;

/// How much of a line that is too long is kept to show.
const EXCERPT: usize = 256;

/// One line.
pub enum Line<'a> {
    /// Without its line end (`\n` or `\r\n`).
    Text(&'a [u8]),
    /// The beginning of a line that is longer than the bound.
    TooLong(&'a [u8]),
}

/// Reads lines one after the other.
pub struct Lines<R> {
    stream: R,
    max_line: usize,
    buffer: Vec<u8>,
    /// The unread part of the buffer.
    from: usize,
    to: usize,
    at_start: bool,
    at_end: bool,
}

impl<R: Read> Lines<R> {
    /// Reads the lines of `stream`; one longer than `max_line` bytes is skipped, and only its beginning
    /// shown.
    pub fn new(stream: R, max_line: usize) -> Self {
        Lines { stream, max_line, buffer: vec![0; BLOCK], from: 0, to: 0, at_start: true, at_end: false }
    }

    /// The next line; a last line needs no line end. `None` at the end of the stream.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.at_start {
            self.skip_byte_order_mark()?;
        }
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.from..self.to];
            if let Some(found) = memchr(b'\n', &unread[searched..]) {
                let start = self.from;
                let len = searched + found;
                self.from += len + 1;
                return Ok(Some(self.line(start, len)));
            }
            searched = unread.len();
            // One byte more than the bound, for the `\r` of a line end.
            if searched > self.max_line.saturating_add(1) {
                return self.skip_long_line().map(Some);
            }
            if self.at_end {
                let start = self.from;
                self.from = self.to;
                return Ok((searched > 0).then(|| self.line(start, searched)));
            }
            self.fill()?;
        }
    }

    fn line(&self, start: usize, len: usize) -> Line<'_> {
        let line = &self.buffer[start..start + len];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_line {
            Line::TooLong(&line[..line.len().min(EXCERPT)])
        } else {
            Line::Text(line)
        }
    }

    /// Drops everything up to the next line end, keeping the first bytes at the buffer's start to show them.
    fn skip_long_line(&mut self) -> io::Result<Line<'_>> {
        let kept = (self.to - self.from).min(EXCERPT);
        self.buffer.copy_within(self.from..self.from + kept, 0);
        self.from += kept;
        loop {
            if let Some(found) = memchr(b'\n', &self.buffer[self.from..self.to]) {
                self.from += found + 1;
                break;
            }
            (self.from, self.to) = (kept, kept);
            if self.at_end {
                break;
            }
            self.fill_behind()?;
        }
        Ok(Line::TooLong(&self.buffer[..kept]))
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.to == self.buffer.len() {
            // Never past the bound by more than a block: `next` gives up on longer lines before it fills
            // again.
            self.buffer.resize(self.buffer.len() + BLOCK, 0);
        }
        self.fill_behind()
    }

    fn fill_behind(&mut self) -> io::Result<()> {
        loop {
            match self.stream.read(&mut self.buffer[self.to..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => self.to += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        self.at_start = false;
        while self.to < 3 && !self.at_end {
            self.fill()?;
        }
        if self.buffer[..self.to].starts_with(b"\xef\xbb\xbf") {
            self.from = 3;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], max_line: usize, step: usize) -> Vec<(bool, Vec<u8>)> {
        struct Slow<'a>(&'a [u8], usize);
        impl Read for Slow<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let n = self.1.min(self.0.len()).min(out.len());
                out[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let mut lines = Lines::new(Slow(bytes, step), max_line);
        let mut out = Vec::new();
        while let Some(line) = lines.next_line().expect("memory can be read") {
            out.push(match line {
                Line::Text(text) => (true, text.to_vec()),
                Line::TooLong(text) => (false, text.to_vec()),
            });
        }
        out
    }

    #[test]
    fn line_ends_byte_order_mark_and_last_line() {
        let lines = all(b"\xef\xbb\xbfa\r\n\nbc\r\nd", 10, 2);
        let texts: Vec<&[u8]> = lines.iter().map(|(_, text)| &text[..]).collect();
        assert_eq!(texts, [&b"a"[..], b"", b"bc", b"d"]);
        assert!(all(b"", 10, 1).is_empty());
    }

    #[test]
    fn a_line_of_any_length_costs_bounded_memory() {
        let mut lines = Lines::new(io::repeat(b'x').take(50 << 20).chain(&b"\nshort\n"[..]), 1000);
        assert!(matches!(lines.next_line(), Ok(Some(Line::TooLong(text))) if text.len() == EXCERPT));
        assert!(matches!(lines.next_line(), Ok(Some(Line::Text(b"short")))));
        assert!(matches!(lines.next_line(), Ok(None)));
        assert!(lines.buffer.len() <= 2 * BLOCK);
    }

    proptest! {
        /// A wrong cut would silently turn good lines into malformed ones.
        #[test]
        fn equals_a_plain_split(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..60),
                                max_line in 1_usize..6, step in 1_usize..9) {
            let mut want: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
            if want.last() == Some(&&b""[..]) {
                want.pop();
            }
            let want: Vec<(bool, Vec<u8>)> = want.into_iter().map(|line| {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                (line.len() <= max_line, line.to_vec())
            }).collect();
            let got = all(&bytes, max_line, step);
            prop_assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(&want) {
                prop_assert_eq!(got.0, want.0);
                if want.0 {
                    prop_assert_eq!(&got.1, &want.1);
                }
            }
        }
    }
}
