//! The settings of a reward model's training run: a TOML file, flags over it.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use rarebit_data::steps::transform::ScoreTransform;
use rarebit_train::TrainingArguments;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::lora_settings::LoraSettings;
use crate::reward::RewardFormat;
use crate::settings;

/// The share of prompts that is held out of a file of responses.
const DEFAULT_TEST_SIZE: f64 = 0.1;

/// What is trained and on what; how the loop runs is [`TrainingArguments`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewardArguments {
    pub(crate) model_name_or_path: String,
    pub(crate) output_dir: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dataset_name: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) train_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eval_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test_size: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score_column: Option<String>,
    #[serde(default)]
    pub(crate) score_transform: ScoreTransform,
    #[serde(default)]
    pub(crate) reward_format: RewardFormat,
}

/// A run's settings, resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RewardConfig {
    pub(crate) model: RewardArguments,
    pub(crate) lora: LoraSettings,
    pub(crate) arguments: TrainingArguments,
    /// Evaluate four times in each epoch: nothing else was said, and the number of steps is known
    /// when the data is.
    pub(crate) eval_each_quarter: bool,
}

impl RewardConfig {
    /// Reads a TOML file, if one is given, and puts flags over it.
    pub(crate) fn resolve(file: Option<&Path>, flags: Table) -> anyhow::Result<Self> {
        settings::resolve(file, flags, Self::from_table)
    }

    fn from_table(mut table: Table) -> anyhow::Result<Self> {
        for (key, value) in defaults() {
            table.entry(key).or_insert(value);
        }
        let eval_each_quarter = !table.contains_key("eval_steps");
        let (model, lora, arguments) =
            settings::read(table, &["model_name_or_path", "output_dir"])?;
        let mut config = Self {
            model,
            lora,
            arguments,
            eval_each_quarter,
        };
        config.validate()?;
        config.lora.fill_defaults();
        if config.model.train_file.is_some() && config.model.eval_file.is_none() {
            config.model.test_size.get_or_insert(DEFAULT_TEST_SIZE);
        }
        Ok(config)
    }

    fn validate(&self) -> anyhow::Result<()> {
        self.arguments.validate()?;
        self.lora.validate()?;
        let model = &self.model;
        settings::check_source(model.dataset_name.as_deref(), model.train_file.as_deref())?;
        if let Some(share) = model.test_size {
            ensure!(
                (0.0..1.0).contains(&share),
                "`test_size` is {share}: it must be at least 0 and below 1"
            );
            ensure!(
                model.train_file.is_some() && model.eval_file.is_none(),
                "`test_size` holds prompts of `train_file` out where there is no other evaluation data: remove it"
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
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let mut table = Table::try_from(&self.model)?;
        table.extend(Table::try_from(&self.lora)?);
        table.extend(Table::try_from(&self.arguments)?);
        Ok(toml::to_string(&table)?)
    }
}

/// Where a reward model's run differs from a policy's: the paper's numbers, and a schedule that
/// looks at the evaluation, as the paper's does.
fn defaults() -> [(String, Value); 7] {
    let plateau = Table::from_iter([
        ("factor".to_owned(), Value::Float(0.5)),
        ("patience".to_owned(), Value::Integer(1)),
    ]);
    [
        ("learning_rate", Value::Float(3e-5)),
        ("per_device_train_batch_size", Value::Integer(4)),
        ("num_train_epochs", Value::Float(3.0)),
        (
            "lr_scheduler_type",
            Value::String("reduce_lr_on_plateau".to_owned()),
        ),
        ("lr_scheduler_kwargs", Value::Table(plateau)),
        ("early_stopping_patience", Value::Integer(4)),
        ("load_best_model_at_end", Value::Boolean(true)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "model_name_or_path = 'm'\noutput_dir = 'o'\n";

    fn resolve(text: &str) -> anyhow::Result<RewardConfig> {
        RewardConfig::from_table(toml::from_str(text).expect("toml"))
    }

    #[test]
    fn a_resolved_configuration_gives_itself() {
        let mut config = resolve(&format!("{LEAST}train_file = 'f'\nlora_r = 4")).expect("valid");
        assert_eq!(config.model.test_size, Some(0.1));
        config.settle_evaluation(41, true);
        assert_eq!(config.arguments.eval_steps, 3);
        let again = resolve(&config.to_toml().expect("toml")).expect("valid");
        assert_eq!(again.arguments, config.arguments);
        assert_eq!((&again.model, &again.lora), (&config.model, &config.lora));
        assert!(!again.eval_each_quarter);
    }

    #[test]
    fn every_recipe_resolves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/reward");
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
            let error = format!(
                "{:#}",
                resolve(&format!("{LEAST}{extra}")).expect_err(extra)
            );
            assert!(error.contains(needle), "{extra}: {error}");
        }
    }
}
