//! The filter `tojson`: Python's `json.dumps` with transformers' defaults.

use std::io::{Result as Written, Write};

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::Formatter;

/// `json.dumps(value, ensure_ascii=False)` with the options that transformers supports. Jinja's own
/// filter escapes for HTML.
pub(crate) fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let failed = |error: serde_json::Error| {
        Error::new(ErrorKind::InvalidOperation, "cannot serialize to JSON").with_source(error)
    };
    let indent = match options.get::<Option<Value>>("indent")? {
        None => None,
        Some(text) if text.kind() == ValueKind::String => Some(text.to_string()),
        Some(width) => Some(" ".repeat(usize::try_from(width)?.min(MOST_BYTES))),
    };
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let ensure_ascii = options
        .get::<Option<bool>>("ensure_ascii")?
        .unwrap_or(false);
    options.assert_all_used()?;
    let [item, key] = match separators {
        Some(separators) => <[String; 2]>::try_from(separators).map_err(|_| {
            Error::new(
                ErrorKind::InvalidOperation,
                "separators must be two strings: for items and for keys",
            )
        })?,
        // Python omits the space at the end of a line.
        None => [if indent.is_some() { "," } else { ", " }, ": "].map(str::to_owned),
    };
    let python = Python {
        item,
        key,
        indent,
        ensure_ascii,
        level: 0,
        is_empty: true,
    };
    let mut json = Limited(Vec::new());
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, python);
    if sort_keys {
        // Uses serde_json's own tree, which can be sorted.
        let mut tree = serde_json::to_value(value).map_err(failed)?;
        tree.sort_all_objects();
        tree.serialize(&mut serializer).map_err(failed)?;
    } else {
        value.serialize(&mut serializer).map_err(failed)?;
    }
    String::from_utf8(json.0).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, "JSON is not text").with_source(error)
    })
}

/// Indents and separators can turn a small value into a long text.
const MOST_BYTES: usize = 16 << 20;

/// JSON up to a maximum size.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> Written<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            let reason = format!("tojson writes more than {} MB", MOST_BYTES >> 20);
            return Err(std::io::Error::other(reason));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Written<()> {
        Ok(())
    }
}

/// Formats like Python's `json`.
struct Python {
    item: String,
    key: String,
    indent: Option<String>,
    ensure_ascii: bool,
    /// Nesting depth.
    level: usize,
    /// Whether the innermost container is empty so far.
    is_empty: bool,
}

impl Python {
    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> Written<()> {
        self.level += 1;
        self.is_empty = true;
        writer.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> Written<()> {
        self.level -= 1;
        if !self.is_empty {
            self.new_line(writer)?;
        }
        self.is_empty = false;
        writer.write_all(bracket)
    }

    fn separate<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Written<()> {
        if !first {
            writer.write_all(self.item.as_bytes())?;
        }
        self.is_empty = false;
        self.new_line(writer)
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> Written<()> {
        let Some(indent) = &self.indent else {
            return Ok(());
        };
        writer.write_all(b"\n")?;
        (0..self.level).try_for_each(|_| writer.write_all(indent.as_bytes()))
    }
}

impl Formatter for Python {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Written<()> {
        self.separate(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Written<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Written<()> {
        writer.write_all(self.key.as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> Written<()> {
        if !self.ensure_ascii {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if c.is_ascii() {
                write!(writer, "{c}")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use minijinja::context;

    use super::super::{CHAT, environment};

    /// As Python's `json.dumps` writes it.
    #[test]
    fn json_is_pythons() {
        let value = context! { value => context! { b => "it's <b> & ü🦊\n", a => vec![1, 2], c => Vec::<i32>::new() } };
        for (options, json) in [
            ("", r#"{"b": "it's <b> & ü🦊\n", "a": [1, 2], "c": []}"#),
            (
                "(indent=none)",
                r#"{"b": "it's <b> & ü🦊\n", "a": [1, 2], "c": []}"#,
            ),
            (
                "(ensure_ascii=true)",
                r#"{"b": "it's <b> & \u00fc\ud83e\udd8a\n", "a": [1, 2], "c": []}"#,
            ),
            (
                "(sort_keys=true)",
                r#"{"a": [1, 2], "b": "it's <b> & ü🦊\n", "c": []}"#,
            ),
            (
                "(separators=(',', ':'))",
                r#"{"b":"it's <b> & ü🦊\n","a":[1,2],"c":[]}"#,
            ),
            (
                "(indent=1)",
                "{\n \"b\": \"it's <b> & ü🦊\\n\",\n \"a\": [\n  1,\n  2\n ],\n \"c\": []\n}",
            ),
            (
                "(indent='> ')",
                "{\n> \"b\": \"it's <b> & ü🦊\\n\",\n> \"a\": [\n> > 1,\n> > 2\n> ],\n> \"c\": []\n}",
            ),
        ] {
            let source = format!("{{{{ value | tojson{options} }}}}");
            let environment = environment(&source, Path::new("folder"), None).expect("parses");
            let template = environment.get_template(CHAT).expect("there");
            assert_eq!(
                template.render(value.clone()).expect("renders"),
                json,
                "{options}"
            );
        }
        let unknown =
            environment("{{ 1 | tojson(cls=2) }}", Path::new("folder"), None).expect("parses");
        assert!(
            unknown
                .get_template(CHAT)
                .expect("there")
                .render(context! {})
                .is_err()
        );
    }
}
