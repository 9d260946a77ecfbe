//! CSV and TSV with a header line.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::row::{Row, TextStream};
use crate::error::{DataError, Fault, Place, Reason};

/// The records of a stream; every field is text, an empty one is absent.
pub(crate) fn rows(
    mut stream: TextStream,
) -> Result<impl Iterator<Item = Result<Row, DataError>>, DataError> {
    let delimiter = delimiter(&mut stream)?;
    let TextStream {
        path,
        reader,
        compression,
        max_line_bytes,
    } = stream;
    let budget = Rc::new(Cell::new(0));
    let mut records = Records {
        path,
        compression,
        max_line_bytes,
        budget: budget.clone(),
        names: Vec::new(),
        delimiter,
        reader: ::csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(Budgeted {
                inner: reader,
                budget,
            }),
    };
    records.refill();
    let header = match records.reader.byte_headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(records.error(error)),
    };
    records.names = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    if records.names.iter().all(String::is_empty) {
        return Err(DataError::Empty { path: records.path });
    }
    Ok(records)
}

/// Of comma, semicolon, tab and bar the one that the header has most often outside of quotes.
fn delimiter(stream: &mut TextStream) -> Result<u8, DataError> {
    let mut line = Vec::new();
    let most = stream.max_line_bytes as u64;
    let read = stream
        .reader
        .by_ref()
        .take(most)
        .read_until(b'\n', &mut line);
    if let Err(source) = read {
        return Err(stream.error(source));
    }
    let unquoted = line.split(|byte| *byte == b'"').step_by(2);
    let bytes: Vec<u8> = unquoted.flatten().copied().collect();
    let count = |delimiter: &u8| bytes.iter().filter(|byte| *byte == delimiter).count();
    // The last of equals, so that a header without any is one of commas.
    let delimiter = b"|\t;,".iter().copied().max_by_key(count);
    let rest = std::mem::replace(&mut stream.reader, Box::new(io::empty()));
    stream.reader = Box::new(io::Cursor::new(line).chain(rest));
    Ok(delimiter.unwrap_or(b','))
}

/// A number with a decimal comma, as files delimited by semicolons have it.
fn decimal_comma(text: &str) -> Option<Value> {
    let (whole, part) = text.trim().split_once(',')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(part) || !digits(whole.trim_start_matches(['+', '-'])) {
        return None;
    }
    let number: f64 = format!("{whole}.{part}").parse().ok()?;
    serde_json::Number::from_f64(number).map(Value::Number)
}

struct Records {
    path: PathBuf,
    compression: Option<&'static str>,
    max_line_bytes: usize,
    budget: Rc<Cell<usize>>,
    names: Vec<String>,
    delimiter: u8,
    reader: ::csv::Reader<Budgeted>,
}

impl Records {
    /// An unclosed quote would otherwise swallow the rest of the file into one record.
    fn refill(&self) {
        self.budget.set(self.max_line_bytes);
    }

    fn error(&self, error: ::csv::Error) -> DataError {
        let line = error
            .position()
            .map_or(self.reader.position().line(), |position| position.line());
        match error.into_kind() {
            ::csv::ErrorKind::Io(source) if source.get_ref().is_some_and(|inner| inner.is::<OverBudget>()) => {
                DataError::Format {
                    path: self.path.clone(),
                    problem: format!(
                        "the record that starts on line {line} is longer than {} bytes",
                        self.max_line_bytes
                    ),
                    remedy: "look for a quote that is never closed, or raise --max-line-bytes".to_owned(),
                }
            }
            ::csv::ErrorKind::Io(source) => DataError::read(&self.path, self.compression, source),
            ::csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => Fault::new(
                Reason::MalformedCsv,
                format!(
                    "{len} fields where the header has {expected_len}; quote fields that hold {} or line ends",
                    match self.delimiter {
                        b';' => "semicolons",
                        b'\t' => "tabs",
                        b'|' => "bars",
                        _ => "commas",
                    }
                ),
            )
            .at(&self.path, Place::Line(line))
            .into(),
            other => Fault::new(Reason::MalformedCsv, format!("not CSV: {other:?}"))
                .at(&self.path, Place::Line(line))
                .into(),
        }
    }

    fn row(&self, record: &::csv::ByteRecord) -> Result<Row, DataError> {
        let line = record.position().map_or(0, ::csv::Position::line);
        let place = Place::Line(line);
        let mut fields = Map::new();
        for (name, bytes) in self.names.iter().zip(record) {
            let text = std::str::from_utf8(bytes).map_err(|error| {
                Fault::in_field(
                    name,
                    Reason::InvalidUtf8,
                    format!(
                        "byte {} is not UTF-8; convert the file with iconv",
                        error.valid_up_to() + 1
                    ),
                )
                .at(&self.path, place)
            })?;
            // CSV cannot tell an empty text from no value; null serves for both.
            let value = match text {
                "" => Value::Null,
                text => (self.delimiter == b';')
                    .then(|| decimal_comma(text))
                    .flatten()
                    .unwrap_or_else(|| Value::String(text.to_owned())),
            };
            fields.insert(name.clone(), value);
        }
        Ok(Row { place, fields })
    }
}

impl Iterator for Records {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.refill();
        let mut record = ::csv::ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(true) => Some(self.row(&record)),
            Ok(false) => None,
            Err(error) => Some(Err(self.error(error))),
        }
    }
}

/// Fails once more bytes are asked for than one record may have.
struct Budgeted {
    inner: Box<dyn io::BufRead>,
    budget: Rc<Cell<usize>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the record is too long")]
struct OverBudget;

impl Read for Budgeted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.get() == 0 {
            return Err(io::Error::other(OverBudget));
        }
        let read = self.inner.read(buffer)?;
        self.budget.set(self.budget.get().saturating_sub(read));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(text: &[u8]) -> Vec<Result<Row, DataError>> {
        let stream = TextStream {
            path: "a.csv".into(),
            reader: Box::new(Cursor::new(text.to_vec())),
            compression: None,
            max_line_bytes: 100,
        };
        rows(stream).unwrap().collect()
    }

    fn reason(row: &Result<Row, DataError>) -> Reason {
        match row {
            Err(DataError::Row(bad)) => bad.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn quotes_hold_commas_and_line_ends() {
        let rows = read(b"prompt,response\np,\"a,\nb\"\nq,c\n");
        let second = rows[1].as_ref().unwrap();
        assert_eq!(rows[0].as_ref().unwrap().fields["response"], "a,\nb");
        assert_eq!(
            (second.place, &second.fields["prompt"]),
            (Place::Line(4), &"q".into())
        );
    }

    #[test]
    fn the_delimiter_is_told_from_the_header() {
        for text in [
            "prompt\tresponse\np\ta, b\n",
            "prompt;response\np;a, b\n",
            "prompt|response\np|a, b\n",
            "\"prompt\",response\np,\"a, b\"\n",
            "\"a;b;c\",prompt,response\n,p,\"a, b\"\n",
        ] {
            let rows = read(text.as_bytes());
            assert_eq!(
                rows[0].as_ref().unwrap().fields["response"],
                "a, b",
                "{text}"
            );
        }
    }

    #[test]
    fn semicolons_go_with_decimal_commas() {
        let rows = read(b"prompt;score;other\np;3,5;-0,25\nq;4;1,2,3\n");
        let fields = &rows[0].as_ref().unwrap().fields;
        assert_eq!(
            (&fields["score"], &fields["other"]),
            (&3.5.into(), &(-0.25).into())
        );
        let fields = &rows[1].as_ref().unwrap().fields;
        assert_eq!(
            (&fields["score"], &fields["other"]),
            (&"4".into(), &"1,2,3".into())
        );
    }

    #[test]
    fn a_bad_record_does_not_end_the_file() {
        let rows = read(b"prompt,response\na\nb,\xff\nc,d\n");
        assert_eq!(reason(&rows[0]), Reason::MalformedCsv);
        assert_eq!(reason(&rows[1]), Reason::InvalidUtf8);
        assert_eq!(rows[2].as_ref().unwrap().fields["prompt"], "c");
    }

    #[test]
    fn an_unclosed_quote_stops_at_the_cap() {
        let text = format!("prompt,response\np,\"{}", "x\n".repeat(10_000));
        let message = match &read(text.as_bytes())[0] {
            Err(error) => error.to_string(),
            Ok(row) => panic!("{row:?}"),
        };
        assert!(message.contains("never closed"), "{message}");
    }
}
