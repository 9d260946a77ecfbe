//! What every training run begins with.

use std::path::Path;

use burn::tensor::Device;
use rarebit_models::lora::LoraConfig;
use rarebit_train::TrainingArguments;

use crate::error::{Result, ensure};
use crate::event::Events;
use crate::model::{self, LoadedModel};
use crate::output;
use crate::session::Session;
use crate::settings::run::RunConfig;

/// A policy before its first step.
pub(super) struct Start {
    /// The settings, with the date that the chat template is given.
    pub(super) config: RunConfig,
    /// The policy on an autodiff device, with the adapter that is trained.
    pub(super) loaded: LoadedModel,
    pub(super) adapter: Option<LoraConfig>,
    pub(super) device: Device,
}

impl Start {
    pub(super) fn read(config: &RunConfig, session: &Session) -> Result<Self> {
        let device = session.device.clone().autodiff();
        let mut config = config.clone();
        let name = &config.model.model_name_or_path;
        let mut loaded = model::load(name, session.models.as_ref(), &device)?;
        check_result(&config.model.output_dir, |result| loaded.stands_in(result))?;
        let (adapted, adapter) = config.lora.adapt(
            loaded.model,
            loaded.adapter.clone(),
            name,
            config.arguments.seed,
            &device,
        )?;
        loaded.model = adapted;
        loaded.template = config.apply_template(loaded.template)?;
        Ok(Self {
            config,
            loaded,
            adapter,
            device,
        })
    }
}

/// Refuses to write the trained model over the one that the run starts from.
pub(super) fn check_result(output_dir: &Path, is_start: impl Fn(&Path) -> bool) -> Result<()> {
    let result = output_dir.join("model");
    ensure!(
        !is_start(&result),
        "the run would write over the model it starts from, {}: give another output_dir",
        result.display()
    );
    Ok(())
}

/// The longest sequence in tokens: what is asked for, but no more than the model reads.
pub(super) fn max_length(arguments: &TrainingArguments, model: usize, events: &Events) -> usize {
    match arguments.max_length() {
        Some(asked) if asked <= model => asked,
        asked => {
            if let Some(asked) = asked {
                events.note(&format!(
                    "max_length {asked} exceeds the model's context length: using {model}"
                ));
            }
            model
        }
    }
}

/// Writes a resolved configuration into its run folder.
pub(super) fn save_config(config: &str, output_dir: &Path) -> Result<()> {
    let text = format!(
        "# Resolved by rarebit {}.\n{config}",
        env!("CARGO_PKG_VERSION")
    );
    output::write_atomically(&output_dir.join("config.toml"), |file| {
        std::io::Write::write_all(file, text.as_bytes())?;
        Ok(())
    })
}
