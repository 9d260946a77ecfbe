//! Responses of a model on this machine.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use rarebit_data::Text;
use rarebit_data::output::check_place;
use rarebit_models::ModelError;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::generation::{FinishReason, Generated, GenerationConfig, Request, generate};
use rarebit_train::lanes::{has_lanes, side_by_side};
use rarebit_train::messages;
use serde_json::{Value, json};

use super::output::{Layout, Sample, write_samples};
use super::prompts::Prompt;
use super::questions::Question;
use crate::model::LoadedModel;
use crate::progress;
use crate::provider::{Answer, Usage};

/// Completions that one core writes side by side: enough that reading the weights is not the most of
/// the work.
const ROWS_PER_PART: usize = 24;

/// Writes responses with one model.
pub(crate) struct Writer<'a> {
    pub(crate) loaded: &'a LoadedModel,
    pub(crate) config: &'a GenerationConfig,
    pub(crate) samples: usize,
    pub(crate) batch_size: usize,
}

impl Writer<'_> {
    /// What is asked of the model: `samples` responses to a stretch of the prompts, whose first one
    /// has the place `first_prompt` in the whole job.
    fn request<'b>(&'b self, prompts: &'b [Vec<u32>], first_prompt: usize) -> Request<'b> {
        Request {
            prompts,
            first_prompt: first_prompt as u64,
            first_sample: 0,
            samples: self.samples,
            eos: &self.loaded.tokenizer.eos,
            pad: self.loaded.tokenizer.pad,
        }
    }

    /// The rows of a stretch of the prompts; `first` is the place of its first one in the whole job.
    fn batch(&self, prompts: &[Prompt], first: usize) -> anyhow::Result<Vec<Sample>> {
        let tokenizer = &self.loaded.tokenizer;
        let ids = self.encode(prompts)?;
        let generated = self.complete(self.request(&ids, first))?;
        let row = |(i, generated): (usize, Generated)| -> anyhow::Result<Sample> {
            let prompt = &prompts[i / self.samples];
            Ok(Sample {
                prompt_id: prompt.id.clone(),
                prompt: prompt.text.clone(),
                sample: i % self.samples,
                response: tokenizer.decode(&generated.tokens)?,
                probability: None,
                tokens: Some(generated.tokens.len() as u64),
                finish_reason: reason(generated.finish_reason).to_owned(),
            })
        };
        generated.into_iter().enumerate().map(row).collect()
    }

    /// Completions of a request, on the CPU in parts side by side.
    fn complete(&self, request: Request<'_>) -> Result<Vec<Generated>, ModelError> {
        let model = &self.loaded.model;
        let parts = match has_lanes(&model.device()) {
            true => parts(request),
            false => vec![request],
        };
        let write = |model: &CausalLm, part: Request<'_>| {
            generate(model, part, self.config, &mut |_, _| {})
        };
        let mut generated = Vec::with_capacity(request.prompts.len() * request.samples);
        side_by_side(model.clone(), parts, write, |part| generated.extend(part))?;
        Ok(generated)
    }

    /// The prompts' tokens, if the model can read them all.
    fn encode(&self, prompts: &[Prompt]) -> anyhow::Result<Vec<Vec<u32>>> {
        let limit = self.loaded.model.config().max_position_embeddings();
        prompts
            .iter()
            .map(|prompt| {
                let ids = self
                    .loaded
                    .template
                    .encode_prompt(&self.loaded.tokenizer, &messages(&prompt.text, "user"))?;
                ensure!(
                    ids.len() < limit,
                    "the prompt {} has {} tokens, the model reads {limit}: shorten it or leave it out",
                    prompt.id,
                    ids.len()
                );
                Ok(ids)
            })
            .collect()
    }

    fn prompts_per_batch(&self) -> usize {
        (self.batch_size / self.samples).max(1)
    }

    /// Questions that may be answered side by side: to prompts that follow each other, for equal
    /// samples, so that each has the random stream that it would have alone.
    pub(super) fn batches<'q>(&self, questions: &'q [Question]) -> Vec<Vec<&'q Question>> {
        let mut sorted: Vec<&Question> = questions.iter().collect();
        sorted.sort_by_key(|question| (question.sample, question.prompt));
        let runs = sorted
            .chunk_by(|a, b| a.sample == b.sample && a.prompt + 1 == b.prompt)
            .flat_map(|run| run.chunks(self.batch_size.max(1)));
        runs.map(<[_]>::to_vec).collect()
    }

    /// Answers a batch.
    pub(super) fn answer(&self, questions: &[&Question]) -> anyhow::Result<Vec<Answer>> {
        let Some(first) = questions.first() else {
            return Ok(Vec::new());
        };
        let prompts: Vec<Prompt> = questions
            .iter()
            .map(|question| Prompt {
                id: format!("{}, sample {}", question.prompt + 1, question.sample + 1),
                text: match &*question.messages {
                    [turn] if turn.role == "user" => turn.content.clone().into(),
                    turns => Text::Chat(turns.to_vec()),
                },
            })
            .collect();
        let ids = self.encode(&prompts)?;
        let request = Request {
            first_sample: first.sample as u64,
            samples: 1,
            ..self.request(&ids, first.prompt)
        };
        let generated = self.complete(request)?;
        let answer = |(ids, generated): (&Vec<u32>, Generated)| -> anyhow::Result<Answer> {
            Ok(Answer {
                text: self.loaded.tokenizer.decode(&generated.tokens)?,
                finish_reason: reason(generated.finish_reason).to_owned(),
                usage: Usage {
                    input_tokens: ids.len() as u64,
                    output_tokens: generated.tokens.len() as u64,
                },
                model: None,
            })
        };
        ids.iter().zip(generated).map(answer).collect()
    }

    /// What decides the answers.
    pub(super) fn describe(&self) -> Value {
        json!({"model": self.loaded.hash, "settings": self.config})
    }

    /// Writes rows to a file. What a killed run of the same settings has written is kept.
    pub(crate) fn to_file(&self, prompts: &[Prompt], path: &Path) -> anyhow::Result<()> {
        self.to_file_as(prompts, path, Layout::Rows, "")
    }

    /// The same in any layout; `model` is what the model is called in it.
    pub(super) fn to_file_as(
        &self,
        prompts: &[Prompt],
        path: &Path,
        layout: Layout,
        model: &str,
    ) -> anyhow::Result<()> {
        // A prompt that is too long is told now, not when its turn comes.
        self.encode(prompts)?;
        check_place(path).with_context(|| format!("cannot write {}", path.display()))?;
        let partial = path.with_extension(format!("{}.partial", self.fingerprint(prompts)));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let done = self.resume(&partial)?;
        let context = || {
            format!(
                "cannot write {}; it keeps what is done, and the same command goes on from there",
                partial.display()
            )
        };
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&partial)
            .with_context(context)?;
        let total = (prompts.len() * self.samples) as u64;
        let bar = progress::bar(total, "generating");
        let (mut written, mut tokens) = (done * self.samples, 0);
        let started = std::time::Instant::now();
        bar.start_at(written as u64);
        for (batch, stretch) in prompts[done..].chunks(self.prompts_per_batch()).enumerate() {
            let first = done + batch * self.prompts_per_batch();
            let rows = self.batch(stretch, first)?;
            tokens += rows.iter().filter_map(|row| row.tokens).sum::<u64>();
            let mut lines = String::new();
            for row in &rows {
                lines += &serde_json::to_string(row)?;
                lines.push('\n');
            }
            file.write_all(lines.as_bytes()).with_context(context)?;
            written += rows.len();
            bar.set_position(written as u64);
            bar.set_message(format!(
                "{:.0} tokens/s",
                tokens as f64 / started.elapsed().as_secs_f64().max(1e-9)
            ));
        }
        file.sync_all().with_context(context)?;
        match layout {
            Layout::Rows => std::fs::rename(&partial, path)
                .with_context(|| format!("cannot write {}", path.display()))?,
            Layout::Noveltybench => {
                let text = std::fs::read_to_string(&partial).with_context(context)?;
                let rows = text.lines().map(serde_json::from_str);
                let samples = rows.collect::<Result<Vec<Sample>, _>>()?;
                write_samples(&samples, layout, model, path)?;
                std::fs::remove_file(&partial).with_context(context)?;
            }
        }
        bar.finish(&format!("{}: {written} responses", path.display()));
        Ok(())
    }

    /// How many prompts are done; drops the rows of one that was cut off.
    fn resume(&self, partial: &Path) -> anyhow::Result<usize> {
        let Ok(text) = std::fs::read(partial) else {
            return Ok(0);
        };
        let text = String::from_utf8_lossy(&text);
        let whole: Vec<&str> = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .collect();
        // Only whole batches: the rest is written again in the company it would have had.
        let batch = self.prompts_per_batch();
        let done = whole.len() / self.samples / batch * batch;
        let kept = whole[..done * self.samples].concat();
        std::fs::write(partial, kept)
            .with_context(|| format!("cannot write {}", partial.display()))?;
        Ok(done)
    }

    /// What must be equal for a killed run to go on.
    pub(crate) fn fingerprint(&self, prompts: &[Prompt]) -> String {
        let settings = format!(
            "{:?} {} {} {prompts:?}",
            self.config,
            self.samples,
            self.prompts_per_batch()
        );
        blake3::hash((self.loaded.hash.clone() + &settings).as_bytes()).to_hex()[..12].to_owned()
    }

    /// Prints rows as each batch is done, or streams text token by token.
    pub(super) fn to_terminal(&self, prompts: &[Prompt], json: bool) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if !json {
            for (place, prompt) in prompts.iter().enumerate() {
                for sample in 0..self.samples {
                    if prompts.len() * self.samples > 1 {
                        writeln!(out, "── {} [{}]", prompt.text, sample + 1)?;
                    }
                    self.stream(prompt, place, sample, &mut out)?;
                }
            }
            return Ok(());
        }
        for (batch, stretch) in prompts.chunks(self.prompts_per_batch()).enumerate() {
            for row in self.batch(stretch, batch * self.prompts_per_batch())? {
                writeln!(out, "{}", serde_json::to_string(&row)?)?;
            }
            out.flush()?;
        }
        Ok(())
    }

    fn stream(
        &self,
        prompt: &Prompt,
        place: usize,
        sample: usize,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let ids = self.encode(std::slice::from_ref(prompt))?;
        let request = Request {
            first_sample: sample as u64,
            samples: 1,
            ..self.request(&ids, place)
        };
        let mut tokens = Vec::new();
        let mut printed = String::new();
        let mut failure = None;
        generate(&self.loaded.model, request, self.config, &mut |_, token| {
            tokens.push(token);
            // A token can end inside a character: text is shown once it cannot change any more.
            let Ok(text) = self.loaded.tokenizer.decode(&tokens) else {
                return;
            };
            if let Some(more) = text
                .strip_prefix(printed.as_str())
                .filter(|more| !more.ends_with('\u{fffd}'))
            {
                failure = failure
                    .take()
                    .or(write!(out, "{more}").and_then(|()| out.flush()).err());
                printed = text;
            }
        })?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let text = self.loaded.tokenizer.decode(&tokens)?;
        writeln!(out, "{}", text.strip_prefix(&printed).unwrap_or_default())?;
        Ok(())
    }
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
