//! Step-wise decoding.

use burn::tensor::{Bool, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{FinishReason, Generated, GenerationConfig, Request, sampler};
use crate::causal_lm::CausalLm;
use crate::error::ModelError;
use crate::kv_cache::KvCache;

/// Step-wise decoding, for callers that cannot block.
///
/// Each step returns logits on the device; the caller reads them back, synchronously or, in a
/// browser, asynchronously. [`super::generate`] is the synchronous loop.
#[derive(Debug)]
pub struct DecodingSession {
    /// Shares its tensors with the caller's model.
    model: CausalLm,
    config: GenerationConfig,
    eos: Vec<u32>,
    pad: u32,
    cache: KvCache,
    rows: Vec<Row>,
    done: Vec<Generated>,
}

/// A sequence that is being generated.
#[derive(Debug)]
struct Row {
    /// Index of its completion in the result.
    index: usize,
    /// Number of padding tokens before it.
    padding: usize,
    /// Prompt and completion so far.
    tokens: Vec<u32>,
    prompt_length: usize,
    rng: ChaCha8Rng,
}

impl DecodingSession {
    /// Processes the prompts and returns the logits of the next tokens, `[rows, vocab]`, or `None`
    /// if there is nothing to generate.
    ///
    /// # Errors
    /// If a prompt is empty or too long for the model.
    pub fn begin(
        model: &CausalLm,
        request: Request<'_>,
        config: &GenerationConfig,
    ) -> Result<(Self, Option<Tensor<2>>), ModelError> {
        let longest = request.prompts.iter().map(Vec::len).max().unwrap_or(0);
        let limit = model.config().max_position_embeddings();
        if request.prompts.iter().any(Vec::is_empty) {
            return Err(ModelError::Prompt {
                reason: "a prompt has no tokens".to_owned(),
            });
        }
        if longest >= limit {
            return Err(ModelError::Prompt {
                reason: format!("a prompt has {longest} tokens; the model supports {limit} tokens"),
            });
        }
        // Padding takes up space in the cache but does not count towards the model's maximum
        // length: a completion can be as long in a batch with longer prompts as on its own.
        let shortest = request.prompts.iter().map(Vec::len).min().unwrap_or(0);
        let capacity = longest + config.max_new_tokens.min(limit + 1 - shortest);
        let unfinished = Generated {
            tokens: Vec::new(),
            finish_reason: FinishReason::Length,
        };
        let mut session = Self {
            model: model.clone(),
            config: config.clone(),
            eos: request.eos.to_vec(),
            pad: request.pad,
            // Not every device supports tensors without rows.
            cache: model.new_cache(request.prompts.len().max(1), capacity),
            rows: rows(request, config, longest),
            done: vec![unfinished; request.prompts.len() * request.samples],
        };
        let nothing = session.rows.is_empty() || config.max_new_tokens == 0;
        let logits = (!nothing).then(|| session.read_prompts(request, longest));
        Ok((session, logits))
    }

    /// Processes the prompts and repeats cache and logits for their samples.
    fn read_prompts(&mut self, request: Request<'_>, longest: usize) -> Tensor<2> {
        let device = self.model.device();
        let prompts = request.prompts.len();
        let mut ids = Vec::with_capacity(prompts * longest);
        for prompt in request.prompts {
            let padding = longest - prompt.len();
            ids.extend(std::iter::repeat_n(i64::from(request.pad), padding));
            ids.extend(prompt.iter().map(|&id| i64::from(id)));
        }
        let padding: Vec<usize> = (request.prompts.iter())
            .map(|prompt| longest - prompt.len())
            .collect();
        let logits = self.read_whole(ids, &padding, longest);
        let sources: Vec<usize> = (0..prompts)
            .flat_map(|prompt| std::iter::repeat_n(prompt, request.samples))
            .collect();
        self.cache.keep(&sources, &device);
        let sources: Vec<i64> = sources.into_iter().map(|prompt| prompt as i64).collect();
        let sources = Tensor::<1, Int>::from_ints(sources.as_slice(), &device);
        logits.select(0, sources)
    }

    /// Samples a token for each completion from the logits, flattened from `[rows, vocab]`, and
    /// processes it. Returns the logits of the next tokens, or `None` when every completion has
    /// ended.
    ///
    /// `on_token` is called with the index of a completion and its new token.
    pub fn step(
        &mut self,
        mut logits: Vec<f32>,
        on_token: &mut dyn FnMut(usize, u32),
    ) -> Option<Tensor<2>> {
        let limit = self.model.config().max_position_embeddings();
        let vocab = logits.len() / self.rows.len();
        let mut going = Vec::with_capacity(self.rows.len());
        for (place, row) in self.rows.iter_mut().enumerate() {
            let scores = &mut logits[place * vocab..(place + 1) * vocab];
            self.config.logits.apply(scores, &row.tokens);
            let token = match self.config.do_sample {
                true => sampler::draw(scores, row.rng.random()),
                false => sampler::likeliest(scores),
            };
            if self.eos.contains(&token) {
                self.done[row.index].finish_reason = FinishReason::Stop;
                continue;
            }
            on_token(row.index, token);
            self.done[row.index].tokens.push(token);
            row.tokens.push(token);
            if row.tokens.len() - row.prompt_length < self.config.max_new_tokens
                && row.tokens.len() <= limit
            {
                going.push(place);
            }
        }
        if going.is_empty() {
            self.rows.clear();
            return None;
        }
        self.keep(&going);
        Some(self.read_last())
    }

    /// Why the completion with that index ended, or `None` if it has not.
    pub fn finish_reason(&self, index: usize) -> Option<FinishReason> {
        let going = self.rows.iter().any(|row| row.index == index);
        let reason = self.done.get(index).map(|one| one.finish_reason);
        reason.filter(|_| !going)
    }

    /// The completions, in the order of the prompts.
    pub fn finish(self) -> Vec<Generated> {
        self.done
    }

    /// Removes finished completions from the batch.
    fn keep(&mut self, going: &[usize]) {
        if going.len() == self.rows.len() {
            return;
        }
        self.cache.keep(going, &self.model.device());
        let mut place = 0;
        self.rows.retain(|_| {
            place += 1;
            going.binary_search(&(place - 1)).is_ok()
        });
    }

    /// Processes the last token of each completion.
    fn read_last(&mut self) -> Tensor<2> {
        if self.model.config().short_context() == Some(self.cache.len()) {
            return self.read_again();
        }
        let device = self.model.device();
        let last: Vec<i64> = (self.rows.iter())
            .map(|row| i64::from(row.tokens.last().copied().unwrap_or(self.pad)))
            .collect();
        let rows = self.rows.len();
        let input = Tensor::<2, Int>::from_data(TensorData::new(last, [rows, 1]), &device);
        let padding: Vec<usize> = self.rows.iter().map(|row| row.padding).collect();
        let mask = self.mask(&padding, self.cache.len() + 1);
        let hidden = self.model.forward(input, mask, Some(&mut self.cache));
        let [rows, _, width] = hidden.dims();
        self.model.logits(hidden.reshape([rows, width]))
    }

    /// Processes the sequences from the start again: the cache was computed with LongRoPE's factors
    /// for short contexts, and the long ones apply from here on. transformers does the same.
    fn read_again(&mut self) -> Tensor<2> {
        let (rows, total) = (self.rows.len(), self.cache.len() + 1);
        let mut ids = Vec::with_capacity(rows * total);
        for row in &self.rows {
            ids.extend(std::iter::repeat_n(i64::from(self.pad), row.padding));
            ids.extend(row.tokens.iter().map(|&id| i64::from(id)));
        }
        let padding: Vec<usize> = self.rows.iter().map(|row| row.padding).collect();
        self.cache = self.model.new_cache(rows, self.cache.capacity());
        self.read_whole(ids, &padding, total)
    }

    /// Processes whole sequences, flattened from `[rows, longest]`, into the empty cache, and
    /// returns the logits after their last tokens.
    fn read_whole(&mut self, ids: Vec<i64>, padding: &[usize], longest: usize) -> Tensor<2> {
        let rows = padding.len();
        let input = TensorData::new(ids, [rows, longest]);
        let input = Tensor::<2, Int>::from_data(input, &self.model.device());
        let mask = self.mask(padding, longest);
        let hidden = self.model.forward(input, mask, Some(&mut self.cache));
        let [_, _, width] = hidden.dims();
        self.model
            .logits(hidden.narrow(1, longest - 1, 1).reshape([rows, width]))
    }

    /// The attention mask, `[batch, total]`, or `None` if nothing is padded.
    fn mask(&self, padding: &[usize], total: usize) -> Option<Tensor<2, Bool>> {
        if padding.iter().all(|&padding| padding == 0) {
            return None;
        }
        let seen: Vec<bool> = padding
            .iter()
            .flat_map(|&padding| (0..total).map(move |i| i >= padding))
            .collect();
        let seen = TensorData::new(seen, [padding.len(), total]);
        Some(Tensor::from_data(seen, &self.model.device()))
    }
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
