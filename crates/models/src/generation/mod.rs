//! Text generation: batched sampling with a cache of keys and values.

mod logits;
mod sampler;
mod session;

use serde::{Deserialize, Serialize};

pub use logits::LogitsProcessors;
pub use session::DecodingSession;

use crate::causal_lm::CausalLm;
use crate::error::ModelError;

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

/// Writes completions, `samples` for each prompt, in the prompts' order.
///
/// `on_token` hears each token as it is written, with the place of its completion in the answer.
/// Prompts are read once however many samples are drawn from them; completions that ended leave
/// the batch.
///
/// # Errors
/// When a prompt is empty or longer than the model reads, or the device fails.
pub fn generate(
    model: &CausalLm,
    request: Request<'_>,
    config: &GenerationConfig,
    on_token: &mut dyn FnMut(usize, u32),
) -> Result<Vec<Generated>, ModelError> {
    let (mut session, mut next) = DecodingSession::begin(model, request, config)?;
    while let Some(logits) = next {
        let logits = logits
            .try_into_vec_as::<f32>()
            .map_err(|error| ModelError::Readback {
                reason: error.to_string(),
            })?;
        next = session.step(logits, on_token);
    }
    Ok(session.finish())
}
