//! What of a request may be attacked, in plain letters: paths, values and bodies with their encodings taken off.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::raw::Raw;

/// Bytes of one text that are looked at, at most.
pub(super) const MOST: usize = 2048;

/// How a text was encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Bytes that were written as `%XX`.
    pub escaped: u32,
    /// Bytes that were still written so after that.
    pub twice: u32,
    /// `%uXXXX`, which no standard has.
    pub odd: u32,
}

impl Encoding {
    pub(super) fn add(&mut self, other: Encoding) {
        self.escaped += other.escaped;
        self.twice += other.twice;
        self.odd += other.odd;
    }
}

/// Takes percent signs off, twice where it was done twice, and makes letters small. `plus` stands for a space in queries
/// and forms.
pub(super) fn decode(bytes: &[u8], plus: bool, out: &mut Vec<u8>) -> Encoding {
    let start = out.len();
    let mut encoding = Encoding::default();
    let mut at = 0;
    while at < bytes.len() {
        let (byte, used) = match bytes[at] {
            b'%' => match percent(&bytes[at..]) {
                Some((byte, used)) => {
                    encoding.escaped += u32::from(used == 3);
                    encoding.odd += u32::from(used == 6);
                    (byte, used)
                }
                None => (b'%', 1),
            },
            b'+' if plus => (b' ', 1),
            byte => (byte, 1),
        };
        out.push(byte.to_ascii_lowercase());
        at += used;
    }
    if encoding.escaped > 0 && out[start..].contains(&b'%') {
        encoding.twice = again(out, start);
    }
    encoding
}

/// Decodes what was decoded, in its place.
fn again(out: &mut Vec<u8>, start: usize) -> u32 {
    let (mut from, mut to, mut count) = (start, start, 0);
    while from < out.len() {
        let (byte, used) = percent(&out[from..]).unwrap_or((out[from], 1));
        count += u32::from(used > 1);
        out[to] = byte.to_ascii_lowercase();
        from += used;
        to += 1;
    }
    out.truncate(to);
    count
}

/// The byte that `%XX` or `%uXXXX` at the front stands for, and how long that is.
fn percent(bytes: &[u8]) -> Option<(u8, usize)> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    match bytes {
        [b'%', b'u' | b'U', ..] => {
            let code = (2..6).try_fold(0, |code, at| Some(code * 16 + digit(at)?))?;
            // Full-width forms of ASCII are how filters are got around.
            let code = if (0xff01..=0xff5e).contains(&code) { code - 0xfee0 } else { code };
            Some((u8::try_from(code).unwrap_or(0xff), 6))
        }
        [b'%', ..] => Some(((digit(1)? * 16 + digit(2)?) as u8, 3)),
        _ => None,
    }
}

/// A payload or body, of which Suricata may write a printable form, base64, both or neither.
pub(super) fn bytes(printable: Option<Raw<'_>>, encoded: Option<Raw<'_>>, out: &mut Vec<u8>) {
    if let Some(printable) = printable {
        return printable.decode(out, 2 * MOST);
    }
    let Some(encoded) = encoded.map(Raw::escaped) else {
        return;
    };
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    // JSON may write a slash with a backslash; base64 has no other use for one. Whole groups of four are taken.
    let start = out.len();
    let mut group = [0; 4];
    let mut filled = 0;
    for &letter in encoded.iter().filter(|&&letter| letter != b'\\') {
        if out.len() - start >= 2 * MOST {
            return;
        }
        group[filled] = letter;
        filled += 1;
        if filled == group.len() {
            filled = 0;
            let mut plain = [0; 3];
            match LENIENT.decode_slice(group, &mut plain) {
                Ok(count) => out.extend_from_slice(&plain[..count]),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> (String, Encoding) {
        let mut out = b"x".to_vec();
        let encoding = decode(text.as_bytes(), true, &mut out);
        (String::from_utf8(out.split_off(1)).expect("text"), encoding)
    }

    #[test]
    fn encodings_are_taken_off_and_counted() {
        let is = |escaped, twice, odd| Encoding { escaped, twice, odd };
        assert_eq!(decoded("a+B%20c%27"), ("a b c'".to_owned(), is(2, 0, 0)));
        assert_eq!(decoded("%252e%252E/"), ("../".to_owned(), is(2, 2, 0)));
        assert_eq!(decoded("%u003Cscript%uff1e"), ("<script>".to_owned(), is(0, 0, 2)));
        assert_eq!(decoded("100%zz%4"), ("100%zz%4".to_owned(), is(0, 0, 0)));
        assert_eq!(decoded(""), (String::new(), is(0, 0, 0)));
    }

    #[test]
    fn payloads_come_printable_or_encoded() {
        let plain = |printable: Option<&'static str>, encoded: Option<&'static str>| {
            let raw = |text: Option<&'static str>| text.map(|text| Raw::new(text.as_bytes()));
            let mut out = Vec::new();
            bytes(raw(printable), raw(encoded), &mut out);
            out
        };
        let text = |printable, encoded| String::from_utf8(plain(printable, encoded)).expect("text");
        assert_eq!(text(Some(r"GET /\r\n"), Some("R0VU")), "GET /\r\n");
        assert_eq!(text(None, Some("R0VUIC8=")), "GET /");
        assert_eq!(plain(None, Some(r"\/\/8\/")), b"\xff\xff\x3f");
        assert_eq!(text(None, Some("R0VU!!!!")), "GET");
        assert_eq!(text(None, None), "");
    }
}
