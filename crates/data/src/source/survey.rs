//! The first pass over a file.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Serialize;

use super::gather::prompt_key;
use super::open::open;
use super::options::SourceOptions;
use super::row::{ColumnType, Row};
use super::shape::{Content, Record, RowReading, Shape, column_types, described, located, stem};
use crate::error::{DataError, Fault, Reason};
use crate::group::Response;
use crate::progress::{PROGRESS_ROWS, Progress, Stage};
use rarebit_text::Text;

/// What the first pass over a file found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// What a row means.
    pub shape: Shape,
    /// Rows that can be used.
    pub rows: u64,
    /// Responses in them; a preference row has two.
    pub responses: u64,
    /// Responses with a score.
    pub scored: u64,
    /// Rows that cannot be used, by reason.
    pub skipped: BTreeMap<Reason, SkippedRows>,
    /// The lowest and highest score, where there is any.
    pub score_range: Option<(f64, f64)>,
    /// The columns of the first row.
    pub columns: Vec<String>,
    /// The same with their types, for messages.
    pub column_types: String,
    /// Which column is taken for what, for messages.
    pub reading: String,
    /// Whether rows of one prompt are scattered over the file.
    pub scattered: bool,
    /// Whether any prompt or response is a conversation.
    pub conversational: bool,
    /// Whether any message names who speaks.
    pub named: bool,
}

/// Bad rows of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SkippedRows {
    /// How many.
    pub count: u64,
    /// The line or row of the first, from 1.
    pub first: u64,
}

pub(crate) fn survey(
    path: &Path,
    options: &SourceOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<(RowReading, Survey), DataError> {
    let mut rows = open(path, options.max_line_bytes)?;
    let declared = rows.columns.clone();
    let mut skipped = BTreeMap::new();
    let mut found: Option<(RowReading, Findings)> = None;
    let mut read = 0;
    while let Some(row) = rows.next() {
        read += 1;
        if read % PROGRESS_ROWS == 0 {
            let (done, total) = rows.position();
            progress(Progress {
                stage: Stage::Survey,
                done,
                total,
            });
        }
        let record = row.and_then(|row| {
            let (reading, findings) = match &mut found {
                Some(found) => found,
                None => {
                    let types = column_types(declared.as_deref(), &row.fields);
                    let reading = reading(path, &row, options, &types)?;
                    found.insert((reading, Findings::new(types)))
                }
            };
            located(findings.take(reading, &row), path, row.place)
        });
        match record {
            Err(DataError::Row(bad)) if options.skip_bad => {
                skipped
                    .entry(bad.reason)
                    .or_insert(SkippedRows {
                        count: 0,
                        first: bad.place.number(),
                    })
                    .count += 1;
            }
            other => other?,
        }
    }
    let (done, total) = rows.position();
    progress(Progress {
        stage: Stage::Survey,
        done,
        total,
    });
    match found {
        Some((reading, findings)) if findings.rows > 0 => {
            let survey = findings.survey(&reading, skipped);
            Ok((reading, survey))
        }
        _ if skipped.is_empty() => Err(DataError::Empty {
            path: path.to_path_buf(),
        }),
        _ => Err(DataError::Format {
            path: path.to_path_buf(),
            problem: format!("none of its {read} rows can be used"),
            remedy: "run again without --skip-bad to see the first error".to_owned(),
        }),
    }
}

fn reading(
    path: &Path,
    row: &Row,
    options: &SourceOptions,
    types: &[ColumnType],
) -> Result<RowReading, DataError> {
    Ok(RowReading {
        stem: stem(path),
        shape: Shape::detect(path, &row.fields, &options.columns, types)?,
        columns: options.columns.clone(),
        strip_tag: options.strip_tag,
        lower_is_better: options.lower_is_better,
    })
}

struct Findings {
    columns: Vec<ColumnType>,
    rows: u64,
    responses: u64,
    scored: u64,
    range: Option<(f64, f64)>,
    scattered: bool,
    conversational: bool,
    named: bool,
    /// Prompts of partial rows, ids of whole ones.
    seen: HashSet<u128>,
    last: Option<u128>,
}

impl Findings {
    fn new(columns: Vec<ColumnType>) -> Self {
        Self {
            columns,
            rows: 0,
            responses: 0,
            scored: 0,
            range: None,
            scattered: false,
            conversational: false,
            named: false,
            seen: HashSet::new(),
            last: None,
        }
    }

    fn take(&mut self, reading: &RowReading, row: &Row) -> Result<(), Fault> {
        match reading.record(row)? {
            Record::Group(group) => {
                if !self
                    .seen
                    .insert(prompt_key(Some(&group.id), &Text::from("")))
                {
                    return Err(Fault::in_field(
                        &reading.columns.prompt_id,
                        Reason::DuplicateId,
                        format!("{:?} is also the id of an earlier row", group.id),
                    ));
                }
                self.prompt(&group.prompt);
                for response in &group.responses {
                    self.response(response);
                }
            }
            Record::Row(row) => {
                let key = prompt_key(row.prompt_id.as_deref(), &row.prompt);
                let starts = self.last.replace(key) != Some(key);
                if starts && !self.seen.insert(key) {
                    self.scattered = true;
                }
                self.prompt(&row.prompt);
                match &row.content {
                    Content::Flat(response) => self.response(response),
                    Content::Preference { chosen, rejected } => {
                        self.response(chosen);
                        self.response(rejected);
                    }
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn prompt(&mut self, prompt: &Text) {
        if let Text::Chat(turns) = prompt {
            self.conversational = true;
            self.named |= turns.iter().any(|turn| turn.name.is_some());
        }
    }

    fn response(&mut self, response: &Response) {
        self.responses += 1;
        self.conversational |= !response.turns.is_empty();
        self.named |= response.turns.iter().any(|turn| turn.name.is_some());
        if let Some(score) = response.score {
            self.scored += 1;
            let (low, high) = self.range.unwrap_or((score, score));
            self.range = Some((low.min(score), high.max(score)));
        }
    }

    fn survey(self, reading: &RowReading, skipped: BTreeMap<Reason, SkippedRows>) -> Survey {
        Survey {
            shape: reading.shape,
            reading: reading.described(&self.columns),
            column_types: described(&self.columns),
            rows: self.rows,
            responses: self.responses,
            scored: self.scored,
            skipped,
            score_range: self.range,
            columns: self.columns.into_iter().map(|column| column.name).collect(),
            named: self.named,
            scattered: self.scattered,
            conversational: self.conversational,
        }
    }
}
