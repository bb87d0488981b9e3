//! A text inside a JSON line, with its escapes as they stand there.

use std::borrow::Cow;

/// The bytes between the quotes of a JSON string, which the scanner has found to be well formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    /// What stands between the quotes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Raw(bytes)
    }

    /// The bytes with the escapes in them.
    pub fn escaped(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no text.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Appends the text without its escapes, as UTF-8, and stops at about `most` bytes more than are there.
    pub fn decode(self, out: &mut Vec<u8>, most: usize) {
        let end = out.len().saturating_add(most);
        let mut rest = self.0;
        while !rest.is_empty() && out.len() < end {
            let plain = rest.iter().position(|&b| b == b'\\').unwrap_or(rest.len());
            let taken = plain.min(end - out.len());
            out.extend_from_slice(&rest[..taken]);
            if taken < plain {
                return;
            }
            rest = unescape(&rest[plain..], out);
        }
    }

    /// The text without its escapes; a half surrogate becomes U+FFFD.
    pub fn text(self) -> Cow<'a, str> {
        if self.0.contains(&b'\\') {
            let mut text = Vec::with_capacity(self.0.len());
            self.decode(&mut text, usize::MAX);
            Cow::Owned(String::from_utf8_lossy(&text).into_owned())
        } else {
            String::from_utf8_lossy(self.0)
        }
    }
}

/// Takes one escape off the front and appends what it stands for.
fn unescape<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let [b'\\', kind, rest @ ..] = bytes else {
        return &[];
    };
    let plain = match kind {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(rest, out),
        other => *other,
    };
    out.push(plain);
    rest
}

fn unicode<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((first, rest)) = hex(bytes) else {
        return &[];
    };
    let pair = match rest {
        [b'\\', b'u', low @ ..] if (0xd800..0xdc00).contains(&first) => hex(low),
        _ => None,
    };
    let (code, rest) = match pair {
        Some((low, rest)) if (0xdc00..0xe000).contains(&low) => {
            (0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00), rest)
        }
        _ => (first, rest),
    };
    let mut buffer = [0; 4];
    let code = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(code.encode_utf8(&mut buffer).as_bytes());
    rest
}

fn hex(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(4)?;
    let code = digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))?;
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_out() {
        let text = |raw: &'static str| Raw::new(raw.as_bytes()).text();
        assert_eq!(text("plain"), "plain");
        assert_eq!(text(r#"a\"b\\c\/d\r\n\t\b\f"#), "a\"b\\c/d\r\n\t\u{8}\u{c}");
        assert_eq!(text(r"\u00e9\u20AC\ud83d\ude00"), "é€😀");
        assert_eq!(text(r"\ud83d!\udc00\ud83d\u0041"), "\u{fffd}!\u{fffd}\u{fffd}A");
        let mut out = b"x".to_vec();
        Raw::new(br"ab\ncd").decode(&mut out, 3);
        assert_eq!(out, b"xab\n");
        // What the scanner would have refused does no harm either.
        for bad in [&b"\\"[..], b"\\u12", b"\\uzzzz"] {
            let _ = Raw::new(bad).text();
        }
    }
}
