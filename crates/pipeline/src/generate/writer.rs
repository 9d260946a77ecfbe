//! Responses of a model on this machine.

use std::io;

use rarebit_data::Message;
use rarebit_models::ModelError;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::generation::{FinishReason, Generated, GenerationConfig, Request, generate};
use rarebit_models::splits_batches;
use rarebit_parallel::run_jobs;
use serde_json::{Value, json};

use super::answer::{Answer, Usage};
use super::prompts::Prompt;
use super::questions::{Question, Questions};
use crate::error::{Result, ensure};
use crate::model::LoadedModel;

/// Completions that one core writes side by side: enough that reading the weights is not the most of
/// the work.
const ROWS_PER_PART: usize = 24;

/// Responses that are sampled in one batch unless another number is asked for.
pub const BATCH_SIZE: usize = 64;

/// Writes responses with one model.
pub struct Writer<'a> {
    /// The model.
    pub loaded: &'a LoadedModel,
    /// How tokens are sampled.
    pub config: &'a GenerationConfig,
    /// Responses that are sampled in one batch.
    pub batch_size: usize,
}

impl<'a> Writer<'a> {
    /// A writer with batches of [`BATCH_SIZE`].
    pub fn new(loaded: &'a LoadedModel, config: &'a GenerationConfig) -> Self {
        Self {
            loaded,
            config,
            batch_size: BATCH_SIZE,
        }
    }

    /// `samples` responses to each of a stretch of prompts, whose first one has the place
    /// `first_prompt` in the whole job, in the order of prompts and samples.
    pub(super) fn write(
        &self,
        prompts: &[Vec<u32>],
        first_prompt: usize,
        samples: usize,
    ) -> Result<Vec<Answer>> {
        let request = Request {
            samples,
            ..self.request(prompts, first_prompt)
        };
        let generated = self.complete(request)?;
        let generated = generated.into_iter().enumerate();
        generated
            .map(|(i, one)| self.answer_of((&prompts[i / samples], one)))
            .collect()
    }

    /// One response to each of a stretch of prompts.
    fn request<'b>(&'b self, prompts: &'b [Vec<u32>], first_prompt: usize) -> Request<'b> {
        Request {
            prompts,
            first_prompt: first_prompt as u64,
            first_sample: 0,
            samples: 1,
            eos: &self.loaded.tokenizer.eos,
            pad: self.loaded.tokenizer.pad,
        }
    }

    fn answer_of(&self, (ids, generated): (&Vec<u32>, Generated)) -> Result<Answer> {
        Ok(Answer {
            text: self.loaded.tokenizer.decode(&generated.tokens)?,
            finish_reason: reason(generated.finish_reason).to_owned(),
            usage: Usage {
                input_tokens: ids.len() as u64,
                output_tokens: generated.tokens.len() as u64,
            },
            model: None,
        })
    }

    /// Completions of a request, on the CPU in parts side by side.
    fn complete(&self, request: Request<'_>) -> Result<Vec<Generated>, ModelError> {
        let model = &self.loaded.model;
        let parts = match splits_batches(&model.device()) {
            true => parts(request),
            false => vec![request],
        };
        let write = |model: &CausalLm, part: Request<'_>| {
            generate(model, part, self.config, &mut |_, _| {})
        };
        let mut generated = Vec::with_capacity(request.prompts.len() * request.samples);
        run_jobs(model.clone(), parts, write, |part| generated.extend(part))?;
        Ok(generated)
    }

    /// The tokens of conversations, each under the name that an error calls it by, if the model can
    /// read them all.
    pub(super) fn encode(
        &self,
        conversations: impl Iterator<Item = (String, Vec<Message>)>,
    ) -> Result<Vec<Vec<u32>>> {
        let limit = self.loaded.model.config().max_position_embeddings();
        conversations
            .map(|(name, turns)| {
                let ids = self
                    .loaded
                    .template
                    .encode_prompt(&self.loaded.tokenizer, &turns)?;
                ensure!(
                    ids.len() < limit,
                    "the prompt {name} has {} tokens, but the model reads {limit}: shorten it or leave it out",
                    ids.len()
                );
                Ok(ids)
            })
            .collect()
    }

    /// Prompts that are written to in one batch, `samples` responses to each.
    pub(super) fn prompts_per_batch(&self, samples: usize) -> usize {
        (self.batch_size / samples.max(1)).max(1)
    }

    /// Questions that may be answered in one batch: to prompts that follow each other, for equal
    /// samples, so that each has the random stream that it would have alone.
    pub(super) fn batches<'q>(&self, questions: &'q [Question]) -> Vec<Vec<&'q Question>> {
        let mut sorted: Vec<&Question> = questions.iter().collect();
        sorted.sort_by_key(|question| (question.sample, question.prompt));
        let runs = sorted
            .chunk_by(|a, b| a.sample == b.sample && a.prompt + 1 == b.prompt)
            .flat_map(|run| run.chunks(self.batch_size.max(1)));
        runs.map(<[_]>::to_vec).collect()
    }

    /// Answers a batch of questions.
    pub(super) fn answer(&self, questions: &[&Question]) -> Result<Vec<Answer>> {
        let Some(first) = questions.first() else {
            return Ok(Vec::new());
        };
        let conversations = questions.iter().map(|question| {
            let name = format!("{}, sample {}", question.prompt + 1, question.sample + 1);
            (name, question.messages.clone())
        });
        let ids = self.encode(conversations)?;
        let request = Request {
            first_sample: first.sample as u64,
            ..self.request(&ids, first.prompt)
        };
        let generated = self.complete(request)?;
        ids.iter()
            .zip(generated)
            .map(|it| self.answer_of(it))
            .collect()
    }

    /// What decides the answers.
    pub(super) fn describe(&self) -> Value {
        json!({
            "model": self.loaded.hash,
            "settings": self.config,
            "batch_size": self.batch_size,
        })
    }

    /// Writes one response and hands over its text piece by piece as it is sampled.
    ///
    /// # Errors
    /// When the model cannot read the prompt, or `show` fails.
    pub fn stream(
        &self,
        prompt: &Prompt,
        place: usize,
        sample: usize,
        show: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<()> {
        let turns = prompt.text.clone().into_turns("user");
        let ids = self.encode(std::iter::once((prompt.id.clone(), turns)))?;
        let request = Request {
            first_sample: sample as u64,
            ..self.request(&ids, place)
        };
        let mut tokens = Vec::new();
        let mut shown = String::new();
        let mut failure = None;
        generate(&self.loaded.model, request, self.config, &mut |_, token| {
            tokens.push(token);
            // A token can end inside a character: text is shown once it cannot change any more.
            let Ok(text) = self.loaded.tokenizer.decode(&tokens) else {
                return;
            };
            if let Some(more) = text
                .strip_prefix(shown.as_str())
                .filter(|more| !more.ends_with('\u{fffd}'))
            {
                failure = failure.take().or(show(more).err());
                shown = text;
            }
        })?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let text = self.loaded.tokenizer.decode(&tokens)?;
        show(text.strip_prefix(&shown).unwrap_or_default())?;
        Ok(())
    }
}

/// The conversations of prompts, under the ids that errors call them by.
pub(super) fn conversations<'q>(
    questions: &'q Questions<'_>,
) -> impl Iterator<Item = (String, Vec<Message>)> + 'q {
    let prompts = questions.prompts.iter().enumerate();
    prompts.map(|(place, prompt)| (prompt.id.clone(), questions.turns(place)))
}

/// A request in parts of about [`ROWS_PER_PART`] completions, in the order of their answers.
fn parts(request: Request<'_>) -> Vec<Request<'_>> {
    let samples = request.samples.clamp(1, ROWS_PER_PART);
    let prompts = (ROWS_PER_PART / samples).max(1);
    let stretches = request.prompts.chunks(prompts).enumerate();
    stretches
        .flat_map(|(stretch, of_stretch)| {
            (0..request.samples)
                .step_by(samples)
                .map(move |sample| Request {
                    prompts: of_stretch,
                    first_prompt: request.first_prompt + (stretch * prompts) as u64,
                    first_sample: request.first_sample + sample as u64,
                    samples: samples.min(request.samples - sample),
                    ..request
                })
        })
        .collect()
}

fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of prompts and samples that requests are for.
    fn places(requests: &[Request<'_>]) -> Vec<(u64, u64)> {
        let of = |request: &Request<'_>| {
            let (prompt, sample) = (request.first_prompt, request.first_sample);
            let (prompts, samples) = (request.prompts.len() as u64, request.samples as u64);
            (prompt..prompt + prompts)
                .flat_map(move |prompt| (sample..sample + samples).map(move |it| (prompt, it)))
                .collect::<Vec<_>>()
        };
        requests.iter().flat_map(of).collect()
    }

    #[test]
    fn parts_are_the_whole_in_its_order() {
        for (prompts, samples) in [
            (12, 8),
            (1, 96),
            (3, 50),
            (5, 24),
            (100, 1),
            (7, 7),
            (0, 4),
            (4, 0),
        ] {
            let ids = vec![vec![1]; prompts];
            let request = Request {
                prompts: &ids,
                first_prompt: 30,
                first_sample: 2,
                samples,
                eos: &[],
                pad: 0,
            };
            let found = parts(request);
            assert_eq!(places(&found), places(&[request]), "{prompts} x {samples}");
            let rows = |it: &Request<'_>| it.prompts.len() * it.samples;
            assert!(found.iter().all(|part| rows(part) <= ROWS_PER_PART));
        }
    }
}
