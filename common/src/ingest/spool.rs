//! The agent's spool: Parquet files, as [`crate::spool`] describes them.
//!
//! An input may be the spool's directory, the one of its calls, or single files. A file that cannot be read
//! is an error: the agent writes whole files, so one is damaged or is not of a spool.

use std::fs::File;
use std::path::Path;

use crate::spool::{CALLS, Calls, VERSION_KEY};
use anyhow::{Context, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Record, Table, Visit};

/// Rows that are decoded at once.
const BATCH: usize = 8192;

/// Where a spool's calls lie and how they are read.
pub(super) const TABLE: Table = Table { extension: "parquet", directory: CALLS, read };

/// Visits each call, and before it whether something was lost there.
fn read(path: &Path, visit: &mut Visit<'_>) -> Result<()> {
    let file = File::open(path)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).context("it is not a whole Parquet file")?;
    let metadata = builder.metadata().file_metadata();
    let version = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == VERSION_KEY))
        .and_then(|pair| pair.value.as_deref());
    Calls::check_version(version)?;
    let columns = ProjectionMask::columns(metadata.schema_descr(), Calls::COLUMNS);
    for batch in builder.with_projection(columns).with_batch_size(BATCH).build()? {
        let batch = batch?;
        let calls = Calls::new(&batch)?;
        for row in 0..calls.len() {
            let call = calls.call(row);
            if calls.interrupted(row) {
                visit(Record::Interruption(call.start))?;
            }
            visit(Record::Call(call))?;
        }
    }
    Ok(())
}
