//! The rows of the two tables.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use super::column::ColumnValue;
use super::table::{Layout, TableRow};
use crate::steps::transform::Transform;
use crate::steps::weigh::WeighedGroup;
use rarebit_text::Text;

/// A row whose fields are the columns of a table, named and typed as they are.
macro_rules! table_row {
    (
        $(#[$doc:meta])*
        pub struct $row:ident { $($(#[$attribute:meta])* pub $column:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $row { $($(#[$attribute])* pub $column: $type,)* }

        impl TableRow for $row {
            fn laid_out(self, layout: Layout) -> Self {
                Self { $($column: self.$column.laid_out(stringify!($column), layout),)* }
            }

            fn schema(layout: Layout) -> Schema {
                Schema::new(vec![$(<$type>::field(stringify!($column), layout)),*])
            }

            fn batch(rows: &[Self], layout: Layout) -> Result<RecordBatch, ArrowError> {
                let columns = vec![
                    $(<$type>::array(rows.iter().map(|row| &row.$column), layout)),*
                ];
                RecordBatch::try_new(Arc::new(Self::schema(layout)), columns)
            }
        }
    };
}

table_row! {
    /// One response with its deviations and its weight: a row of `groups.parquet`.
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
}

table_row! {
    /// A preferred response and another: a row of `pairs.parquet`, or of any preference data.
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
