//! The name that a request's bytes spell.

use gait_common::caller::Identity;

use crate::screen::MAX_TEXT;

/// The name in a header, a claim, a cookie or a certificate's subject: percent signs undone, as UTF-8, or as Latin-1 where
/// it is none, without control characters and no longer than what is looked up.
pub(super) fn of(identity: &Identity, value: &[u8]) -> String {
    let text = text(value);
    let text = match identity {
        Identity::ClientCert(_) => common_name(&text).unwrap_or(&text),
        _ => &text,
    };
    clean(text)
}

/// One blank for whatever is blank, no soft hyphens, and the beginning of what is still too long: a name that somebody pads
/// is to be looked up all the same.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT));
    let mut blank = false;
    for c in text.chars().filter(|&c| c != '\u{ad}') {
        if c.is_control() || c.is_whitespace() {
            blank = !out.is_empty();
            continue;
        }
        if out.len() + usize::from(blank) + c.len_utf8() > MAX_TEXT {
            break;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn text(value: &[u8]) -> String {
    let undone = if value.contains(&b'%') { without_percents(value) } else { None };
    let bytes = undone.as_deref().unwrap_or(value);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            // A value that was cut within a character keeps what is whole.
            let (whole, rest) = bytes.split_at(error.valid_up_to());
            match std::str::from_utf8(whole) {
                Ok(whole) if error.error_len().is_none() && rest.len() < 4 && !whole.is_ascii() => {
                    whole.to_owned()
                }
                _ => bytes.iter().map(|&byte| char::from(byte)).collect(),
            }
        }
    }
}

/// `%E5%8D%95` as the bytes it stands for; `None` when a percent sign is not followed by two digits, or when no UTF-8 comes
/// of it.
fn without_percents(value: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push((high << 4 | low) as u8);
    }
    std::str::from_utf8(&bytes).is_ok().then_some(bytes)
}

/// The common name of a certificate's subject, as RFC 2253 or OpenSSL write it.
fn common_name(subject: &str) -> Option<&str> {
    let parts = subject.split([',', '/']).map(str::trim);
    parts.filter_map(|part| part.split_once('=')).find_map(|(key, value)| {
        (key.trim().eq_ignore_ascii_case("cn") && !value.trim().is_empty()).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use gait_common::identity::Query;

    use super::*;
    use crate::screen::check;

    #[test]
    fn names_are_read_as_headers_spell_them() {
        let header = Identity::Header("x-user".to_owned());
        for (value, name) in [
            (&b"Ivan Ivanov"[..], "Ivan Ivanov"),
            ("单雄信".as_bytes(), "单雄信"),
            (b"%E5%8D%95%20x", "单 x"),
            (b"100% sure", "100% sure"),
            (b"Jos\xe9", "José"),
            (&"单单".as_bytes()[..5], "单"),
            (b"a\x1b[2J\x00b", "a [2J b"),
        ] {
            assert_eq!(of(&header, value), name, "{value:?}");
        }
    }

    #[test]
    fn a_name_that_is_padded_is_looked_up() {
        let header = Identity::Header("x-user".to_owned());
        for padding in [0xad, 0xa0, b' ', b'\t'] {
            let value = [&b"Osama"[..], &[padding; 500], b" bin Laden", &[padding; 600]].concat();
            let name = of(&header, &value);
            assert_eq!(name, "Osama bin Laden", "{padding:x}");
            assert_eq!(check(&Query::name(name)), Ok(()));
        }
        let long = of(&header, &[b"Jos".as_slice(), &[0xe9; 1000]].concat());
        assert_eq!(long.len(), MAX_TEXT - 1, "cut between characters");
    }

    #[test]
    fn of_a_certificate_the_common_name_counts() {
        let cert = Identity::ClientCert("x-subject".to_owned());
        for subject in ["CN=Ivan Ivanov,O=Shop,C=RU", "/C=RU/O=Shop/CN=Ivan Ivanov", "Ivan Ivanov"] {
            assert_eq!(of(&cert, subject.as_bytes()), "Ivan Ivanov", "{subject}");
        }
    }
}
