//! Reading back, for training and evaluation: pairs, samples, and the numbers of groups.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{DataError, Fault, Place, Reason};
use crate::output::PairRow;
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

/// The numbers of one response from which weights can be made again.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupScore {
    /// See [`crate::Group::id`].
    pub prompt_id: String,
    /// See [`crate::Response::id`].
    pub response_id: u32,
    /// Raw deviation; `None` when alone or not measured.
    pub deviation_semantic: Option<f64>,
    /// Raw deviation; `None` when alone or not measured.
    pub deviation_style: Option<f64>,
    /// See [`crate::steps::weigh::WeighedResponse::novelty`]; `None` also in files that do not know
    /// it, as of the next two.
    pub novelty: Option<f64>,
    /// See [`crate::Response::surprise`].
    pub surprise: Option<f64>,
    /// See [`crate::Response::score`].
    pub score: Option<f64>,
    /// The weight that was made of them.
    pub weight: f64,
}

/// Reads the signals and the weights of a `groups.parquet`, without its texts. Responses of one
/// prompt follow each other.
///
/// # Errors
/// When the file cannot be read or lacks a column; each item can be a reading error.
pub fn read_group_scores(path: &Path) -> Result<GroupScores, DataError> {
    const COLUMNS: [&str; 5] = [
        "prompt_id",
        "response_id",
        "deviation_semantic",
        "deviation_style",
        "weight",
    ];
    const OPTIONAL: [&str; 3] = ["score", "novelty", "surprise"];
    let file = File::open(path).map_err(|source| DataError::Open {
        path: path.to_path_buf(),
        source,
    })?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, &error))?;
    let fields = builder.schema().fields();
    if let Some(missing) = COLUMNS
        .iter()
        .find(|name| !fields.iter().any(|field| field.name() == *name))
    {
        return Err(DataError::MissingColumn {
            path: path.to_path_buf(),
            column: (*missing).to_owned(),
            available: fields.iter().map(|field| field.name().clone()).collect(),
        });
    }
    let mask = ProjectionMask::columns(
        builder.parquet_schema(),
        COLUMNS.into_iter().chain(OPTIONAL),
    );
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
                .and_then(|batch| scores(&batch).ok_or_else(|| foreign_types(&self.path)));
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

/// `None` when a column has another type than rarebit writes.
fn scores(batch: &RecordBatch) -> Option<Vec<GroupScore>> {
    let column = |name| batch.column_by_name(name);
    let prompt_ids = column("prompt_id")?.as_string_opt::<i32>()?;
    let response_ids = column("response_id")?.as_primitive_opt::<UInt32Type>()?;
    let semantic = column("deviation_semantic")?.as_primitive_opt::<Float64Type>()?;
    let style = column("deviation_style")?.as_primitive_opt::<Float64Type>()?;
    let weight = column("weight")?.as_primitive_opt::<Float64Type>()?;
    let number = |name, row: usize| {
        let values = column(name)?.as_primitive_opt::<Float64Type>()?;
        values.is_valid(row).then(|| values.value(row))
    };
    let rows = (0..batch.num_rows()).map(|row| GroupScore {
        novelty: number("novelty", row),
        surprise: number("surprise", row),
        score: number("score", row),
        weight: weight.value(row),
        prompt_id: prompt_ids.value(row).to_owned(),
        response_id: response_ids.value(row),
        deviation_semantic: semantic.is_valid(row).then(|| semantic.value(row)),
        deviation_style: style.is_valid(row).then(|| style.value(row)),
    });
    Some(rows.collect())
}
