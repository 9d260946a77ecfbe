//! Text generation: batched sampling with a key-value cache.

mod logits;
mod request;
mod sampler;
mod session;

pub use logits::LogitsProcessors;
pub use request::{FinishReason, Generated, GenerationConfig, Request};
pub use session::DecodingSession;

use crate::causal_lm::CausalLm;
use crate::error::ModelError;

/// Generates `samples` completions per prompt, in the order of the prompts.
///
/// `on_token` is called with each token and the index of its completion. Each prompt is processed
/// once for all its samples; finished completions leave the batch.
///
/// # Errors
/// If a prompt is empty or too long for the model, or the device fails.
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
