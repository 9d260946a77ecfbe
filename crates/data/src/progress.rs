//! Progress of a long run, reported to the caller as values.

use serde::Serialize;

/// Progress is reported once in this many rows.
pub(crate) const PROGRESS_ROWS: u64 = 256;

/// A stage of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The first pass: shape, order of the rows, range of the scores, bad rows.
    Survey,
    /// Rows of one prompt are brought together through a temporary file.
    Gather,
    /// Cleaning, pairing, embedding, weighing and writing.
    Weigh,
}

impl Stage {
    /// A word for a progress bar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Gather => "gather",
            Self::Weigh => "weigh",
        }
    }
}

/// A progress report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of `total` is done: bytes of a text file, rows of a Parquet file, prompts of a
    /// gathered one.
    pub done: u64,
    /// The total.
    pub total: u64,
}
