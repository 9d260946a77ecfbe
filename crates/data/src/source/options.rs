//! How a source is read.

use std::path::PathBuf;

use serde::Serialize;

use super::columns::Columns;

/// The longest line read by default: 64 MiB.
pub const DEFAULT_MAX_LINE_BYTES: usize = 64 << 20;

/// How a source is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceOptions {
    /// Which column holds what.
    pub columns: Columns,
    /// Scores are ranks or losses: the lowest is the best. They are negated as they are read.
    #[serde(skip_serializing_if = "is_false")]
    pub lower_is_better: bool,
    /// Count and skip unusable rows instead of stopping at the first.
    pub skip_bad: bool,
    /// The longest line, or CSV record, that is read.
    pub max_line_bytes: usize,
    /// Strip one leading `[..]` tag from WritingPrompts titles.
    pub strip_tag: bool,
    /// Where scattered rows are gathered; the system's temporary folder by default.
    #[serde(skip)]
    pub spool_folder: Option<PathBuf>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            columns: Columns::default(),
            lower_is_better: false,
            skip_bad: false,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            strip_tag: true,
            spool_folder: None,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
