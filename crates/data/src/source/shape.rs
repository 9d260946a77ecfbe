//! The known shapes of rows, recognised by their columns, and reading a row as one of them.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns::Columns;
use super::conversation::{
    PreferenceTexts, conversations, last_turn, preference_texts, prompt, turns_or_text, with_system,
};
use super::entities::decoded;
use super::field::{
    Fields, id_if_any, kind, label, list, number, number_if_any, optional, optional_name,
    optional_number, optional_weight, parsed, required, required_text, text,
};
use super::row::{ColumnType, Row};
use crate::error::{DataError, Fault, Place, Reason};
use crate::group::{Group, Response};
use crate::steps::clean::strip_tag;
use rarebit_text::Text;

/// The known shapes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `{post_title, post_text, comment_texts, comment_scores}`.
    WritingPrompts,
    /// `{prompt, responses: [{text, score}]}`.
    Groups,
    /// `{prompt, generations, generation_scores}`.
    NoveltyBench,
    /// `{prompt?, chosen, rejected}`, plain or conversational.
    Preference,
    /// `{prompt, response, score}` or TRL's `{prompt, completion}`, one response per row.
    Flat,
    /// TRL's `{messages}`, a conversation that ends with the assistant's turn, one per row.
    Messages,
}

impl Shape {
    /// A name for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WritingPrompts => "WritingPrompts",
            Self::Groups => "grouped",
            Self::NoveltyBench => "NoveltyBench",
            Self::Preference => "preference",
            Self::Flat => "flat",
            Self::Messages => "message",
        }
    }

    /// The shape of a file, from the columns of its first row.
    pub(crate) fn detect(
        path: &Path,
        fields: &Fields,
        columns: &Columns,
        types: &[ColumnType],
    ) -> Result<Self, DataError> {
        let has = |name: &String| fields.contains_key(name);
        let shape = if has(&columns.comments) && has(&columns.title) {
            Some(Self::WritingPrompts)
        } else if has(&columns.prompt) && has(&columns.responses) {
            Some(Self::Groups)
        } else if has(&columns.prompt) && has(&columns.generations) {
            Some(Self::NoveltyBench)
        } else if has(&columns.chosen) && has(&columns.rejected) {
            Some(Self::Preference)
        } else if has(&columns.prompt) && (has(&columns.response) || has(&columns.completion)) {
            Some(Self::Flat)
        } else if fields.contains_key(conversations(fields, columns)) {
            Some(Self::Messages)
        } else {
            None
        };
        let available = || fields.keys().cloned().collect::<Vec<_>>();
        let entries = fields.get(&columns.responses);
        let entries = entries.and_then(|value| response_entries(&columns.responses, value).ok());
        let inside = entries.and_then(|list| list.first()?.as_object().cloned());
        let known = |name: &str| {
            fields.contains_key(name)
                || inside
                    .as_ref()
                    .is_some_and(|entry| entry.contains_key(name))
        };
        if let Some(column) = columns.renamed().into_iter().find(|name| !known(name)) {
            return Err(DataError::MissingColumn {
                path: path.to_path_buf(),
                column: column.to_owned(),
                available: available(),
            });
        }
        shape.ok_or_else(|| DataError::UnknownShape {
            path: path.to_path_buf(),
            columns: described(types),
            remedy:
                "name the columns, for example --prompt-column QUESTION --response-column ANSWER \
                     --score-column VOTES, or --chosen-column A --rejected-column B"
                    .to_owned(),
        })
    }
}

/// The columns of a file: as it declares them, or as its first row has them.
pub(crate) fn column_types(declared: Option<&[ColumnType]>, fields: &Fields) -> Vec<ColumnType> {
    let found = |(name, value): (&String, &Value)| ColumnType {
        name: name.clone(),
        kind: kind(value),
    };
    match declared {
        Some(declared) => declared.to_vec(),
        None => fields.iter().map(found).collect(),
    }
}

/// `"a" (text), "b" (number)`, for messages.
pub(crate) fn described(types: &[ColumnType]) -> String {
    let types: Vec<String> = types
        .iter()
        .map(|column| format!("{:?} ({})", column.name, column.kind))
        .collect();
    types.join(", ")
}

/// What one row holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Group(Group),
    Row(Box<PromptRow>),
}

/// A row with part of a prompt's responses; other rows may have more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PromptRow {
    pub(crate) prompt_id: Option<String>,
    pub(crate) row: u64,
    pub(crate) prompt: Text,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Content {
    Flat(Response),
    Preference {
        chosen: Response,
        rejected: Response,
    },
}

/// How rows of one file are read.
#[derive(Debug, Clone)]
pub(crate) struct RowReading {
    pub(crate) stem: String,
    pub(crate) shape: Shape,
    pub(crate) columns: Columns,
    pub(crate) strip_tag: bool,
    pub(crate) lower_is_better: bool,
}

impl RowReading {
    /// Which of a file's columns is taken for what: `flat rows; prompt from "question", ..`.
    pub(crate) fn described(&self, columns: &[ColumnType]) -> String {
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        let of_shape: &[&str] = match self.shape {
            Shape::WritingPrompts => &["title", "text", "comments", "comment_scores"],
            Shape::Groups => &["prompt", "system", "responses", "scores"],
            Shape::NoveltyBench => &["prompt", "system", "generations", "generation_scores"],
            Shape::Preference => &[
                "prompt",
                "system",
                "chosen",
                "rejected",
                "score_chosen",
                "score_rejected",
                "weight",
            ],
            Shape::Flat => &[
                "prompt",
                "system",
                "response",
                "completion",
                "score",
                "weight",
                "label",
            ],
            Shape::Messages => &["messages", "system", "score", "weight", "label"],
        };
        let taken: Vec<String> = (self.columns.taken(has).into_iter())
            .filter(|(role, _)| of_shape.contains(role))
            .map(|(role, name)| format!("{} from {name:?}", role.replace('_', " ")))
            .collect();
        format!("{} rows; {}", self.shape.as_str(), taken.join(", "))
    }

    pub(crate) fn record(&self, row: &Row) -> Result<Record, Fault> {
        let fields = &row.fields;
        match self.shape {
            Shape::WritingPrompts => self.writing_prompts(row).map(Record::Group),
            Shape::Groups => self.groups(row).map(Record::Group),
            Shape::NoveltyBench => {
                let prompt = prompt(fields, &self.columns)?;
                let names = (&*self.columns.generations, &*self.columns.generation_scores);
                let responses = self.parallel_lists(fields, names)?;
                let mut group = self.group(row, prompt, responses)?;
                // What NoveltyBench calls its prompts.
                if !fields.contains_key(&self.columns.prompt_id)
                    && let Some(id) = optional_name(fields, "id")?
                {
                    group.id = id;
                }
                Ok(Record::Group(group))
            }
            Shape::Flat => self.flat(row).map(|row| Record::Row(Box::new(row))),
            Shape::Preference => self.preference(row).map(|row| Record::Row(Box::new(row))),
            Shape::Messages => self.messages(row).map(|row| Record::Row(Box::new(row))),
        }
    }

    /// A score, so that higher is better.
    fn score(&self, fields: &Fields, name: &str) -> Result<Option<f64>, Fault> {
        Ok(optional_number(fields, name)?.map(|score| self.oriented(score)))
    }

    fn oriented(&self, score: f64) -> f64 {
        match self.lower_is_better {
            true => 0.0 - score,
            false => score,
        }
    }

    fn group(&self, row: &Row, prompt: Text, responses: Vec<Response>) -> Result<Group, Fault> {
        let id = optional_name(&row.fields, &self.columns.prompt_id)?;
        Ok(Group {
            id: id.unwrap_or_else(|| format!("{}:{}", self.stem, row.place.number())),
            prompt,
            responses,
            pairs: None,
        })
    }

    /// Title and text of the post are the prompt; a post without text is its title alone.
    fn writing_prompts(&self, row: &Row) -> Result<Group, Fault> {
        let title = required_text(&row.fields, &self.columns.title)?;
        let title = decoded(&title);
        let title = match self.strip_tag {
            true => strip_tag(&title),
            false => &title,
        };
        let body = match optional(&row.fields, &self.columns.text) {
            Some(value) => decoded(text(&self.columns.text, value)?),
            None => "".into(),
        };
        let prompt = match body.is_empty() {
            true => title.to_owned(),
            false => format!("{title}\n{body}"),
        };
        let names = (&*self.columns.comments, &*self.columns.comment_scores);
        let mut comments = self.parallel_lists(&row.fields, names)?;
        for comment in &mut comments {
            comment.text = decoded(&comment.text).into_owned();
        }
        self.group(row, prompt.into(), comments)
    }

    fn groups(&self, row: &Row) -> Result<Group, Fault> {
        let columns = &self.columns;
        let prompt = prompt(&row.fields, columns)?;
        let value = required(&row.fields, &columns.responses)?;
        let entries = response_entries(&columns.responses, value)?;
        if entries.iter().all(|entry| !entry.is_object()) {
            let names = (&*columns.responses, &*columns.scores);
            let responses = self.parallel_lists(&row.fields, names)?;
            return self.group(row, prompt, responses);
        }
        let mut responses = Vec::with_capacity(entries.len());
        for (position, entry) in entries.iter().enumerate() {
            let id = row_id(position as u64)?;
            let name = format!("{}[{position}]", columns.responses);
            let response = match entry {
                Value::Object(entry) => {
                    let name = if entry.contains_key("text") {
                        "text"
                    } else {
                        &columns.response
                    };
                    let value = required_or_empty(entry, name)?;
                    let score = self.score(entry, &columns.score)?;
                    let response = Response::new(id, turns_or_text(name, value)?, score);
                    self.given(entry, response)?
                }
                Value::Null => Response::new(id, "".into(), None),
                other => Response::new(id, text(&name, other)?.into(), None),
            };
            responses.push(response);
        }
        self.group(row, prompt, responses)
    }

    /// A list of texts and, where present, the list of their scores. A text that is null is a
    /// response without text, which later steps drop and count.
    fn parallel_lists(
        &self,
        fields: &Fields,
        (texts, scores): (&str, &str),
    ) -> Result<Vec<Response>, Fault> {
        let values = list(texts, required(fields, texts)?)?;
        let numbers = match optional(fields, scores) {
            Some(value) => Some(list(scores, value)?),
            None => None,
        };
        if let Some(numbers) = &numbers
            && numbers.len() != values.len()
        {
            return Err(Fault::in_field(
                scores,
                Reason::LengthMismatch,
                format!(
                    "{} scores for the {} texts of {texts:?}",
                    numbers.len(),
                    values.len()
                ),
            ));
        }
        let mut responses = Vec::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            let score = match &numbers {
                None => None,
                Some(numbers) => number(&format!("{scores}[{position}]"), &numbers[position])?,
            };
            let text = match value {
                Value::Null => Text::from(""),
                value => turns_or_text(&format!("{texts}[{position}]"), value)?,
            };
            let score = score.map(|score| self.oriented(score));
            responses.push(Response::new(row_id(position as u64)?, text, score));
        }
        Ok(responses)
    }

    fn flat(&self, row: &Row) -> Result<PromptRow, Fault> {
        let (fields, columns) = (&row.fields, &self.columns);
        let id = id_if_any(fields, "response_id").or_else(|| id_if_any(fields, "sample"));
        let has = |name: &String| fields.contains_key(name);
        let name = match has(&columns.completion) && !has(&columns.response) {
            true => &columns.completion,
            false => &columns.response,
        };
        let response = Response::new(
            id.map_or_else(|| row_id(row.place.number()), Ok)?,
            turns_or_text(name, required_or_empty(fields, name)?)?,
            self.score(fields, &columns.score)?,
        );
        let response = self.given(fields, response)?;
        self.prompt_row(row, prompt(fields, &self.columns)?, Content::Flat(response))
    }

    fn messages(&self, row: &Row) -> Result<PromptRow, Fault> {
        let (fields, columns) = (&row.fields, &self.columns);
        let name = conversations(fields, columns);
        let (prompt, answer) = last_turn(name, required(fields, name)?)?;
        let prompt = with_system(prompt, fields, columns)?;
        let score = self.score(fields, &columns.score)?;
        let response = Response::new(row_id(row.place.number())?, answer, score);
        let response = self.given(fields, response)?;
        self.prompt_row(row, prompt, Content::Flat(response))
    }

    /// The response with the surprise, weight, label and finish reason of its row.
    fn given(&self, fields: &Fields, response: Response) -> Result<Response, Fault> {
        Ok(Response {
            // Weights that count it say which response lacks it.
            surprise: number_if_any(fields, "surprise"),
            weight: optional_weight(fields, &self.columns.weight)?,
            label: label(fields, &self.columns.label),
            finish_reason: fields
                .get("finish_reason")
                .and_then(|reason| reason.as_str().map(str::to_owned)),
            ..response
        })
    }

    fn preference(&self, row: &Row) -> Result<PromptRow, Fault> {
        let (fields, columns) = (&row.fields, &self.columns);
        let PreferenceTexts {
            prompt,
            chosen,
            rejected,
        } = preference_texts(fields, columns)?;
        let side = |text, score: &str, id_column: &str, offset| -> Result<Response, Fault> {
            let id = match id_if_any(fields, id_column) {
                Some(id) => id,
                None => row_id(row.place.number() * 2 + offset)?,
            };
            let score = self.score(fields, score)?;
            Ok(Response::new(id, text, score))
        };
        let content = Content::Preference {
            chosen: side(chosen, &columns.score_chosen, "chosen_id", 0)?,
            rejected: side(rejected, &columns.score_rejected, "rejected_id", 1)?,
        };
        self.prompt_row(row, prompt, content)
    }

    fn prompt_row(&self, row: &Row, prompt: Text, content: Content) -> Result<PromptRow, Fault> {
        Ok(PromptRow {
            prompt_id: optional_name(&row.fields, &self.columns.prompt_id)?,
            row: row.place.number(),
            prompt,
            content,
        })
    }
}

/// A generated response can be empty, which CSV writes as nothing; only a missing column is a fault.
fn required_or_empty<'a>(fields: &'a Fields, name: &str) -> Result<&'a Value, Fault> {
    static EMPTY: Value = Value::String(String::new());
    match fields.get(name) {
        Some(Value::Null) => Ok(&EMPTY),
        _ => required(fields, name),
    }
}

/// The entries of a list of responses, which may also be stored as lists of their parts:
/// `{text: [..], score: [..]}`.
pub(crate) fn response_entries<'a>(
    name: &str,
    value: &'a Value,
) -> Result<Cow<'a, [Value]>, Fault> {
    let parts = match parsed(value) {
        Some(Value::Object(parts)) => Some(Cow::Owned(parts)),
        _ => value.as_object().map(Cow::Borrowed),
    };
    let Some(parts) = parts else {
        return list(name, value);
    };
    let mut entries: Vec<Fields> = Vec::new();
    for (key, values) in parts.iter().filter(|(_, values)| !values.is_null()) {
        let part = format!("{name}.{key}");
        let values = list(&part, values)?;
        if entries.is_empty() {
            entries.resize(values.len(), Fields::new());
        }
        if entries.len() != values.len() {
            return Err(Fault::in_field(
                &part,
                Reason::LengthMismatch,
                format!("{} values for {} responses", values.len(), entries.len()),
            ));
        }
        for (entry, value) in entries.iter_mut().zip(values.iter()) {
            entry.insert(key.clone(), value.clone());
        }
    }
    Ok(Cow::Owned(entries.into_iter().map(Value::Object).collect()))
}

/// A position as an id.
fn row_id(number: u64) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| {
        Fault::new(
            Reason::DuplicateId,
            format!(
                "{number} is past the largest id, {}; split the file",
                u32::MAX
            ),
        )
    })
}

/// The stem of a file name without its compression and format: `stories.jsonl.gz` is `stories`.
pub(crate) fn stem(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let bare = [".gz", ".zst", ".zstd"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    match bare.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => bare.to_owned(),
    }
}

/// Attaches the file and the place to a fault.
pub(crate) fn located<T>(
    result: Result<T, Fault>,
    path: &Path,
    place: Place,
) -> Result<T, DataError> {
    result.map_err(|fault| fault.at(path, place).into())
}
