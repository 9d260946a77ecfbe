//! Recognising a file by its content.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::row::{ColumnType, Row, TextStream};
use super::{csv, jsonl, parquet};
use crate::error::DataError;

/// The rows of a file, one after the other.
///
/// [`DataError::Row`] concerns one row and the next can still be read; any other error is the
/// last item.
pub(crate) struct Rows {
    pub(crate) path: PathBuf,
    rows: Box<dyn Iterator<Item = Result<Row, DataError>>>,
    /// The columns with their types, in files that declare them.
    pub(crate) columns: Option<Vec<ColumnType>>,
    done: Rc<Cell<u64>>,
    total: u64,
    failed: bool,
}

impl Rows {
    /// How much of the file is read, and its total, in the same unit.
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.done.get().min(self.total), self.total)
    }
}

impl Iterator for Rows {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.rows.next();
        self.failed = matches!(&row, Some(Err(error)) if !matches!(error, DataError::Row(_)));
        row
    }
}

/// Opens a JSONL (plain, gzip, zstd), CSV/TSV or Parquet file.
pub(crate) fn open(path: &Path, max_line_bytes: usize) -> Result<Rows, DataError> {
    let open_error = |source| DataError::Open {
        path: path.to_path_buf(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(open_error)?;
    if metadata.is_dir() {
        return Err(format_error(path, "a folder", "name one file in it"));
    }
    let mut file = File::open(path).map_err(open_error)?;
    let read_error = |source| DataError::read(path, None, source);
    let mut magic = Vec::new();
    file.by_ref()
        .take(4)
        .read_to_end(&mut magic)
        .map_err(read_error)?;
    if magic.is_empty() {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }

    let done = Rc::new(Cell::new(0));
    if magic == *b"PAR1" {
        let parquet = parquet::rows(path, file, done.clone())?;
        return Ok(Rows {
            path: path.to_path_buf(),
            rows: Box::new(parquet.rows),
            columns: Some(parquet.columns),
            done,
            total: parquet.total,
            failed: false,
        });
    }
    // The first bytes are chained back in front of the rest, so that pipes work.
    let bytes = Counted {
        inner: io::Cursor::new(magic.clone()).chain(file),
        done: done.clone(),
    };
    let (reader, compression): (Box<dyn BufRead>, _) = if magic.starts_with(&[0x1f, 0x8b]) {
        let decoder = flate2::read::MultiGzDecoder::new(bytes);
        (Box::new(BufReader::new(decoder)), Some("gzip"))
    } else if magic == [0x28, 0xb5, 0x2f, 0xfd] {
        let mut decoder = zstd::Decoder::new(bytes).map_err(read_error)?;
        // Public dumps are compressed with long windows; the default refuses them.
        decoder.window_log_max(31).map_err(read_error)?;
        (Box::new(BufReader::new(decoder)), Some("zstd"))
    } else if magic == *b"PK\x03\x04" {
        return Err(format_error(path, "a zip archive", "unpack it first"));
    } else if magic == *b"ARRO" {
        return Err(format_error(
            path,
            "an Arrow IPC file",
            "write it as Parquet, for example with pyarrow.parquet.write_table",
        ));
    } else {
        (Box::new(BufReader::new(bytes)), None)
    };
    let stream = TextStream {
        path: path.to_path_buf(),
        reader,
        compression,
        max_line_bytes,
    };
    Ok(Rows {
        path: path.to_path_buf(),
        rows: text_rows(stream)?,
        columns: None,
        done,
        total: metadata.len(),
        failed: false,
    })
}

type BoxedRows = Box<dyn Iterator<Item = Result<Row, DataError>>>;

/// JSONL or CSV, by the first byte that is not blank and, where that is undecided, by the name.
fn text_rows(mut stream: TextStream) -> Result<BoxedRows, DataError> {
    let head = match stream.reader.fill_buf() {
        Ok(head) => head,
        Err(source) => return Err(stream.error(source)),
    };
    if head.starts_with(b"PAR1") {
        return Err(format_error(
            &stream.path,
            "a compressed Parquet file",
            "decompress it first: Parquet is compressed inside",
        ));
    }
    let bom = if head.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let first = head[bom..]
        .iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace());
    stream.reader.consume(bom);
    match first {
        Some(b'{') => Ok(Box::new(jsonl::rows(stream))),
        Some(b'[') if named_json(&stream.path) => Err(format_error(
            &stream.path,
            "one JSON array",
            "write one object per line instead, for example with: jq -c '.[]'",
        )),
        _ if named_json(&stream.path) => Ok(Box::new(jsonl::rows(stream))),
        _ => Ok(Box::new(csv::rows(stream)?)),
    }
}

/// Whether the name, without its compression, claims JSON.
fn named_json(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let name = [".gz", ".zst", ".zstd"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn format_error(path: &Path, problem: &str, remedy: &str) -> DataError {
    DataError::Format {
        path: path.to_path_buf(),
        problem: format!("this is {problem}"),
        remedy: remedy.to_owned(),
    }
}

/// Counts the bytes taken from the file, for the progress bar.
struct Counted<R> {
    inner: R,
    done: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done.set(self.done.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::error::{Place, Reason};

    const LINE: &str = r#"{"prompt":"p","response":"r","score":1}"#;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<Result<Row, DataError>>, DataError> {
        let (_folder, path) = written(name, bytes);
        Ok(open(&path, 1000)?.collect())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn content_decides_not_the_name() {
        let zstd = zstd::encode_all(LINE.as_bytes(), 1).unwrap();
        for bytes in [LINE.as_bytes(), &gzip(LINE.as_bytes()), &zstd] {
            let rows = read("misleading.csv", bytes).unwrap();
            assert_eq!(rows[0].as_ref().unwrap().fields["prompt"], "p");
        }
        let rows = read("misleading.parquet", b"prompt,response\na,b\n").unwrap();
        assert_eq!(rows[0].as_ref().unwrap().fields["response"], "b");
    }

    #[test]
    fn a_byte_order_mark_and_crlf_are_tolerated() {
        let text = format!("\u{feff}{LINE}\r\n\r\n{LINE}\r\n");
        let rows = read("a.jsonl", text.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].as_ref().unwrap().place, Place::Line(3));
        let rows = read("a.csv", "\u{feff}prompt,response\r\na,b\r\n".as_bytes()).unwrap();
        assert_eq!(rows[0].as_ref().unwrap().fields["prompt"], "a");
    }

    #[test]
    fn truncated_files_are_named_as_such() {
        let many = format!("{LINE}\n").repeat(2000);
        let noise: String = (0..2000u32)
            .map(|i| {
                format!(
                    "{{\"prompt\":\"{:x}\",\"response\":\"r\"}}\n",
                    i.wrapping_mul(2_654_435_761)
                )
            })
            .collect();
        let gz = gzip(noise.as_bytes());
        let zst = zstd::encode_all(noise.as_bytes(), 1).unwrap();
        for bytes in [&gz[..gz.len() / 2], &zst[..zst.len() / 2]] {
            // Found at once or after some rows, depending on how much one block holds.
            let error = match read("a.jsonl.gz", bytes) {
                Ok(mut rows) => rows.pop().unwrap().unwrap_err(),
                Err(error) => error,
            };
            assert!(matches!(error, DataError::Damaged { .. }), "{error}");
        }
        assert_eq!(read("a.jsonl", many.as_bytes()).unwrap().len(), 2000);
        let error = read("a.parquet", b"PAR1 and nothing more").unwrap_err();
        assert!(
            matches!(
                error,
                DataError::Damaged {
                    format: "Parquet",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn missing_empty_folder_and_array_each_have_their_message() {
        let error = open(Path::new("no/such.jsonl"), 10).err().unwrap();
        assert!(matches!(error, DataError::Open { .. }));
        assert!(matches!(read("a.jsonl", b""), Err(DataError::Empty { .. })));
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            open(folder.path(), 10),
            Err(DataError::Format { .. })
        ));
        let error = read("a.arrow", b"ARROW1\0\0").unwrap_err().to_string();
        assert!(
            error.contains("Arrow IPC") && error.contains("Parquet"),
            "{error}"
        );
        let error = read("a.json", b"[{\"prompt\": 1}]")
            .unwrap_err()
            .to_string();
        assert!(error.contains("jq -c"), "{error}");
    }

    #[test]
    fn bad_lines_do_not_end_the_file() {
        let mut bytes = vec![0xff, b'\n'];
        bytes.extend(b"{\"prompt\": \n");
        bytes.extend(format!("{{\"prompt\":\"{}\"}}\n", "x".repeat(2000)).as_bytes());
        bytes.extend(b"{\"prompt\":\"p\",\"score\": NaN}\n");
        bytes.extend(LINE.as_bytes());
        let rows = read("a.jsonl", &bytes).unwrap();
        let reasons: Vec<Reason> = rows
            .iter()
            .filter_map(|row| match row {
                Err(DataError::Row(bad)) => Some(bad.reason),
                _ => None,
            })
            .collect();
        assert_eq!(
            reasons,
            [
                Reason::InvalidUtf8,
                Reason::MalformedJson,
                Reason::LineTooLong,
                Reason::NonFiniteScore
            ]
        );
        assert_eq!(rows.last().unwrap().as_ref().unwrap().place, Place::Line(5));
    }
}
