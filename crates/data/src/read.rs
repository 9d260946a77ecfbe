//! Reading for training and evaluation: pairs, samples, and the numbers of groups.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::{Map, Value};

use crate::error::{DataError, Fault, Place, Reason};
use crate::group::Group;
use crate::output::{GroupRow, PairRow, ReadValue};
use crate::source::{
    Columns, Groups, Row, Rows, Source, SourceOptions, guarded, id_if_any, located, open,
    optional_name, optional_number, optional_weight, preference_texts, prompt, reader, stem,
};
use crate::steps::given::{Oddity, PairCounts};
use rarebit_text::Text;

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
        lower_is_better: options.lower_is_better,
        counts: PairCounts::default(),
    })
}

/// The pairs of a file, made by [`read_pairs`].
pub struct Pairs {
    rows: Rows,
    stem: String,
    columns: Columns,
    skip_bad: bool,
    lower_is_better: bool,
    counts: PairCounts,
}

impl Pairs {
    /// The pairs read so far, by what is odd about them. Those with equal texts are dropped.
    pub fn counts(&self) -> PairCounts {
        self.counts
    }

    fn pair(&self, fields: &Map<String, Value>, place: Place) -> Result<PairRow, Fault> {
        let texts = preference_texts(fields, &self.columns)?;
        let number = |name: &str| optional_number(fields, name);
        let score = |name: &str| -> Result<Option<f64>, Fault> {
            let score = number(name)?;
            Ok(match self.lower_is_better {
                true => score.map(|score| 0.0 - score),
                false => score,
            })
        };
        let row = place.number();
        let id = |name: &str, offset: u64| -> Result<u32, Fault> {
            match id_if_any(fields, name) {
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
            score_chosen: score(&self.columns.score_chosen)?,
            score_rejected: score(&self.columns.score_rejected)?,
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
                Ok(pair) => {
                    let is_equal = pair.chosen == pair.rejected;
                    let scores = pair.score_chosen.zip(pair.score_rejected);
                    if self.counts.count(is_equal, scores) != Some(Oddity::Equal) {
                        return Some(Ok(pair));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A prompt and the id that leads back to its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The source's own id, or the number of its line or row.
    pub id: String,
    /// The prompt.
    pub text: Text,
}

/// Reads the prompts of a file that holds nothing but prompts, or those of any file of responses.
///
/// # Errors
/// When the file cannot be read, or a row has no prompt.
pub fn read_prompts(path: &Path, options: &SourceOptions) -> Result<Vec<Prompt>, DataError> {
    let columns = &options.columns;
    let mut rows = open(path, options.max_line_bytes)?.peekable();
    let holds_responses = |fields: &Map<String, Value>| {
        let responses = [
            &columns.response,
            &columns.responses,
            &columns.completion,
            &columns.chosen,
            &columns.generations,
            &columns.messages,
        ];
        responses.into_iter().any(|name| fields.contains_key(name))
    };
    let is_list = rows.peek().is_some_and(|row| match row {
        Ok(row) => row.fields.contains_key(&columns.prompt) && !holds_responses(&row.fields),
        Err(_) => false,
    });
    if !is_list {
        let group = |group: Result<Group, DataError>| {
            let Group {
                id, prompt: text, ..
            } = group?;
            Ok(Prompt { id, text })
        };
        return read_samples(path, options)?.map(group).collect();
    }
    let prompt = |row: Row| {
        let fields = &row.fields;
        let mut id = optional_name(fields, &columns.prompt_id)?;
        if id.is_none() {
            id = optional_name(fields, "id")?;
        }
        Ok(Prompt {
            id: id.unwrap_or_else(|| row.place.number().to_string()),
            text: prompt(fields, columns)?,
        })
    };
    let prompts = rows.filter_map(|row| {
        let read = row.and_then(|row| {
            let place = row.place;
            located(prompt(row), path, place)
        });
        match read {
            Err(DataError::Row(_)) if options.skip_bad => None,
            read => Some(read),
        }
    });
    prompts.collect()
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
    let (builder, _) = guarded(path, || reader(file))?;
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
    let batches = guarded(path, || builder.with_projection(mask).build())?;
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
            let batch = guarded(&self.path, || self.batches.next().transpose());
            let scores = batch.transpose()?.and_then(|batch| {
                guarded(&self.path, || Ok::<_, Infallible>(GroupScore::rows(&batch)))?
                    .ok_or_else(|| foreign_types(&self.path))
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
