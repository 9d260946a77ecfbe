//! `rarebit generate`: several responses to each prompt.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rarebit_data::output::check_place;
use rarebit_data::{SourceOptions, Text, read_samples};
use rarebit_models::generation::{
    FinishReason, Generated, GenerationConfig, LogitsProcessors, Request, generate,
};
use rarebit_train::messages;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Global;
use crate::chat_settings::ChatArgs;
use crate::model::{self, LoadedModel};
use crate::progress;

/// Write several responses to each prompt
///
/// Sampling settings mean what they mean in transformers and default to the paper's: temperature 1,
/// top-k 50, top-p 0.95, repetition penalty 1.1, four responses. The same seed gives the same texts,
/// whatever the batch size. With --output, rows go to a JSONL file and a killed run goes on where it
/// was; without, texts are streamed to the terminal.
///
/// Example: rarebit generate runs/ddpo/model --prompt "Write a short tale about a fox." -n 4
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct GenerateArgs {
    /// The model: a folder, an adapter's folder, or a Hugging Face id
    #[arg(value_name = "MODEL")]
    model: String,
    /// A prompt; may be repeated
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// A file of prompts: JSONL with `prompt` (text, or a list of messages), or anything that
    /// `rarebit prepare` reads or writes
    #[arg(long, value_name = "FILE", conflicts_with = "prompts")]
    prompts_file: Option<PathBuf>,
    /// Take only the first prompts of the file
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write rows {prompt_id, prompt, sample, response, tokens, finish_reason} to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print rows as JSON lines instead of text
    #[arg(long)]
    json: bool,
    /// Responses per prompt
    #[arg(long, short = 'n', default_value_t = 4)]
    num_return_sequences: usize,
    #[command(flatten)]
    chat: ChatArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Responses that are written side by side
    #[arg(long, default_value_t = 64, help_heading = "Sampling")]
    batch_size: usize,
}

/// How tokens are drawn
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Longest response, in tokens
    #[arg(long, default_value_t = 2048)]
    pub(crate) max_new_tokens: usize,
    /// Take the likeliest token instead of drawing one
    #[arg(long)]
    pub(crate) greedy: bool,
    /// Divides the logits
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) temperature: f32,
    /// Keep the k likeliest tokens; 0 keeps all
    #[arg(long, default_value_t = 50)]
    pub(crate) top_k: usize,
    /// Keep the likeliest tokens that together reach this probability; 1 keeps all
    #[arg(long, default_value_t = 0.95, allow_negative_numbers = true)]
    pub(crate) top_p: f32,
    /// Keep tokens at least this probable beside the likeliest; 0 keeps all
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) min_p: f32,
    /// Make tokens that stand already less likely; 1 does nothing
    #[arg(long, default_value_t = 1.1, allow_negative_numbers = true)]
    pub(crate) repetition_penalty: f32,
    /// Decides the draws
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

impl SamplingArgs {
    fn config(&self) -> anyhow::Result<GenerationConfig> {
        let logits = LogitsProcessors {
            repetition_penalty: self.repetition_penalty,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
        };
        if let Some(problem) = logits.problem() {
            bail!(problem);
        }
        Ok(GenerationConfig {
            max_new_tokens: self.max_new_tokens,
            do_sample: !self.greedy,
            logits,
            seed: self.seed,
        })
    }
}

/// A prompt and the id that leads back to where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) id: String,
    pub(crate) text: Text,
}

/// A row of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) prompt_id: String,
    pub(crate) prompt: Text,
    pub(crate) sample: usize,
    pub(crate) response: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) score: Option<f64>,
    pub(crate) tokens: usize,
    pub(crate) finish_reason: FinishReason,
}

pub(crate) fn run(args: GenerateArgs, global: &Global) -> anyhow::Result<()> {
    let config = args.sampling.config()?;
    ensure!(
        args.num_return_sequences > 0,
        "--num-return-sequences is 0: there is nothing to write"
    );
    let mut prompts = match &args.prompts_file {
        Some(file) => read_prompts(file)?,
        None => args
            .prompts
            .iter()
            .enumerate()
            .map(|(i, text)| Prompt {
                id: i.to_string(),
                text: text.clone().into(),
            })
            .collect(),
    };
    prompts.truncate(args.limit.unwrap_or(usize::MAX));
    ensure!(
        !prompts.is_empty(),
        "there is no prompt: give --prompt or --prompts-file"
    );
    let mut loaded = model::load(&args.model, &global.open_device()?)?;
    loaded.template = args.chat.apply(loaded.template)?;
    loaded.hash += &args.chat.fingerprint();
    let writer = Writer {
        loaded: &loaded,
        config: &config,
        samples: args.num_return_sequences,
        batch_size: args.batch_size,
    };
    match &args.output {
        Some(path) => {
            writer.to_file(&prompts, path)?;
            writeln!(io::stdout(), "{}", path.display())?;
            Ok(())
        }
        None => writer.to_terminal(&prompts, args.json),
    }
}

/// Prompts of a JSONL file with a `prompt` on each line, or of any file of responses.
pub(crate) fn read_prompts(path: &Path) -> anyhow::Result<Vec<Prompt>> {
    let file = File::open(path)
        .with_context(|| format!("cannot read the prompts in {}", path.display()))?;
    let mut first = String::new();
    // What is no text is no list of prompts; the reader of responses says what it is.
    let is_list = BufReader::new(&file).read_line(&mut first).is_ok()
        && serde_json::from_str::<Value>(&first).is_ok_and(|row| {
            row.get("prompt").is_some()
                && row.as_object().is_some_and(|row| {
                    row.keys()
                        .all(|key| matches!(key.as_str(), "prompt" | "prompt_id" | "id"))
                })
        });
    if !is_list {
        let groups = read_samples(path, &SourceOptions::default())?;
        return groups
            .map(|group| {
                Ok(group.map(|group| Prompt {
                    id: group.id,
                    text: group.prompt,
                })?)
            })
            .collect();
    }
    let mut prompts = Vec::new();
    for (number, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let row: Value = serde_json::from_str(&line).with_context(place)?;
        let text: Text = row
            .get("prompt")
            .and_then(|prompt| serde_json::from_value(prompt.clone()).ok())
            .filter(|prompt| *prompt != Text::Chat(Vec::new()))
            .with_context(|| format!("{}: no text or messages in `prompt`", place()))?;
        let id = ["prompt_id", "id"].iter().find_map(|key| row.get(key));
        let id = id.map_or_else(
            || (number + 1).to_string(),
            |id| id.as_str().map_or_else(|| id.to_string(), str::to_owned),
        );
        prompts.push(Prompt { id, text });
    }
    Ok(prompts)
}

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
    fn batch(
        &self,
        prompts: &[Prompt],
        first: usize,
        on_token: &mut dyn FnMut(usize, u32),
    ) -> anyhow::Result<Vec<Sample>> {
        let tokenizer = &self.loaded.tokenizer;
        let ids = self.encode(prompts)?;
        let request = self.request(&ids, first);
        let generated = generate(&self.loaded.model, request, self.config, on_token)?;
        let row = |(i, generated): (usize, Generated)| -> anyhow::Result<Sample> {
            let prompt = &prompts[i / self.samples];
            Ok(Sample {
                prompt_id: prompt.id.clone(),
                prompt: prompt.text.clone(),
                sample: i % self.samples,
                response: tokenizer.decode(&generated.tokens)?,
                score: None,
                tokens: generated.tokens.len(),
                finish_reason: generated.finish_reason,
            })
        };
        generated.into_iter().enumerate().map(row).collect()
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

    /// Writes rows to a file. What a killed run of the same settings has written is kept.
    pub(crate) fn to_file(&self, prompts: &[Prompt], path: &Path) -> anyhow::Result<()> {
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
            let rows = self.batch(stretch, first, &mut |_, _| tokens += 1)?;
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
                f64::from(tokens) / started.elapsed().as_secs_f64().max(1e-9)
            ));
        }
        file.sync_all().with_context(context)?;
        std::fs::rename(&partial, path)
            .with_context(|| format!("cannot write {}", path.display()))?;
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
    fn fingerprint(&self, prompts: &[Prompt]) -> String {
        let settings = format!(
            "{:?} {} {} {prompts:?}",
            self.config,
            self.samples,
            self.prompts_per_batch()
        );
        blake3::hash((self.loaded.hash.clone() + &settings).as_bytes()).to_hex()[..12].to_owned()
    }

    /// Prints rows as each batch is done, or streams text token by token.
    fn to_terminal(&self, prompts: &[Prompt], json: bool) -> anyhow::Result<()> {
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
            for row in self.batch(stretch, batch * self.prompts_per_batch(), &mut |_, _| {})? {
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
