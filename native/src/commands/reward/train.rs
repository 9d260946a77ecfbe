//! `rarebit reward train`.

use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use rarebit_pipeline::settings::given;
use rarebit_pipeline::settings::lora::LoraSettings;
use rarebit_pipeline::settings::reward::{RewardConfig, ScoreSettings};
use rarebit_pipeline::settings::source::SourceSettings;
use rarebit_pipeline::{Session, train_reward};
use rarebit_train::TrainingArguments;

use super::evaluate::summary;
use crate::global::Global;
use crate::{progress, signals};

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
    source: SourceSettings,
    #[command(flatten)]
    scores: ScoreSettings,
    #[command(flatten)]
    lora: LoraSettings,
    #[command(flatten)]
    arguments: TrainingArguments,
}

pub(crate) fn run(args: &TrainArgs, global: &Global, matches: &ArgMatches) -> anyhow::Result<()> {
    let mut flags = given(&args.source, matches)?;
    flags.extend(given(&args.scores, matches)?);
    flags.extend(given(&args.lora, matches)?);
    flags.extend(given(&args.arguments, matches)?);
    let config = RewardConfig::resolve(args.config.as_deref(), flags)?;
    let session = Session {
        stop: signals::stop()?,
        ..global.session()?
    };
    let outcome = train_reward(&config, &session)?;
    if !outcome.held_out.is_empty() {
        progress::note(&summary(&outcome.held_out, config.arguments.seed));
    }
    let how = if outcome.training.stopped_early {
        "stopped early"
    } else {
        "finished"
    };
    progress::note(&format!("{how} after {} steps", outcome.training.steps));
    let model = config.model.output_dir.join("model");
    writeln!(std::io::stdout(), "{}", model.display())?;
    Ok(())
}
