//! Collects calls as columns.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::{ZONE, schema};
use crate::call::Call;
use crate::caller::{push_address, push_socket_address};

/// What the spool keeps of an exchange besides the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra<'a> {
    /// Just before this call something was lost, nobody knows of whom.
    pub interrupted: bool,
    /// `server` or `client`.
    pub role: &'a str,
    /// The recorded process's end of the connection.
    pub local: Option<SocketAddr>,
    /// The other end's address.
    pub peer: Option<IpAddr>,
    /// The process's cgroup id, 0 when unknown.
    pub cgroup: u64,
}

/// Rows on their way into the spool. Plain vectors, not arrow's builders: no column holds nulls, and a row is a dozen
/// appends on the agent's busiest path.
#[derive(Debug, Default)]
pub struct Rows {
    start: Vec<i64>,
    duration: Vec<i64>,
    method: Texts,
    host: Texts,
    target: Texts,
    status: Vec<i32>,
    caller: Texts,
    pid: Vec<i32>,
    comm: Texts,
    gap: Vec<bool>,
    interrupted: Vec<bool>,
    role: Texts,
    local: Written<SocketAddr>,
    peer: Written<IpAddr>,
    cgroup: Vec<i64>,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// Adds a row. Numbers that the schema cannot hold become its largest.
    pub fn push(&mut self, call: &Call<'_>, extra: &Extra<'_>) {
        self.start.push(int64(call.start / 1000));
        self.duration.push(int64(call.duration / 1000));
        self.method.push(call.method);
        self.host.push(call.host);
        self.target.push(call.target);
        self.status.push(i32::from(call.status));
        self.caller.push(call.caller);
        self.pid.push(i32::try_from(call.process.pid).unwrap_or(i32::MAX));
        self.comm.push(call.process.comm);
        self.gap.push(call.gap);
        self.interrupted.push(extra.interrupted);
        self.role.push(extra.role);
        self.local.push(extra.local, push_socket_address);
        self.peer.push(extra.peer, push_address);
        self.cgroup.push(int64(extra.cgroup));
    }

    /// Marks the row `at` as the first after a loss.
    pub fn interrupt(&mut self, at: usize) {
        if let Some(interrupted) = self.interrupted.get_mut(at) {
            *interrupted = true;
        }
    }

    /// Takes the rows out as one batch of the schema.
    ///
    /// # Errors
    /// When a column's text is longer than its offsets can say (2 GiB): hand the rows over in batches.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let start = PrimitiveArray::<TimestampMicrosecondType>::from(take(&mut self.start));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(start.with_timezone(ZONE)),
            numbers::<Int64Type>(&mut self.duration),
            self.method.finish()?,
            self.host.finish()?,
            self.target.finish()?,
            numbers::<Int32Type>(&mut self.status),
            self.caller.finish()?,
            numbers::<Int32Type>(&mut self.pid),
            self.comm.finish()?,
            Arc::new(BooleanArray::from(take(&mut self.gap))),
            Arc::new(BooleanArray::from(take(&mut self.interrupted))),
            self.role.finish()?,
            self.local.texts.finish()?,
            self.peer.texts.finish()?,
            numbers::<Int64Type>(&mut self.cgroup),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

/// A column of texts: all of them one after the other, and where each ends.
#[derive(Debug, Default)]
pub(super) struct Texts {
    text: Vec<u8>,
    ends: Vec<i32>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
        // Past 2 GiB the ends no longer ascend, which `finish` refuses.
        self.ends.push(self.text.len() as i32);
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let text = take(&mut self.text);
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        if !offsets.is_sorted() {
            return Err(ArrowError::OffsetOverflowError(text.len()));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(text), None)?))
    }
}

/// A column of values that are written as text. Neighbours are often equal, and then written but once.
#[derive(Debug)]
struct Written<T> {
    texts: Texts,
    last: Option<T>,
    text: String,
}

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self { texts: Texts::default(), last: None, text: String::new() }
    }
}

impl<T: Copy + PartialEq> Written<T> {
    fn push(&mut self, value: Option<T>, write: fn(&mut String, T)) {
        if value != self.last {
            self.text.clear();
            value.into_iter().for_each(|value| write(&mut self.text, value));
            self.last = value;
        }
        self.texts.push(&self.text);
    }
}

/// Takes a column's values, and leaves room for as many.
pub(super) fn take<T>(column: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(column.len());
    std::mem::replace(column, room)
}

pub(super) fn numbers<T: ArrowPrimitiveType>(column: &mut Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(take(column)), None))
}

pub(super) fn int64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
