//! What every file format gives: rows of named fields.

use std::io::{self, BufRead};
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::error::{DataError, Place};

/// The fields of one row, whatever the file format, and where they were.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) fields: Map<String, Value>,
}

/// A column as a file declares it, or as its first row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnType {
    pub(crate) name: String,
    pub(crate) kind: String,
}

/// A text stream with its compression undone, and what is needed to speak about it.
pub(crate) struct TextStream {
    pub(crate) path: PathBuf,
    pub(crate) reader: Box<dyn BufRead>,
    pub(crate) compression: Option<&'static str>,
    pub(crate) max_line_bytes: usize,
}

impl TextStream {
    pub(crate) fn error(&self, source: io::Error) -> DataError {
        DataError::read(&self.path, self.compression, source)
    }
}
