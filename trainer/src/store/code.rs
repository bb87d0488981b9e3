//! Numbers as bytes: LEB128, seven bits a byte, so that the small ones that stores are full of take one.

use super::tape::{Row, Sequence};
use super::texts::TextId;
use gait_common::call::Nanos;

/// Writes a number.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads numbers; `None` where there is none, or one beyond 64 bits.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<TextId> {
        self.number()?.try_into().ok()
    }
}

/// The calls of one session.
pub(super) fn session<'a>(rows: impl Iterator<Item = &'a Row>, start: Nanos) -> Vec<u8> {
    let (mut out, mut last) = (Vec::new(), start);
    for row in rows {
        put(&mut out, row.start - last);
        put(&mut out, row.duration);
        put(&mut out, u64::from(row.method));
        put(&mut out, u64::from(row.host));
        put(&mut out, u64::from(row.target));
        put(&mut out, u64::from(row.status) << 1 | u64::from(row.gap));
        last = row.start;
    }
    out
}

/// Reads the calls of a session; `None` when the bytes are none.
pub(super) fn read_session(bytes: &[u8], caller: TextId, start: Nanos, rows: &mut Vec<Row>) -> Option<()> {
    let (mut reader, mut last) = (Reader(bytes), start);
    while !reader.0.is_empty() {
        last = last.checked_add(reader.number()?)?;
        let duration = reader.number()?;
        let (method, host, target) = (reader.text()?, reader.text()?, reader.text()?);
        let status = reader.number()?;
        let gap = status & 1 == 1;
        let status = (status >> 1).try_into().ok()?;
        rows.push(Row { caller, method, host, target, start: last, duration, status, gap });
    }
    Some(())
}

/// A session that came ready-made.
pub(super) fn sequence(sequence: &Sequence) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, u64::from(sequence.id) << 1 | u64::from(sequence.named));
    sequence.tokens.iter().for_each(|&token| put(&mut out, u64::from(token)));
    out
}

/// Reads a session that came ready-made; `None` when the bytes are none.
pub(super) fn read_sequence(bytes: &[u8], number: u64) -> Option<Sequence> {
    let mut reader = Reader(bytes);
    let id = reader.number()?;
    let mut tokens = Vec::new();
    while !reader.0.is_empty() {
        tokens.push(reader.text()?);
    }
    Some(Sequence { number, id: (id >> 1).try_into().ok()?, named: id & 1 == 1, tokens })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(calls in prop::collection::vec(any::<(u32, u32, u32, u32, u64, u16, bool)>(), 0..20), start in 0..u64::MAX / 2) {
            let mut at = start;
            let rows: Vec<Row> = calls.into_iter().map(|(method, host, target, pause, duration, status, gap)| {
                at += u64::from(pause);
                Row { caller: 7, method, host, target, start: at, duration, status, gap }
            }).collect();
            let mut read = Vec::new();
            prop_assert_eq!(read_session(&session(rows.iter(), start), 7, start, &mut read), Some(()));
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn sequences_are_read_as_written(id: u32, named: bool, tokens: Vec<u32>) {
            let written = Sequence { number: 3, id, named, tokens };
            prop_assert_eq!(read_sequence(&sequence(&written), 3), Some(written));
        }

        #[test]
        fn foreign_bytes_are_refused_or_read(bytes: Vec<u8>, start: u64) {
            let mut rows = Vec::new();
            let _ = read_session(&bytes, 1, start, &mut rows);
            prop_assert!(rows.len() <= bytes.len());
            let _ = read_sequence(&bytes, 1);
        }
    }
}
