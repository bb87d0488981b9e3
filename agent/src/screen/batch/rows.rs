//! The rows of a CSV file that others wrote, one after the other in bounded memory.

use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Longest row, in bytes; of a longer one nothing is kept.
pub(super) const MAX_ROW: usize = 64 << 10;
/// Most fields of a row.
pub(super) const MAX_FIELDS: usize = 256;

/// A row as it stands in the file.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Its number, from 1; 0 for the header.
    pub(super) number: u64,
    /// A hash of all the file's bytes up to its end.
    pub(super) check: String,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// It passed [`MAX_ROW`] or [`MAX_FIELDS`].
    pub(super) too_long: bool,
}

impl Row {
    /// A field, counted from 0.
    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text.get(start..end)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Reads rows.
pub(super) struct Rows<R> {
    input: R,
    csv: Reader,
    buffer: Vec<u8>,
    /// What of the buffer is still to be read.
    left: std::ops::Range<usize>,
    text: Vec<u8>,
    ends: Vec<usize>,
    hash: blake3::Hasher,
    read: u64,
    number: u64,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            csv: ReaderBuilder::new().delimiter(delimiter).build(),
            buffer: vec![0; 64 << 10],
            left: 0..0,
            text: vec![0; MAX_ROW],
            ends: vec![0; MAX_FIELDS],
            hash: blake3::Hasher::new(),
            read: 0,
            number: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The next row; the first is the header. Empty lines are none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        let (mut text, mut ends, mut too_long) = (0, 0, false);
        loop {
            if self.left.is_empty() {
                let count = self.fill()?;
                self.left = 0..count;
            }
            let (result, taken, written, ended) = self.csv.read_record(
                &self.buffer[self.left.clone()],
                &mut self.text[text..],
                &mut self.ends[ends..],
            );
            self.hash.update(&self.buffer[self.left.start..self.left.start + taken]);
            self.left.start += taken;
            self.read += taken as u64;
            text += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    too_long = true;
                    (text, ends) = (0, 0);
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => {
                    let number = self.number;
                    self.number += 1;
                    let check = self.hash.finalize().to_hex()[..16].to_owned();
                    let (text, ends) = if too_long {
                        (Vec::new(), Vec::new())
                    } else {
                        (self.text[..text].to_vec(), self.ends[..ends].to_vec())
                    };
                    return Ok(Some(Row { number, check, text, ends, too_long }));
                }
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8]) -> Vec<Row> {
        let mut rows = Rows::new(text, b',');
        std::iter::from_fn(|| rows.next().expect("memory can be read")).collect()
    }

    #[test]
    fn a_row_without_end_takes_no_memory_and_those_after_a_long_one_are_read() {
        let long = "x".repeat(3 * MAX_ROW);
        let many = ",".repeat(3 * MAX_FIELDS);
        let text = format!("name,id\n\"{long}\n\",1\n{many}\nann,2\n\"{long}");
        let rows = rows(text.as_bytes());
        assert_eq!(rows.iter().map(|row| row.too_long).collect::<Vec<_>>(), [false, true, true, false, true]);
        assert_eq!((rows[3].get(0), rows[3].get(1), rows[3].number), (Some(&b"ann"[..]), Some(&b"2"[..]), 3));
        assert_eq!(rows[3].get(2), None);
    }

    #[test]
    fn a_row_is_known_by_all_that_came_before_it() {
        let (first, other) = (rows(b"name\r\nann\r\nbob\r\n"), rows(b"name\r\nann\r\nrob\r\ncid\r\n"));
        assert_eq!(first[1].check, other[1].check);
        assert_ne!(first[2].check, other[2].check);
        assert_ne!(first[1].check, rows(b"Name\r\nann\r\n")[1].check);
    }
}
