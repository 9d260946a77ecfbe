//! The rows of the two tables.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use serde::{Deserialize, Serialize};

use super::table::{Layout, TableRow};
use crate::steps::transform::Transform;
use crate::steps::weigh::WeighedGroup;
use crate::text::{Message, Text, flat};

/// One response with its deviations and its weight: a row of `groups.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    /// See [`crate::Group::id`].
    pub prompt_id: String,
    /// What the response answers.
    pub prompt: Text,
    /// See [`crate::Response::id`].
    pub response_id: u32,
    /// The response.
    pub response: Text,
    /// Its score, as the source has it.
    pub score: Option<f64>,
    /// The score for a reward model.
    pub transformed_score: Option<f64>,
    /// Raw deviation, `[0, 2]`.
    pub deviation_semantic: Option<f64>,
    /// Raw deviation, `[0, 2]`.
    pub deviation_style: Option<f64>,
    /// Deviation spread over `[0, 1]` within the prompt.
    pub normalized_semantic: Option<f64>,
    /// Deviation spread over `[0, 1]` within the prompt.
    pub normalized_style: Option<f64>,
    /// See [`crate::steps::weigh::WeighedResponse::novelty`].
    #[serde(default)]
    pub novelty: Option<f64>,
    /// See [`crate::Response::surprise`].
    #[serde(default)]
    pub surprise: Option<f64>,
    /// The weight; a prompt's average 1.
    pub weight: f64,
}

/// A preferred response and another: a row of `pairs.parquet`, or of any preference data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairRow {
    /// See [`crate::Group::id`].
    pub prompt_id: String,
    /// What both answer.
    pub prompt: Text,
    /// The preferred response.
    pub chosen: Text,
    /// The other.
    pub rejected: Text,
    /// See [`crate::Response::id`].
    pub chosen_id: u32,
    /// See [`crate::Response::id`].
    pub rejected_id: u32,
    /// The score of the preferred response.
    pub score_chosen: Option<f64>,
    /// The score of the other.
    pub score_rejected: Option<f64>,
    /// Raw deviation of the preferred response.
    pub deviation_semantic_chosen: Option<f64>,
    /// Raw deviation of the other.
    pub deviation_semantic_rejected: Option<f64>,
    /// Raw deviation of the preferred response.
    pub deviation_style_chosen: Option<f64>,
    /// Raw deviation of the other.
    pub deviation_style_rejected: Option<f64>,
    /// The weight of the preferred response, which the loss multiplies; absent in data that knows
    /// no weights.
    pub weight: Option<f64>,
}

/// The rows of one group.
pub fn group_rows(
    group: &WeighedGroup,
    transform: Option<&Transform>,
) -> impl Iterator<Item = GroupRow> {
    group.responses.iter().map(move |weighed| GroupRow {
        prompt_id: group.id.clone(),
        prompt: group.prompt.clone(),
        response_id: weighed.response.id,
        response: weighed.response.beside(&group.prompt),
        score: weighed.response.score,
        transformed_score: transform
            .zip(weighed.response.score)
            .map(|(transform, score)| transform.apply(score)),
        deviation_semantic: weighed.deviation_semantic,
        deviation_style: weighed.deviation_style,
        normalized_semantic: weighed.normalized_semantic,
        normalized_style: weighed.normalized_style,
        novelty: weighed.novelty,
        surprise: weighed.response.surprise,
        weight: weighed.weight,
    })
}

/// The pairs of one group.
pub fn pair_rows(group: &WeighedGroup) -> impl Iterator<Item = PairRow> {
    group.pairs.iter().filter_map(|pair| {
        let (chosen, rejected) = (group.response(pair.chosen)?, group.response(pair.rejected)?);
        Some(PairRow {
            prompt_id: group.id.clone(),
            prompt: group.prompt.clone(),
            chosen: chosen.response.beside(&group.prompt),
            rejected: rejected.response.beside(&group.prompt),
            chosen_id: chosen.response.id,
            rejected_id: rejected.response.id,
            score_chosen: chosen.response.score,
            score_rejected: rejected.response.score,
            deviation_semantic_chosen: chosen.deviation_semantic,
            deviation_semantic_rejected: rejected.deviation_semantic,
            deviation_style_chosen: chosen.deviation_style,
            deviation_style_rejected: rejected.deviation_style,
            weight: Some(chosen.weight),
        })
    })
}

impl TableRow for GroupRow {
    fn laid_out(mut self, layout: Layout) -> Self {
        self.prompt = laid_out(self.prompt, "user", layout);
        self.response = laid_out(self.response, "assistant", layout);
        self
    }

    fn schema(layout: Layout) -> Schema {
        Schema::new(vec![
            text("prompt_id"),
            turns("prompt", layout),
            id("response_id"),
            turns("response", layout),
            number("score"),
            number("transformed_score"),
            number("deviation_semantic"),
            number("deviation_style"),
            number("normalized_semantic"),
            number("normalized_style"),
            number("novelty"),
            number("surprise"),
            number("weight"),
        ])
    }

    fn batch(rows: &[Self], layout: Layout) -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            texts(rows, |row| &row.prompt_id),
            conversations(rows, layout, |row| &row.prompt),
            ids(rows, |row| row.response_id),
            conversations(rows, layout, |row| &row.response),
            numbers(rows, |row| row.score),
            numbers(rows, |row| row.transformed_score),
            numbers(rows, |row| row.deviation_semantic),
            numbers(rows, |row| row.deviation_style),
            numbers(rows, |row| row.normalized_semantic),
            numbers(rows, |row| row.normalized_style),
            numbers(rows, |row| row.novelty),
            numbers(rows, |row| row.surprise),
            numbers(rows, |row| Some(row.weight)),
        ];
        RecordBatch::try_new(Arc::new(Self::schema(layout)), columns)
    }
}

impl TableRow for PairRow {
    fn laid_out(mut self, layout: Layout) -> Self {
        self.prompt = laid_out(self.prompt, "user", layout);
        self.chosen = laid_out(self.chosen, "assistant", layout);
        self.rejected = laid_out(self.rejected, "assistant", layout);
        self
    }

    fn schema(layout: Layout) -> Schema {
        Schema::new(vec![
            text("prompt_id"),
            turns("prompt", layout),
            turns("chosen", layout),
            turns("rejected", layout),
            id("chosen_id"),
            id("rejected_id"),
            number("score_chosen"),
            number("score_rejected"),
            number("deviation_semantic_chosen"),
            number("deviation_semantic_rejected"),
            number("deviation_style_chosen"),
            number("deviation_style_rejected"),
            number("weight"),
        ])
    }

    fn batch(rows: &[Self], layout: Layout) -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            texts(rows, |row| &row.prompt_id),
            conversations(rows, layout, |row| &row.prompt),
            conversations(rows, layout, |row| &row.chosen),
            conversations(rows, layout, |row| &row.rejected),
            ids(rows, |row| row.chosen_id),
            ids(rows, |row| row.rejected_id),
            numbers(rows, |row| row.score_chosen),
            numbers(rows, |row| row.score_rejected),
            numbers(rows, |row| row.deviation_semantic_chosen),
            numbers(rows, |row| row.deviation_semantic_rejected),
            numbers(rows, |row| row.deviation_style_chosen),
            numbers(rows, |row| row.deviation_style_rejected),
            numbers(rows, |row| row.weight),
        ];
        RecordBatch::try_new(Arc::new(Self::schema(layout)), columns)
    }
}

fn laid_out(text: Text, role: &str, layout: Layout) -> Text {
    match (layout, text) {
        (Layout::Plain, Text::Chat(turns)) => Text::Plain(flat(&turns).into_owned()),
        (Layout::Conversational, text) => Text::Chat(text.into_turns(role)),
        (Layout::Plain, plain) => plain,
    }
}

fn turns(name: &str, layout: Layout) -> Field {
    match layout {
        Layout::Plain => text(name),
        Layout::Conversational => Field::new(name, DataType::List(Arc::new(message())), false),
    }
}

/// `{role, content}`, under the name that Arrow gives the entries of a list.
fn message() -> Field {
    let parts = Fields::from(vec![text("role"), text("content")]);
    Field::new_struct(Field::LIST_FIELD_DEFAULT_NAME, parts, false)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn id(name: &str) -> Field {
    Field::new(name, DataType::UInt32, false)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn texts<R>(rows: &[R], column: impl Fn(&R) -> &String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(column)))
}

fn conversations<R>(rows: &[R], layout: Layout, column: impl Fn(&R) -> &Text) -> ArrayRef {
    let texts = rows.iter().map(column);
    if layout == Layout::Plain {
        return Arc::new(StringArray::from_iter_values(texts.map(Text::flat)));
    }
    let mut messages: Vec<&Message> = Vec::new();
    let lengths: Vec<usize> = texts
        .map(|text| match text {
            Text::Chat(turns) => {
                messages.extend(turns);
                turns.len()
            }
            Text::Plain(_) => 0,
        })
        .collect();
    let part = |of: fn(&Message) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            messages.iter().map(|message| of(message)),
        ))
    };
    let entries = StructArray::from(vec![
        (Arc::new(text("role")), part(|message| &message.role)),
        (Arc::new(text("content")), part(|message| &message.content)),
    ]);
    Arc::new(ListArray::new(
        Arc::new(message()),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(entries),
        None,
    ))
}

fn ids<R>(rows: &[R], column: impl Fn(&R) -> u32) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(rows.iter().map(column)))
}

fn numbers<R>(rows: &[R], column: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(column).collect::<Float64Array>())
}
