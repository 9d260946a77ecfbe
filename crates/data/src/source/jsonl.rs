//! JSON Lines: one object per line, blank lines skipped.

use std::io::{BufRead, Read};

use serde_json::Value;

use super::row::{Row, TextStream};
use crate::error::{DataError, Fault, Place, Reason};

/// The objects of a stream, line by line.
pub(crate) fn rows(stream: TextStream) -> impl Iterator<Item = Result<Row, DataError>> {
    Lines { stream, line: 0 }
}

struct Lines {
    stream: TextStream,
    line: u64,
}

impl Iterator for Lines {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match self.line_bytes() {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            let place = Place::Line(self.line);
            let text = match bytes {
                Err(fault) => return Some(Err(fault.at(&self.stream.path, place).into())),
                Ok(bytes) if bytes.trim_ascii().is_empty() => continue,
                Ok(bytes) => bytes,
            };
            return Some(match object(&text) {
                Ok(fields) => Ok(Row { place, fields }),
                Err(fault) => Err(fault.at(&self.stream.path, place).into()),
            });
        }
    }
}

impl Lines {
    /// The next line without its end; a line over the cap is passed over and becomes a fault.
    fn line_bytes(&mut self) -> Result<Option<Result<Vec<u8>, Fault>>, DataError> {
        let cap = self.stream.max_line_bytes;
        let mut bytes = Vec::new();
        let read = (&mut self.stream.reader)
            .take(cap as u64 + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| self.stream.error(source))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let ended = bytes.last() == Some(&b'\n');
        if !ended && bytes.len() > cap {
            drop(bytes);
            self.stream
                .reader
                .skip_until(b'\n')
                .map_err(|source| self.stream.error(source))?;
            return Ok(Some(Err(Fault::new(
                Reason::LineTooLong,
                format!("the line is longer than {cap} bytes; --max-line-bytes raises the cap"),
            ))));
        }
        Ok(Some(Ok(bytes)))
    }
}

fn object(bytes: &[u8]) -> Result<serde_json::Map<String, Value>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Fault::new(
            Reason::InvalidUtf8,
            format!(
                "byte {} of the line is not UTF-8; convert the file with iconv",
                error.valid_up_to() + 1
            ),
        )
    })?;
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Fault::new(
            Reason::MalformedJson,
            "the line is JSON but not an object; write one object per line",
        )),
        Err(error) => Err(non_finite(text, error.column()).unwrap_or_else(|| {
            Fault::new(
                Reason::MalformedJson,
                format!(
                    "not JSON at column {}: {error}; write one object per line",
                    error.column()
                ),
            )
        })),
    }
}

/// Python's `json` writes NaN and Infinity, which JSON does not know; say so instead of "expected
/// value".
fn non_finite(text: &str, column: usize) -> Option<Fault> {
    let at = column.checked_sub(1)?;
    // The parser stops on the first byte that fits nothing: the N of NaN, or the I after a minus.
    let start = if text.as_bytes().get(at) == Some(&b'-') {
        at + 1
    } else {
        at
    };
    let rest = text.get(start..)?;
    let word = ["NaN", "Infinity"]
        .into_iter()
        .find(|word| rest.starts_with(word))?;
    let before = &text[..start];
    let field = before.rfind("\":").and_then(|end| {
        let open = before[..end].rfind('"')?;
        Some(before[open + 1..end].to_owned())
    });
    Some(Fault {
        field,
        reason: Reason::NonFiniteScore,
        problem: format!(
            "{word} is not a number that can be compared; write a finite number or leave the field out"
        ),
    })
}
