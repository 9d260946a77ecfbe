//! How tokens are sampled.

use rarebit_models::generation::{GenerationConfig, LogitsProcessors};
use serde::{Deserialize, Serialize};

use crate::error::{Result, bail};

/// How tokens are sampled, under the names of transformers' `GenerationConfig`; defaults are the
/// paper's.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingSettings {
    /// Divides the logits
    #[arg(long, allow_negative_numbers = true, default_value = "1")]
    pub temperature: f64,
    /// Keep tokens that are at least this probable relative to the likeliest one; 0 keeps all
    #[arg(long, allow_negative_numbers = true, default_value = "0")]
    pub min_p: f64,
    /// Length and truncation.
    #[command(flatten)]
    #[serde(flatten)]
    pub truncation: TruncationSettings,
}

/// The sampling settings that a sweep over temperatures and min-p holds fixed.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "Sampling")]
pub struct TruncationSettings {
    /// Longest response in tokens
    #[arg(long, value_name = "N", default_value = "2048")]
    pub max_new_tokens: usize,
    /// Keep the k likeliest tokens; 0 keeps all
    #[arg(long, value_name = "K", default_value = "50")]
    pub top_k: usize,
    /// Keep the likeliest tokens that together reach this probability; 1 keeps all
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        default_value = "0.95"
    )]
    pub top_p: f64,
    /// Make tokens that already occur less likely; 1 has no effect
    #[arg(
        long,
        value_name = "PENALTY",
        allow_negative_numbers = true,
        default_value = "1.1"
    )]
    pub repetition_penalty: f64,
}

impl Default for SamplingSettings {
    fn default() -> Self {
        rarebit_train::defaults()
    }
}

impl Default for TruncationSettings {
    fn default() -> Self {
        rarebit_train::defaults()
    }
}

impl SamplingSettings {
    /// The generator's settings.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub fn config(&self, do_sample: bool, seed: u64) -> Result<GenerationConfig> {
        let logits = LogitsProcessors {
            repetition_penalty: self.truncation.repetition_penalty as f32,
            temperature: self.temperature as f32,
            top_k: self.truncation.top_k,
            top_p: self.truncation.top_p as f32,
            min_p: self.min_p as f32,
        };
        if let Some(problem) = logits.problem() {
            bail!("{problem}");
        }
        Ok(GenerationConfig {
            max_new_tokens: self.truncation.max_new_tokens,
            do_sample,
            logits,
            seed,
        })
    }
}
