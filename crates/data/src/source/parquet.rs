//! Parquet, a few hundred rows at a time.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Display;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use arrow_array::RecordBatch;
use arrow_schema::Fields;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::ConvertedType;
use parquet::errors::Result as ParquetResult;

use super::arrow::{INT128, INT128_BYTES, JSON, object, type_name};
use super::row::{ColumnType, Row};
use crate::error::{DataError, Place};

/// Rows decoded at once: enough to amortise, little enough for long texts.
const BATCH_ROWS: usize = 256;
/// Where Arrow keeps the name of a column's extension type.
const EXTENSION_NAME: &str = "ARROW:extension:name";

/// A Parquet file that has been opened.
pub(crate) struct ParquetRows<I> {
    /// The rows.
    pub(crate) rows: I,
    /// How many there are.
    pub(crate) total: u64,
    /// The columns with their Arrow types.
    pub(crate) columns: Vec<ColumnType>,
}

/// The rows of a Parquet file; `done` is kept at the number read.
pub(crate) fn rows(
    path: &Path,
    file: File,
    done: Rc<Cell<u64>>,
) -> Result<ParquetRows<impl Iterator<Item = Result<Row, DataError>> + use<>>, DataError> {
    let (builder, origin) = guarded(path, || reader(file))?;
    let total = builder.metadata().file_metadata().num_rows().max(0) as u64;
    if total == 0 {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    let fields = annotated(&builder, origin);
    let columns = (fields.iter())
        .map(|field| ColumnType {
            name: field.name().clone(),
            kind: type_name(field),
        })
        .collect();
    let batches = guarded(path, || builder.with_batch_size(BATCH_ROWS).build())?;
    let rows = BatchRows {
        path: path.to_path_buf(),
        fields,
        batches,
        batch: None,
        in_batch: 0,
        done,
    };
    Ok(ParquetRows {
        rows,
        total,
        columns,
    })
}

/// Opens a file by the Arrow schema that its writer stored in it, or by its Parquet schema alone
/// where arrow-rs has no place for a type of the former; whether it was that one.
pub(crate) fn reader(
    file: File,
) -> ParquetResult<(ParquetRecordBatchReaderBuilder<File>, SchemaOrigin)> {
    let again = file.try_clone();
    match ParquetRecordBatchReaderBuilder::try_new(file) {
        Ok(builder) => Ok((builder, SchemaOrigin::Arrow)),
        Err(error) => {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let again = again.map_err(|_| error)?;
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(again, options)?;
            Ok((builder, SchemaOrigin::Parquet))
        }
    }
}

/// What `read` reads from a file. A reader of Parquet can panic where a damaged file promises
/// something else than it has; that is an error of the file, not of this program.
pub(crate) fn guarded<T, E: Display>(
    path: &Path,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, DataError> {
    // What a panic leaves half done is dropped with the reader.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| damaged(path, &error)),
        Err(_) => Err(damaged(path, &"its content is not what it promises")),
    }
}

fn damaged(path: &Path, error: &dyn Display) -> DataError {
    DataError::Damaged {
        path: path.to_path_buf(),
        format: "Parquet",
        detail: error.to_string(),
    }
}

/// Which schema of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaOrigin {
    /// The writer's Arrow schema, where there is one.
    Arrow,
    /// The Parquet schema, since the writer's cannot be read.
    Parquet,
}

/// The columns with what their Arrow types do not say: that a text is JSON by Parquet's older
/// notation, which fastparquet writes, and that bytes are a 128-bit integer, the type for which the
/// schemas of Polars cannot be read.
fn annotated(builder: &ParquetRecordBatchReaderBuilder<File>, origin: SchemaOrigin) -> Fields {
    let types = builder.parquet_schema().root_schema().get_fields();
    let fields = builder.schema().fields().iter().zip(types);
    fields
        .map(|(field, kind)| {
            let info = kind.get_basic_info();
            let is_bare = info.logical_type_ref().is_none();
            let name = if !kind.is_primitive() || field.extension_type_name().is_some() {
                None
            } else if origin == SchemaOrigin::Parquet
                && is_bare
                && *field.data_type() == INT128_BYTES
            {
                Some(INT128)
            } else {
                (info.converted_type() == ConvertedType::JSON).then_some(JSON)
            };
            let mut field = field.as_ref().clone();
            if let Some(name) = name {
                let key = EXTENSION_NAME.to_owned();
                field.metadata_mut().insert(key, name.to_owned());
            }
            field
        })
        .collect()
}

struct BatchRows {
    path: PathBuf,
    fields: Fields,
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    in_batch: usize,
    done: Rc<Cell<u64>>,
}

impl Iterator for BatchRows {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = &self.batch
                && self.in_batch < batch.num_rows()
            {
                let row = || Ok::<_, Infallible>(object(&self.fields, batch, self.in_batch));
                let row = guarded(&self.path, row);
                self.in_batch += 1;
                self.done.set(self.done.get() + 1);
                let place = Place::Row(self.done.get());
                return Some(row.map(|fields| Row { place, fields }));
            }
            match guarded(&self.path, || self.batches.next().transpose()) {
                Ok(batch) => {
                    self.batch = Some(batch?);
                    self.in_batch = 0;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::{Int32Type as Key, Int64Type};
    use arrow_array::{
        ArrayRef, DictionaryArray, Float32Array, Int64Array, ListArray, StringArray, StructArray,
    };
    use arrow_schema::{DataType, Field};
    use parquet::arrow::ArrowWriter;
    use serde_json::{Value, json};

    use super::*;

    /// The rows of a batch after a round trip through a file.
    fn round_trip(columns: Vec<(&str, ArrayRef)>) -> Vec<Value> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let done = Rc::new(Cell::new(0));
        let ParquetRows { rows, total, .. } =
            rows(&path, File::open(&path).unwrap(), done.clone()).unwrap();
        let rows: Vec<Value> = rows.map(|row| Value::Object(row.unwrap().fields)).collect();
        assert_eq!((rows.len() as u64, done.get()), (total, total));
        rows
    }

    #[test]
    fn the_types_of_public_sets_are_read() {
        let votes =
            ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(3), None]), None]);
        let entries = StructArray::from(vec![(
            Arc::new(Field::new("text", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef,
        )]);
        let model: DictionaryArray<Key> = vec!["x", "y"].into_iter().collect();
        let rows = round_trip(vec![
            ("votes", Arc::new(votes)),
            ("entry", Arc::new(entries)),
            ("model", Arc::new(model)),
            ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("score", Arc::new(Float32Array::from(vec![0.5, f32::NAN]))),
        ]);
        assert_eq!(
            rows,
            [
                json!({"votes": [3, null], "entry": {"text": "a"}, "model": "x", "n": 1, "score": 0.5}),
                json!({"votes": null, "entry": {"text": "b"}, "model": "y", "n": null, "score": null}),
            ]
        );
    }
}
