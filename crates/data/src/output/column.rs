//! What a column of the tables can hold.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, ListArray, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};

use super::table::Layout;
use rarebit_text::{Message, Text, flat};

/// A value that has a column type.
pub(crate) trait ColumnValue: Sized {
    /// The column's name and type.
    fn field(name: &str, layout: Layout) -> Field;

    /// The column.
    fn array<'a>(values: impl Iterator<Item = &'a Self>, layout: Layout) -> ArrayRef
    where
        Self: 'a;

    /// The value as the layout has it; only texts differ.
    fn laid_out(self, _column: &str, _layout: Layout) -> Self {
        self
    }
}

/// A value that is read back.
pub(crate) trait ReadValue: ColumnValue {
    /// The value of a row; `None` when the column is of another type.
    fn read(column: &dyn Array, row: usize) -> Option<Self>;
}

impl ColumnValue for String {
    fn field(name: &str, _layout: Layout) -> Field {
        Field::new(name, DataType::Utf8, false)
    }

    fn array<'a>(values: impl Iterator<Item = &'a Self>, _layout: Layout) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }
}

impl ReadValue for String {
    fn read(column: &dyn Array, row: usize) -> Option<Self> {
        Some(column.as_string_opt::<i32>()?.value(row).to_owned())
    }
}

impl ColumnValue for u32 {
    fn field(name: &str, _layout: Layout) -> Field {
        Field::new(name, DataType::UInt32, false)
    }

    fn array<'a>(values: impl Iterator<Item = &'a Self>, _layout: Layout) -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(values.copied()))
    }
}

impl ReadValue for u32 {
    fn read(column: &dyn Array, row: usize) -> Option<Self> {
        Some(column.as_primitive_opt::<UInt32Type>()?.value(row))
    }
}

impl ColumnValue for Option<f64> {
    fn field(name: &str, _layout: Layout) -> Field {
        Field::new(name, DataType::Float64, true)
    }

    fn array<'a>(values: impl Iterator<Item = &'a Self>, _layout: Layout) -> ArrayRef {
        Arc::new(values.copied().collect::<Float64Array>())
    }
}

impl ReadValue for Option<f64> {
    fn read(column: &dyn Array, row: usize) -> Option<Self> {
        let values = column.as_primitive_opt::<Float64Type>()?;
        Some(values.is_valid(row).then(|| values.value(row)))
    }
}

impl ColumnValue for f64 {
    fn field(name: &str, _layout: Layout) -> Field {
        Field::new(name, DataType::Float64, true)
    }

    fn array<'a>(values: impl Iterator<Item = &'a Self>, _layout: Layout) -> ArrayRef {
        Arc::new(values.copied().map(Some).collect::<Float64Array>())
    }
}

impl ReadValue for f64 {
    fn read(column: &dyn Array, row: usize) -> Option<Self> {
        Some(column.as_primitive_opt::<Float64Type>()?.value(row))
    }
}

impl ColumnValue for Text {
    fn field(name: &str, layout: Layout) -> Field {
        match layout {
            Layout::Plain => String::field(name, layout),
            Layout::Conversational | Layout::ConversationalWithNames => {
                Field::new(name, DataType::List(Arc::new(message(layout))), false)
            }
        }
    }

    fn array<'a>(values: impl Iterator<Item = &'a Self>, layout: Layout) -> ArrayRef {
        if layout == Layout::Plain {
            return Arc::new(StringArray::from_iter_values(values.map(Text::flat)));
        }
        let mut messages: Vec<&Message> = Vec::new();
        let lengths: Vec<usize> = values
            .map(|text| match text {
                Text::Chat(turns) => {
                    messages.extend(turns);
                    turns.len()
                }
                Text::Plain(_) => 0,
            })
            .collect();
        let mut parts = vec![
            String::array(messages.iter().map(|message| &message.role), layout),
            String::array(messages.iter().map(|message| &message.content), layout),
        ];
        if layout == Layout::ConversationalWithNames {
            let names = messages.iter().map(|message| message.name.as_deref());
            parts.push(Arc::new(names.collect::<StringArray>()));
        }
        let entries = StructArray::new(message_parts(layout), parts, None);
        Arc::new(ListArray::new(
            Arc::new(message(layout)),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(entries),
            None,
        ))
    }

    /// In conversations the prompt is the user's, every other text the assistant's.
    fn laid_out(self, column: &str, layout: Layout) -> Self {
        let role = match column {
            "prompt" => "user",
            _ => "assistant",
        };
        match (layout, self) {
            (Layout::Plain, Self::Chat(turns)) => Self::Plain(flat(&turns).into_owned()),
            (Layout::Conversational | Layout::ConversationalWithNames, text) => {
                Self::Chat(text.into_turns(role))
            }
            (Layout::Plain, plain) => plain,
        }
    }
}

/// A message, under the name that Arrow gives the entries of a list.
fn message(layout: Layout) -> Field {
    Field::new_struct(Field::LIST_FIELD_DEFAULT_NAME, message_parts(layout), false)
}

fn message_parts(layout: Layout) -> Fields {
    let part = |name| String::field(name, layout);
    let mut parts = vec![part("role"), part("content")];
    if layout == Layout::ConversationalWithNames {
        parts.push(Field::new("name", DataType::Utf8, true));
    }
    Fields::from(parts)
}
