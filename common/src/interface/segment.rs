//! Segments of a path: splitting a target, and telling values from words by their form.

use std::fmt;

/// The form of a path segment that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Decimal digits.
    Int,
    /// A UUID in its usual hyphenated form.
    Uuid,
    /// A date, `YYYY-MM-DD`.
    Date,
    /// Eight or more hexadecimal digits, some of them decimal.
    Hex,
    /// An e-mail address.
    Email,
    /// A long mix of the base64 alphabet.
    Base64,
    /// Letters mixed with three digits or more, or something too long to be a word.
    Opaque,
    /// Any one segment.
    Any,
    /// Everything to the end of the path.
    Rest,
}

impl Kind {
    /// Every kind, with the name it has between braces.
    const NAMES: [(Self, &'static str); 9] = [
        (Self::Int, "int"),
        (Self::Uuid, "uuid"),
        (Self::Date, "date"),
        (Self::Hex, "hex"),
        (Self::Email, "email"),
        (Self::Base64, "base64"),
        (Self::Opaque, "opaque"),
        (Self::Any, "*"),
        (Self::Rest, "**"),
    ];

    /// The name between the braces.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("*", |(_, name)| name)
    }

    /// The kind a name in braces stands for. A name that is no kind's, such as an OpenAPI parameter, is [`Kind::Any`].
    fn from_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::Any, |(kind, _)| *kind)
    }

    /// The form of `stem`, or `None` for a word.
    pub fn of(stem: &str) -> Option<Self> {
        let bytes = stem.as_bytes();
        let mut count = Classes::default();
        for &byte in bytes {
            count.add(byte);
        }
        if bytes.is_empty() {
            return None;
        }
        if count.digit == bytes.len() {
            return Some(Self::Int);
        }
        if count.digit == 0 && bytes.len() < 20 && count.at == 0 {
            return None;
        }
        let hyphens = |places: &[usize]| {
            count.hyphen == places.len() && places.iter().all(|&place| bytes[place] == b'-')
        };
        if bytes.len() == 36 && count.hex + count.hyphen == 36 && hyphens(&[8, 13, 18, 23]) {
            return Some(Self::Uuid);
        }
        if bytes.len() == 10 && count.digit == 8 && hyphens(&[4, 7]) {
            return Some(Self::Date);
        }
        if bytes.len() >= 8 && count.hex == bytes.len() && count.digit > 0 {
            return Some(Self::Hex);
        }
        if count.at == 1
            && stem.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
        {
            return Some(Self::Email);
        }
        let base64 = count.digit + count.lower + count.upper + count.hyphen + count.base64;
        if bytes.len() >= 20 && base64 == bytes.len() && count.digit > 0 && count.lower > 0 && count.upper > 0
        {
            return Some(Self::Base64);
        }
        (count.digit >= 3 || bytes.len() > 64).then_some(Self::Opaque)
    }
}

#[derive(Default)]
struct Classes {
    digit: usize,
    hex: usize,
    lower: usize,
    upper: usize,
    hyphen: usize,
    at: usize,
    base64: usize,
}

impl Classes {
    fn add(&mut self, byte: u8) {
        match byte {
            b'0'..=b'9' => {
                self.digit += 1;
                self.hex += 1;
            }
            b'a'..=b'z' => {
                self.lower += 1;
                self.hex += usize::from(byte <= b'f');
            }
            b'A'..=b'Z' => {
                self.upper += 1;
                self.hex += usize::from(byte <= b'F');
            }
            b'-' => self.hyphen += 1,
            b'@' => self.at += 1,
            b'_' | b'+' | b'=' => self.base64 += 1,
            _ => {}
        }
    }
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment<'a> {
    /// A word that stands for itself.
    Literal(&'a str),
    /// A value of a kind, with the extension that follows it (without its dot; empty for none).
    Value(Kind, &'a str),
}

impl<'a> Segment<'a> {
    /// Reads a segment as templates write it: `word`, `{int}`, `{*}.png`, `{**}`.
    pub fn parse(text: &'a str) -> Self {
        let Some((name, tail)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Self::Literal(text);
        };
        match tail.strip_prefix('.') {
            Some(extension) if !extension.is_empty() => Self::Value(Kind::from_name(name), extension),
            _ if tail.is_empty() => Self::Value(Kind::from_name(name), ""),
            _ => Self::Literal(text),
        }
    }

    /// What a segment of a real path is: a value where its form says so, else a word.
    pub fn of(text: &'a str) -> Self {
        let (stem, extension) = split_extension(text);
        match Kind::of(stem) {
            Some(kind) => Self::Value(kind, extension),
            None if text.len() > 64 => Self::Value(Kind::Opaque, ""),
            None => Self::Literal(text),
        }
    }
}

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Braces would read as a template, and these separate the parts of a name.
            Self::Literal(text) => text.chars().try_for_each(|c| match c {
                '{' | '}' | '?' | ' ' | '%' => write!(f, "%{:02X}", c as u32),
                c if c.is_control() => {
                    c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "%{byte:02X}"))
                }
                c => write!(f, "{c}"),
            }),
            Self::Value(kind, "") => write!(f, "{{{}}}", kind.name()),
            Self::Value(kind, extension) => write!(f, "{{{}}}.{extension}", kind.name()),
        }
    }
}

/// Splits a file extension off: one to five letters or digits, not all digits, after the last dot.
pub(super) fn split_extension(text: &str) -> (&str, &str) {
    match text.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && (1..=5).contains(&extension.len())
                && extension.bytes().all(|b| b.is_ascii_alphanumeric())
                && extension.bytes().any(|b| b.is_ascii_alphabetic())
                && !stem.contains('@') =>
        {
            (stem, extension)
        }
        _ => (text, ""),
    }
}

/// A request target taken apart; see [`split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority, where the target names one (absolute form).
    pub authority: &'a str,
    /// The path, percent-decoded where that changes nothing but the spelling.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
}

impl<'a> Target<'a> {
    /// The path's segments that hold something.
    pub fn segments(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.path.split('/').filter(|segment| !segment.is_empty())
    }

    /// The query's parameter names, sorted, each once; at most [`MAX_PARAMETERS`] of them, in `names`. What has the form
    /// of a value is none.
    pub fn parameters<'n>(&self, names: &'n mut [&'a str; MAX_PARAMETERS]) -> &'n [&'a str] {
        let mut len = 0;
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()).take(4 * MAX_PARAMETERS) {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            let name = &name[..name.floor_char_boundary(MAX_PARAMETER_LEN)];
            // A value without a name (`?20261122`, a token) is no name.
            if len < MAX_PARAMETERS
                && !name.is_empty()
                && Kind::of(name).is_none()
                && let Err(place) = names[..len].binary_search(&name)
            {
                names.copy_within(place..len, place + 1);
                names[place] = name;
                len += 1;
            }
        }
        &names[..len]
    }
}

/// How many query parameters take part in a name.
pub const MAX_PARAMETERS: usize = 16;
const MAX_PARAMETER_LEN: usize = 64;

/// Takes a request target apart. A path with percent signs is decoded into `scratch`, so that `/%61dmin` cannot hide
/// from the name `/admin`; an encoded slash becomes one, as most servers read it.
pub fn split<'a>(target: &'a str, scratch: &'a mut String) -> Target<'a> {
    let target = target.split_once('#').map_or(target, |(before, _)| before);
    let (rest, query) = target.split_once('?').unwrap_or((target, ""));
    let (authority, path) = match rest.split_once("://") {
        Some((_, after)) if !rest.starts_with('/') => {
            after.find('/').map_or((after, "/"), |slash| after.split_at(slash))
        }
        _ => ("", rest),
    };
    let path = if memchr_percent(path) {
        decode(path, scratch);
        scratch.as_str()
    } else {
        path
    };
    Target { authority, path, query }
}

fn memchr_percent(path: &str) -> bool {
    path.as_bytes().contains(&b'%')
}

fn decode(path: &str, out: &mut String) {
    out.clear();
    let bytes = path.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) if high < 8 => {
                out.push(char::from((high * 16 + low) as u8));
                at += 3;
            }
            // Bytes outside ASCII stay encoded: decoding them could yield broken UTF-8.
            _ => {
                let next =
                    (at + 1..=bytes.len()).find(|&end| path.is_char_boundary(end)).unwrap_or(bytes.len());
                out.push_str(&path[at..next]);
                at = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_words() {
        for (text, expected) in [
            ("items", None),
            ("v1", None),
            ("oauth2", None),
            ("42", Some(Kind::Int)),
            ("123e4567-e89b-12d3-a456-426614174000", Some(Kind::Uuid)),
            ("2026-11-22", Some(Kind::Date)),
            ("deadbeef01", Some(Kind::Hex)),
            ("ann@example.org", Some(Kind::Email)),
            ("eyJhbGciOiJIUzI1NiIsInR5", Some(Kind::Base64)),
            ("order-12345", Some(Kind::Opaque)),
            ("semicomplete", None),
            ("internationalisation-guide", None),
        ] {
            assert_eq!(Kind::of(text), expected, "{text}");
        }
    }

    #[test]
    fn templates_read_back_as_written() {
        for text in ["items", "{int}", "{*}.png", "{**}", "{uuid}.json"] {
            assert_eq!(Segment::parse(text).to_string(), text);
        }
        assert_eq!(Segment::of("12345.json"), Segment::Value(Kind::Int, "json"));
        assert_eq!(Segment::of("{int}").to_string(), "%7Bint%7D");
    }

    #[test]
    fn targets_are_taken_apart() {
        let mut scratch = String::new();
        let mut names = [""; MAX_PARAMETERS];
        let target = split("http://shop.example/%61dmin//x?b=1&a=&b=2#f", &mut scratch);
        assert_eq!(target.authority, "shop.example");
        assert_eq!(target.segments().collect::<Vec<_>>(), ["admin", "x"]);
        assert_eq!(target.parameters(&mut names), ["a", "b"]);
        let mut names = [""; MAX_PARAMETERS];
        let target = split("/x?20261122&eyJhbGciOiJIUzI1NiIsInR5&logout", &mut scratch);
        assert_eq!(target.parameters(&mut names), ["logout"]);
    }
}
