//! The one member that is added to an alert's line, `"gait":{...}`: put before the line's last brace, and taken out again.
//!
//! All other bytes stay as they are: numbers keep their digits, texts their escapes, fields their order.

use std::io::Write as _;

use memchr::memmem;

/// How the member begins, with the comma that parts it from what stands before.
pub(super) const BEGIN: &[u8] = b",\"gait\":{\"verdict\":";

/// Where the member of `line` is, from its comma to its closing brace; `None` when the line does not end with one.
///
/// Inside of a JSON string a quote is escaped, so what looks like the member's beginning is one.
pub(super) fn find(line: &[u8]) -> Option<std::ops::Range<usize>> {
    let line = line.trim_ascii_end();
    if !line.ends_with(b"}}") {
        return None;
    }
    let start = memmem::find_iter(line, BEGIN).last()?;
    let object = &line[start + b",\"gait\":".len()..line.len() - 1];
    // Nothing but the line's own brace may follow: a member of an inner object is not ours.
    serde_json::from_slice::<serde::de::IgnoredAny>(object).ok()?;
    Some(start..line.len() - 1)
}

/// The line without its member, in the two parts that stand before and after it.
pub fn without(line: &[u8]) -> (&[u8], &[u8]) {
    match find(line) {
        Some(member) => (&line[..member.start], &line[member.end..]),
        None => (line, &[]),
    }
}

/// Appends a text as a JSON string.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail, here and below.
    let _ = serde_json::to_writer(out, text);
}

/// Appends anything that displays itself without quotes and backslashes, as a JSON string.
pub(super) fn push_plain(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "\"{value}\"");
}

/// Appends a number from 0 to 1, with so many digits behind the point. Formatting floats in general takes several times as long.
pub(super) fn push_share<const DIGITS: usize>(out: &mut Vec<u8>, share: f32) {
    let scale = 10_u32.pow(DIGITS as u32);
    let mut rest = (share.clamp(0.0, 1.0) * scale as f32).round() as u32;
    let start = out.len();
    out.extend_from_slice(if rest >= scale { b"1." } else { b"0." });
    out.resize(start + 2 + DIGITS, b'0');
    for digit in out[start + 2..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_the_digits_that_the_standard_library_gives_them() {
        let pushed = |share: f32| {
            let mut out = Vec::new();
            push_share::<4>(&mut out, share);
            String::from_utf8(out).expect("digits")
        };
        for share in [0.0, 1.0, 0.5, 0.0312, 0.99994, 0.99996, 0.7, f32::MIN_POSITIVE] {
            assert_eq!(pushed(share), format!("{share:.4}"));
        }
        assert_eq!(
            (pushed(-1.0), pushed(7.0), pushed(f32::NAN)),
            ("0.0000".into(), "1.0000".into(), "0.0000".into())
        );
    }

    #[test]
    fn the_member_is_found_only_where_it_was_put() {
        let line = br#"{"a":{"b":1},"gait":{"verdict":"real","reasons":["x}"]}}"#;
        assert_eq!(without(line), (&br#"{"a":{"b":1}"#[..], &b"}"[..]));
        assert_eq!(without(b"{\"a\":1,\"gait\":{\"verdict\":1}} \n"), (&b"{\"a\":1"[..], &b"} \n"[..]));
        for other in [
            r#"{"a":",\"gait\":{\"verdict\":1}}"}"#,
            r#"{"a":{"b":1,"gait":{"verdict":1}}}"#,
            r#"{"a":1,"gait":{"verdict":1},"b":{"c":1}}"#,
            r#"{"a":1,"gait":{"other":1}}"#,
            "}}",
            "",
        ] {
            assert_eq!(without(other.as_bytes()).0, other.as_bytes());
        }
    }
}
