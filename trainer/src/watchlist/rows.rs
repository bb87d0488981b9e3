//! Rows of text files: lines, and the records of CSV. Bounded, and one broken row does not take others with it.

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// Longest line or record of CSV, in bytes.
pub(super) const MAX_ROW: usize = 1 << 20;
/// Most lines that one record of CSV may span.
const MAX_SPAN: usize = 200;
/// Most fields of a record of CSV.
const MAX_FIELDS: usize = 1024;

/// A line.
pub(super) enum Line {
    /// Its text, without the line end.
    Text(String),
    /// The beginning of one that is longer than the limit.
    TooLong(String),
}

/// Lines of text, each with its number from 1.
pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, number: 0 }
    }

    /// # Errors
    /// When the text cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        let (mut line, mut long, mut any) = (Vec::new(), false, false);
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = self.limit - line.len();
            long |= part.len() > room;
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        // The text is UTF-8; only a line that was cut may end within a character.
        let text =
            String::from_utf8(line).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        Ok(Some((self.number, if long { Line::TooLong(text) } else { Line::Text(text) })))
    }
}

/// A record of CSV.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Its fields.
    Fields(Vec<String>),
    /// A row that is none, why, and how it begins.
    Bad(&'static str, String),
}

/// Records of CSV, each with the number of its first line. A quoted field may span lines; one whose quote never closes, or
/// closes where another row begins, costs its own line only.
pub(super) struct Csv<R> {
    lines: Lines<R>,
    ahead: VecDeque<(u64, Line)>,
    delimiter: char,
    fields: Option<usize>,
}

impl<R: BufRead> Csv<R> {
    /// `fields` is how many fields a record that spans lines must have to be taken for one.
    pub(super) fn new(reader: R, delimiter: char, fields: Option<usize>) -> Self {
        Self { lines: Lines::new(reader, MAX_ROW), ahead: VecDeque::new(), delimiter, fields }
    }

    /// From here on records that span lines must have so many fields.
    pub(super) fn expect(&mut self, fields: usize) {
        self.fields = Some(fields);
    }

    fn line(&mut self) -> io::Result<Option<(u64, Line)>> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    /// The next record that is not empty.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Record)>> {
        loop {
            let Some((number, line)) = self.line()? else { return Ok(None) };
            let first = match line {
                Line::Text(text) if text.trim().is_empty() => continue,
                Line::Text(text) => text,
                Line::TooLong(start) => {
                    return Ok(Some((number, Record::Bad("the row is longer than 1 MiB", start))));
                }
            };
            return Ok(Some((number, self.record(first)?)));
        }
    }

    fn record(&mut self, first: String) -> io::Result<Record> {
        let mut splitter = Splitter::new(self.delimiter);
        splitter.feed(&first);
        let mut pulled = Vec::new();
        let mut size = first.len();
        while splitter.open {
            match self.line()? {
                Some((number, Line::Text(text)))
                    if pulled.len() < MAX_SPAN && size + text.len() < MAX_ROW =>
                {
                    size += text.len();
                    splitter.current.push('\n');
                    splitter.feed(&text);
                    pulled.push((number, Line::Text(text)));
                }
                other => {
                    pulled.extend(other);
                    break;
                }
            }
        }
        let torn = splitter.torn;
        let fields = splitter.finish();
        let right = |fields: &Vec<String>| !torn && self.fields.is_none_or(|want| fields.len() == want);
        let fits = pulled.is_empty() || fields.as_ref().is_some_and(right);
        match fields {
            Some(fields) if fields.len() > MAX_FIELDS => {
                Ok(Record::Bad("the row has too many fields", first))
            }
            Some(fields) if fits => Ok(Record::Fields(fields)),
            _ => {
                pulled.into_iter().rev().for_each(|line| self.ahead.push_front(line));
                Ok(Record::Bad("a quote is opened and not closed in this row", first))
            }
        }
    }
}

/// Takes rows apart, line by line.
struct Splitter {
    delimiter: char,
    fields: Vec<String>,
    current: String,
    /// Within quotes.
    open: bool,
    /// The field began with a quote.
    quoted: bool,
    /// Something followed a closing quote: a row that spans lines is then rather two, the first without its quote.
    torn: bool,
}

impl Splitter {
    fn new(delimiter: char) -> Self {
        Self {
            delimiter,
            fields: Vec::new(),
            current: String::new(),
            open: false,
            quoted: false,
            torn: false,
        }
    }

    fn feed(&mut self, line: &str) {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if self.open => match chars.peek() {
                    Some('"') => {
                        chars.next();
                        self.current.push('"');
                    }
                    _ => self.open = false,
                },
                '"' if !self.quoted && self.current.trim().is_empty() => {
                    self.current.clear();
                    (self.open, self.quoted) = (true, true);
                }
                c if c == self.delimiter && !self.open => self.end_field(),
                c => {
                    self.torn |= self.quoted && !self.open && !c.is_whitespace();
                    self.current.push(c);
                }
            }
        }
    }

    fn end_field(&mut self) {
        // One more than allowed is enough to see that there are too many.
        if self.fields.len() <= MAX_FIELDS {
            self.fields.push(std::mem::take(&mut self.current));
        }
        self.current.clear();
        self.quoted = false;
    }

    /// The fields, unless a quote is still open.
    fn finish(mut self) -> Option<Vec<String>> {
        if self.open {
            return None;
        }
        self.end_field();
        Some(self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str, fields: Option<usize>) -> Vec<(u64, Record)> {
        let mut csv = Csv::new(text.as_bytes(), ',', fields);
        std::iter::from_fn(|| csv.next().expect("memory can be read")).collect()
    }

    fn fields(fields: &[&str]) -> Record {
        Record::Fields(fields.iter().map(|&field| field.to_owned()).collect())
    }

    #[test]
    fn quotes_commas_and_line_ends_within_fields() {
        let text = "1,\"A, \"\"B\"\"\",-0- \r\n\r\n2,\"two\nlines\",5\" pipe\n3,, \"x\" \n";
        assert_eq!(
            records(text, Some(3)),
            [
                (1, fields(&["1", "A, \"B\"", "-0- "])),
                (3, fields(&["2", "two\nlines", "5\" pipe"])),
                (5, fields(&["3", "", "x "])),
            ]
        );
    }

    /// What would be lost: every row behind a stray quote.
    #[test]
    fn a_quote_that_is_not_closed_costs_one_row() {
        let mut text = String::from("0,\"never closed,x\n");
        (1..1000).for_each(|i| text.push_str(&format!("{i},\"name {i}\",x\n")));
        let found = records(&text, Some(3));
        assert_eq!(found.len(), 1000);
        assert!(matches!(&found[0], (1, Record::Bad(why, _)) if why.contains("quote")), "{:?}", found[0]);
        assert_eq!(found[1], (2, fields(&["1", "name 1", "x"])));
        assert_eq!(found[999].0, 1000);
        let last = records("1,a,b\n2,\"cut", Some(3));
        assert!(matches!(&last[1], (2, Record::Bad(..))), "{last:?}");
    }

    #[test]
    fn a_row_of_a_mebibyte_costs_no_memory_and_no_other_row() {
        let text = format!("1,{},b\n2,a,b\n", "x".repeat(3 << 20));
        let found = records(&text, Some(3));
        let (1, Record::Bad(why, start)) = &found[0] else { panic!("{:?}", found[0].0) };
        assert!(why.contains("1 MiB") && start.len() == MAX_ROW, "{why}");
        assert_eq!(found[1], (2, fields(&["2", "a", "b"])));
        let wide = records(&format!("{}\n1,2\n", ",".repeat(5000)), None);
        assert!(matches!(&wide[0].1, Record::Bad(why, _) if why.contains("too many")));
        assert_eq!(wide[1], (2, fields(&["1", "2"])));
    }
}
