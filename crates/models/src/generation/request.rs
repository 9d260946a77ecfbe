//! Requests, settings and results of generation.

use serde::{Deserialize, Serialize};

use super::logits::LogitsProcessors;

/// The supported part of transformers' `GenerationConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationConfig {
    /// Maximum length of a completion in tokens.
    pub max_new_tokens: usize,
    /// Whether to sample; otherwise decoding is greedy.
    pub do_sample: bool,
    /// Processing of the logits before sampling.
    pub logits: LogitsProcessors,
    /// The same seed gives the same text, regardless of the rest of the batch.
    pub seed: u64,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model generated an end-of-text token.
    Stop,
    /// The completion reached `max_new_tokens` or the model's maximum length.
    Length,
}

/// A completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The tokens, without the end-of-text token.
    pub tokens: Vec<u32>,
    /// Why the completion ended.
    pub finish_reason: FinishReason,
}

/// A batch of prompts to complete.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Token ids of each prompt.
    pub prompts: &'a [Vec<u32>],
    /// Index of the first prompt in the whole job. It selects the random streams, so that results
    /// do not depend on how the job is split into batches.
    pub first_prompt: u64,
    /// Index of the first sample of each prompt, likewise.
    pub first_sample: u64,
    /// Completions per prompt.
    pub samples: usize,
    /// Ids of the tokens that end a completion.
    pub eos: &'a [u32],
    /// Id of the padding token for shorter prompts, which are padded on the left.
    pub pad: u32,
}
