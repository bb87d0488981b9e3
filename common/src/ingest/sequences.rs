//! Ready-made sequences: one session a line, its tokens separated by blanks, with an optional `id,` before
//! them.
//!
//! ```text
//! blk_7,login list item item checkout
//! login profile
//! ```
//!
//! A comma in the first word ends the id; what is before it names the session, and an empty one is no id.

use super::{Malformed, Record, Scratch};

/// The tokens of one session, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens<'a>(&'a str);

impl<'a> Tokens<'a> {
    /// The tokens of a text in which they are separated by blanks.
    pub fn new(text: &'a str) -> Self {
        Tokens(text)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_ascii_start();
        let end = rest.bytes().position(|b| b.is_ascii_whitespace()).unwrap_or(rest.len());
        let (token, behind) = rest.split_at(end);
        self.0 = behind;
        Some(token).filter(|token| !token.is_empty())
    }
}

/// Parses one session.
///
/// # Errors
/// [`Malformed::Missing`] when there is an id and no token.
pub fn parse<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Record<'a>, Malformed> {
    let line = scratch.line.utf8(line);
    let first_word = line.bytes().take_while(|b| !b.is_ascii_whitespace()).count();
    let (id, tokens) = match line[..first_word].find(',') {
        Some(comma) => (Some(&line[..comma]).filter(|id| !id.is_empty()), &line[comma + 1..]),
        None => (None, line),
    };
    if tokens.trim_ascii().is_empty() {
        return Err(Malformed::Missing("session's first token"));
    }
    Ok(Record::Sequence { id, tokens: Tokens(tokens) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(line: &str, want_id: Option<&str>, want: &[&str]) {
        match parse(line.as_bytes(), &mut Scratch::default()) {
            Ok(Record::Sequence { id, tokens }) => {
                assert_eq!(id, want_id, "{line}");
                assert_eq!(tokens.collect::<Vec<_>>(), want, "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn with_and_without_id() {
        check("blk_7,5 5 22", Some("blk_7"), &["5", "5", "22"]);
        check("5  5\t22 ", None, &["5", "5", "22"]);
        check("a b,c", None, &["a", "b,c"]);
        check(",a", None, &["a"]);
        check("id, a,b", Some("id"), &["a,b"]);
        assert!(parse(b"id,", &mut Scratch::default()).is_err());
        assert!(parse(b"id,  ", &mut Scratch::default()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&line, &mut Scratch::default());
        }

        #[test]
        fn tokens_come_back(id in "[a-z0-9]{0,4}", tokens in proptest::collection::vec("[!-+\\--~]{1,5}", 1..9)) {
            let line = format!("{id},{}", tokens.join(" "));
            let want: Vec<&str> = tokens.iter().map(String::as_str).collect();
            check(&line, Some(&id[..]).filter(|id| !id.is_empty()), &want);
        }
    }
}
