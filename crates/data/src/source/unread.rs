//! Values of a type that has no place in JSON.
//!
//! A row may hold such values in columns that nobody needs, so they are no fault of the row. They
//! stand in it as an object of one key that no source uses, and reading one is an error that names
//! its type.

use serde_json::{Map, Value};

const KEY: &str = "\u{0}type";

/// The stand-in for a value of this type.
pub(crate) fn unread(kind: &str) -> Value {
    Value::Object(Map::from_iter([(KEY.to_owned(), Value::from(kind))]))
}

/// The type, if the value is such a stand-in.
pub(crate) fn unread_type(value: &Value) -> Option<&str> {
    value.get(KEY)?.as_str()
}

/// The type of the first stand-in inside a value.
pub(crate) fn unread_inside(value: &Value) -> Option<&str> {
    unread_type(value).or_else(|| match value {
        Value::Array(list) => list.iter().find_map(unread_inside),
        Value::Object(fields) => fields.values().find_map(unread_inside),
        _ => None,
    })
}
