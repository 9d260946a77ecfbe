//! `rarebit generate`: several responses to each prompt, of a model here or at a provider.

mod provider_args;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::ArgMatches;
use clap::parser::ValueSource;
use rarebit_models::generation::GenerationConfig;
use rarebit_pipeline::Stop;
use rarebit_pipeline::generate::{
    BATCH_SIZE, Job, Layout, Price, Prompt, Questions, Respondent, Sample, Sink, Strategy, Writer,
    check_begun, check_system, read_prompts,
};
use rarebit_pipeline::model;
use rarebit_pipeline::output::Places;
use rarebit_pipeline::settings::chat::ChatSettings;
use rarebit_pipeline::settings::columns::ColumnSettings;
use rarebit_pipeline::settings::given;
use rarebit_pipeline::settings::sampling::SamplingSettings;
use rarebit_provider::Settings;

use self::provider_args::ProviderArgs;
use super::counts::at_least_one;
use crate::global::Global;
use crate::{event_view, signals};

/// Write several responses to each prompt
///
/// Sampling settings mean what they mean in transformers and default to the paper's: temperature 1,
/// top-k 50, top-p 0.95, repetition penalty 1.1, four responses. The same seed gives the same texts,
/// whatever the batch size. With --output, rows go to a JSONL file and an interrupted run resumes;
/// without it, texts are streamed to the terminal.
///
/// With --provider, the responses come from a model behind an API. Only the prompts, the system
/// prompt, --max-new-tokens and those sampling settings that you give are sent; for the rest the
/// provider's defaults apply. Each answer is saved as it arrives, so no response is paid for twice.
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
    /// A file of prompts: .txt with one per line, or rows with `prompt` (text, or a list of messages)
    /// in any format that `rarebit prepare` reads or writes
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
    chat: ChatSettings,
    #[command(flatten)]
    columns: ColumnSettings,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Responses that are sampled in one batch on this machine
    #[arg(
        long,
        default_value_t = BATCH_SIZE,
        value_parser = at_least_one(),
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
    /// Show the earlier responses when asking for the next one, and ask for a different plot and
    /// style
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

/// How tokens are sampled
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
struct SamplingArgs {
    /// Take the likeliest token instead of sampling
    #[arg(long)]
    greedy: bool,
    /// Seed of the samples
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    settings: SamplingSettings,
}

impl SamplingArgs {
    /// For a model on this machine.
    fn config(&self) -> anyhow::Result<GenerationConfig> {
        Ok(self.settings.config(!self.greedy, self.seed)?)
    }

    /// For a model behind an API: what is given, and no more.
    fn given(&self, matches: &ArgMatches) -> anyhow::Result<Settings> {
        let given = given(&self.settings, matches)?;
        let number = |key: &str| {
            given
                .get(key)
                .and_then(toml::Value::as_float)
                .map(|it| it as f32)
        };
        let is_seeded = matches.value_source("seed") == Some(ValueSource::CommandLine);
        Ok(Settings {
            max_new_tokens: self.settings.truncation.max_new_tokens,
            temperature: match self.greedy {
                true => Some(0.0),
                false => number("temperature"),
            },
            top_k: given
                .contains_key("top_k")
                .then_some(self.settings.truncation.top_k),
            top_p: number("top_p"),
            min_p: number("min_p"),
            repetition_penalty: number("repetition_penalty"),
            seed: is_seeded.then_some(self.seed),
        })
    }
}

pub(crate) fn run(
    args: &GenerateArgs,
    global: &Global,
    matches: &ArgMatches,
) -> anyhow::Result<()> {
    Places::default()
        .reads(&args.prompts_file)
        .reads(&args.asking.system_prompt_file)
        .writes("--output", &args.output)
        .check()?;
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
    let show = |sample: &Sample| args.show(sample, prompts.len());
    let events = event_view::events();
    // Without a file nothing would be kept.
    let stop = match args.output {
        Some(_) => signals::stop()?,
        None => Stop::default(),
    };
    let job = |price: Price| Job {
        questions,
        price,
        sink: args.sink(&show),
        events: &events,
        stop: &stop,
    };
    if let Some(api) = args.provider.provider {
        ensure!(
            args.chat.is_empty(),
            "a provider has its own chat templates: remove --chat-template, --chat-template-kwargs and --chat-template-date"
        );
        let settings = args.sampling.given(matches)?;
        let client = args
            .provider
            .client(api, args.model_name(), settings, events.clone())?;
        job(args.provider.price()).run(&Respondent::Service {
            service: &client,
            threads: args.provider.concurrency.into(),
        })?;
    } else {
        let session = global.session()?;
        let mut loaded = model::load(args.model_name(), session.models.as_ref(), &session.device)?;
        loaded.template = args.chat.apply(loaded.template)?;
        loaded.hash += &args.chat.fingerprint();
        let writer = Writer {
            loaded: &loaded,
            config: &config,
            batch_size: args.batch_size,
        };
        let is_plain = questions.strategy == Strategy::Independent && system.is_none();
        if is_plain && args.output.is_none() && !args.json {
            return args.stream(&writer, &prompts);
        }
        job(Price::default()).run(&Respondent::Local(&writer))?;
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

    fn sink<'a>(&'a self, show: &'a (dyn Fn(&Sample) -> io::Result<()> + Sync)) -> Sink<'a> {
        match &self.output {
            Some(path) => Sink::File {
                path,
                layout: self.layout,
                model: self.model_name(),
            },
            None => Sink::Each(show),
        }
    }

    /// Prints a response.
    fn show(&self, sample: &Sample, prompts: usize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(sample)?)?;
        } else {
            if prompts * self.num_return_sequences > 1 {
                writeln!(out, "── {} [{}]", sample.prompt, sample.sample + 1)?;
            }
            writeln!(out, "{}", sample.response)?;
        }
        out.flush()
    }

    /// Prints each response token by token.
    fn stream(&self, writer: &Writer<'_>, prompts: &[Prompt]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for (place, prompt) in prompts.iter().enumerate() {
            for sample in 0..self.num_return_sequences {
                if prompts.len() * self.num_return_sequences > 1 {
                    writeln!(out, "── {} [{}]", prompt.text, sample + 1)?;
                }
                writer.stream(prompt, place, sample, &mut |text| {
                    write!(out, "{text}").and_then(|()| out.flush())
                })?;
                writeln!(out)?;
            }
        }
        Ok(())
    }

    fn prompts(&self, system: Option<&str>) -> anyhow::Result<Vec<Prompt>> {
        let mut prompts = match &self.prompts_file {
            Some(file) => read_prompts(file, &self.columns.options())?,
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
        check_begun(self.asking.strategy(), &prompts)?;
        Ok(prompts)
    }
}
