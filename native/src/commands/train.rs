//! `rarebit train`: one loop for every objective.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use burn::tensor::Device;
use rarebit_deviation::{Kinds, Mix};
use rarebit_train::{Encoder, LossType, OrpoNll, Outcome, Run, TrainingArguments, train};
use serde::Serialize;
use toml::Table;

use super::source_args::named;
use super::training_args::{LoopFlags, LoraFlags, OnlineFlags};
use super::{Global, online};
use crate::progress;
use crate::run_config::{DorpoForm, ObjectiveName, RunConfig};
use crate::training_view::View;
use crate::{cache, chat_settings, model, output, training_data};

/// Train a model: sft, dpo, orpo, simpo, kto, or one of them weighted by deviation
///
/// Settings come from a TOML file, flags go over it; keys and flags carry the names of TRL and
/// transformers. The run folder gets the resolved config.toml, metrics.jsonl, TensorBoard events,
/// checkpoints, and the trained model as a Hugging Face folder (or a peft adapter). Kill it at any
/// instant and start the same command again: it goes on from the last checkpoint.
///
/// With --online the policy learns from what it writes itself: each round it answers the data's
/// prompts several times, a reward model judges the answers, deviation among them weighs the pairs,
/// and the policy learns them. The reference is the policy that the run started with. Each round's
/// samples, scores, pairs and log stay in DIR/rounds, metrics.jsonl has a row for each.
///
/// Example: rarebit train --objective ddpo --model-name-or-path runs/sft/model
/// --dataset-name prepared --output-dir runs/ddpo
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrainArgs {
    /// A TOML file of settings; native/recipes has one for each stage
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: TrainFlags,
    #[command(flatten)]
    lora: LoraFlags,
    #[command(flatten)]
    arguments: LoopFlags,
    #[command(flatten)]
    online: OnlineFlags,
}

/// Settings that go over the file's
#[derive(clap::Args, Clone, Debug, Default, Serialize)]
#[serde(default)]
struct TrainFlags {
    /// The model to start from: a folder, an adapter's folder, or a Hugging Face id
    #[arg(long, value_name = "MODEL", help_heading = "What is trained")]
    model_name_or_path: Option<String>,
    /// The run folder
    #[arg(long, value_name = "DIR", help_heading = "What is trained")]
    output_dir: Option<PathBuf>,
    /// What is trained for
    #[arg(long, value_enum, help_heading = "What is trained")]
    objective: Option<ObjectiveName>,
    /// A folder of `rarebit prepare`: its train split is learned from, its test split evaluated on
    #[arg(long, value_name = "DIR", help_heading = "What is trained")]
    dataset_name: Option<PathBuf>,
    /// A file of pairs (or, for sft and kto, of responses) in any format that `rarebit prepare` reads
    #[arg(long, value_name = "FILE", help_heading = "What is trained")]
    train_file: Option<PathBuf>,
    /// A file of the same kind to evaluate on
    #[arg(long, value_name = "FILE", help_heading = "What is trained")]
    eval_file: Option<PathBuf>,
    /// Most pairs of one prompt
    #[arg(long, value_name = "N", help_heading = "What is trained")]
    max_pairs: Option<usize>,

    /// dpo and ddpo: what is made of the margin [default: sigmoid]
    #[arg(long, value_parser = named::<LossType>(&["sigmoid", "sigmoid_norm", "ipo", "hinge"]), help_heading = "Objective")]
    loss_type: Option<LossType>,
    /// dpo and kto: the pull toward the reference [default: 0.1]; simpo: the scale of the margin
    /// [default: 2]
    #[arg(long, help_heading = "Objective", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// dpo and ddpo: another coefficient for the policy's log-ratio, beta being the reference's: soft
    /// preference learning, more diverse than the reference where it is above beta [default: beta]
    #[arg(
        long,
        value_name = "BETA",
        help_heading = "Objective",
        allow_negative_numbers = true
    )]
    policy_beta: Option<f64>,
    /// simpo: the margin that is asked for [default: 0.5]
    #[arg(
        long,
        value_name = "GAMMA",
        help_heading = "Objective",
        allow_negative_numbers = true
    )]
    simpo_gamma: Option<f64>,
    /// kto: weight of all desirable completions [default: 1]
    #[arg(
        long,
        value_name = "WEIGHT",
        help_heading = "Objective",
        allow_negative_numbers = true
    )]
    desirable_weight: Option<f64>,
    /// kto: weight of all undesirable completions [default: 1]
    #[arg(
        long,
        value_name = "WEIGHT",
        help_heading = "Objective",
        allow_negative_numbers = true
    )]
    undesirable_weight: Option<f64>,
    /// Weight of ORPO's and DORPO's odds-ratio term [default: 0.25]
    #[arg(long, help_heading = "Objective", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Over which tokens ORPO takes the likelihood of the chosen response: the completion's, or as
    /// TRL does those of prompt and completion [default: completion]
    #[arg(long, value_parser = named::<OrpoNll>(&["completion", "sequence"]), help_heading = "Objective")]
    orpo_nll: Option<OrpoNll>,
    /// Where DORPO's weight stands [default: paper]
    #[arg(long, value_enum, help_heading = "Objective")]
    dorpo_form: Option<DorpoForm>,
    /// Make the weights anew from these kinds of deviation [default: the data's weight column]
    #[arg(long, value_parser = named::<Kinds>(&["semantic", "style", "both", "none"]), help_heading = "Objective")]
    weighting: Option<Kinds>,
    /// Least mixed score of a response before the mean is taken, from 0 to 1
    #[arg(long, help_heading = "Objective")]
    floor: Option<f64>,
    /// Weigh by the rank of a deviation instead of its min-max
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Objective")]
    rank: Option<bool>,
    /// Pull weights towards 1: w becomes 1 + (w - 1) n / (n + KAPPA)
    #[arg(long, value_name = "KAPPA", help_heading = "Objective")]
    shrinkage: Option<f64>,
    /// Raise weights to this power and scale them to mean 1 again
    #[arg(long, help_heading = "Objective")]
    tau: Option<f64>,
    /// Mix both kinds of deviation as semantic^SHARE style^(1 - SHARE)
    #[arg(long, value_name = "SHARE", help_heading = "Objective")]
    semantic_share: Option<f64>,
    /// Weigh by a sum of signals as `rarebit prepare --mix` does, from what it wrote:
    /// diversity=1,novelty=1,surprise=0.5,quality=1
    #[arg(long, value_name = "SIGNAL=LAMBDA,..", help_heading = "Objective")]
    mix: Option<Mix>,
    /// Shuffle the weights among the responses to each prompt: a control that shows what deviation
    /// itself does
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Objective")]
    shuffle_weights: Option<bool>,
    /// Scale the weights that the loss reads, in pairs those of chosen responses, to mean 1
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Objective")]
    renormalise: Option<bool>,

    /// The name of one of several chat templates that the model's folder has [default: default]
    #[arg(long, value_name = "NAME", help_heading = "Chat template")]
    chat_template: Option<String>,
    /// Variables that the chat template asks for, as JSON: '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", value_parser = chat_settings::parse_kwargs, help_heading = "Chat template")]
    chat_template_kwargs: Option<Table>,
    /// The date and time that a template which asks is told, as 2026-11-24T01:30:57 [default: that
    /// of the run's beginning, which config.toml keeps]
    #[arg(long, value_name = "DATE", help_heading = "Chat template")]
    chat_template_date: Option<String>,

    /// sft: learn what follows the prompt only [default: true, but false for rows of `messages`]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Objective")]
    completion_only_loss: Option<bool>,
    /// sft: learn only what the assistant says, in every turn of a conversation [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Objective")]
    assistant_only_loss: Option<bool>,
}

pub(crate) fn run(args: TrainArgs, global: &Global) -> anyhow::Result<()> {
    let mut flags = Table::try_from(&args.flags)?;
    flags.extend(Table::try_from(&args.lora)?);
    flags.extend(Table::try_from(&args.arguments)?);
    flags.extend(Table::try_from(&args.online)?);
    let config = RunConfig::resolve(args.config.as_deref(), flags)?;
    let outcome = run_config(&config, global)?;
    let how = if outcome.stopped_early {
        "stopped early"
    } else {
        "finished"
    };
    progress::note(&format!("{how} after {} steps", outcome.steps));
    if let Some((step, loss)) = outcome.best {
        progress::note(&format!("lowest evaluation loss {loss:.4} at step {step}"));
    }
    let model = config.model.output_dir.join("model");
    std::io::Write::write_fmt(
        &mut std::io::stdout(),
        format_args!("{}\n", model.display()),
    )?;
    Ok(())
}

/// Trains as configured and writes the model into the run folder.
pub(crate) fn run_config(config: &RunConfig, global: &Global) -> anyhow::Result<Outcome> {
    let device = global.open_device()?.autodiff();
    let mut loaded = model::load(&config.model.model_name_or_path, &device)?;
    let mut config = config.clone();
    loaded.template = chat_settings::apply(&mut config, loaded.template)?;
    let config = &config;
    let output_dir = &config.model.output_dir;
    let result = output_dir.join("model");
    ensure!(
        !loaded.stands_in(&result),
        "the run would write over the model it starts from, {}: give another output_dir",
        result.display()
    );
    let (adapted, adapter) = config.lora.adapt(
        loaded.model,
        loaded.adapter.clone(),
        &config.model.model_name_or_path,
        config.arguments.seed,
        &device,
    )?;
    loaded.model = adapted;
    // Another backend, or another version of this program, may compute other last digits.
    let backend = match device.clone().inner() == Device::flex() {
        true => "cpu",
        false => "gpu",
    };
    let computed_by = format!("{}-{backend}", env!("CARGO_PKG_VERSION"));
    let reference_cache = cache::folder(global.cache_dir.as_deref(), "reference-logps")?;
    let reference_cache = reference_cache.join(computed_by);
    if let Some(settings) = &config.online {
        let start = online::Start {
            config,
            settings,
            loaded,
            adapter,
            device,
            reference_cache,
        };
        return online::run(start, global);
    }
    let encoder = Encoder {
        tokenizer: &loaded.tokenizer,
        template: &loaded.template,
        max_length: Some(max_length(
            &config.arguments,
            loaded.model.config().max_position_embeddings(),
        )),
        truncation_mode: config.arguments.truncation_mode,
    };
    let data = training_data::read(config, &encoder)?;
    let run = Run {
        output_dir,
        arguments: &config.arguments,
        objective: config.objective(),
        train: &data.train,
        eval: &data.eval,
        pad: loaded.tokenizer.pad,
        policy: loaded.hash.clone(),
        adapter: adapter.as_ref(),
        reference_cache: Some(reference_cache),
        round: None,
    };
    // The configuration of another run stays as it is.
    run.check_folder()?;
    save_config(&config.to_toml()?, output_dir)?;
    let mut view = View::default();
    let outcome = train(loaded.model, &run, &mut |event| view.show(&event))?;
    drop(view);
    loaded.model = outcome.model.clone();
    loaded.save(&result)?;
    Ok(outcome)
}

/// The longest sequence: no longer than the model reads.
pub(super) fn max_length(arguments: &TrainingArguments, model: usize) -> usize {
    match arguments.max_length() {
        Some(asked) if asked <= model => asked,
        asked => {
            if let Some(asked) = asked {
                progress::note(&format!(
                    "max_length {asked} is more than the model reads: {model} it is"
                ));
            }
            model
        }
    }
}

/// Writes a resolved configuration into its run folder.
pub(super) fn save_config(config: &str, output_dir: &Path) -> anyhow::Result<()> {
    let text = format!(
        "# Resolved by rarebit {}.\n{config}",
        env!("CARGO_PKG_VERSION")
    );
    output::write_atomically(&output_dir.join("config.toml"), |file| {
        std::io::Write::write_all(file, text.as_bytes())?;
        Ok(())
    })
}
