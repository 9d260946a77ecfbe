//! `rarebit generate`: several responses to each prompt, of a model here or at a provider.

mod asking;
mod journal;
mod local;
mod output;
mod price;
mod prompts;
mod provider_args;
mod questions;
mod verbalized;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use rarebit_models::generation::{GenerationConfig, LogitsProcessors};

use self::asking::{Asked, Asking, Sink};
use self::output::Layout;
use self::price::Price;
use self::provider_args::ProviderArgs;
use self::questions::{Questions, Strategy, check_system};
use super::Global;
use crate::chat_settings::ChatArgs;
use crate::model;
use crate::provider::Settings;

pub(crate) use local::Writer;
pub(crate) use prompts::{Prompt, read_prompts};

/// Write several responses to each prompt
///
/// Sampling settings mean what they mean in transformers and default to the paper's: temperature 1,
/// top-k 50, top-p 0.95, repetition penalty 1.1, four responses. The same seed gives the same texts,
/// whatever the batch size. With --output, rows go to a JSONL file and a killed run goes on where it
/// was; without, texts are streamed to the terminal.
///
/// With --provider, a model behind an API is asked instead: what is sent is prompts, the system
/// prompt and those sampling settings that are given; the rest is the provider's own. Each answer
/// is written down as it comes, so that no response is paid for twice.
///
/// Example: rarebit generate runs/ddpo/model --prompt "Write a short tale about a fox." -n 4
///
/// Example: rarebit generate --provider openai --model gpt-4o --prompts-file prompts.jsonl -o gpt-4o.jsonl
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct GenerateArgs {
    /// The model: a folder, an adapter's folder, or a Hugging Face id; with --provider its name
    /// there
    #[arg(value_name = "MODEL", required_unless_present = "model_name")]
    model: Option<String>,
    /// A prompt; may be repeated
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// A file of prompts: JSONL with `prompt` (text, or a list of messages), .txt with one per
    /// line, or anything that `rarebit prepare` reads or writes
    #[arg(long, value_name = "FILE", conflicts_with = "prompts")]
    prompts_file: Option<PathBuf>,
    /// Take only the first prompts of the file
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write responses to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How the file is laid out
    #[arg(long, value_enum, default_value_t, requires = "output")]
    layout: Layout,
    /// Print rows as JSON lines instead of text
    #[arg(long)]
    json: bool,
    /// Responses per prompt
    #[arg(long, short = 'n', default_value_t = 4)]
    num_return_sequences: usize,
    #[command(flatten)]
    asking: AskingArgs,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    chat: ChatArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Responses that are written side by side on this machine
    #[arg(
        long,
        default_value_t = 64,
        help_heading = "Sampling",
        conflicts_with = "provider"
    )]
    batch_size: usize,
}

/// How responses are asked for
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Asking")]
pub(crate) struct AskingArgs {
    /// A system prompt before each prompt
    #[arg(long, value_name = "TEXT")]
    system_prompt: Option<String>,
    /// The same from a file
    #[arg(long, value_name = "FILE", conflicts_with = "system_prompt")]
    system_prompt_file: Option<PathBuf>,
    /// Ask for each further response with the earlier ones shown, and for plot and style far from
    /// theirs
    #[arg(long)]
    iterative: bool,
    /// Ask for K responses with their probabilities in one answer (verbalized sampling, arXiv
    /// 2510.01171), as often as the responses need; --max-new-tokens is for the whole answer
    #[arg(
        long,
        value_name = "K",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5",
        conflicts_with = "iterative",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    verbalized: Option<u16>,
    /// Ask for responses that are less probable than this
    #[arg(long, value_name = "P", requires = "verbalized")]
    verbalized_below: Option<f64>,
}

impl AskingArgs {
    fn strategy(&self) -> Strategy {
        match self.verbalized {
            Some(at_once) => Strategy::Verbalized {
                at_once: at_once.into(),
                below: self.verbalized_below,
            },
            None if self.iterative => Strategy::Iterative,
            None => Strategy::Independent,
        }
    }

    fn system(&self) -> anyhow::Result<Option<String>> {
        match &self.system_prompt_file {
            Some(file) => std::fs::read_to_string(file)
                .map(|text| Some(text.trim_end().to_owned()))
                .with_context(|| format!("cannot read the system prompt in {}", file.display())),
            None => Ok(self.system_prompt.clone()),
        }
    }
}

/// How tokens are drawn
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Longest response, in tokens
    #[arg(long, value_name = "N", default_value_t = 2048)]
    pub(crate) max_new_tokens: usize,
    /// Take the likeliest token instead of drawing one
    #[arg(long)]
    pub(crate) greedy: bool,
    /// Divides the logits [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) temperature: Option<f32>,
    /// Keep the k likeliest tokens; 0 keeps all [default: 50]
    #[arg(long)]
    pub(crate) top_k: Option<usize>,
    /// Keep the likeliest tokens that together reach this probability; 1 keeps all [default: 0.95]
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) top_p: Option<f32>,
    /// Keep tokens at least this probable beside the likeliest; 0 keeps all [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) min_p: Option<f32>,
    /// Make tokens that stand already less likely; 1 does nothing [default: 1.1]
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) repetition_penalty: Option<f32>,
    /// Decides the draws [default: 42]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

impl SamplingArgs {
    /// For a model on this machine: the paper's settings where none are given.
    pub(crate) fn config(&self) -> anyhow::Result<GenerationConfig> {
        let logits = LogitsProcessors {
            repetition_penalty: self.repetition_penalty.unwrap_or(1.1),
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k.unwrap_or(50),
            top_p: self.top_p.unwrap_or(0.95),
            min_p: self.min_p.unwrap_or(0.0),
        };
        if let Some(problem) = logits.problem() {
            bail!(problem);
        }
        Ok(GenerationConfig {
            max_new_tokens: self.max_new_tokens,
            do_sample: !self.greedy,
            logits,
            seed: self.seed.unwrap_or(42),
        })
    }

    /// For a model behind an API: what is given, and no more.
    fn settings(&self) -> Settings {
        Settings {
            max_new_tokens: self.max_new_tokens,
            temperature: if self.greedy {
                Some(0.0)
            } else {
                self.temperature
            },
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

pub(crate) fn run(args: GenerateArgs, global: &Global) -> anyhow::Result<()> {
    // What is out of range is so for a provider, too.
    let config = args.sampling.config()?;
    ensure!(
        args.num_return_sequences > 0,
        "--num-return-sequences is 0: there is nothing to write"
    );
    let system = args.asking.system()?;
    let prompts = args.prompts(system.as_deref())?;
    let questions = Questions {
        prompts: &prompts,
        samples: args.num_return_sequences,
        strategy: args.asking.strategy(),
        system: system.as_deref(),
    };
    if let Some(api) = args.provider.provider {
        ensure!(
            args.chat.fingerprint().is_empty(),
            "a provider has its own chat templates: leave --chat-template and its kin out"
        );
        let model = args.model_name();
        let client = args.provider.client(api, model, args.sampling.settings())?;
        let asking = Asking {
            questions,
            price: args.provider.price(),
            sink: args.sink(),
        };
        asking.run(&Asked::Provider {
            client: &client,
            threads: args.provider.concurrency.into(),
        })?;
    } else {
        let mut loaded = model::load(args.model_name(), &global.open_device()?)?;
        loaded.template = args.chat.apply(loaded.template)?;
        loaded.hash += &args.chat.fingerprint();
        let writer = Writer {
            loaded: &loaded,
            config: &config,
            samples: args.num_return_sequences,
            batch_size: args.batch_size,
        };
        let is_plain = questions.strategy == Strategy::Independent && system.is_none();
        match &args.output {
            Some(path) if is_plain => {
                writer.to_file_as(&prompts, path, args.layout, args.model_name())?;
            }
            None if is_plain => return writer.to_terminal(&prompts, args.json),
            _ => {
                let asking = Asking {
                    questions,
                    price: Price::default(),
                    sink: args.sink(),
                };
                asking.run(&Asked::Local(&writer))?;
            }
        }
    }
    if let Some(path) = &args.output {
        writeln!(io::stdout(), "{}", path.display())?;
    }
    Ok(())
}

impl GenerateArgs {
    fn model_name(&self) -> &str {
        let name = self.model.as_deref();
        name.or(self.provider.model_name.as_deref())
            .unwrap_or_default()
    }

    fn sink(&self) -> Sink<'_> {
        match &self.output {
            Some(path) => Sink::File {
                path,
                layout: self.layout,
                model: self.model_name(),
            },
            None if self.json => Sink::Rows,
            None => Sink::Text,
        }
    }

    fn prompts(&self, system: Option<&str>) -> anyhow::Result<Vec<Prompt>> {
        let mut prompts = match &self.prompts_file {
            Some(file) => read_prompts(file)?,
            None => self
                .prompts
                .iter()
                .enumerate()
                .map(|(i, text)| Prompt {
                    id: i.to_string(),
                    text: text.clone().into(),
                })
                .collect(),
        };
        prompts.truncate(self.limit.unwrap_or(usize::MAX));
        ensure!(
            !prompts.is_empty(),
            "there is no prompt: give --prompt or --prompts-file"
        );
        check_system(system, &prompts)?;
        Ok(prompts)
    }
}
