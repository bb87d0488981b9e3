//! Reads calls back from columns.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrowPrimitiveType, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use super::{VERSION, column};
use crate::call::{Call, Process};

/// A file that is not of the spool.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSpool {
    /// The file does not say that it is, or is of a version of the schema that this program does not know.
    #[error("spool version {0:?} is not known, only {VERSION:?}")]
    Version(Option<String>),
    /// A column is missing.
    #[error("column `{0}` is missing")]
    Missing(&'static str),
    /// A column has another type.
    #[error("column `{0}` has another type than the spool's schema gives it")]
    Type(&'static str),
}

/// The calls of one batch. Reads the columns that the pipeline needs; others may be there or not.
#[derive(Clone, Copy, Debug)]
pub struct Calls<'a> {
    len: usize,
    start: &'a TimestampMicrosecondArray,
    duration: &'a Int64Array,
    method: &'a StringArray,
    host: &'a StringArray,
    target: &'a StringArray,
    status: &'a Int32Array,
    caller: &'a StringArray,
    pid: &'a Int32Array,
    comm: &'a StringArray,
    gap: &'a BooleanArray,
    interrupted: &'a BooleanArray,
}

impl<'a> Calls<'a> {
    /// Columns that are read, in the order of the schema: what a reader may limit itself to.
    pub const COLUMNS: [&'static str; 11] = [
        column::START,
        column::DURATION,
        column::METHOD,
        column::HOST,
        column::TARGET,
        column::STATUS,
        column::CALLER,
        column::PID,
        column::COMM,
        column::GAP,
        column::INTERRUPTED,
    ];

    /// Checks what a file's metadata holds under [`super::VERSION_KEY`].
    ///
    /// # Errors
    /// When it is not a known version.
    pub fn check_version(found: Option<&str>) -> Result<(), BadSpool> {
        if found == Some(VERSION) { Ok(()) } else { Err(BadSpool::Version(found.map(str::to_owned))) }
    }

    /// Finds the columns of a batch.
    ///
    /// # Errors
    /// When one is missing or has another type.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, BadSpool> {
        Ok(Self {
            len: batch.num_rows(),
            start: primitive::<TimestampMicrosecondType>(batch, column::START)?,
            duration: primitive::<Int64Type>(batch, column::DURATION)?,
            method: text(batch, column::METHOD)?,
            host: text(batch, column::HOST)?,
            target: text(batch, column::TARGET)?,
            status: primitive::<Int32Type>(batch, column::STATUS)?,
            caller: text(batch, column::CALLER)?,
            pid: primitive::<Int32Type>(batch, column::PID)?,
            comm: text(batch, column::COMM)?,
            gap: boolean(batch, column::GAP)?,
            interrupted: boolean(batch, column::INTERRUPTED)?,
        })
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The call in a row. Numbers that no agent writes become 0 or the largest there is.
    ///
    /// # Panics
    /// When `row` is not below [`len`](Self::len).
    pub fn call(&self, row: usize) -> Call<'a> {
        Call {
            start: nanos(self.start.value(row)),
            duration: nanos(self.duration.value(row)),
            method: self.method.value(row),
            host: self.host.value(row),
            target: self.target.value(row),
            status: self.status.value(row).try_into().unwrap_or(0),
            caller: self.caller.value(row),
            process: Process { pid: self.pid.value(row).try_into().unwrap_or(0), comm: self.comm.value(row) },
            gap: self.gap.value(row),
        }
    }

    /// Whether something was lost just before a row, nobody knows of whom.
    ///
    /// # Panics
    /// When `row` is not below [`len`](Self::len).
    pub fn interrupted(&self, row: usize) -> bool {
        self.interrupted.value(row)
    }
}

pub(super) fn nanos(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).saturating_mul(1000)
}

pub(super) fn find<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a dyn Array, BadSpool> {
    batch.column_by_name(name).map(|column| &**column).ok_or(BadSpool::Missing(name))
}

pub(super) fn primitive<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &'static str,
) -> Result<&'a arrow_array::PrimitiveArray<T>, BadSpool> {
    find(batch, name)?.as_primitive_opt().ok_or(BadSpool::Type(name))
}

pub(super) fn text<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a StringArray, BadSpool> {
    find(batch, name)?.as_string_opt().ok_or(BadSpool::Type(name))
}

pub(super) fn boolean<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a BooleanArray, BadSpool> {
    find(batch, name)?.as_boolean_opt().ok_or(BadSpool::Type(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Extra, Rows, whole_micros};
    use proptest::prelude::*;

    proptest! {
        /// What was recorded is what is trained on and replayed.
        #[test]
        fn calls_come_back(start in 0..1_u64 << 62, duration in 0..1_u64 << 50, method in "[A-Z]{0,7}",
                           host in ".{0,9}", target in ".{0,30}", status in 0_u16..1000, caller in ".{0,20}",
                           pid in 0_u32..1 << 30, comm in ".{0,5}", gap: bool, interrupted: bool) {
            let call = Call {
                start: whole_micros(start), duration: whole_micros(duration), method: &method, host: &host,
                target: &target, status, caller: &caller, process: Process { pid, comm: &comm }, gap,
            };
            let mut rows = Rows::default();
            rows.push(&Call::default(), &Extra::default());
            rows.push(&call, &Extra { interrupted, ..Extra::default() });
            prop_assert_eq!(rows.len(), 2);
            let batch = rows.finish().expect("columns of equal length");
            prop_assert!(rows.is_empty());
            let calls = Calls::new(&batch).expect("the schema's own columns");
            prop_assert_eq!(calls.call(0), Call::default());
            prop_assert_eq!(calls.call(1), call);
            prop_assert_eq!(calls.interrupted(1), interrupted);
        }
    }

    #[test]
    fn the_rest_of_a_row_reads_as_people_write_it() {
        let mut rows = Rows::default();
        let extra = Extra {
            role: "server",
            local: Some("[::1]:80".parse().expect("socket")),
            peer: Some("192.0.2.7".parse().expect("address")),
            cgroup: 17,
            ..Extra::default()
        };
        rows.push(&Call::default(), &extra);
        rows.push(&Call::default(), &Extra::default());
        let batch = rows.finish().expect("columns of equal length");
        let shown = |name| {
            text(&batch, name).expect("text").iter().map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(shown(column::LOCAL), ["[::1]:80", ""]);
        assert_eq!(shown(column::PEER), ["192.0.2.7", ""]);
        assert_eq!(shown(column::ROLE), ["server", ""]);
    }

    #[test]
    fn other_files_are_refused() {
        let batch = Rows::default().finish().expect("columns of equal length");
        let without = batch.project(&[0, 1, 2]).expect("columns");
        assert_eq!(Calls::new(&without).expect_err("columns are missing"), BadSpool::Missing(column::HOST));
        assert_eq!(Calls::check_version(Some(VERSION)), Ok(()));
        let error = Calls::check_version(Some("9")).expect_err("another version").to_string();
        assert_eq!(error, r#"spool version Some("9") is not known, only "1""#);
    }
}
