//! Text generation: batched sampling with a cache of keys and values.

mod logits;
mod request;
mod sampler;
mod session;

pub use logits::LogitsProcessors;
pub use request::{FinishReason, Generated, GenerationConfig, Request};
pub use session::DecodingSession;

use crate::causal_lm::CausalLm;
use crate::error::ModelError;

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
