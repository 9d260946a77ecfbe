//! Typed values of a row's fields, or the fault that says what is wrong with them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::unread::unread_type;
use crate::error::{Fault, Reason, quoted};
use crate::group::Label;

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

/// A list, or the JSON text of one.
pub(crate) fn list<'a>(name: &str, value: &'a Value) -> Result<Cow<'a, [Value]>, Fault> {
    if let Value::Array(list) = value {
        return Ok(Cow::Borrowed(list));
    }
    match parsed(value) {
        Some(Value::Array(list)) => Ok(Cow::Owned(list)),
        _ => Err(Fault::in_field(
            name,
            Reason::NotAList,
            format!("a list is needed here, not {}", excerpt(value)),
        )),
    }
}

/// The list or object whose JSON text a value is.
pub(crate) fn parsed(value: &Value) -> Option<Value> {
    let text = value.as_str()?.trim_start();
    text.starts_with(['[', '{'])
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// A finite number, also as text, since CSV has nothing else; `None` where none is given, which is
/// also what pandas means by NaN.
pub(crate) fn number(name: &str, value: &Value) -> Result<Option<f64>, Fault> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Some(number)),
        Some(number) if number.is_nan() => Ok(None),
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
    optional(fields, name).map_or(Ok(None), |value| number(name, value))
}

/// The number of a field that is only needed by some commands: `None` where it is something else.
pub(crate) fn number_if_any(fields: &Fields, name: &str) -> Option<f64> {
    optional_number(fields, name).ok().flatten()
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

/// Whether a completion is desirable, in the words and numbers by which files say it. Columns of
/// this name often hold something else, which is a fault only where labels are needed.
pub(crate) fn label(fields: &Fields, name: &str) -> Option<Label> {
    let value = optional(fields, name)?;
    let word = match value {
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => "1".to_owned(),
            Some(0.0) => "0".to_owned(),
            Some(-1.0) => "-1".to_owned(),
            _ => number.to_string(),
        },
        Value::String(text) => text.trim().to_lowercase(),
        other => other.to_string(),
    };
    match &*word {
        "" | "nan" => None,
        "true" | "t" | "yes" | "y" | "1" | "1.0" | "good" | "desirable" | "chosen" => {
            Some(Label::Desirable)
        }
        "false" | "f" | "no" | "n" | "0" | "0.0" | "-1" | "-1.0" | "bad" | "undesirable"
        | "rejected" => Some(Label::Undesirable),
        _ => Some(Label::Unknown(excerpt(value))),
    }
}

/// A whole number that fits a `u32`, of a field that may be absent. Columns of ids often hold
/// something else; responses are numbered then.
pub(crate) fn id_if_any(fields: &Fields, name: &str) -> Option<u32> {
    match optional(fields, name)? {
        Value::Number(number) => match number.as_u64() {
            Some(id) => u32::try_from(id).ok(),
            None => number
                .as_f64()
                .and_then(whole)
                .and_then(|id| u32::try_from(id).ok()),
        },
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The whole number that a float is, as pandas writes ids beside missing ones.
fn whole(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0).then_some(x as i64)
}

/// A number or text as text, of a field that may be absent: the ids of public data are either.
pub(crate) fn optional_name(fields: &Fields, name: &str) -> Result<Option<String>, Fault> {
    match optional(fields, name) {
        Some(Value::Number(number)) => {
            let float = number.is_f64().then(|| number.as_f64()).flatten();
            Ok(Some(match float.and_then(whole) {
                Some(id) => id.to_string(),
                None => number.to_string(),
            }))
        }
        Some(value) => text(name, value).map(|text| Some(text.to_owned())),
        None => Ok(None),
    }
}

/// A shortened value for error messages.
fn excerpt(value: &Value) -> String {
    const MOST: usize = 40;
    if let Some(kind) = unread_type(value) {
        return format!("a value of the type {kind}");
    }
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

/// The type of a value as messages name it.
pub(crate) fn kind(value: &Value) -> String {
    if let Some(kind) = unread_type(value) {
        return kind.to_owned();
    }
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Object(_) => "object".to_owned(),
        Value::Array(list) => match list.first() {
            Some(first) => format!("list of {}", kind(first)),
            None => "empty list".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value) -> Fields {
        Map::from_iter([("x".to_owned(), value)])
    }

    #[test]
    fn labels_are_read_in_words_and_numbers() {
        for yes in [
            json!(true),
            json!(1),
            json!(1.0),
            json!("1.0"),
            json!("True"),
            json!("yes"),
        ] {
            assert_eq!(
                label(&row(yes.clone()), "x"),
                Some(Label::Desirable),
                "{yes}"
            );
        }
        for no in [
            json!(false),
            json!(0),
            json!(0.0),
            json!("0"),
            json!("FALSE"),
            json!("bad"),
        ] {
            assert_eq!(
                label(&row(no.clone()), "x"),
                Some(Label::Undesirable),
                "{no}"
            );
        }
        assert_eq!(label(&row(Value::Null), "x"), None);
        let unknown = label(&row(json!("joy")), "x");
        assert_eq!(unknown, Some(Label::Unknown("\"joy\"".to_owned())));
        assert!(matches!(
            label(&row(json!(0.5)), "x"),
            Some(Label::Unknown(_))
        ));
    }

    #[test]
    fn numbers_are_read_from_text_and_a_nan_is_none() {
        for (value, expected) in [
            (json!("4.5"), Some(4.5)),
            (json!(" -2e3 "), Some(-2000.0)),
            (
                json!("12345678901234567890123"),
                Some(12345678901234567890123.0),
            ),
            (json!("nan"), None),
            (json!(""), None),
            (Value::Null, None),
        ] {
            assert_eq!(number("x", &value), Ok(expected), "{value}");
        }
        assert_eq!(
            number("x", &json!("inf")).unwrap_err().reason,
            Reason::NonFiniteScore
        );
        assert_eq!(
            number("x", &json!("3,5")).unwrap_err().reason,
            Reason::NotANumber
        );
    }

    #[test]
    fn whole_floats_are_ids() {
        assert_eq!(id_if_any(&row(json!(3.0)), "x"), Some(3));
        assert_eq!(id_if_any(&row(json!("model-a/0")), "x"), None);
        assert_eq!(
            optional_name(&row(json!(17.0)), "x"),
            Ok(Some("17".to_owned()))
        );
        assert_eq!(
            optional_name(&row(json!(1.5)), "x"),
            Ok(Some("1.5".to_owned()))
        );
    }
}
