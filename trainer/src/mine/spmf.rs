//! Sequences and patterns in the text form of the SPMF library.
//!
//! ```text
//! 1 -1 1 2 3 -1 4 -1 -2        a sequence: items, -1 after each element, -2 at the end
//! 1 -1 3 -1 #SUP: 4            a pattern and its support
//! ```
//!
//! Lines that begin with `#`, `%` or `@` are comments.

use std::fmt;
use std::io::{self, Read, Write};

use anyhow::{Context, Result, bail};

use super::{Database, Patterns};
use crate::ingest::lines::{Line, Lines};

/// Longest line in bytes.
const MAX_LINE: usize = 64 << 20;

/// Reads sequences and adds them to a database.
///
/// # Errors
/// A read error, or the number of the first line that is not a sequence, with what is wrong.
pub fn read(bytes: impl Read, database: &mut Database) -> Result<()> {
    let mut lines = Lines::new(bytes, MAX_LINE);
    let mut number = 0;
    while let Some(line) = lines.next_line()? {
        number += 1;
        let Line::Text(line) = line else { bail!("line {number} is longer than {MAX_LINE} bytes") };
        if line.trim_ascii_start().is_empty() || matches!(line[0], b'#' | b'%' | b'@') {
            continue;
        }
        parse(line, database).with_context(|| format!("line {number} is not a sequence"))?;
    }
    Ok(())
}

/// Adds the sequence of one line.
///
/// # Errors
/// What is wrong with the line; the database then holds the elements before that in an unfinished state and
/// is of no use.
fn parse(line: &[u8], database: &mut Database) -> Result<()> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut element = Vec::new();
    for word in &mut words {
        match word {
            b"-1" => {
                database.push_element(&element);
                element.clear();
            }
            b"-2" => {
                if !element.is_empty() {
                    bail!("its last element does not end with -1");
                }
                database.end_sequence();
                return match words.next() {
                    None => Ok(()),
                    Some(word) => bail!("{:?} follows its end", word.escape_ascii().to_string()),
                };
            }
            word => element.push(item(word).with_context(|| {
                format!("{:?} is not an item (a whole number below 2^32)", word.escape_ascii().to_string())
            })?),
        }
    }
    bail!("it does not end with -2")
}

fn item(word: &[u8]) -> Option<u32> {
    word.iter().try_fold(0_u32, |item, &b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        item.checked_mul(10)?.checked_add(digit)
    })
}

/// Writes patterns, one a line, each item as `name` shows it.
///
/// # Errors
/// A write error.
pub fn write<N: fmt::Display>(
    patterns: &Patterns,
    mut out: impl Write,
    name: impl Fn(u32) -> N,
) -> io::Result<()> {
    for pattern in patterns.iter() {
        for element in pattern.elements() {
            for &item in element {
                write!(out, "{} ", name(item))?;
            }
            write!(out, "-1 ")?;
        }
        writeln!(out, "#SUP: {}", pattern.support())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mine::{Params, Support, mine};

    #[test]
    fn sequences_in_patterns_out() {
        let text = "# a comment\r\n1 -1 3 2 2 -1 -2\n\n2 -1  1 -1 2 3 -1 -2\r\n1 -1 -1 -2\n-2";
        let mut database = Database::new();
        read(text.as_bytes(), &mut database).expect("well formed");
        assert_eq!(database.len(), 4);
        let mined = mine(&database, &Params::new(Support::Sequences(2))).expect("good parameters");
        let mut out = Vec::new();
        write(&mined.patterns, &mut out, |item| item).expect("memory can be written");
        insta::assert_snapshot!(String::from_utf8_lossy(&out), @r"
        1 -1 #SUP: 3
        1 -1 2 -1 #SUP: 2
        1 -1 2 3 -1 #SUP: 2
        1 -1 3 -1 #SUP: 2
        2 -1 #SUP: 2
        2 3 -1 #SUP: 2
        3 -1 #SUP: 2
        ");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, want) in [
            ("1 -1 -2\n1 -1\n", "line 2 is not a sequence: it does not end with -2"),
            ("1 -2", "line 1 is not a sequence: its last element does not end with -1"),
            ("1 -1 -2 3", "line 1 is not a sequence: \"3\" follows its end"),
            ("1 x -1 -2", "line 1 is not a sequence: \"x\" is not an item (a whole number below 2^32)"),
            (
                "4294967296 -1 -2",
                "line 1 is not a sequence: \"4294967296\" is not an item (a whole number below 2^32)",
            ),
            ("-3 -1 -2", "line 1 is not a sequence: \"-3\" is not an item (a whole number below 2^32)"),
        ] {
            let error = read(text.as_bytes(), &mut Database::new()).expect_err(text);
            assert_eq!(format!("{error:#}"), want);
        }
    }
}
