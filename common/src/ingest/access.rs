//! Access logs of Apache and nginx in "common" and "combined" form.
//!
//! ```text
//! 192.0.2.7 - alice [17/May/2015:10:05:03 +0000] "GET /cart?id=7 HTTP/1.1" 200 512 "https://shop/" "curl/8"
//! address   id user  time                         request                  status size [referrer   agent]
//! ```
//!
//! The caller is the user, or the address where there is none. The time is taken as the request's start;
//! these logs carry whole seconds and no duration. Of "combined" the referrer must begin, but nothing behind
//! the size is used. A request that is not HTTP (`-`, the bytes of a TLS handshake) is
//! [`Malformed::NotHttp`].

use crate::call::Call;
use memchr::{memchr, memchr2};

use super::time::Stamps;
use super::{Malformed, Record, Scratch};

/// Longest request method that is believed.
const MAX_METHOD: usize = 32;

/// Parses a line of the "combined" log format.
///
/// # Errors
/// The first thing that is wrong with the line.
pub fn parse_combined<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Record<'a>, Malformed> {
    let (call, rest) = parse(line, scratch)?;
    if !rest.starts_with(b" \"") {
        return Err(Malformed::Missing("referrer"));
    }
    Ok(Record::Call(call))
}

/// Parses a line of the "common" log format; whatever follows the size is ignored.
///
/// # Errors
/// The first thing that is wrong with the line.
pub fn parse_common<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Record<'a>, Malformed> {
    parse(line, scratch).map(|(call, _)| Record::Call(call))
}

fn parse<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<(Call<'a>, &'a [u8]), Malformed> {
    let (address, rest) = word(line).ok_or(Malformed::Missing("address"))?;
    let (_identity, rest) = word(rest).ok_or(Malformed::Missing("identity"))?;
    // A user name may hold blanks, so the time's bracket ends it.
    let bracket = memchr(b'[', rest).ok_or(Malformed::Missing("time"))?;
    let user = rest[..bracket].strip_suffix(b" ").ok_or(Malformed::Missing("user"))?;
    let (stamp, rest) =
        rest[bracket + 1..].split_at_checked(Stamps::LEN).ok_or(Malformed::Missing("time"))?;
    let start = scratch.stamps.clf(stamp).ok_or(Malformed::Bad("time"))?;
    let rest = rest.strip_prefix(b"] \"").ok_or(Malformed::Missing("request"))?;
    let end = closing_quote(rest).ok_or(Malformed::Bad("request"))?;
    let (method, target) = split_request(&rest[..end])?;
    let rest = rest[end + 1..].strip_prefix(b" ").ok_or(Malformed::Missing("status"))?;
    let (code, rest) = word(rest).ok_or(Malformed::Missing("size"))?;
    let status = status(code).ok_or(Malformed::Bad("status"))?;
    let size_len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = match size_len {
        0 => rest.strip_prefix(b"-").ok_or(Malformed::Bad("size"))?,
        len => &rest[len..],
    };
    let caller = match user {
        b"-" | b"" | b"\"\"" => address,
        user => user,
    };
    let call = Call {
        start,
        method,
        target: scratch.target.unescaped(target),
        status,
        caller: scratch.caller.unescaped(caller),
        ..Call::default()
    };
    Ok((call, rest))
}

/// Takes the request line of a log apart into method and target.
///
/// The protocol may be missing (HTTP/0.9) when the target is a path. A target may hold blanks, as servers log
/// what they got.
pub(super) fn split_request(request: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let blank = memchr(b' ', request).ok_or(Malformed::NotHttp)?;
    let (method, rest) = (&request[..blank], &request[blank + 1..]);
    let method = std::str::from_utf8(method).ok().filter(|m| is_method(m)).ok_or(Malformed::NotHttp)?;
    let target = match memchr::memrchr(b' ', rest) {
        Some(at) if rest[at + 1..].starts_with(b"HTTP/") => &rest[..at],
        None if rest.starts_with(b"/") => rest,
        _ => return Err(Malformed::NotHttp),
    };
    if target.is_empty() { Err(Malformed::NotHttp) } else { Ok((method, target)) }
}

/// Whether a text can be a request method.
pub(super) fn is_method(text: &str) -> bool {
    text.len() <= MAX_METHOD
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'_')
}

/// A status code of at most three digits; `-` is 0, unknown.
pub(super) fn status(code: &[u8]) -> Option<u16> {
    match code {
        b"-" => Some(0),
        [_] | [_, _] | [_, _, _] => code
            .iter()
            .try_fold(0, |status, &b| b.is_ascii_digit().then(|| status * 10 + u16::from(b - b'0'))),
        _ => None,
    }
}

fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr(b' ', line).filter(|&at| at > 0)?;
    Some((&line[..blank], &line[blank + 1..]))
}

/// The offset of the first quote that no backslash escapes.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: &str =
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /cart?id=7 HTTP/1.1" 200 512 "-" "curl/8""#;

    fn call<'a>(line: &'a str, scratch: &'a mut Scratch) -> Call<'a> {
        match parse_combined(line.as_bytes(), scratch) {
            Ok(Record::Call(call)) => call,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn reason(line: &str) -> Malformed {
        parse_combined(line.as_bytes(), &mut Scratch::default()).expect_err(line)
    }

    #[test]
    fn fields_of_a_line() {
        let want = Call {
            start: 1_431_857_103_000_000_000,
            method: "GET",
            target: "/cart?id=7",
            status: 200,
            caller: "192.0.2.7",
            ..Call::default()
        };
        assert_eq!(call(PLAIN, &mut Scratch::default()), want);
        let named = PLAIN.replace("- - [", "- Jane Doe [").replace("200 512", "304 -");
        let want = Call { caller: "Jane Doe", status: 304, ..want };
        assert_eq!(call(&named, &mut Scratch::default()), want);
    }

    #[test]
    fn quotes_blanks_and_bytes_in_a_target() {
        for (logged, target) in [
            (r#"/a\"b HTTP/1.0"#, r#"/a"b"#),
            (r"/a\x22\xFF HTTP/1.1", r#"/a"%FF"#),
            ("/two words HTTP/1.1", "/two words"),
            ("/old", "/old"),
            (r"/end\\ HTTP/1.1", r"/end\"),
            ("* HTTP/1.1", "*"),
        ] {
            let line = PLAIN.replace("/cart?id=7 HTTP/1.1", logged);
            assert_eq!(call(&line, &mut Scratch::default()).target, target);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let request = |text| reason(&PLAIN.replace("GET /cart?id=7 HTTP/1.1", text));
        for noise in ["-", r"\x16\x03\x01", "SSH-2.0-Go", "quit now", "", "GET  HTTP/1.1", r"\n / HTTP/1.1"] {
            assert_eq!(request(noise), Malformed::NotHttp, "{noise}");
        }
        assert_eq!(reason(&PLAIN[..60]), Malformed::Bad("request"));
        assert_eq!(reason(&PLAIN.replace("May", "Mai")), Malformed::Bad("time"));
        assert_eq!(reason(&PLAIN.replace(" 200 ", " 20x ")), Malformed::Bad("status"));
        assert_eq!(reason(&PLAIN.replace(r#" "-" "curl/8""#, "")), Malformed::Missing("referrer"));
        assert_eq!(reason("error: disk full"), Malformed::Missing("time"));
        assert!(
            parse_common(PLAIN.replace(r#" "-" "curl/8""#, "").as_bytes(), &mut Scratch::default()).is_ok()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut line in proptest::collection::vec(any::<u8>(), 0..80), at in 0..PLAIN.len()) {
            let mut scratch = Scratch::default();
            let _ = parse_combined(&line, &mut scratch);
            let tail = line.split_off(line.len() / 2);
            let spliced = [&PLAIN.as_bytes()[..at], &tail, &PLAIN.as_bytes()[at..]].concat();
            let _ = parse_combined(&spliced, &mut scratch);
        }

        /// What a server escapes the usual way comes back as it was sent.
        #[test]
        fn escaped_targets_come_back(target in "/[ -~]{0,40}", status in 100_u16..600, hex in any::<bool>()) {
            prop_assume!(!target.ends_with(' '));
            let escaped = if hex {
                target.replace('\\', r"\x5C").replace('"', r"\x22")
            } else {
                target.replace('\\', r"\\").replace('"', "\\\"")
            };
            let line = PLAIN.replace("/cart?id=7", &escaped).replace(" 200 ", &format!(" {status} "));
            let mut scratch = Scratch::default();
            let call = call(&line, &mut scratch);
            prop_assert_eq!(call.target, target);
            prop_assert_eq!(call.status, status);
        }
    }
}
