//! `rarebit train`: one loop for every objective.

use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use rarebit_data::steps::weigh::Embedders;
use rarebit_pipeline::settings::chat::ChatSettings;
use rarebit_pipeline::settings::columns::ColumnSettings;
use rarebit_pipeline::settings::given;
use rarebit_pipeline::settings::lora::LoraSettings;
use rarebit_pipeline::settings::objective::ObjectiveSettings;
use rarebit_pipeline::settings::online::OnlineSettings;
use rarebit_pipeline::settings::run::{RunConfig, TaskSettings};
use rarebit_pipeline::settings::source::SourceSettings;
use rarebit_pipeline::settings::weighting::{WeightUse, WeightingSettings};
use rarebit_pipeline::{Session, train_online, train_policy};
use rarebit_train::TrainingArguments;
use toml::Table;

use crate::global::Global;
use crate::{progress, signals};

/// Train a model: sft, dpo, orpo, simpo, kto, or one of them weighted by deviation
///
/// Settings come from a TOML file, flags go over it; keys and flags carry the names of TRL and
/// transformers. The run folder gets the resolved config.toml, metrics.jsonl, TensorBoard events,
/// checkpoints, and the trained model as a Hugging Face folder (or a peft adapter). Kill it at any
/// instant and start the same command again: it goes on from the last checkpoint. Ctrl-C and SIGTERM
/// end it after a step, with a checkpoint; a second one ends it at once.
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
    source: SourceSettings,
    #[command(flatten)]
    columns: ColumnSettings,
    #[command(flatten)]
    task: TaskSettings,
    #[command(flatten)]
    objective: ObjectiveSettings,
    #[command(flatten)]
    weighting: WeightingSettings,
    #[command(flatten)]
    weights: WeightUse,
    #[command(flatten)]
    lora: LoraSettings,
    #[command(flatten)]
    arguments: TrainingArguments,
    #[command(flatten)]
    chat: ChatSettings,
    #[command(flatten)]
    online: OnlineSettings,
}

impl TrainArgs {
    /// The settings that were given as flags.
    fn flags(&self, matches: &ArgMatches) -> anyhow::Result<Table> {
        let mut flags = given(&self.source, matches)?;
        flags.extend(given(&self.columns, matches)?);
        flags.extend(given(&self.task, matches)?);
        flags.extend(given(&self.objective, matches)?);
        flags.extend(given(&self.weighting, matches)?);
        flags.extend(given(&self.weights, matches)?);
        flags.extend(given(&self.lora, matches)?);
        flags.extend(given(&self.arguments, matches)?);
        flags.extend(given(&self.chat, matches)?);
        flags.extend(given(&self.online, matches)?);
        Ok(flags)
    }
}

pub(crate) fn run(args: &TrainArgs, global: &Global, matches: &ArgMatches) -> anyhow::Result<()> {
    let config = RunConfig::resolve(args.config.as_deref(), args.flags(matches)?)?;
    let session = Session {
        stop: signals::stop()?,
        ..global.session()?
    };
    let outcome = match &config.online {
        Some(online) => {
            let semantic = global.embedder(&online.embedders.semantic)?;
            let style = global.embedder(&online.embedders.style)?;
            let embedders = Embedders {
                semantic: Some(semantic.as_ref()),
                style: Some(style.as_ref()),
            };
            train_online(&config, embedders, &session)?
        }
        None => train_policy(&config, &session)?,
    };
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
    writeln!(std::io::stdout(), "{}", model.display())?;
    Ok(())
}
