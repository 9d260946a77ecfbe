//! Parquet, a few hundred rows at a time.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::{Map, Value};

use super::open::Row;
use crate::error::{DataError, Place};

/// Rows decoded at once: enough to amortise, little enough for long texts.
const BATCH_ROWS: usize = 256;

/// The rows of a Parquet file and how many there are; `done` is kept at the number read.
pub(crate) fn rows(
    path: &Path,
    file: File,
    done: Rc<Cell<u64>>,
) -> Result<(impl Iterator<Item = Result<Row, DataError>> + use<>, u64), DataError> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, &error))?;
    let total = builder.metadata().file_metadata().num_rows().max(0) as u64;
    if total == 0 {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    let batches = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| damaged(path, &error))?;
    let rows = BatchRows {
        path: path.to_path_buf(),
        batches,
        batch: None,
        in_batch: 0,
        done,
    };
    Ok((rows, total))
}

pub(crate) fn damaged(path: &Path, error: &dyn std::fmt::Display) -> DataError {
    DataError::Damaged {
        path: path.to_path_buf(),
        format: "Parquet",
        detail: error.to_string(),
    }
}

struct BatchRows {
    path: PathBuf,
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
                let fields = object(batch, self.in_batch);
                self.in_batch += 1;
                self.done.set(self.done.get() + 1);
                let place = Place::Row(self.done.get());
                return Some(Ok(Row { place, fields }));
            }
            match self.batches.next()? {
                Ok(batch) => {
                    self.batch = Some(batch);
                    self.in_batch = 0;
                }
                Err(error) => return Some(Err(damaged(&self.path, &error))),
            }
        }
    }
}

fn object(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), value(column.as_ref(), row)))
        .collect()
}

/// One cell as JSON. A NaN or infinity becomes the text of it, which the reading of scores
/// knows; types without a place here (dates, binary, maps) become null.
fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float16 => number(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(_, _) => list(array.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let entries = fields.iter().zip(columns);
            Value::Object(
                entries
                    .map(|(field, column)| (field.name().clone(), value(column.as_ref(), row)))
                    .collect(),
            )
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            value(dictionary.values().as_ref(), key)
        }
        _ => Value::Null,
    }
}

fn list(array: &dyn Array) -> Value {
    Value::Array((0..array.len()).map(|row| value(array, row)).collect())
}

fn number(x: f64) -> Value {
    serde_json::Number::from_f64(x).map_or_else(|| Value::String(x.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type as Key;
    use arrow_array::{
        ArrayRef, DictionaryArray, Float32Array, Int64Array, ListArray, StringArray, StructArray,
    };
    use arrow_schema::Field;
    use parquet::arrow::ArrowWriter;
    use serde_json::json;

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
        let (rows, total) = rows(&path, File::open(&path).unwrap(), done.clone()).unwrap();
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
                json!({"votes": null, "entry": {"text": "b"}, "model": "y", "n": null, "score": "NaN"}),
            ]
        );
    }
}
