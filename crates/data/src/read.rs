//! Reading for training and evaluation: pairs, samples, and the numbers of groups.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{DataError, Fault, Place, Reason};
use crate::output::{GroupRow, PairRow, ReadValue};
use crate::source::{
    Columns, Groups, Rows, Source, SourceOptions, damaged, located, open, optional_id,
    optional_name, optional_number, optional_weight, preference_texts, stem,
};

/// Reads preference pairs: a `pairs.parquet` or `pairs.jsonl` of `rarebit prepare`, or any file in
/// TRL's preference format, plain or conversational, with or without a `weight`.
///
/// # Errors
/// When the file cannot be opened; each item can be a bad row or a reading error.
pub fn read_pairs(path: &Path, options: &SourceOptions) -> Result<Pairs, DataError> {
    Ok(Pairs {
        rows: open(path, options.max_line_bytes)?,
        stem: stem(path),
        columns: options.columns.clone(),
        skip_bad: options.skip_bad,
    })
}

/// The pairs of a file, made by [`read_pairs`].
pub struct Pairs {
    rows: Rows,
    stem: String,
    columns: Columns,
    skip_bad: bool,
}

impl Pairs {
    fn pair(
        &self,
        fields: &serde_json::Map<String, serde_json::Value>,
        place: Place,
    ) -> Result<PairRow, Fault> {
        let texts = preference_texts(fields, &self.columns)?;
        let number = |name: &str| optional_number(fields, name);
        let row = place.number();
        let id = |name: &str, offset: u64| -> Result<u32, Fault> {
            match optional_id(fields, name)? {
                Some(id) => Ok(id),
                None => u32::try_from(row * 2 + offset).map_err(|_| {
                    Fault::new(Reason::DuplicateId, "more rows than ids; split the file")
                }),
            }
        };
        Ok(PairRow {
            prompt_id: optional_name(fields, &self.columns.prompt_id)?
                .unwrap_or_else(|| format!("{}:{row}", self.stem)),
            prompt: texts.prompt,
            chosen: texts.chosen,
            rejected: texts.rejected,
            chosen_id: id("chosen_id", 0)?,
            rejected_id: id("rejected_id", 1)?,
            score_chosen: number(&self.columns.score_chosen)?,
            score_rejected: number(&self.columns.score_rejected)?,
            deviation_semantic_chosen: number("deviation_semantic_chosen")?,
            deviation_semantic_rejected: number("deviation_semantic_rejected")?,
            deviation_style_chosen: number("deviation_style_chosen")?,
            deviation_style_rejected: number("deviation_style_rejected")?,
            weight: optional_weight(fields, &self.columns.weight)?,
        })
    }
}

impl Iterator for Pairs {
    type Item = Result<PairRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let pair = self.rows.next()?.and_then(|row| {
                located(
                    self.pair(&row.fields, row.place),
                    &self.rows.path,
                    row.place,
                )
            });
            match pair {
                Err(DataError::Row(_)) if self.skip_bad => {}
                pair => return Some(pair),
            }
        }
    }
}

/// Reads responses grouped by prompt, with scores where there are any: generated samples, a
/// `groups.parquet`, or any other shape that [`Source`] knows.
///
/// # Errors
/// When the file cannot be read or has no known shape.
pub fn read_samples(path: &Path, options: &SourceOptions) -> Result<Groups, DataError> {
    Source::open(path, options, &mut |_| ())?.groups(&mut |_| ())
}

/// Some columns of a `groups.parquet`, named and typed as [`GroupRow`]'s.
macro_rules! group_columns {
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            required { $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)* }
            optional { $($(#[$optional_doc:meta])* $optional:ident: $optional_type:ty,)* }
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$required_doc])* pub $required: $required_type,)*
            $($(#[$optional_doc])* pub $optional: $optional_type,)*
        }

        impl $name {
            const REQUIRED: &[&str] = &[$(stringify!($required)),*];
            const OPTIONAL: &[&str] = &[$(stringify!($optional)),*];

            /// The rows of a batch; `None` when a column is not of the type that rarebit writes.
            fn rows(batch: &RecordBatch) -> Option<Vec<Self>> {
                let row = |row: usize| {
                    Some(Self {
                        $($required: {
                            let column = batch.column_by_name(stringify!($required))?;
                            <$required_type>::read(column.as_ref(), row)?
                        },)*
                        $($optional: match batch.column_by_name(stringify!($optional)) {
                            Some(column) => <$optional_type>::read(column.as_ref(), row)?,
                            None => None,
                        },)*
                    })
                };
                (0..batch.num_rows()).map(row).collect()
            }
        }

        impl From<GroupRow> for $name {
            fn from(row: GroupRow) -> Self {
                Self { $($required: row.$required,)* $($optional: row.$optional,)* }
            }
        }
    };
}

group_columns! {
    /// The numbers of one response from which weights can be recomputed.
    pub struct GroupScore {
        required {
            /// See [`crate::Group::id`].
            prompt_id: String,
            /// See [`crate::Response::id`].
            response_id: u32,
            /// Raw deviation; `None` when alone or not measured.
            deviation_semantic: Option<f64>,
            /// Raw deviation; `None` when alone or not measured.
            deviation_style: Option<f64>,
            /// The weight that was made of them.
            weight: f64,
        }
        optional {
            /// See [`crate::steps::weigh::WeighedResponse::novelty`]; `None` also in files without
            /// the column, as of the next two.
            novelty: Option<f64>,
            /// See [`crate::Response::surprise`].
            surprise: Option<f64>,
            /// See [`crate::Response::score`].
            score: Option<f64>,
        }
    }
}

/// Reads the signals and the weights of a `groups.parquet`, without its texts. Responses of one
/// prompt follow each other.
///
/// # Errors
/// When the file cannot be read or lacks a column; each item can be a reading error.
pub fn read_group_scores(path: &Path) -> Result<GroupScores, DataError> {
    let file = File::open(path).map_err(|source| DataError::Open {
        path: path.to_path_buf(),
        source,
    })?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, &error))?;
    let fields = builder.schema().fields();
    if let Some(missing) = GroupScore::REQUIRED
        .iter()
        .find(|name| !fields.iter().any(|field| field.name() == *name))
    {
        return Err(DataError::MissingColumn {
            path: path.to_path_buf(),
            column: (*missing).to_owned(),
            available: fields.iter().map(|field| field.name().clone()).collect(),
        });
    }
    let columns = GroupScore::REQUIRED.iter().chain(GroupScore::OPTIONAL);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.copied());
    let batches = builder
        .with_projection(mask)
        .build()
        .map_err(|error| damaged(path, &error))?;
    Ok(GroupScores {
        path: path.to_path_buf(),
        batches,
        ready: Vec::new().into_iter(),
        failed: false,
    })
}

/// The numbers of a `groups.parquet`, made by [`read_group_scores`].
pub struct GroupScores {
    path: std::path::PathBuf,
    batches: ParquetRecordBatchReader,
    ready: std::vec::IntoIter<GroupScore>,
    failed: bool,
}

impl Iterator for GroupScores {
    type Item = Result<GroupScore, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(score) = self.ready.next() {
                return Some(Ok(score));
            }
            if self.failed {
                return None;
            }
            let scores = self
                .batches
                .next()?
                .map_err(|error| damaged(&self.path, &error))
                .and_then(|batch| {
                    GroupScore::rows(&batch).ok_or_else(|| foreign_types(&self.path))
                });
            match scores {
                Ok(scores) => self.ready = scores.into_iter(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn foreign_types(path: &Path) -> DataError {
    DataError::Format {
        path: path.to_path_buf(),
        problem: "the columns are not of the types that rarebit writes".to_owned(),
        remedy: "make the file with `rarebit prepare` or `rarebit deviation --output`".to_owned(),
    }
}
