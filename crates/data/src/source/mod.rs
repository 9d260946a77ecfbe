//! Reading any source of responses as a stream of [`Group`](crate::Group)s.
//!
//! A file is read at least twice: the first pass finds the shape, the bad rows, the range of the
//! scores and whether the rows of a prompt stand together; the second yields the groups. Rows that
//! are scattered take a third, which gathers them through a temporary file. Memory holds some tens of
//! bytes per prompt and one group, however large the file.

mod arrow;
mod columns;
mod conversation;
mod csv;
mod entities;
mod field;
mod gather;
mod jsonl;
mod open;
mod options;
mod parquet;
mod row;
mod scored;
mod shape;
mod spool;
mod survey;
mod unread;

use std::path::{Path, PathBuf};

pub use columns::Columns;
pub use gather::Groups;
pub use options::{DEFAULT_MAX_LINE_BYTES, SourceOptions};
pub use scored::SourceRow;
pub use shape::Shape;
pub use survey::{SkippedRows, Survey};

pub(crate) use conversation::{preference_texts, prompt};
pub(crate) use field::{id_if_any, optional_name, optional_number, optional_weight};
pub(crate) use open::{Rows, open};
pub(crate) use parquet::{guarded, reader};
pub(crate) use row::Row;
pub(crate) use shape::{located, stem};

use crate::error::DataError;
use crate::progress::Progress;
use shape::RowReading;

/// A file that has been surveyed and can be read as groups.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    options: SourceOptions,
    reading: RowReading,
    survey: Survey,
}

impl Source {
    /// Opens a file and makes the first pass over it.
    ///
    /// # Errors
    /// When the file cannot be read, has no usable row or no known shape, and, unless bad rows are
    /// skipped, at the first bad row.
    pub fn open(
        path: &Path,
        options: &SourceOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, DataError> {
        let (reading, survey) = survey::survey(path, options, progress)?;
        Ok(Self {
            path: path.to_path_buf(),
            options: options.clone(),
            reading,
            survey,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the first pass found.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The unchanged rows, each with the responses that it holds.
    ///
    /// # Errors
    /// When the file cannot be read a second time; each item can be a bad row or a reading error.
    pub fn rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<SourceRow, DataError>> + '_, DataError> {
        let rows = open(&self.path, self.options.max_line_bytes)?;
        Ok(rows.filter_map(|row| {
            let read = row.and_then(|row| {
                let place = row.place;
                located(SourceRow::read(row, &self.reading), &self.path, place)
            });
            match read {
                Err(DataError::Row(_)) if self.options.skip_bad => None,
                read => Some(read),
            }
        }))
    }

    /// The groups, in the order in which their prompts first appear.
    ///
    /// # Errors
    /// When the file cannot be read a second time or the temporary file cannot be written.
    pub fn groups(&self, progress: &mut dyn FnMut(Progress)) -> Result<Groups, DataError> {
        let rows = open(&self.path, self.options.max_line_bytes)?;
        let groups = Groups::new(rows, self.reading.clone(), self.options.skip_bad);
        if self.survey.scattered {
            groups.gathered(self.options.spool_folder.as_deref(), progress)
        } else {
            Ok(groups)
        }
    }
}
