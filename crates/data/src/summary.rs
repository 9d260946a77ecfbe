//! What a preparation kept, what it dropped and why.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Reason;
use crate::options::PrepareOptions;
use crate::source::{Shape, SkippedRows};
use crate::steps::clean::Dropped;
use crate::steps::given::PairCounts;
use crate::steps::split::Split;
use crate::steps::weigh::WeighedGroup;

/// The content of `summary.json`. It holds no time and no folder, so that the same seed gives the
/// same bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The version of the program.
    pub version: &'static str,
    /// What was read.
    pub source: SourceSummary,
    /// Identities of the embedders.
    pub embedders: EmbedderIds,
    /// Identity of the model that measured surprise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surprise_model: Option<String>,
    /// Prompts, by what became of them.
    pub prompts: PromptCounts,
    /// Responses dropped, by reason.
    pub dropped_responses: BTreeMap<Dropped, u64>,
    /// Pairs that the source gives, by what is odd about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_pairs: Option<PairCounts>,
    /// Kept responses that repeat the exact text of an earlier one of their prompt.
    pub repeated_responses: u64,
    /// What was written, per side of the split.
    pub splits: BTreeMap<Split, SplitSummary>,
    /// Every option, the seed among them.
    pub options: PrepareOptions,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceSummary {
    /// The file's name.
    pub file: String,
    /// What a row means.
    pub shape: Shape,
    /// Which column is taken for what.
    pub reading: String,
    /// Rows that were used.
    pub rows: u64,
    /// Rows that could not be, by reason.
    pub skipped_rows: BTreeMap<Reason, SkippedRows>,
    /// Responses in the rows used.
    pub responses: u64,
    /// The lowest score.
    pub score_min: Option<f64>,
    /// The highest score.
    pub score_max: Option<f64>,
}

/// [`rarebit_deviation::Embedder::id`] per kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmbedderIds {
    /// The semantic embedder.
    pub semantic: Option<String>,
    /// The style embedder.
    pub style: Option<String>,
}

/// Prompts, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PromptCounts {
    /// In the source.
    pub read: u64,
    /// Written.
    pub kept: u64,
    /// With no response left after cleaning.
    pub emptied: u64,
    /// With a single response, which has no deviation and weight 1.
    pub alone: u64,
    /// Whose scores are all equal, so that no pair can be drawn.
    pub all_tied: u64,
    /// Whose responses are all the same text, so that no pair can be drawn.
    pub all_repeats: u64,
    /// With fewer than two scored responses.
    pub without_scores: u64,
    /// Written without a pair, for any reason.
    pub without_pairs: u64,
}

/// What was written to one side of the split.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SplitSummary {
    /// Prompts.
    pub prompts: u64,
    /// Responses.
    pub responses: u64,
    /// Pairs.
    pub pairs: u64,
    /// The mean weight of the chosen responses, which is the mean that the loss sees. It is not 1:
    /// weights average 1 over all responses of a prompt.
    pub mean_weight_chosen: Option<f64>,
    /// The share of responses of weight 0.
    pub zero_weight_responses: Option<f64>,
    /// The share of chosen responses of weight 0, whose pairs teach nothing.
    pub zero_weight_chosen: Option<f64>,
}

/// Sums from which a [`SplitSummary`] is made.
#[derive(Debug, Default)]
pub(crate) struct SplitCounts {
    prompts: u64,
    responses: u64,
    zero_responses: u64,
    pairs: u64,
    zero_chosen: u64,
    chosen_weight: f64,
}

impl SplitCounts {
    pub(crate) fn add(&mut self, group: &WeighedGroup) {
        self.prompts += 1;
        self.responses += group.responses.len() as u64;
        self.zero_responses += group.responses.iter().filter(|r| r.weight == 0.0).count() as u64;
        for chosen in group
            .pairs
            .iter()
            .filter_map(|pair| group.response(pair.chosen))
        {
            self.pairs += 1;
            self.chosen_weight += chosen.weight;
            self.zero_chosen += u64::from(chosen.weight == 0.0);
        }
    }

    pub(crate) fn summary(&self) -> SplitSummary {
        let share = |part: f64, whole: u64| (whole > 0).then(|| part / whole as f64);
        SplitSummary {
            prompts: self.prompts,
            responses: self.responses,
            pairs: self.pairs,
            mean_weight_chosen: share(self.chosen_weight, self.pairs),
            zero_weight_responses: share(self.zero_responses as f64, self.responses),
            zero_weight_chosen: share(self.zero_chosen as f64, self.pairs),
        }
    }
}
