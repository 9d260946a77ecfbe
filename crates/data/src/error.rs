//! The error type of this crate, and what can be wrong with a row.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rarebit_deviation::{DeviationError, EmbedError, Signal};
use serde::Serialize;

/// An error that stops reading, preparing or writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be opened.
    #[error("cannot open {path}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Reading failed halfway.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds no row.
    #[error("{path} is empty: it holds no row to read", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A compressed file ends too early or does not decompress.
    #[error(
        "{path} is a damaged or truncated {format} file ({detail}); download or compress it again",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// `gzip`, `zstd` or `Parquet`.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// A format that is not supported.
    #[error("{path}: {problem}; {remedy}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// A column that was asked for is not in the file.
    #[error(
        "{path} has no column {column:?}; its columns are {available}",
        path = path.display(), available = quoted(available)
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns of the first row.
        available: Vec<String>,
    },
    /// No known shape fits the columns.
    #[error(
        "{path}: cannot tell the shape of the rows from the columns {columns}; {remedy}",
        path = path.display()
    )]
    UnknownShape {
        /// The file.
        path: PathBuf,
        /// The columns with their types.
        columns: String,
        /// What to do about it.
        remedy: String,
    },
    /// No response has a score.
    #[error(
        "{path}: no response has a score, and pairs are drawn by score: name its column with \
         --score-column (--comment-scores-column, --generation-scores-column for lists). The columns \
         are {columns}, read as {reading}",
        path = path.display()
    )]
    NoScores {
        /// The file.
        path: PathBuf,
        /// The columns with their types.
        columns: String,
        /// Which column is taken for what.
        reading: String,
    },
    /// A row that cannot be used.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// A file cannot be written.
    #[error("cannot write {path}; nothing that was there before has been changed", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The embedder failed.
    #[error("the embedder {embedder} failed")]
    Embed {
        /// [`rarebit_deviation::Embedder::id`] of the embedder.
        embedder: String,
        /// What it said.
        #[source]
        source: EmbedError,
    },
    /// Embeddings that cannot be compared.
    #[error("the vectors of the embedder {embedder} cannot be compared: {problem}")]
    Vectors {
        /// [`rarebit_deviation::Embedder::id`] of the embedder.
        embedder: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The text could not be tokenised to count its tokens.
    #[error("cannot count tokens")]
    CountTokens {
        /// What the tokenizer said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The surprise model failed.
    #[error("the model {model} failed")]
    Surprise {
        /// [`crate::steps::surprise::SurpriseModel::id`] of the model.
        model: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting of the weighting is out of its range.
    #[error(transparent)]
    Weighting(DeviationError),
    /// A prompt's responses lack a signal that the weights follow.
    #[error("prompt {prompt:?}: {problem}; {}", remedy(problem))]
    Signal {
        /// See [`crate::Group::id`].
        prompt: String,
        /// Which signal of which response.
        problem: DeviationError,
    },
    /// An option that is invalid or contradicts another.
    #[error("{option} = {value}: {problem}")]
    Option {
        /// The option's flag, without its dashes.
        option: &'static str,
        /// The value given.
        value: String,
        /// Why it cannot be used, and what can.
        problem: String,
    },
}

/// What to do about a missing signal.
fn remedy(problem: &DeviationError) -> &'static str {
    match problem {
        DeviationError::MissingSignal {
            signal: Signal::Surprise,
            ..
        } => "name a language model with --surprise-model, or give each row a number `surprise`",
        DeviationError::MissingSignal {
            signal: Signal::Quality,
            ..
        } => "give each response a score, or leave quality out of the mix",
        DeviationError::MissingSignal {
            signal: Signal::Novelty,
            ..
        } => "name an embedder with --semantic, or leave novelty out of the mix",
        DeviationError::MissingDeviation { .. } => "name an embedder of this kind",
        _ => "correct it, or leave the signal out of the mix",
    }
}

impl DataError {
    /// A read error, told apart from a compressed stream that ends too early.
    pub(crate) fn read(path: &Path, compression: Option<&'static str>, source: io::Error) -> Self {
        let damaged = matches!(
            source.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Other
        );
        match compression {
            Some(format) if damaged => Self::Damaged {
                path: path.to_path_buf(),
                format,
                detail: source.to_string(),
            },
            _ => Self::Read {
                path: path.to_path_buf(),
                source,
            },
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }
}

/// Why a row cannot be used; the key under which skipped rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A line that is not one JSON object.
    MalformedJson,
    /// A CSV record with a wrong number of fields.
    MalformedCsv,
    /// A line over the cap.
    LineTooLong,
    /// A field that the shape needs is absent or null.
    MissingField,
    /// Another type where text is needed.
    NotText,
    /// Another type where a list is needed.
    NotAList,
    /// Another type where a number is needed.
    NotANumber,
    /// NaN or an infinity as a score.
    NonFiniteScore,
    /// Two lists that should run in parallel have different lengths.
    LengthMismatch,
    /// A conversation that has no completion after its prompt.
    NoCompletion,
    /// Two rows claim the same prompt id or the same response id.
    DuplicateId,
}

impl Reason {
    /// The name under which the summary counts it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "invalid_utf8",
            Self::MalformedJson => "malformed_json",
            Self::MalformedCsv => "malformed_csv",
            Self::LineTooLong => "line_too_long",
            Self::MissingField => "missing_field",
            Self::NotText => "not_text",
            Self::NotAList => "not_a_list",
            Self::NotANumber => "not_a_number",
            Self::NonFiniteScore => "non_finite_score",
            Self::LengthMismatch => "length_mismatch",
            Self::NoCompletion => "no_completion",
            Self::DuplicateId => "duplicate_id",
        }
    }
}

/// Where a row sits in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of a text file, from 1.
    Line(u64),
    /// A row of a Parquet file, from 1.
    Row(u64),
}

impl Place {
    /// The number of the line or row.
    pub fn number(self) -> u64 {
        match self {
            Self::Line(n) | Self::Row(n) => n,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Row(n) => write!(f, "row {n}"),
        }
    }
}

/// A row that cannot be used: file, place, field, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The file.
    pub path: PathBuf,
    /// The line or row.
    pub place: Place,
    /// The field, where one is to blame.
    pub field: Option<String>,
    /// The kind of fault.
    pub reason: Reason,
    /// What is wrong, in words.
    pub problem: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.path.display(), self.place)?;
        if let Some(field) = &self.field {
            write!(f, ", field {field:?}")?;
        }
        write!(
            f,
            ": {} (correct the row, or let `rarebit prepare --skip-bad` count and skip such rows)",
            self.problem
        )
    }
}

impl std::error::Error for BadRow {}

/// A fault inside a row, before its position is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: Option<String>,
    pub(crate) reason: Reason,
    pub(crate) problem: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, problem: impl Into<String>) -> Self {
        Self {
            field: None,
            reason,
            problem: problem.into(),
        }
    }

    pub(crate) fn in_field(field: &str, reason: Reason, problem: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            reason,
            problem: problem.into(),
        }
    }

    pub(crate) fn at(self, path: &Path, place: Place) -> BadRow {
        BadRow {
            path: path.to_path_buf(),
            place,
            field: self.field,
            reason: self.reason,
            problem: self.problem,
        }
    }
}

/// `"a", "b"`, for messages.
pub(crate) fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
