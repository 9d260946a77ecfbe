//! The settings of a reward model's training run.

use std::path::Path;

use rarebit_data::steps::transform::ScoreTransform;
use rarebit_train::TrainingArguments;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::lora::LoraSettings;
use super::source::SourceSettings;
use super::{Reading, named, resolve};
use crate::error::{Result, ensure};
use crate::model::reward::RewardFormat;

/// The share of prompts that is held out of a file of responses.
const DEFAULT_TEST_SIZE: f64 = 0.1;

/// Which scores a reward model learns, and how it reads them.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Reward model")]
pub struct ScoreSettings {
    /// The share of train-file's prompts to evaluate on if there is no eval-file; without it, 0.1
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_size: Option<f64>,
    /// The column of scores; without it, transformed_score if there is one, else score
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_column: Option<String>,
    /// How scores that `rarebit prepare` has not transformed are mapped to [-1, 1]
    #[arg(long, default_value = "correct", value_parser = named::<ScoreTransform>(&["correct", "reference", "none"]))]
    pub score_transform: ScoreTransform,
    /// How the model reads a prompt and a response
    #[arg(long, value_enum, default_value = "tags")]
    pub reward_format: RewardFormat,
}

/// A run's settings, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardConfig {
    /// What it starts from, learns from, and where it writes.
    pub model: SourceSettings,
    /// Which scores it learns.
    pub scores: ScoreSettings,
    /// The adapter that it trains.
    pub lora: LoraSettings,
    /// How the loop runs.
    pub arguments: TrainingArguments,
    /// Evaluate four times in each epoch: nothing else was said, and the number of steps is known
    /// once the data is.
    pub(crate) eval_each_quarter: bool,
}

impl RewardConfig {
    /// Settings of training whose defaults are the paper's for reward models, as TOML. The schedule
    /// follows the evaluation loss, as the paper's does.
    pub const DEFAULTS: [(&str, &str); 7] = [
        ("learning_rate", "3e-5"),
        ("per_device_train_batch_size", "4"),
        ("num_train_epochs", "3.0"),
        ("lr_scheduler_type", "\"reduce_lr_on_plateau\""),
        ("lr_scheduler_kwargs", "{ factor = 0.5, patience = 1 }"),
        ("early_stopping_patience", "4"),
        ("load_best_model_at_end", "true"),
    ];

    /// Reads a TOML file, if one is given, and puts flags over it.
    ///
    /// # Errors
    /// When a key is missing or unknown, or a value cannot be used.
    pub fn resolve(file: Option<&Path>, flags: Table) -> Result<Self> {
        resolve(file, flags, Self::from_table)
    }

    /// Reads a configuration in TOML.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::from_table(toml::from_str(text)?)
    }

    fn from_table(table: Table) -> Result<Self> {
        let mut reading = Reading::new(table);
        let eval_each_quarter = !reading.has("eval_steps");
        for (key, value) in Self::DEFAULTS {
            let value: Table = toml::from_str(&format!("value = {value}"))?;
            reading.set_default(key, value["value"].clone());
        }
        reading.require(&SourceSettings::REQUIRED)?;
        let mut config = Self {
            model: reading.take()?,
            scores: reading.take()?,
            lora: LoraSettings::take(&mut reading)?,
            arguments: reading.take()?,
            eval_each_quarter,
        };
        reading.finish()?;
        config.validate()?;
        if config.model.train_file.is_some() && config.model.eval_file.is_none() {
            config.scores.test_size.get_or_insert(DEFAULT_TEST_SIZE);
        }
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        self.arguments.validate()?;
        self.model.validate()?;
        if let Some(share) = self.scores.test_size {
            ensure!(
                (0.0..1.0).contains(&share),
                "`test_size` is {share}: it must be at least 0 and below 1"
            );
            ensure!(
                self.model.train_file.is_some() && self.model.eval_file.is_none(),
                "`test_size` only applies to a `train_file` without other evaluation data: remove it"
            );
        }
        Ok(())
    }

    /// Evaluates four times in each epoch of so many examples, if nothing else was said.
    pub(crate) fn settle_evaluation(&mut self, examples: usize, evaluates: bool) {
        if self.eval_each_quarter && evaluates {
            self.arguments.eval_steps = self.arguments.steps_per_epoch(examples).div_ceil(4);
        }
    }

    /// The whole configuration as the TOML file that would give it.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(&self.to_table()?)?)
    }

    /// The same as a table.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_table(&self) -> Result<Table> {
        let mut table = Table::try_from(&self.model)?;
        table.extend(Table::try_from(&self.scores)?);
        if self.lora.use_peft.is_some() {
            table.extend(Table::try_from(&self.lora)?);
        }
        table.extend(Table::try_from(&self.arguments)?);
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "model_name_or_path = 'm'\noutput_dir = 'o'\n";

    fn resolve(text: &str) -> Result<RewardConfig> {
        RewardConfig::from_table(toml::from_str(text).expect("toml"))
    }

    #[test]
    fn a_resolved_configuration_gives_itself() {
        let mut config = resolve(&format!("{LEAST}train_file = 'f'\nlora_r = 4")).expect("valid");
        assert_eq!(config.scores.test_size, Some(0.1));
        config.settle_evaluation(41, true);
        assert_eq!(config.arguments.eval_steps, 3);
        let again = resolve(&config.to_toml().expect("toml")).expect("valid");
        assert_eq!(again.arguments, config.arguments);
        assert_eq!((&again.model, &again.lora), (&config.model, &config.lora));
        assert_eq!(again.scores, config.scores);
        assert!(!again.eval_each_quarter);
    }

    #[test]
    fn every_recipe_resolves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../native/recipes/reward");
        let mut recipes = 0;
        for entry in std::fs::read_dir(folder).expect("recipes").flatten() {
            RewardConfig::resolve(Some(&entry.path()), Table::new())
                .expect("a recipe that resolves");
            recipes += 1;
        }
        assert!(recipes >= 2, "{recipes} recipes");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (extra, needle) in [
            ("", "nothing to train on"),
            (
                "train_file = 'f'\ndataset_name = 'd'",
                "one of them is enough",
            ),
            ("dataset_name = 'd'\ntest_size = 0.2", "`test_size`"),
            ("train_file = 'f'\ntest_size = 1.0", "`test_size` is 1"),
            ("train_file = 'f'\nbeta = 0.1", "`beta`"),
            (
                "train_file = 'f'\nlr_scheduler_kwargs = { factor = 2.0 }",
                "factor",
            ),
            (
                "train_file = 'f'\nlr_scheduler_kwargs = { patients = 2 }",
                "patients",
            ),
            ("train_file = 'f'\nreward_format = 'xml'", "xml"),
        ] {
            let error = resolve(&format!("{LEAST}{extra}"))
                .expect_err(extra)
                .chain();
            assert!(error.contains(needle), "{extra}: {error}");
        }
    }
}
