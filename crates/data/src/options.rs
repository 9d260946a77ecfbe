//! Every choice of a preparation.

use rarebit_deviation::{Measure, Weighting};
use serde::Serialize;

use crate::error::DataError;
use crate::output::Compression;
use crate::source::SourceOptions;
use crate::steps::clean::CleanOptions;
use crate::steps::divpo::DivpoOptions;
use crate::steps::given::Contradicting;
use crate::steps::pairs::PairOptions;
use crate::steps::transform::ScoreTransform;
use crate::steps::weigh::DeviationOver;

/// Every choice of a preparation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrepareOptions {
    /// The seed of the split and of all draws.
    pub seed: u64,
    /// The share of prompts held out.
    pub test_size: f64,
    /// How the source is read.
    pub source: SourceOptions,
    /// How scores are transformed.
    pub score_transform: ScoreTransform,
    /// Which responses are dropped.
    pub clean: CleanOptions,
    /// How pairs are drawn.
    pub pairs: Pairing,
    /// What becomes of given pairs whose scores contradict them.
    pub contradicting: Contradicting,
    /// How deviation is measured.
    pub deviation: Measure,
    /// Over which responses deviation is measured.
    pub deviation_over: DeviationOver,
    /// How deviations become weights.
    pub weighting: Weighting,
    /// How Parquet is compressed.
    pub compression: Compression,
    /// Write each table as JSONL as well.
    pub jsonl: bool,
}

/// How pairs are drawn, where the source does not bring them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// Better-scored against worse-scored responses.
    Score(PairOptions),
    /// DivPO: rare and good against common and bad responses.
    Divpo(DivpoOptions),
}

impl Default for Pairing {
    /// The paper's, by score.
    fn default() -> Self {
        Self::Score(PairOptions::default())
    }
}

impl Default for PrepareOptions {
    /// The paper's, with seed 42.
    fn default() -> Self {
        Self {
            seed: 42,
            test_size: 0.1,
            source: SourceOptions::default(),
            score_transform: ScoreTransform::default(),
            clean: CleanOptions::default(),
            pairs: Pairing::default(),
            contradicting: Contradicting::default(),
            deviation: Measure::default(),
            deviation_over: DeviationOver::default(),
            weighting: Weighting::default(),
            compression: Compression::default(),
            jsonl: false,
        }
    }
}

impl PrepareOptions {
    pub(crate) fn validate(&self) -> Result<(), DataError> {
        match &self.pairs {
            Pairing::Score(options) => options.validate()?,
            Pairing::Divpo(options) => options.validate()?,
        }
        if (0.0..=1.0).contains(&self.test_size) {
            return Ok(());
        }
        Err(DataError::Option {
            option: "test-size",
            value: self.test_size.to_string(),
            problem: "give a share from 0 to 1".to_owned(),
        })
    }
}
