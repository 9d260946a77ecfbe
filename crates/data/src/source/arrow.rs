//! Cells of Arrow arrays as JSON values.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Fields};
use serde_json::{Map, Number, Value};

use super::unread::unread;

/// The extension type of JSON texts, as DuckDB, fastparquet and datasets write nested values.
pub(crate) const JSON: &str = "arrow.json";
/// The extension type of 128-bit integers.
pub(crate) const INT128: &str = "rarebit.int128";
/// How they are stored.
pub(crate) const INT128_BYTES: DataType = DataType::FixedSizeBinary(16);

/// The fields of a row, which may be annotated with what the batch's schema does not say.
pub(crate) fn object(fields: &Fields, batch: &RecordBatch, row: usize) -> Map<String, Value> {
    entries(fields, batch.columns(), row)
}

fn entries<A: AsRef<dyn Array>>(fields: &Fields, columns: &[A], row: usize) -> Map<String, Value> {
    fields
        .iter()
        .zip(columns)
        .map(|(field, column)| (field.name().clone(), value(field, column.as_ref(), row)))
        .collect()
}

/// The type of a column as error messages name it.
pub(crate) fn type_name(field: &Field) -> String {
    match field.extension_type_name() {
        Some(JSON) => "JSON".to_owned(),
        Some(INT128) => "Int128".to_owned(),
        _ => field.data_type().to_string(),
    }
}

/// One cell. NaN, by which pandas writes missing numbers, becomes null; a type that has no place in
/// JSON becomes a marker that names it.
fn value(field: &Field, array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match field.extension_type_name() {
        Some(JSON) => {
            return match plain(array, row) {
                Value::String(text) => serde_json::from_str(&text)
                    .unwrap_or_else(|_| unread("JSON text that cannot be parsed")),
                other => other,
            };
        }
        Some(INT128) if *array.data_type() == INT128_BYTES => {
            let bytes = array.as_fixed_size_binary().value(row).try_into();
            let number = i128::from_le_bytes(bytes.unwrap_or_default());
            return i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from);
        }
        _ => {}
    }
    match array.data_type() {
        DataType::List(item) => list(item, array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(item) => list(item, array.as_list::<i64>().value(row).as_ref()),
        DataType::ListView(item) => list(item, array.as_list_view::<i32>().value(row).as_ref()),
        DataType::LargeListView(item) => {
            list(item, array.as_list_view::<i64>().value(row).as_ref())
        }
        DataType::FixedSizeList(item, _) => {
            list(item, array.as_fixed_size_list().value(row).as_ref())
        }
        DataType::Struct(fields) => {
            Value::Object(entries(fields, array.as_struct().columns(), row))
        }
        DataType::Map(_, _) => {
            let pairs = array.as_map().value(row);
            let (keys, values) = (pairs.column(0), pairs.column(1));
            let key = |row| match plain(keys.as_ref(), row) {
                Value::String(key) => key,
                other => other.to_string(),
            };
            let item = Field::new("value", values.data_type().clone(), true);
            let pairs = (0..pairs.len()).map(|row| (key(row), value(&item, values, row)));
            Value::Object(pairs.collect())
        }
        DataType::Dictionary(_, item) => {
            let dictionary = array.as_any_dictionary();
            let item = Field::new(field.name(), item.as_ref().clone(), true);
            let key = dictionary.normalized_keys()[row];
            value(&item, dictionary.values().as_ref(), key)
        }
        _ => plain(array, row),
    }
}

fn list(item: &Field, array: &dyn Array) -> Value {
    Value::Array(
        (0..array.len())
            .map(|row| value(item, array, row))
            .collect(),
    )
}

/// A cell of a type that is not nested.
fn plain(array: &dyn Array, row: usize) -> Value {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Binary => bytes(array, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(array, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(array, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => bytes(array, array.as_fixed_size_binary().value(row)),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => integer::<Int8Type>(array, row),
        DataType::Int16 => integer::<Int16Type>(array, row),
        DataType::Int32 => integer::<Int32Type>(array, row),
        DataType::Int64 => integer::<Int64Type>(array, row),
        DataType::UInt8 => integer::<UInt8Type>(array, row),
        DataType::UInt16 => integer::<UInt16Type>(array, row),
        DataType::UInt32 => integer::<UInt32Type>(array, row),
        DataType::UInt64 => integer::<UInt64Type>(array, row),
        DataType::Float16 => number(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(_, _) => decimal::<Decimal32Type>(array, row),
        DataType::Decimal64(_, _) => decimal::<Decimal64Type>(array, row),
        DataType::Decimal128(_, _) => decimal::<Decimal128Type>(array, row),
        DataType::Decimal256(_, _) => decimal::<Decimal256Type>(array, row),
        DataType::Null => Value::Null,
        DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(_, _)
        | DataType::Duration(_) => displayed(array, row),
        other => unread(&other.to_string()),
    }
}

fn integer<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Value
where
    Value: From<T::Native>,
{
    array.as_primitive::<T>().value(row).into()
}

/// A NaN is a missing number; an infinity stays as its text, which no score can be.
fn number(x: f64) -> Value {
    match Number::from_f64(x) {
        Some(number) => Value::Number(number),
        None if x.is_nan() => Value::Null,
        None => Value::String(x.to_string()),
    }
}

/// The nearest number, or the digits of a whole number that JSON's have no room for.
fn decimal<T: DecimalType + ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Value {
    let digits = array.as_primitive::<T>().value_as_string(row);
    let whole = digits.parse::<i64>().map(Value::from);
    whole.unwrap_or_else(|_| match digits.contains('.') {
        true => digits.parse().map_or_else(|_| Value::from(digits), number),
        false => Value::from(digits),
    })
}

/// Bytes are text if they are UTF-8.
fn bytes(array: &dyn Array, bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(
        |_| unread(&format!("{} that is not UTF-8", array.data_type())),
        Value::from,
    )
}

/// Dates and times as Arrow writes them.
fn displayed(array: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(array, &options)
        .and_then(|formatter| formatter.value(row).try_to_string());
    text.map_or_else(|_| unread(&array.data_type().to_string()), Value::from)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::StringDictionaryBuilder;
    use arrow_array::types::Int16Type as Key;
    use arrow_array::{
        ArrayRef, BinaryArray, BinaryViewArray, Decimal32Array, Decimal64Array, Decimal128Array,
        Decimal256Array, FixedSizeListArray, Float16Array, Float64Array, IntervalDayTimeArray,
        LargeBinaryArray, LargeListViewArray, LargeStringArray, ListViewArray, StringArray,
        StringViewArray, UInt64Array,
    };
    use arrow_buffer::ScalarBuffer;
    use arrow_buffer::{IntervalDayTime, i256};
    use serde_json::json;

    use super::super::unread::unread_type;
    use super::*;

    fn cells(array: impl Array + 'static) -> Vec<Value> {
        let field = Field::new("column", array.data_type().clone(), true);
        (0..array.len())
            .map(|row| value(&field, &array, row))
            .collect()
    }

    #[test]
    fn decimals_of_every_width_are_numbers() {
        let expected = [json!(4.5), json!(-0.25), Value::Null];
        let decimal32 = Decimal32Array::from(vec![Some(450), Some(-25), None]);
        assert_eq!(
            cells(decimal32.with_precision_and_scale(9, 2).unwrap()),
            expected
        );
        let decimal64 = Decimal64Array::from(vec![Some(450), Some(-25), None]);
        assert_eq!(
            cells(decimal64.with_precision_and_scale(18, 2).unwrap()),
            expected
        );
        let decimal128 = Decimal128Array::from(vec![Some(450), Some(-25), None]);
        assert_eq!(
            cells(decimal128.with_precision_and_scale(38, 2).unwrap()),
            expected
        );
        let wide =
            [Some(450), Some(-25), None].map(|x: Option<i64>| x.map(|x| i256::from_i128(x.into())));
        let decimal256 = Decimal256Array::from(wide.to_vec());
        assert_eq!(
            cells(decimal256.with_precision_and_scale(76, 2).unwrap()),
            expected
        );
    }

    #[test]
    fn whole_numbers_beyond_64_bits_keep_their_digits() {
        assert_eq!(cells(UInt64Array::from(vec![u64::MAX])), [json!(u64::MAX)]);
        let huge = Decimal128Array::from(vec![7, 123_456_789_012_345_678_901_234_567_890])
            .with_precision_and_scale(38, 0)
            .unwrap();
        assert_eq!(
            cells(huge),
            [json!(7), json!("123456789012345678901234567890")]
        );
    }

    #[test]
    fn a_nan_is_a_missing_number() {
        let half = Float16Array::from_iter_values([0.5_f32, f32::NAN].map(half_from));
        assert_eq!(cells(half), [json!(0.5), Value::Null]);
        let floats = Float64Array::from(vec![f64::NAN, f64::INFINITY]);
        assert_eq!(cells(floats), [Value::Null, json!("inf")]);
    }

    fn half_from(x: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
        <Float16Type as ArrowPrimitiveType>::Native::from_f32(x)
    }

    #[test]
    fn texts_of_every_type_are_texts() {
        let expected = [json!("été"), json!("")];
        let texts = || vec!["été", ""];
        let raw = || vec!["été".as_bytes(), b""];
        assert_eq!(cells(StringArray::from(texts())), expected);
        assert_eq!(cells(LargeStringArray::from(texts())), expected);
        assert_eq!(cells(StringViewArray::from(texts())), expected);
        assert_eq!(cells(BinaryArray::from(raw())), expected);
        assert_eq!(cells(LargeBinaryArray::from(raw())), expected);
        assert_eq!(cells(BinaryViewArray::from_iter_values(raw())), expected);
        let mut dictionary = StringDictionaryBuilder::<Key>::new();
        dictionary.extend(texts().into_iter().map(Some));
        assert_eq!(cells(dictionary.finish()), expected);
    }

    #[test]
    fn lists_of_every_type_are_lists() {
        let item: Arc<Field> = Field::new("item", DataType::UInt64, true).into();
        let values: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2, 3, 4]));
        let expected = [json!([1, 2]), json!([3, 4])];
        let fixed = FixedSizeListArray::new(item.clone(), 2, values.clone(), None);
        assert_eq!(cells(fixed), expected);
        let (offsets, sizes) = (vec![0, 2], vec![2, 2]);
        let view = ListViewArray::new(
            item.clone(),
            ScalarBuffer::from(offsets),
            ScalarBuffer::from(sizes),
            values.clone(),
            None,
        );
        assert_eq!(cells(view), expected);
        let view = LargeListViewArray::new(
            item,
            ScalarBuffer::from(vec![0_i64, 2]),
            ScalarBuffer::from(vec![2_i64, 2]),
            values,
            None,
        );
        assert_eq!(cells(view), expected);
    }

    #[test]
    fn json_typed_texts_are_parsed() {
        let texts = StringArray::from(vec!["\"p\"", "[1, {\"a\": null}]", "{"]);
        let metadata = [("ARROW:extension:name".to_owned(), "arrow.json".to_owned())];
        let field = Field::new("prompt", DataType::Utf8, true).with_metadata(metadata);
        assert_eq!(value(&field, &texts, 0), json!("p"));
        assert_eq!(value(&field, &texts, 1), json!([1, {"a": null}]));
        assert!(unread_type(&value(&field, &texts, 2)).is_some());
        assert_eq!(type_name(&field), "JSON");
    }

    #[test]
    fn what_has_no_place_in_json_is_marked_with_its_type() {
        let interval = IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 2)]);
        let found = cells(interval);
        assert_eq!(unread_type(&found[0]), Some("Interval(DayTime)"));
        let found = cells(BinaryArray::from(vec![&b"\xff\xfe"[..]]));
        assert_eq!(unread_type(&found[0]), Some("Binary that is not UTF-8"));
    }
}
