//! `rarebit tales`: the demo's world with known truth, as files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rarebit_data::{SourceOptions, read_samples};
use rarebit_models::CONFIG;
use rarebit_models::decoder::DecoderConfig;
use rarebit_models::init::random_llama;
use rarebit_models::safetensors_file::{Precision, SINGLE, save};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG};
use rarebit_tales::{Plot, Prompt, Reading, Split, Voice, World, mode_coverage, read};
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

use crate::output;

/// Write, judge and learn from the demo's world of tales, whose truth is known
///
/// Tales have a plot and a voice drawn from a skewed distribution and a quality that is independent
/// of both; votes are heavy-tailed. An oracle reads plot, voice and quality back from any text.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum TalesCommand {
    /// Write prompts with several tales each, and their votes, as JSONL
    Write(WriteArgs),
    /// Let the oracle score responses and count the modes they reach
    Judge(JudgeArgs),
    /// Make an untrained base model: random weights, and a tokenizer trained on the world
    Base(BaseArgs),
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct WriteArgs {
    /// The JSONL file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Prompts
    #[arg(long, default_value_t = 400)]
    prompts: usize,
    /// Tales per prompt
    #[arg(long, default_value_t = 12)]
    responses: usize,
    /// Take prompts that no base model was trained on
    #[arg(long)]
    held_out: bool,
    /// Skip the first prompts
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// Which world
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct JudgeArgs {
    /// Responses to the world's prompts, in any shape that `rarebit prepare` reads
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Write the rows with the oracle's quality as `score`, and the plot and voice it read
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BaseArgs {
    /// The model folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Tokens of the vocabulary
    #[arg(long, default_value_t = 1024)]
    vocab_size: usize,
    /// Width of the residual stream
    #[arg(long, default_value_t = 160)]
    hidden_size: usize,
    /// Width of the feed-forward layers
    #[arg(long, default_value_t = 448)]
    intermediate_size: usize,
    /// Blocks
    #[arg(long, default_value_t = 4)]
    num_hidden_layers: usize,
    /// Attention heads
    #[arg(long, default_value_t = 5)]
    num_attention_heads: usize,
    /// Decides weights and world
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

pub(crate) fn run(command: TalesCommand) -> anyhow::Result<()> {
    match command {
        TalesCommand::Write(args) => {
            let world = World::seeded(args.seed);
            let split = if args.held_out {
                Split::HeldOut
            } else {
                Split::Train
            };
            let prompts = world.prompts(split);
            let end = args.skip + args.prompts;
            ensure!(
                end <= prompts.len(),
                "the world has {} such prompts, not {end}",
                prompts.len()
            );
            write_groups(
                &world,
                &prompts[args.skip..end],
                args.responses,
                &args.output,
            )?;
            writeln!(io::stdout(), "{}", args.output.display())?;
        }
        TalesCommand::Judge(args) => judge(&args)?,
        TalesCommand::Base(args) => {
            base(&args)?;
            writeln!(io::stdout(), "{}", args.output.display())?;
        }
    }
    Ok(())
}

/// Writes prompts with their tales and votes: `{prompt_id, prompt, responses: [{text, score}]}`.
pub(crate) fn write_groups(
    world: &World,
    prompts: &[Prompt],
    responses: usize,
    path: &Path,
) -> anyhow::Result<()> {
    output::write_atomically(path, |file| {
        for prompt in prompts {
            let tales = world.responses(prompt, responses, &mut world.rng(prompt));
            let tales: Vec<Value> = tales
                .iter()
                .map(|tale| json!({"text": tale.text, "score": tale.votes}))
                .collect();
            writeln!(
                file,
                "{}",
                json!({"prompt_id": prompt.id, "prompt": prompt.text, "responses": tales})
            )?;
        }
        Ok(())
    })
}

/// The oracle's readings of each prompt's responses, in the file's order.
pub(crate) fn readings(path: &Path) -> anyhow::Result<Vec<(rarebit_data::Group, Vec<Reading>)>> {
    read_samples(path, &SourceOptions::default())?
        .map(|group| {
            let group = group?;
            let readings = group
                .responses
                .iter()
                .map(|response| read(&group.prompt.flat(), &response.text))
                .collect();
            Ok((group, readings))
        })
        .collect()
}

/// Writes responses with the oracle's quality as their score.
pub(crate) fn write_judged(
    judged: &[(rarebit_data::Group, Vec<Reading>)],
    path: &Path,
) -> anyhow::Result<()> {
    output::write_atomically(path, |file| {
        for (group, readings) in judged {
            for (response, reading) in group.responses.iter().zip(readings) {
                let row = json!({
                    "prompt_id": group.id,
                    "prompt": group.prompt,
                    "sample": response.id,
                    "response": response.text,
                    "score": reading.quality,
                    "plot": reading.plot.map(Plot::as_str),
                    "voice": reading.voice.map(Voice::as_str),
                });
                writeln!(file, "{row}")?;
            }
        }
        Ok(())
    })
}

fn judge(args: &JudgeArgs) -> anyhow::Result<()> {
    let judged = readings(&args.input)?;
    ensure!(
        !judged.is_empty(),
        "{} holds no responses",
        args.input.display()
    );
    if let Some(output) = &args.output {
        write_judged(&judged, output)?;
    }
    let all: Vec<Reading> = judged
        .iter()
        .flat_map(|(_, readings)| readings.clone())
        .collect();
    let prompts = judged.len() as f64;
    let mean = |of: fn(&[Reading]) -> f64| {
        judged.iter().map(|(_, readings)| of(readings)).sum::<f64>() / prompts
    };
    let rows = [
        ("responses", all.len() as f64),
        (
            "mean quality",
            all.iter()
                .map(|reading| f64::from(reading.quality))
                .sum::<f64>()
                / all.len() as f64,
        ),
        (
            "legible share",
            all.iter()
                .filter(|reading| reading.plot.is_some() && reading.voice.is_some())
                .count() as f64
                / all.len() as f64,
        ),
        (
            "modes per prompt",
            mean(|readings| mode_coverage(readings).modes.distinct as f64),
        ),
        (
            "effective modes per prompt",
            mean(|readings| mode_coverage(readings).modes.effective),
        ),
        (
            "plots per prompt",
            mean(|readings| mode_coverage(readings).plots.distinct as f64),
        ),
        (
            "voices per prompt",
            mean(|readings| mode_coverage(readings).voices.distinct as f64),
        ),
        (
            "effective modes in all",
            mode_coverage(&all).modes.effective,
        ),
    ];
    let mut out = io::stdout().lock();
    for (what, value) in rows {
        writeln!(out, "{what:<27}{value:>9.3}")?;
    }
    Ok(())
}

/// What marks the parts of a tale's text for the model.
const SPECIAL: [&str; 4] = ["<|pad|>", "<|end|>", "<|prompt|>", "<|tale|>"];
const CHAT_TEMPLATE: &str = "{% for message in messages %}{% if message['role'] == 'assistant' %}\
{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}\
{% else %}<|prompt|>{{ message['content'] }}<|tale|>{% endif %}{% endfor %}";
/// Tales that the tokenizer learns its merges from.
const TOKENIZER_TALES: usize = 4000;

fn base(args: &BaseArgs) -> anyhow::Result<()> {
    let folder = &args.output;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let world = World::seeded(args.seed);
    let texts: Vec<String> = world
        .corpus()
        .take(TOKENIZER_TALES)
        .flat_map(|(prompt, tale)| [prompt.text.clone(), tale.text])
        .collect();
    train_tokenizer(&texts, args.vocab_size, &folder.join(TOKENIZER))?;
    let json = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": args.vocab_size,
        "hidden_size": args.hidden_size,
        "intermediate_size": args.intermediate_size,
        "num_hidden_layers": args.num_hidden_layers,
        "num_attention_heads": args.num_attention_heads,
        "num_key_value_heads": args.num_attention_heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "max_position_embeddings": 512,
        "tie_word_embeddings": true,
        "attention_bias": false,
        "mlp_bias": false,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": null,
    });
    let config = DecoderConfig::from_json(&folder.join(CONFIG), &json)?;
    write_json(&folder.join(CONFIG), &json)?;
    let settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": config.max_position_embeddings,
        "clean_up_tokenization_spaces": false,
    });
    write_json(&folder.join(TOKENIZER_CONFIG), &settings)?;
    save(
        &folder.join(SINGLE),
        &random_llama(&config, args.seed),
        Precision::F32,
        &[("format".to_owned(), "pt".to_owned())].into(),
    )?;
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    output::write_atomically(path, |file| Ok(serde_json::to_writer_pretty(file, value)?))
}

/// A byte-level BPE tokenizer in the layout of GPT-2's.
fn train_tokenizer(texts: &[String], vocab_size: usize, path: &Path) -> anyhow::Result<()> {
    let failed = |error: tokenizers::Error| anyhow::anyhow!("cannot train the tokenizer: {error}");
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::normalizers::Sequence>)
        .with_pre_tokenizer(Some(byte_level))
        .with_post_processor(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()
        .map_err(failed)?;
    let special: Vec<AddedToken> = SPECIAL
        .iter()
        .map(|token| AddedToken::from(*token, true))
        .collect();
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special)
        .build();
    tokenizer
        .train(&mut trainer, texts.iter().map(String::as_str))
        .map_err(failed)?;
    let json = tokenizer.to_string(true).map_err(failed)?;
    output::write_atomically(path, |file| Ok(file.write_all(json.as_bytes())?))
}
