//! What is generated and how, and what comes of it.

use serde::{Deserialize, Serialize};

use super::logits::LogitsProcessors;

/// transformers' `GenerationConfig`, as far as it applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationConfig {
    /// Longest completion, in tokens.
    pub max_new_tokens: usize,
    /// Draw from the distribution; else take the likeliest token.
    pub do_sample: bool,
    /// What is done to the logits before a token is drawn.
    pub logits: LogitsProcessors,
    /// The same seed gives the same text, whatever else is in the batch.
    pub seed: u64,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model wrote an end-of-text token.
    Stop,
    /// It reached `max_new_tokens` or the model's longest sequence.
    Length,
}

/// A completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its tokens, the end-of-text token left out.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// What to write: `samples` completions of each prompt.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Token ids of each prompt.
    pub prompts: &'a [Vec<u32>],
    /// What distinguishes the prompts' random streams: their place in the whole job, so that the
    /// split into batches does not show.
    pub first_prompt: u64,
    /// The same for a prompt's completions: the number of the first one.
    pub first_sample: u64,
    /// Completions per prompt.
    pub samples: usize,
    /// Tokens that end a completion.
    pub eos: &'a [u32],
    /// Fills shorter prompts on the left.
    pub pad: u32,
}
