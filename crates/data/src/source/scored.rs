//! Rows that are given scores and otherwise stay unchanged.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::columns::Columns;
use super::row::Row;
use super::shape::{Content, PromptRow, Record, RowReading, Shape, response_entries};
use super::unread::unread_inside;
use crate::error::{Fault, Reason};
use crate::group::Group;

/// A row of a source with the responses that it holds.
#[derive(Debug, Clone)]
pub struct SourceRow {
    fields: Map<String, Value>,
    /// The row's prompt and responses, in its order; of preference rows the chosen one and the
    /// rejected one.
    pub group: Group,
    shape: Shape,
    columns: Columns,
}

impl SourceRow {
    pub(crate) fn read(row: Row, reading: &RowReading) -> Result<Self, Fault> {
        for (name, value) in &row.fields {
            if let Some(kind) = unread_inside(value) {
                return Err(Fault::in_field(
                    name,
                    Reason::NotText,
                    format!(
                        "the row is written again as JSON, which has no place for a value of the type {kind}; drop the column"
                    ),
                ));
            }
        }
        let group = match reading.record(&row)? {
            Record::Group(group) => group,
            Record::Row(row) => {
                let PromptRow {
                    prompt_id,
                    row,
                    prompt,
                    content,
                } = *row;
                Group {
                    id: prompt_id.unwrap_or_else(|| format!("{}:{row}", reading.stem)),
                    prompt,
                    responses: match content {
                        Content::Flat(response) => vec![response],
                        Content::Preference { chosen, rejected } => vec![chosen, rejected],
                    },
                    pairs: None,
                }
            }
        };
        Ok(Self {
            fields: row.fields,
            group,
            shape: reading.shape,
            columns: reading.columns.clone(),
        })
    }

    /// The row with its responses' scores in the column that its shape has for them; all other columns
    /// stay.
    pub fn into_scored(self) -> Map<String, Value> {
        let Self {
            mut fields,
            group,
            shape,
            columns,
        } = self;
        let scores: Vec<Value> = group.responses.iter().map(|it| json!(it.score)).collect();
        match shape {
            Shape::Flat | Shape::Messages => {
                fields.extend(
                    scores
                        .into_iter()
                        .map(|score| (columns.score.clone(), score)),
                );
            }
            Shape::Preference => {
                let names = [columns.score_chosen, columns.score_rejected];
                fields.extend(names.into_iter().zip(scores));
            }
            Shape::WritingPrompts => {
                fields.insert(columns.comment_scores, Value::Array(scores));
            }
            Shape::NoveltyBench => {
                fields.insert(columns.generation_scores, Value::Array(scores));
            }
            Shape::Groups => {
                let value = fields.get(&columns.responses).unwrap_or(&Value::Null);
                let entries = response_entries(&columns.responses, value);
                let entries = entries.map_or_else(|_| Vec::new(), Cow::into_owned);
                let scored = entries
                    .into_iter()
                    .zip(scores)
                    .map(|(entry, score)| match entry {
                        Value::Object(mut known) => {
                            known.insert(columns.score.clone(), score);
                            Value::Object(known)
                        }
                        text => json!({"text": text, columns.score.as_str(): score}),
                    });
                let scored = scored.collect();
                fields.insert(columns.responses, scored);
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::source::{Source, SourceOptions};

    /// The rows of a file after each response got the length of its text as its score.
    fn scored(rows: &[Value]) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(&path, lines).unwrap();
        let source = Source::open(&path, &SourceOptions::default(), &mut |_| ()).unwrap();
        let rows = source.rows().unwrap().map(|row| {
            let mut row = row.unwrap();
            for response in &mut row.group.responses {
                response.score = Some(response.text.len() as f64);
            }
            Value::Object(row.into_scored())
        });
        rows.collect()
    }

    #[test]
    fn scores_stand_where_a_shape_has_them_and_the_rest_stays() {
        for (row, expected) in [
            (
                json!({"prompt": "p", "response": "four", "tokens": 7, "score": "1", "id": null}),
                json!({"prompt": "p", "response": "four", "tokens": 7, "score": 4.0, "id": null}),
            ),
            (
                json!({"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "two"}], "x": [1]}),
                json!({"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "two"}], "x": [1], "score": 3.0}),
            ),
            (
                json!({"prompt": "p", "responses": ["a", {"text": "bcd", "by": "me"}], "x": 1}),
                json!({"prompt": "p", "responses": [{"text": "a", "score": 1.0}, {"text": "bcd", "by": "me", "score": 3.0}], "x": 1}),
            ),
            (
                json!({"prompt": "p", "generations": ["a", "bc"], "id": "7"}),
                json!({"prompt": "p", "generations": ["a", "bc"], "generation_scores": [1.0, 2.0], "id": "7"}),
            ),
            (
                json!({"post_title": "t", "comment_texts": ["a", "bc"], "comment_scores": [9, 8], "x": true}),
                json!({"post_title": "t", "comment_texts": ["a", "bc"], "comment_scores": [1.0, 2.0], "x": true}),
            ),
            (
                json!({"chosen": "abc", "rejected": "ab", "weight": 0.5}),
                json!({"chosen": "abc", "rejected": "ab", "weight": 0.5, "score_chosen": 3.0, "score_rejected": 2.0}),
            ),
        ] {
            assert_eq!(scored(&[row]), [expected]);
        }
    }

    #[test]
    fn a_column_that_json_has_no_place_for_is_named() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/cases/writers/duckdb_types.parquet");
        let source = Source::open(&path, &SourceOptions::default(), &mut |_| ()).unwrap();
        let error = source.rows().unwrap().next().unwrap().unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("\"i\"") && error.contains("Interval"),
            "{error}"
        );
    }

    #[test]
    fn rows_keep_their_order() {
        let rows = ["b", "a", "b"].map(|prompt| json!({"prompt": prompt, "response": prompt}));
        let prompts: Vec<Value> = scored(&rows)
            .iter()
            .map(|row| row["prompt"].clone())
            .collect();
        assert_eq!(prompts, ["b", "a", "b"]);
    }
}
