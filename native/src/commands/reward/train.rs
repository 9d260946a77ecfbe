//! `rarebit reward train`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use burn::module::Module;
use burn::tensor::Device;
use rarebit_data::steps::transform::ScoreTransform;
use rarebit_models::lora::{LoraConfig, read_adapter_config};
use rarebit_models::safetensors_file::Precision;
use rarebit_models::sequence_classifier::SequenceClassifier;
use rarebit_train::{Outcome, RewardRun, train_reward};
use serde::Serialize;
use toml::Table;

use super::super::source_args::named;
use super::super::train::{max_length, save_config};
use super::super::training_args::{LoopFlags, LoraFlags};
use super::evaluate::judged;
use crate::commands::Global;
use crate::model_folder::ModelFolder;
use crate::reward::{RewardFormat, RewardModel, RewardReader};
use crate::reward_config::RewardConfig;
use crate::training_view::View;
use crate::{progress, reward_data};

/// Train a reward model on the scores of responses
///
/// The model reads <prompt>P</prompt><response>R</response> and learns the score by L1 regression.
/// Starting from a language model it gets a fresh head; starting from a reward model it goes on.
/// The scores of a folder of `rarebit prepare` are on the right scale already; those of a file are
/// brought to it.
///
/// Where nothing else is said: learning rate 3e-5, batches of 4, at most 3 epochs, an evaluation
/// each quarter of an epoch, half the learning rate after two without improvement, an end after
/// four, and the best evaluated model as the result. Settings come from a TOML file, flags go over
/// it. Kill it at any instant and start the same command again: it goes on from the last
/// checkpoint.
///
/// Example: rarebit reward train --model-name-or-path google/gemma-2-2b --dataset-name prepared
/// --output-dir runs/reward
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrainArgs {
    /// A TOML file of settings; native/recipes/reward has the paper's
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: RewardFlags,
    #[command(flatten)]
    lora: LoraFlags,
    #[command(flatten)]
    arguments: LoopFlags,
}

/// Settings that go over the file's
#[derive(clap::Args, Clone, Debug, Default, Serialize)]
#[serde(default)]
#[command(next_help_heading = "What is trained")]
struct RewardFlags {
    /// The model to start from: a folder, an adapter's folder, or a Hugging Face id
    #[arg(long, value_name = "MODEL")]
    model_name_or_path: Option<String>,
    /// The run folder
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// A folder of `rarebit prepare`: its train split is learned from, its test split evaluated on
    #[arg(long, value_name = "DIR")]
    dataset_name: Option<PathBuf>,
    /// A file of responses with scores in any format that `rarebit prepare` reads
    #[arg(long, value_name = "FILE")]
    train_file: Option<PathBuf>,
    /// A file of the same kind to evaluate on
    #[arg(long, value_name = "FILE")]
    eval_file: Option<PathBuf>,
    /// The share of train-file's prompts to evaluate on where there is no eval-file [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    test_size: Option<f64>,
    /// The column of scores [default: transformed_score where there is one, else score]
    #[arg(long, value_name = "NAME")]
    score_column: Option<String>,
    /// What becomes of scores that `rarebit prepare` has not transformed [default: correct]
    #[arg(long, value_parser = named::<ScoreTransform>(&["correct", "reference", "none"]))]
    score_transform: Option<ScoreTransform>,
    /// How the model reads a prompt and a response [default: tags]
    #[arg(long, value_enum)]
    reward_format: Option<RewardFormat>,
}

pub(crate) fn run(args: TrainArgs, global: &Global) -> anyhow::Result<()> {
    let mut flags = Table::try_from(&args.flags)?;
    flags.extend(Table::try_from(&args.lora)?);
    flags.extend(Table::try_from(&args.arguments)?);
    let config = RewardConfig::resolve(args.config.as_deref(), flags)?;
    let outcome = run_config(&config, global)?;
    let how = if outcome.stopped_early {
        "stopped early"
    } else {
        "finished"
    };
    progress::note(&format!("{how} after {} steps", outcome.steps));
    let model = config.model.output_dir.join("model");
    writeln!(std::io::stdout(), "{}", model.display())?;
    Ok(())
}

/// Trains as configured and writes the model into the run folder, as `model`.
pub(crate) fn run_config(
    config: &RewardConfig,
    global: &Global,
) -> anyhow::Result<Outcome<SequenceClassifier>> {
    let device = global.open_device()?.autodiff();
    let mut config = config.clone();
    let mut start = Start::read(&config, &device)?;
    let output_dir = config.model.output_dir.clone();
    let result = output_dir.join("model");
    ensure!(
        !start.folder.stands_in(&result),
        "the run would write over the model it starts from, {}: give another output_dir",
        result.display()
    );
    let (adapted, adapter) = config.lora.adapt(
        start.model,
        start.adapter.clone(),
        &config.model.model_name_or_path,
        config.arguments.seed,
        &device,
    )?;
    start.model = adapted;
    let limit = max_length(
        &config.arguments,
        start.model.config().max_position_embeddings(),
    );
    let mut data = reward_data::read(&config)?;
    let train = reward_data::examples(&data.train, &start.reader, limit)?;
    let eval = reward_data::examples(&data.eval, &start.reader, limit)?;
    config.settle_evaluation(train.len(), !eval.is_empty());
    let run = RewardRun {
        output_dir: &output_dir,
        arguments: &config.arguments,
        train: &train,
        eval: &eval,
        start: start.hash,
        adapter: adapter.as_ref(),
    };
    // The configuration of another run stays as it is.
    run.check()?;
    save_config(&config.to_toml()?, &output_dir)?;
    let mut view = View::default();
    let outcome = train_reward(start.model, &run, &mut |event| view.show(&event))?;
    drop(view);
    start
        .folder
        .write(&result, &outcome.model, Precision::F32, u64::MAX)?;
    if !data.eval.is_empty() {
        let model = outcome.model.clone();
        let model = RewardModel::new("the model", model.valid(), start.reader);
        let found = judged(&model, &mut data.eval)?;
        progress::note(&super::evaluate::summary(&found, config.arguments.seed));
    }
    Ok(outcome)
}

/// What a run starts from.
struct Start {
    model: SequenceClassifier,
    /// The adapter's settings, if the folder is one.
    adapter: Option<LoraConfig>,
    reader: RewardReader,
    folder: ModelFolder,
    hash: String,
}

impl Start {
    fn read(config: &RewardConfig, device: &Device) -> anyhow::Result<Self> {
        let (name, seed) = (&config.model.model_name_or_path, config.arguments.seed);
        let folder = ModelFolder::resolve(name)?;
        let vocab_size = rarebit_models::BackboneConfig::read(&folder.base)?.vocab_size();
        let reader =
            RewardReader::read(folder.companions(), config.model.reward_format, vocab_size)?;
        let mut hash = folder.hash()?;
        let model = match (&folder.adapter, folder.is_classifier()?) {
            (Some(adapter), true) => {
                SequenceClassifier::load_reward_with_adapter(&folder.base, adapter, device)?
            }
            (Some(_), false) => bail!(
                "{name} is the adapter of a language model: fold it into its base with `rarebit export --merge`, \
                 and start from the result"
            ),
            (None, true) => SequenceClassifier::load_reward(&folder.base, device)?,
            (None, false) => {
                hash += &format!("head {seed}");
                let pad = reader.tokenizer.pad;
                SequenceClassifier::begin_reward(&folder.base, pad, seed, device)?
            }
        };
        let adapter = folder.adapter.as_deref().map(read_adapter_config);
        Ok(Self {
            model,
            adapter: adapter.transpose()?,
            reader,
            folder,
            hash,
        })
    }
}
