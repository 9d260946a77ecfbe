//! Jinja as transformers gives it to chat templates.

use std::path::Path;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::error::ModelError;

/// The name under which an environment holds its only template.
pub(crate) const CHAT: &str = "chat";

/// An environment with one template, [`CHAT`], read from `path`.
///
/// `strftime_now` is not defined: templates ask whether it is, and the same conversation shall
/// give the same tokens every day.
pub(crate) fn environment(source: &str, path: &Path) -> Result<Environment<'static>, ModelError> {
    let failed = |error: Error| ModelError::Setting {
        path: path.to_owned(),
        key: "chat_template".to_owned(),
        reason: format!("{error:#}"),
    };
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.map_err(failed)?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_filter("tojson", tojson);
    environment
        .add_template_owned(CHAT, without_generation_marks(source))
        .map_err(failed)?;
    Ok(environment)
}

/// `{% generation %}` marks the assistant's tokens for training and prints nothing. An `if` with
/// nothing in it keeps the tag's white-space control.
fn without_generation_marks(source: &str) -> String {
    let mut text = source.to_owned();
    for mark in ["generation", "endgeneration"] {
        for (open, close) in [("{%-", "-%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%", "%}")] {
            let nothing = format!("{open} if true %}}{{% endif {close}");
            text = text.replace(&format!("{open} {mark} {close}"), &nothing);
        }
    }
    text
}

/// `json.dumps(value, ensure_ascii=False)`. The filter that Jinja brings escapes for HTML.
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let failed = |error: serde_json::Error| {
        Error::new(ErrorKind::InvalidOperation, "cannot serialize to JSON").with_source(error)
    };
    let indent: Option<usize> = options.get("indent")?;
    let json = match indent {
        Some(width) => dump(
            value,
            PrettyFormatter::with_indent(" ".repeat(width).as_bytes()),
        ),
        None => dump(value, Spaced),
    };
    String::from_utf8(json.map_err(failed)?).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, "JSON is not text").with_source(error)
    })
}

fn dump(value: &Value, formatter: impl Formatter) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut json, formatter,
    ))?;
    Ok(json)
}

/// Python's separators: a space after each comma and colon.
struct Spaced;

impl Spaced {
    fn separate<W: ?Sized + std::io::Write>(writer: &mut W, first: bool) -> std::io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }
}

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        Self::separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        Self::separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(source: &str, context: Value) -> String {
        let environment = environment(source, Path::new("folder")).expect("parses");
        environment
            .get_template(CHAT)
            .and_then(|template| template.render(context))
            .expect("renders")
    }

    #[test]
    fn generation_marks_print_nothing_and_keep_their_white_space_control() {
        assert_eq!(
            render("a {% generation %}b{% endgeneration %} c", context! {}),
            "a b c"
        );
        assert_eq!(
            render(
                "a {%- generation -%} b {%- endgeneration -%} c",
                context! {}
            ),
            "abc"
        );
        assert_eq!(
            render(
                "a\n  {% generation %}\nb\n  {%- endgeneration %}\nc",
                context! {}
            ),
            "a\nbc"
        );
    }

    #[test]
    fn json_is_pythons() {
        let value = context! { value => context! { a => "it's <b> & ü", b => vec![1, 2], c => Vec::<i32>::new() } };
        assert_eq!(
            render("{{ value | tojson }}", value.clone()),
            r#"{"a": "it's <b> & ü", "b": [1, 2], "c": []}"#
        );
        assert_eq!(
            render("{{ value | tojson(indent=1) }}", value),
            "{\n \"a\": \"it's <b> & ü\",\n \"b\": [\n  1,\n  2\n ],\n \"c\": []\n}"
        );
    }
}
