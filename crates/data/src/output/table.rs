//! Rows to Parquet or JSONL, with memory for one row group.

use std::io::Write;
use std::marker::PhantomData;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use super::file::OutputFile;
use crate::error::DataError;
use crate::source::Source;

/// Rows turned into columns at once.
const BATCH_ROWS: usize = 1024;
/// A row group is closed at this many encoded bytes, which bounds memory.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// How Parquet pages are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Small.
    #[default]
    Zstd,
    /// Fast, and supported by every reader.
    Snappy,
    /// Uncompressed.
    None,
}

/// The form of a table's prompts and responses, the same in every row, as readers expect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Plain text.
    #[default]
    Plain,
    /// Lists of `{role, content}`, as in TRL's conversational formats.
    Conversational,
    /// The same with a `name` in each message, where the source has any.
    ConversationalWithNames,
}

impl Layout {
    /// The layout of tables made from a source: conversational if any of its texts is.
    pub fn of(source: &Source) -> Self {
        let survey = source.survey();
        match (survey.conversational, survey.named) {
            (true, true) => Self::ConversationalWithNames,
            (true, false) => Self::Conversational,
            (false, _) => Self::Plain,
        }
    }
}

/// A row of a table.
pub trait TableRow: Serialize {
    /// The columns.
    fn schema(layout: Layout) -> Schema;

    /// The row with its texts in the form of the layout.
    fn laid_out(self, layout: Layout) -> Self;

    /// Rows as columns, in the order of the schema.
    ///
    /// # Errors
    /// When the columns do not fit the schema.
    fn batch(rows: &[Self], layout: Layout) -> Result<RecordBatch, ArrowError>
    where
        Self: Sized;
}

/// Writes rows to one file: JSONL if its name ends in `.jsonl`, otherwise Parquet. The same rows give
/// the same bytes.
pub struct TableWriter<R: TableRow> {
    sink: Sink<R>,
    layout: Layout,
    rows: u64,
}

enum Sink<R> {
    Jsonl(OutputFile, PhantomData<R>),
    Parquet {
        writer: Box<ArrowWriter<OutputFile>>,
        waiting: Vec<R>,
    },
}

impl<R: TableRow> TableWriter<R> {
    /// Starts a table.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(
        path: &Path,
        compression: Compression,
        layout: Layout,
    ) -> Result<Self, DataError> {
        let file = OutputFile::create(path)?;
        let jsonl = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("jsonl"));
        let sink = if jsonl {
            Sink::Jsonl(file, PhantomData)
        } else {
            let writer = ArrowWriter::try_new(
                file,
                R::schema(layout).into(),
                Some(properties(compression)),
            )
            .map_err(|error| write_error(path, error))?;
            Sink::Parquet {
                writer: Box::new(writer),
                waiting: Vec::new(),
            }
        };
        Ok(Self {
            sink,
            layout,
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn write(&mut self, row: R) -> Result<(), DataError> {
        self.rows += 1;
        let row = row.laid_out(self.layout);
        match &mut self.sink {
            Sink::Jsonl(file, _) => {
                let mut line = serde_json::to_vec(&row)
                    .map_err(|error| DataError::write(file.path(), error.into()))?;
                line.push(b'\n');
                file.write_all(&line)
                    .map_err(|source| DataError::write(file.path(), source))
            }
            Sink::Parquet { writer, waiting } => {
                waiting.push(row);
                if waiting.len() < BATCH_ROWS {
                    Ok(())
                } else {
                    write_batch(writer, waiting, self.layout)
                }
            }
        }
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Flushes everything to disk; the file still has to be committed.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn finish(self) -> Result<OutputFile, DataError> {
        let mut file = match self.sink {
            Sink::Jsonl(file, _) => file,
            Sink::Parquet {
                mut writer,
                mut waiting,
            } => {
                write_batch(&mut writer, &mut waiting, self.layout)?;
                let path = writer.inner().path().to_path_buf();
                writer
                    .into_inner()
                    .map_err(|error| write_error(&path, error))?
            }
        };
        file.finish()?;
        Ok(file)
    }
}

fn write_batch<R: TableRow>(
    writer: &mut ArrowWriter<OutputFile>,
    waiting: &mut Vec<R>,
    layout: Layout,
) -> Result<(), DataError> {
    let path = writer.inner().path().to_path_buf();
    let rows = std::mem::take(waiting);
    let batch = R::batch(&rows, layout).map_err(ParquetError::from);
    batch
        .and_then(|batch| writer.write(&batch))
        .and_then(|()| match writer.in_progress_size() {
            size if size >= ROW_GROUP_BYTES => writer.flush(),
            _ => Ok(()),
        })
        .map_err(|error| write_error(&path, error))
}

fn properties(compression: Compression) -> WriterProperties {
    let compression = match compression {
        Compression::Zstd => basic::Compression::ZSTD(basic::ZstdLevel::default()),
        Compression::Snappy => basic::Compression::SNAPPY,
        Compression::None => basic::Compression::UNCOMPRESSED,
    };
    WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(concat!("rarebit ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

fn write_error(path: &Path, error: ParquetError) -> DataError {
    let source = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => *source,
            Err(inner) => std::io::Error::other(inner),
        },
        other => std::io::Error::other(other),
    };
    DataError::write(path, source)
}
