//! The known shapes of rows, recognised by their columns, and reading a row as one of them.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns::Columns;
use super::conversation::{PreferenceTexts, last_turn, preference_texts, turns_or_text};
use super::field::{
    Fields, flag, list, number, optional, optional_id, optional_name, optional_number,
    optional_weight, required, required_text, text,
};
use super::row::Row;
use crate::error::{DataError, Fault, Place, Reason};
use crate::group::{Group, Response};
use crate::steps::clean::strip_tag;
use crate::text::Text;

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
    /// The shape of a file, from the columns of its first row.
    pub(crate) fn detect(
        path: &Path,
        fields: &Fields,
        columns: &Columns,
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
        } else if has(&columns.messages) {
            Some(Self::Messages)
        } else {
            None
        };
        let available = || fields.keys().cloned().collect::<Vec<_>>();
        let inside = fields
            .get(&columns.responses)
            .and_then(|list| list.get(0))
            .and_then(Value::as_object);
        let known = |name: &str| {
            fields.contains_key(name) || inside.is_some_and(|entry| entry.contains_key(name))
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
            available: available(),
            remedy:
                "name the columns, for example --prompt-column QUESTION --response-column ANSWER \
                     --score-column VOTES, or --chosen-column A --rejected-column B"
                    .to_owned(),
        })
    }
}

/// What one row holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Group(Group),
    Row(PromptRow),
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
}

impl RowReading {
    pub(crate) fn record(&self, row: &Row) -> Result<Record, Fault> {
        let fields = &row.fields;
        match self.shape {
            Shape::WritingPrompts => self.writing_prompts(row).map(Record::Group),
            Shape::Groups => self.groups(row).map(Record::Group),
            Shape::NoveltyBench => {
                let prompt = self.prompt(fields)?;
                let names = (&*self.columns.generations, &*self.columns.generation_scores);
                let responses = parallel_lists(fields, names)?;
                let mut group = self.group(row, prompt, responses)?;
                // What NoveltyBench calls its prompts.
                if !fields.contains_key(&self.columns.prompt_id)
                    && let Some(id) = optional_name(fields, "id")?
                {
                    group.id = id;
                }
                Ok(Record::Group(group))
            }
            Shape::Flat => self.flat(row).map(Record::Row),
            Shape::Preference => self.preference(row).map(Record::Row),
            Shape::Messages => self.messages(row).map(Record::Row),
        }
    }

    fn prompt(&self, fields: &Fields) -> Result<Text, Fault> {
        let name = &self.columns.prompt;
        turns_or_text(name, required(fields, name)?)
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
        let title = if self.strip_tag {
            strip_tag(&title)
        } else {
            &title
        };
        let body = match optional(&row.fields, &self.columns.text) {
            Some(value) => text(&self.columns.text, value)?,
            None => "",
        };
        let prompt = if body.is_empty() {
            title.to_owned()
        } else {
            format!("{title}\n{body}")
        };
        let names = (&*self.columns.comments, &*self.columns.comment_scores);
        self.group(row, prompt.into(), parallel_lists(&row.fields, names)?)
    }

    fn groups(&self, row: &Row) -> Result<Group, Fault> {
        let columns = &self.columns;
        let prompt = self.prompt(&row.fields)?;
        let entries = list(
            &columns.responses,
            required(&row.fields, &columns.responses)?,
        )?;
        let mut responses = Vec::with_capacity(entries.len());
        for (position, entry) in entries.iter().enumerate() {
            let id = row_id(position as u64)?;
            let response = match entry {
                Value::String(text) => Response::new(id, Text::from(&**text), None),
                Value::Object(entry) => {
                    let name = if entry.contains_key("text") {
                        "text"
                    } else {
                        &columns.response
                    };
                    let value = required(entry, name)?;
                    let score = optional_number(entry, &columns.score)?;
                    let response = Response::new(id, turns_or_text(name, value)?, score);
                    self.given(entry, response)?
                }
                other => {
                    let name = format!("{}[{position}]", columns.responses);
                    return Err(text(&name, other).err().unwrap_or_else(|| {
                        Fault::in_field(
                            &name,
                            Reason::NotText,
                            "a text or {text, score} is needed here",
                        )
                    }));
                }
            };
            responses.push(response);
        }
        self.group(row, prompt, responses)
    }

    fn flat(&self, row: &Row) -> Result<PromptRow, Fault> {
        let (fields, columns) = (&row.fields, &self.columns);
        let id = match optional_id(fields, "response_id")? {
            Some(id) => Some(id),
            None => optional_id(fields, "sample")?,
        };
        let has = |name: &String| fields.contains_key(name);
        let name = match has(&columns.completion) && !has(&columns.response) {
            true => &columns.completion,
            false => &columns.response,
        };
        let response = Response::new(
            id.map_or_else(|| row_id(row.place.number()), Ok)?,
            turns_or_text(name, required_or_empty(fields, name)?)?,
            optional_number(fields, &columns.score)?,
        );
        let response = self.given(fields, response)?;
        self.prompt_row(row, self.prompt(fields)?, Content::Flat(response))
    }

    fn messages(&self, row: &Row) -> Result<PromptRow, Fault> {
        let (fields, columns) = (&row.fields, &self.columns);
        let (prompt, answer) = last_turn(&columns.messages, required(fields, &columns.messages)?)?;
        let score = optional_number(fields, &columns.score)?;
        let response = Response::new(row_id(row.place.number())?, answer, score);
        let response = self.given(fields, response)?;
        self.prompt_row(row, prompt, Content::Flat(response))
    }

    /// The response with the surprise, weight and label of its row.
    fn given(&self, fields: &Fields, response: Response) -> Result<Response, Fault> {
        Ok(Response {
            surprise: optional_number(fields, "surprise")?,
            weight: optional_weight(fields, &self.columns.weight)?,
            label: flag(fields, &self.columns.label),
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
            let id = match optional_id(fields, id_column)? {
                Some(id) => id,
                None => row_id(row.place.number() * 2 + offset)?,
            };
            let score = optional_number(fields, score)?;
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

/// A list of texts and, where present, the list of their scores.
fn parallel_lists(fields: &Fields, (texts, scores): (&str, &str)) -> Result<Vec<Response>, Fault> {
    let values = list(texts, required(fields, texts)?)?;
    let numbers = match optional(fields, scores) {
        Some(value) => Some(list(scores, value)?),
        None => None,
    };
    if let Some(numbers) = numbers
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
        let score = match numbers.map(|numbers| &numbers[position]) {
            None | Some(Value::Null) => None,
            Some(value) => Some(number(&format!("{scores}[{position}]"), value)?),
        };
        responses.push(Response::new(
            row_id(position as u64)?,
            turns_or_text(&format!("{texts}[{position}]"), value)?,
            score,
        ));
    }
    Ok(responses)
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
