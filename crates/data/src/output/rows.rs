//! The rows of the two tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};

use super::table::TableRow;
use crate::steps::transform::Transform;
use crate::steps::weigh::WeighedGroup;

/// One response with its deviations and its weight: a row of `groups.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRow {
    /// See [`crate::Group::id`].
    pub prompt_id: String,
    /// What the response answers.
    pub prompt: String,
    /// See [`crate::Response::id`].
    pub response_id: u32,
    /// The text.
    pub response: String,
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
    /// The weight; a prompt's average 1.
    pub weight: f64,
}

/// A preferred response and another: a row of `pairs.parquet`, or of any preference data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairRow {
    /// See [`crate::Group::id`].
    pub prompt_id: String,
    /// What both answer.
    pub prompt: String,
    /// The preferred response.
    pub chosen: String,
    /// The other.
    pub rejected: String,
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
        response: weighed.response.text.clone(),
        score: weighed.response.score,
        transformed_score: transform
            .zip(weighed.response.score)
            .map(|(transform, score)| transform.apply(score)),
        deviation_semantic: weighed.deviation_semantic,
        deviation_style: weighed.deviation_style,
        normalized_semantic: weighed.normalized_semantic,
        normalized_style: weighed.normalized_style,
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
            chosen: chosen.response.text.clone(),
            rejected: rejected.response.text.clone(),
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
    fn schema() -> Schema {
        Schema::new(vec![
            text("prompt_id"),
            text("prompt"),
            id("response_id"),
            text("response"),
            number("score"),
            number("transformed_score"),
            number("deviation_semantic"),
            number("deviation_style"),
            number("normalized_semantic"),
            number("normalized_style"),
            number("weight"),
        ])
    }

    fn batch(rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            texts(rows, |row| &row.prompt_id),
            texts(rows, |row| &row.prompt),
            ids(rows, |row| row.response_id),
            texts(rows, |row| &row.response),
            numbers(rows, |row| row.score),
            numbers(rows, |row| row.transformed_score),
            numbers(rows, |row| row.deviation_semantic),
            numbers(rows, |row| row.deviation_style),
            numbers(rows, |row| row.normalized_semantic),
            numbers(rows, |row| row.normalized_style),
            numbers(rows, |row| Some(row.weight)),
        ];
        RecordBatch::try_new(Arc::new(Self::schema()), columns)
    }
}

impl TableRow for PairRow {
    fn schema() -> Schema {
        Schema::new(vec![
            text("prompt_id"),
            text("prompt"),
            text("chosen"),
            text("rejected"),
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

    fn batch(rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let columns = vec![
            texts(rows, |row| &row.prompt_id),
            texts(rows, |row| &row.prompt),
            texts(rows, |row| &row.chosen),
            texts(rows, |row| &row.rejected),
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
        RecordBatch::try_new(Arc::new(Self::schema()), columns)
    }
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

fn ids<R>(rows: &[R], column: impl Fn(&R) -> u32) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(rows.iter().map(column)))
}

fn numbers<R>(rows: &[R], column: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(column).collect::<Float64Array>())
}
