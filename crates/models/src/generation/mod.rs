//! Writing: batched sampling with a cache of keys and values.

mod logits;
mod sampler;

use burn::tensor::{Bool, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use logits::LogitsProcessors;

use crate::causal_lm::CausalLm;
use crate::error::ModelError;
use crate::kv_cache::KvCache;

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

/// A sequence that is being written.
struct Row {
    /// Its place in the answer.
    index: usize,
    /// Places of padding before it.
    padding: usize,
    /// Prompt and completion.
    tokens: Vec<u32>,
    prompt_length: usize,
    rng: ChaCha8Rng,
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
    let longest = request.prompts.iter().map(Vec::len).max().unwrap_or(0);
    let limit = model.config().max_position_embeddings();
    if request.prompts.iter().any(Vec::is_empty) {
        return Err(ModelError::Prompt {
            reason: "a prompt has no tokens".to_owned(),
        });
    }
    if longest >= limit {
        return Err(ModelError::Prompt {
            reason: format!("a prompt has {longest} tokens, the model reads {limit}"),
        });
    }
    // Padding takes room but none of the model's length: a completion is as long beside longer
    // prompts as alone.
    let shortest = request.prompts.iter().map(Vec::len).min().unwrap_or(0);
    let capacity = longest + config.max_new_tokens.min(limit + 1 - shortest);
    let unfinished = Generated {
        tokens: Vec::new(),
        finish_reason: FinishReason::Length,
    };
    let mut done = vec![unfinished; request.prompts.len() * request.samples];
    if done.is_empty() || config.max_new_tokens == 0 {
        return Ok(done);
    }

    let (mut cache, mut logits) = read_prompts(model, request, longest, capacity)?;
    let mut rows = rows(request, config, longest);
    loop {
        let vocab = logits.len() / rows.len();
        let mut going = Vec::with_capacity(rows.len());
        for (place, row) in rows.iter_mut().enumerate() {
            let scores = &mut logits[place * vocab..(place + 1) * vocab];
            config.logits.apply(scores, &row.tokens);
            let token = match config.do_sample {
                true => sampler::draw(scores, row.rng.random()),
                false => sampler::likeliest(scores),
            };
            if request.eos.contains(&token) {
                done[row.index].finish_reason = FinishReason::Stop;
                continue;
            }
            on_token(row.index, token);
            done[row.index].tokens.push(token);
            row.tokens.push(token);
            if row.tokens.len() - row.prompt_length < config.max_new_tokens
                && row.tokens.len() <= limit
            {
                going.push(place);
            }
        }
        if going.is_empty() {
            return Ok(done);
        }
        if going.len() < rows.len() {
            cache.keep(&going, &model.device());
            let mut place = 0;
            rows.retain(|_| {
                place += 1;
                going.binary_search(&(place - 1)).is_ok()
            });
        }
        let last: Vec<i64> = rows
            .iter()
            .map(|row| i64::from(row.tokens.last().copied().unwrap_or(request.pad)))
            .collect();
        let input =
            Tensor::<2, Int>::from_data(TensorData::new(last, [rows.len(), 1]), &model.device());
        let mask = mask(
            &rows.iter().map(|row| row.padding).collect::<Vec<_>>(),
            cache.len() + 1,
            model,
        );
        let hidden = model.forward(input, mask, Some(&mut cache));
        logits = read_logits(model, hidden)?;
    }
}

/// Reads each prompt once and spreads cache and logits over its samples.
fn read_prompts(
    model: &CausalLm,
    request: Request<'_>,
    longest: usize,
    capacity: usize,
) -> Result<(KvCache, Vec<f32>), ModelError> {
    let device = model.device();
    let prompts = request.prompts.len();
    let mut ids = Vec::with_capacity(prompts * longest);
    for prompt in request.prompts {
        ids.extend(std::iter::repeat_n(
            i64::from(request.pad),
            longest - prompt.len(),
        ));
        ids.extend(prompt.iter().map(|&id| i64::from(id)));
    }
    let padding: Vec<usize> = request
        .prompts
        .iter()
        .map(|prompt| longest - prompt.len())
        .collect();
    let mut cache = model.new_cache(prompts, capacity);
    let input = Tensor::<2, Int>::from_data(TensorData::new(ids, [prompts, longest]), &device);
    let hidden = model.forward(input, mask(&padding, longest, model), Some(&mut cache));
    let [_, _, width] = hidden.dims();
    let last = hidden
        .narrow(1, longest - 1, 1)
        .reshape([prompts, 1, width]);
    let per_prompt = read_logits(model, last)?;
    let vocab = per_prompt.len() / prompts;
    let sources: Vec<usize> = (0..prompts)
        .flat_map(|prompt| std::iter::repeat_n(prompt, request.samples))
        .collect();
    cache.keep(&sources, &device);
    let logits = sources
        .iter()
        .flat_map(|&prompt| &per_prompt[prompt * vocab..(prompt + 1) * vocab])
        .copied()
        .collect();
    Ok((cache, logits))
}

fn rows(request: Request<'_>, config: &GenerationConfig, longest: usize) -> Vec<Row> {
    let mut rows = Vec::with_capacity(request.prompts.len() * request.samples);
    for (prompt, tokens) in request.prompts.iter().enumerate() {
        for sample in 0..request.samples {
            let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
            let sample_number = request.first_sample + sample as u64;
            rng.set_stream((request.first_prompt + prompt as u64) << 20 | sample_number);
            rows.push(Row {
                index: prompt * request.samples + sample,
                padding: longest - tokens.len(),
                tokens: tokens.clone(),
                prompt_length: tokens.len(),
                rng,
            });
        }
    }
    rows
}

/// `[batch, total]`, or none when nothing is padded.
fn mask(padding: &[usize], total: usize, model: &CausalLm) -> Option<Tensor<2, Bool>> {
    if padding.iter().all(|&padding| padding == 0) {
        return None;
    }
    let seen: Vec<bool> = padding
        .iter()
        .flat_map(|&padding| (0..total).map(move |i| i >= padding))
        .collect();
    Some(Tensor::from_data(
        TensorData::new(seen, [padding.len(), total]),
        &model.device(),
    ))
}

/// Logits of `[rows, 1, hidden]`, row after row.
fn read_logits(model: &CausalLm, hidden: Tensor<3>) -> Result<Vec<f32>, ModelError> {
    let [rows, _, width] = hidden.dims();
    model
        .logits(hidden.reshape([rows, width]))
        .try_into_vec_as::<f32>()
        .map_err(|error| ModelError::Readback {
            reason: error.to_string(),
        })
}
