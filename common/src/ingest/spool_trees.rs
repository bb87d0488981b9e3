//! The call trees of the agent's spool: the tables beside the calls, as [`crate::spool::trees`] describes them.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::spool::trees::{TreeRecord, TreeTable, read_trees};
use crate::spool::{BadSpool, Calls, VERSION_KEY};
use crate::tree::Shapes;

use super::{Table, Visit, input};

/// Rows that are decoded at once.
const BATCH: usize = 8192;

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreesRead {
    /// Files.
    pub files: u64,
    /// Rows handed over.
    pub rows: u64,
    /// Rows that no agent writes, passed over.
    pub refused: u64,
    /// Calls and values that there was no room to learn from.
    pub passed: u64,
}

/// What a visitor may fail with: a file that is no spool, or itself.
struct Failure(anyhow::Error);

impl From<BadSpool> for Failure {
    fn from(error: BadSpool) -> Self {
        Self(error.into())
    }
}

/// Hands over all that the spools (directories) know of trees: first what trees look like, then how often they ran,
/// then those of exchanges, each in the order in which it was written. `names` gets the functions' names. A spool without
/// trees, or an input that is no directory, holds none.
///
/// # Errors
/// When a file cannot be read or is not of a spool, or `each` fails.
pub fn read_spooled_trees<S: AsRef<str>>(
    inputs: &[S],
    names: &mut Shapes,
    each: &mut dyn FnMut(TreeRecord<'_>) -> Result<()>,
) -> Result<TreesRead> {
    let mut read = TreesRead::default();
    for table in TreeTable::ALL {
        for input in inputs {
            let dir = Path::new(input.as_ref()).join(table.directory());
            if !dir.is_dir() {
                continue;
            }
            // Only to find the files: they are read here.
            let none: fn(&Path, &mut Visit<'_>) -> Result<()> = |_, _| Ok(());
            let kind = Table { extension: "parquet", directory: table.directory(), read: none };
            let mut files = Vec::new();
            input::collect(&dir, Some(kind), 0, &mut files)?;
            files.sort_unstable();
            for path in files {
                read_file(&path, table, names, &mut read, each)
                    .with_context(|| format!("failed to read {}", path.display()))?;
                read.files += 1;
            }
        }
    }
    Ok(read)
}

fn read_file(
    path: &Path,
    table: TreeTable,
    names: &mut Shapes,
    read: &mut TreesRead,
    each: &mut dyn FnMut(TreeRecord<'_>) -> Result<()>,
) -> Result<()> {
    let file = File::open(path)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).context("it is not a whole Parquet file")?;
    let version = builder
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == VERSION_KEY))
        .and_then(|pair| pair.value.as_deref());
    Calls::check_version(version)?;
    for batch in builder.with_batch_size(BATCH).build()? {
        let batch = batch?;
        let mut rows = 0;
        let refused = read_trees(table, &batch, names, &mut |record| {
            rows += 1;
            each(record).map_err(Failure)
        })
        .map_err(|Failure(error)| error)?;
        read.rows += rows;
        read.refused += refused;
    }
    Ok(())
}
