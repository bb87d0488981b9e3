//! Buffers that a line parser may borrow from, and how log text becomes valid UTF-8.

use std::borrow::Cow;

use super::time::Stamps;

/// Memory that parsers reuse from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) stamps: Stamps,
    pub(super) forwarded: bool,
    pub(super) line: Text,
    pub(super) caller: Text,
    pub(super) host: Text,
    pub(super) method: Text,
    pub(super) target: Text,
    pub(super) comm: Text,
}

impl Scratch {
    /// Empty buffers; `forwarded` as in [`super::Options::forwarded`].
    pub fn new(forwarded: bool) -> Self {
        Scratch { forwarded, ..Scratch::default() }
    }
}

/// One reusable text.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// The bytes as text; what is not UTF-8 becomes `%HH`, which is how a client should have sent it.
    pub(super) fn utf8<'a>(&'a mut self, bytes: &'a [u8]) -> &'a str {
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                self.0.clear();
                self.push_lossless(bytes);
                &self.0
            }
        }
    }

    /// A field of an access log, unescaped: `\"`, `\\` and `\xHH` become what they stand for. Bytes that are
    /// not printable, written as `\xHH` or `\n` and its like, become `%HH`.
    pub(super) fn unescaped<'a>(&'a mut self, field: &'a [u8]) -> &'a str {
        if memchr::memchr(b'\\', field).is_none() {
            return self.utf8(field);
        }
        self.0.clear();
        let mut rest = field;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            self.push_lossless(&rest[..at]);
            let (byte, len) = match rest[at + 1..] {
                [b'x', high, low, ..] => match (digit(high), digit(low)) {
                    (Some(high), Some(low)) => (high << 4 | low, 4),
                    _ => (b'\\', 1),
                },
                [b'n', ..] => (b'\n', 2),
                [b'r', ..] => (b'\r', 2),
                [b't', ..] => (b'\t', 2),
                [b'b', ..] => (0x08, 2),
                [b'v', ..] => (0x0b, 2),
                [b'f', ..] => (0x0c, 2),
                [quoted @ (b'"' | b'\\'), ..] => (quoted, 2),
                _ => (b'\\', 1),
            };
            self.push_byte(byte);
            rest = &rest[at + len..];
        }
        self.push_lossless(rest);
        &self.0
    }

    /// Keeps a text that had to be decoded, so that it lives as long as one that had not.
    pub(super) fn keep<'a>(&'a mut self, text: Cow<'a, str>) -> &'a str {
        match text {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => {
                self.0 = text;
                &self.0
            }
        }
    }

    fn push_lossless(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.0.push_str(chunk.valid());
            for &byte in chunk.invalid() {
                self.push_byte(byte);
            }
        }
    }

    fn push_byte(&mut self, byte: u8) {
        if byte == b' ' || byte.is_ascii_graphic() {
            self.0.push(char::from(byte));
        } else {
            self.0.push('%');
            for half in [byte >> 4, byte & 15] {
                self.0.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
            }
        }
    }
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        b'A'..=b'F' => Some(hex - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_apache_and_nginx() {
        let mut text = Text::default();
        assert_eq!(text.unescaped(br#"/a\"b\\c"#), r#"/a"b\c"#);
        assert_eq!(text.unescaped(br"/a\x22b\x5Cc\xC3\xa9\n"), r#"/a"b\c%C3%A9%0A"#);
        assert_eq!(text.unescaped(br"/odd\q\x2\xzz\"), r"/odd\q\x2\xzz\");
        assert_eq!(text.unescaped("/é".as_bytes()), "/é");
        assert_eq!(text.unescaped(b"/\xff\\\\\xfe"), r"/%FF\%FE");
    }
}
