//! Collects calls as columns.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
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

/// Rows on their way into the spool.
#[derive(Debug, Default)]
pub struct Rows {
    len: usize,
    /// An address on its way into its column.
    text: String,
    start: TimestampMicrosecondBuilder,
    duration: Int64Builder,
    method: StringBuilder,
    host: StringBuilder,
    target: StringBuilder,
    status: Int32Builder,
    caller: StringBuilder,
    pid: Int32Builder,
    comm: StringBuilder,
    gap: BooleanBuilder,
    interrupted: BooleanBuilder,
    role: StringBuilder,
    local: StringBuilder,
    peer: StringBuilder,
    cgroup: Int64Builder,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a row. Numbers that the schema cannot hold become its largest.
    pub fn push(&mut self, call: &Call<'_>, extra: &Extra<'_>) {
        self.len += 1;
        self.start.append_value(int64(call.start / 1000));
        self.duration.append_value(int64(call.duration / 1000));
        self.method.append_value(call.method);
        self.host.append_value(call.host);
        self.target.append_value(call.target);
        self.status.append_value(i32::from(call.status));
        self.caller.append_value(call.caller);
        self.pid.append_value(i32::try_from(call.process.pid).unwrap_or(i32::MAX));
        self.comm.append_value(call.process.comm);
        self.gap.append_value(call.gap);
        self.interrupted.append_value(extra.interrupted);
        self.role.append_value(extra.role);
        append_written(&mut self.local, &mut self.text, extra.local, push_socket_address);
        append_written(&mut self.peer, &mut self.text, extra.peer, push_address);
        self.cgroup.append_value(int64(extra.cgroup));
    }

    /// Takes the rows out as one batch of the schema.
    ///
    /// # Errors
    /// Never with rows that [`push`](Self::push) added: the columns are as long as each other.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.len = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.start.finish().with_timezone(ZONE)),
            Arc::new(self.duration.finish()),
            Arc::new(self.method.finish()),
            Arc::new(self.host.finish()),
            Arc::new(self.target.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.caller.finish()),
            Arc::new(self.pid.finish()),
            Arc::new(self.comm.finish()),
            Arc::new(self.gap.finish()),
            Arc::new(self.interrupted.finish()),
            Arc::new(self.role.finish()),
            Arc::new(self.local.finish()),
            Arc::new(self.peer.finish()),
            Arc::new(self.cgroup.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

fn int64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn append_written<T>(
    column: &mut StringBuilder,
    text: &mut String,
    value: Option<T>,
    write: fn(&mut String, T),
) {
    text.clear();
    if let Some(value) = value {
        write(text, value);
    }
    column.append_value(text);
}
