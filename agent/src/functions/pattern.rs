//! Globs over names of functions: `*` is any text, `?` any one character, everything else itself.
//!
//! Not the globs of paths: brackets are part of Rust's and C++'s names, and a slash is nothing special. Matching takes
//! at most the product of both lengths, whatever name a hostile binary holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A glob over names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// A pattern that cannot match anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an empty pattern matches no function; \"*\" matches all")]
pub struct EmptyPattern;

impl Pattern {
    /// Whether all of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where the last `*` stands, and how far it reaches: the only place to go back to.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    n += character(name, n);
                }
                Some(byte) if *byte == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, reach)) = star else { return false };
                    let reach = reach + character(name, reach);
                    star = Some((at, reach));
                    (p, n) = (at + 1, reach);
                }
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

/// How many bytes the character at `at` has.
fn character(text: &[u8], at: usize) -> usize {
    1 + text[at + 1..].iter().take_while(|&&byte| byte & 0xc0 == 0x80).count()
}

impl FromStr for Pattern {
    type Err = EmptyPattern;

    fn from_str(text: &str) -> Result<Self, EmptyPattern> {
        if text.is_empty() { Err(EmptyPattern) } else { Ok(Self(text.to_owned())) }
    }
}

impl TryFrom<String> for Pattern {
    type Error = EmptyPattern;

    fn try_from(text: String) -> Result<Self, EmptyPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<Pattern>().expect("a pattern").matches(name)
    }

    #[test]
    fn stars_and_question_marks() {
        assert!(matches("ngx_http_*", "ngx_http_process_request"));
        assert!(!matches("ngx_http_*", "ngx_event_accept"));
        assert!(matches("shop::*::pay", "shop::cart::till::pay"));
        assert!(matches("*<[T]>::*", "core::slice::<[T]>::len"));
        assert!(matches("f?o", "fäo") && !matches("f?o", "fo"));
        assert!(matches("*", "") && !matches("?", ""));
        assert_eq!("".parse::<Pattern>(), Err(EmptyPattern));
    }

    /// What a glob means, as slow and plain as can be.
    fn meaning(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skip| meaning(rest, &name[skip..])),
            Some(('?', rest)) => !name.is_empty() && meaning(rest, &name[1..]),
            Some((c, rest)) => name.first() == Some(c) && meaning(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_fast_matcher_means_the_same(pattern in "[ab*?é]{1,7}", name in "[abé]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), meaning(&chars(&pattern), &chars(&name)));
        }
    }

    #[test]
    fn a_hostile_name_does_not_take_long() {
        assert!(!matches(&format!("{}b", "a*".repeat(30)), &"a".repeat(4096)));
    }
}
