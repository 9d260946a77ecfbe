//! Typed values of a row's fields, or the fault that says what is wrong with them.

use serde_json::{Map, Value};

use crate::error::{Fault, Reason, quoted};

/// The fields of one row.
pub(crate) type Fields = Map<String, Value>;

/// The value of a field; null counts as absent.
pub(crate) fn optional<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

/// The value of a field that must be there.
pub(crate) fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a Value, Fault> {
    optional(fields, name).ok_or_else(|| {
        let present: Vec<String> = fields.keys().cloned().collect();
        let problem = if fields.contains_key(name) {
            "the field is empty or null".to_owned()
        } else {
            format!("the field is missing; the row has {}", quoted(&present))
        };
        Fault::in_field(name, Reason::MissingField, problem)
    })
}

/// Text.
pub(crate) fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| {
        Fault::in_field(
            name,
            Reason::NotText,
            format!("text is needed here, not {}", excerpt(value)),
        )
    })
}

/// The text of a field that must be there.
pub(crate) fn required_text(fields: &Fields, name: &str) -> Result<String, Fault> {
    text(name, required(fields, name)?).map(str::to_owned)
}

/// A list.
pub(crate) fn list<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], Fault> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| {
        Fault::in_field(
            name,
            Reason::NotAList,
            format!("a list is needed here, not {}", excerpt(value)),
        )
    })
}

/// A finite number; numbers written as text are read, since CSV has nothing else.
pub(crate) fn number(name: &str, value: &Value) -> Result<f64, Fault> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(number),
        Some(_) => Err(Fault::in_field(
            name,
            Reason::NonFiniteScore,
            format!(
                "{} cannot be compared; write a finite number or leave it out",
                excerpt(value)
            ),
        )),
        None => Err(Fault::in_field(
            name,
            Reason::NotANumber,
            format!("a number is needed here, not {}", excerpt(value)),
        )),
    }
}

/// The number of a field that may be absent.
pub(crate) fn optional_number(fields: &Fields, name: &str) -> Result<Option<f64>, Fault> {
    optional(fields, name)
        .map(|value| number(name, value))
        .transpose()
}

/// A weight, which is 0 or more, of a field that may be absent.
pub(crate) fn optional_weight(fields: &Fields, name: &str) -> Result<Option<f64>, Fault> {
    let weight = optional_number(fields, name)?;
    match weight.filter(|weight| *weight < 0.0) {
        Some(weight) => Err(Fault::in_field(
            name,
            Reason::NotANumber,
            format!("a weight is 0 or more, not {weight}"),
        )),
        None => Ok(weight),
    }
}

/// Yes or no, as JSON has it or in the words and numbers of CSV. Columns of this name often hold
/// something else: that is no label and no fault.
pub(crate) fn flag(fields: &Fields, name: &str) -> Option<bool> {
    let value = optional(fields, name)?;
    let word = match value {
        Value::String(text) => text.trim().to_lowercase(),
        other => other.to_string(),
    };
    match &*word {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A whole number that fits a `u32`, of a field that may be absent.
pub(crate) fn optional_id(fields: &Fields, name: &str) -> Result<Option<u32>, Fault> {
    let Some(value) = optional(fields, name) else {
        return Ok(None);
    };
    let id = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match id.and_then(|id| u32::try_from(id).ok()) {
        Some(id) => Ok(Some(id)),
        None => Err(Fault::in_field(
            name,
            Reason::NotANumber,
            format!(
                "a whole number up to {} is needed here, not {}",
                u32::MAX,
                excerpt(value)
            ),
        )),
    }
}

/// A number or text as text, of a field that may be absent: the ids of public data are either.
pub(crate) fn optional_name(fields: &Fields, name: &str) -> Result<Option<String>, Fault> {
    match optional(fields, name) {
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(value) => text(name, value).map(|text| Some(text.to_owned())),
        None => Ok(None),
    }
}

/// A shortened value for error messages.
fn excerpt(value: &Value) -> String {
    const MOST: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}
