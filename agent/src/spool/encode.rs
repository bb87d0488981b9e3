//! Rows as the bytes of a Parquet file.

use anyhow::{Context as _, Result};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampMicrosecondType;
use gait_common::spool::{VERSION, VERSION_KEY, column};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// zstd's level: 3 packs nearly as well as the levels above it at a fraction of their time.
const LEVEL: i32 = 3;

/// Rows that the encoder takes at a time.
const WRITE_BATCH: usize = 4096;

/// Rows after which others may run: encoding them takes a tenth of a millisecond.
const AT_A_TIME: usize = 512;

/// One microsecond timestamp.
pub(super) type Micros = i64;

/// A whole file, ready to be written.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Start of its first row.
    pub(super) start: Micros,
    pub(super) rows: usize,
    pub(super) bytes: Vec<u8>,
}

/// A file in the making.
#[derive(Debug)]
pub(super) struct Encoder {
    start: Micros,
    rows: usize,
    writer: ArrowWriter<Vec<u8>>,
}

impl Encoder {
    /// A file of batches like this one, whose first row starts at `start`.
    pub(super) fn new(start: Micros, like: &RecordBatch) -> Result<Self> {
        let options = ArrowWriterOptions::new().with_properties(properties()?).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), like.schema(), options)
            .context("failed to begin a Parquet file")?;
        Ok(Self { start, rows: 0, writer })
    }

    pub(super) fn start(&self) -> Micros {
        self.start
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the file has so far.
    pub(super) fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        for from in (0..batch.num_rows()).step_by(AT_A_TIME) {
            let rows = AT_A_TIME.min(batch.num_rows() - from);
            self.writer.write(&batch.slice(from, rows)).context("failed to encode a batch of the spool")?;
            std::thread::yield_now();
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Encoded> {
        let bytes = self.writer.into_inner().context("failed to finish a Parquet file")?;
        Ok(Encoded { start: self.start, rows: self.rows, bytes })
    }
}

fn properties() -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("gait-agent ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())]))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_write_batch_size(WRITE_BATCH)
        .set_offset_index_disabled(true)
        // Readers choose files by time; the least and greatest text of a file tells nobody anything, and costs as much
        // to find as the text costs to encode.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from(column::START), EnabledStatistics::Chunk);
    // Text repeats and is kept as a dictionary, the default. Times do not, but lie close to each other.
    for name in [column::START, column::DURATION] {
        let path = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    Ok(properties.build())
}

/// Start of a batch's first row; `None` when it has no rows.
pub(super) fn first_start(batch: &RecordBatch) -> Option<Micros> {
    let starts = batch.column_by_name(column::START)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    starts.values().first().copied()
}

/// The number of the UTC hour since 1970.
pub(super) fn hour(micros: Micros) -> i64 {
    micros.div_euclid(3_600_000_000)
}
