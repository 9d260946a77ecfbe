//! The settings of a policy's training run.

use std::path::Path;

use rarebit_deviation::Signal;
use rarebit_models::chat::ChatTemplate;
use rarebit_train::{Objective, TrainingArguments};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::chat::ChatSettings;
use super::columns::ColumnSettings;
use super::lora::LoraSettings;
use super::objective::{ObjectiveName, ObjectiveSettings};
use super::online::OnlineSettings;
use super::source::SourceSettings;
use super::weighting::{WeightUse, WeightingSettings};
use super::{Reading, resolve};
use crate::error::{Result, ensure};

/// What a policy is trained for.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Model and data")]
pub struct TaskSettings {
    /// The objective to train with
    #[arg(long, value_enum, default_value = "sft", hide_default_value = true)]
    pub objective: ObjectiveName,
    /// Most pairs per prompt; without it, all
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pairs: Option<usize>,
}

/// A run's settings, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct RunConfig {
    /// What it starts from, learns from, and where it writes.
    pub model: SourceSettings,
    /// Which columns of its files hold what.
    pub columns: ColumnSettings,
    /// What it trains for.
    pub task: TaskSettings,
    /// The settings of the objective.
    pub objective: ObjectiveSettings,
    /// Weights made anew from the data's deviations, if asked for.
    pub weighting: WeightingSettings,
    /// What becomes of the weights.
    pub weights: WeightUse,
    /// What the chat template is told.
    pub chat: ChatSettings,
    /// The adapter that it trains.
    pub lora: LoraSettings,
    /// How the loop runs.
    pub arguments: TrainingArguments,
    /// Training on what the policy writes itself.
    pub online: Option<OnlineSettings>,
}

impl RunConfig {
    /// Reads a TOML file, if one is given, and puts flags over it.
    ///
    /// # Errors
    /// When a key is missing, unknown, or does not apply to the objective, or a value cannot be used.
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
        let online = OnlineSettings::take(&mut reading)?;
        if online.is_some() {
            reading.set_default("num_train_epochs", toml::Value::Float(1.0));
        }
        reading.require(&SourceSettings::REQUIRED)?;
        reading.require(&["objective"])?;
        let model = reading.take()?;
        let task: TaskSettings = reading.take()?;
        let objective: ObjectiveSettings = reading.take()?;
        let mut config = Self {
            model,
            columns: reading.take()?,
            weighting: reading.take()?,
            weights: reading.take()?,
            chat: reading.take()?,
            lora: LoraSettings::take(&mut reading)?,
            arguments: reading.take()?,
            online,
            objective: objective.clone(),
            task,
        };
        reading.finish()?;
        config.validate()?;
        config.objective = objective.with_defaults(config.task.objective);
        Ok(config)
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
        table.extend(self.columns.changed()?);
        table.extend(Table::try_from(&self.task)?);
        table.extend(Table::try_from(&self.objective)?);
        table.extend(Table::try_from(&self.weighting)?);
        table.extend(Table::try_from(&self.weights)?);
        table.extend(Table::try_from(&self.chat)?);
        if self.lora.use_peft.is_some() {
            table.extend(Table::try_from(&self.lora)?);
        }
        table.extend(Table::try_from(&self.arguments)?);
        if let Some(online) = &self.online {
            table.extend(Table::try_from(online)?);
        }
        Ok(table)
    }

    fn validate(&self) -> Result<()> {
        self.arguments.validate()?;
        ensure!(
            self.model.dataset_name.is_none() || self.columns == ColumnSettings::default(),
            "the names of columns are for `train_file` and `eval_file`: a folder of `rarebit prepare` has its own"
        );
        let objective = self.task.objective;
        self.objective.validate(objective)?;
        ensure!(
            self.task.max_pairs != Some(0),
            "`max_pairs` is 0: it must be at least 1"
        );
        self.weighting
            .weighting()
            .validate()
            .map_err(|error| crate::PipelineError::Invalid(error.to_string()))?;
        self.chat.validate()?;
        let mut weights = Table::try_from(&self.weighting)?;
        weights.extend(Table::try_from(&self.weights)?);
        for key in weights.keys() {
            objective.check(key, true, ObjectiveName::WEIGHTED)?;
        }
        if self.online.is_some() {
            ensure!(
                self.model.eval_file.is_none(),
                "`eval_file` does not apply to an online run: each round is judged by the reward model"
            );
            let counts_surprise = self
                .weighting
                .mix
                .is_some_and(|mix| mix.counts(Signal::Surprise));
            ensure!(
                !counts_surprise,
                "`mix` counts surprise, which an online run does not measure: leave it out"
            );
        }
        self.model.validate()
    }

    /// Changes the objective, and gives settings that it reads and the configuration does not have
    /// their defaults.
    pub fn set_objective(&mut self, objective: ObjectiveName) {
        self.task.objective = objective;
        self.objective = std::mem::take(&mut self.objective).with_defaults(objective);
    }

    /// The objective with its settings.
    pub fn objective(&self) -> Objective {
        self.objective.objective(self.task.objective)
    }

    /// Whether the run asks for other weights than the data has.
    pub(crate) fn reweighs(&self) -> bool {
        self.weighting.is_set()
    }

    /// The chat template as the run needs it; see [`ChatSettings`].
    pub(crate) fn apply_template(&mut self, template: ChatTemplate) -> Result<ChatTemplate> {
        self.chat.apply_to_run(template, &self.model.output_dir)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use rarebit_train::LossType;

    use super::*;

    fn resolve(text: &str) -> Result<RunConfig> {
        RunConfig::from_toml(text)
    }

    const LEAST: &str = "model_name_or_path = 'm'\noutput_dir = 'o'\ndataset_name = 'd'\n";

    #[test]
    fn a_resolved_configuration_gives_itself() {
        let config = resolve(&format!(
            "{LEAST}objective = 'ddpo'\nbeta = 0.2\nfloor = 0.1\nmax_steps = 7\nlora_r = 4\n\
             mix = {{ diversity = 1, novelty = 0.5 }}\n\
             chat_template = 'rag'\nchat_template_date = '2026-11-24T01:02:03'\n\
             chat_template_kwargs = {{ enable_thinking = false, tools = {{ a = [1, 'b'] }} }}"
        ))
        .expect("valid");
        let again = resolve(&config.to_toml().expect("toml")).expect("valid");
        assert_eq!(config, again);
        assert_eq!(again.arguments.max_steps, Some(7));
    }

    #[test]
    fn every_objective_has_its_settings_and_writes_them_out() {
        let names = ObjectiveName::value_variants();
        assert_eq!(names.len(), 10);
        for name in names {
            let value = name.to_possible_value().expect("a name");
            let config = resolve(&format!("{LEAST}objective = '{}'", value.get_name()));
            let config = config.expect("defaults are enough");
            assert_eq!(config.objective().is_weighted(), name.is_weighted());
            let again = resolve(&config.to_toml().expect("toml")).expect("valid");
            assert_eq!(config, again);
        }
        let soft = resolve(&format!(
            "{LEAST}objective = 'ddpo'\nloss_type = 'hinge'\nbeta = 0.1\npolicy_beta = 0.15"
        ));
        let expected = Objective::Dpo {
            loss_type: LossType::Hinge,
            beta: 0.1,
            policy_beta: Some(0.15),
            weighted: true,
        };
        assert_eq!(soft.expect("valid").objective(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (extra, needle) in [
            ("objective = 'ddpo'\nbeta = -1.0", "`beta` is -1"),
            ("objective = 'ddpo'\nbta = 1.0", "`bta`"),
            ("objective = 'ddpo'\nlerning_rate = 1.0", "`learning_rate`"),
            ("objective = 'sft'\nbeta = 0.1", "`beta` does not apply"),
            (
                "objective = 'dpo'\nassistant_only_loss = true",
                "`assistant_only_loss` does not apply",
            ),
            (
                "objective = 'sft'\nchat_template_date = 'today'",
                "`chat_template_date`",
            ),
            (
                "objective = 'dpo'\nweighting = 'both'",
                "`weighting` does not apply",
            ),
            ("objective = 'dpo'\nlearning_rate = 0.0", "learning_rate"),
            ("objective = 'ddpo'\nfloor = 2.0", "floor"),
            ("objective = 'ddpo'\ntau = -1.0", "tau"),
            (
                "objective = 'ddpo'\nmix = { novelty = -1 }",
                "lambda of novelty is -1",
            ),
            ("objective = 'ddpo'\nmix = { wit = 1 }", "`wit`"),
            (
                "objective = 'dpo'\nmix = { novelty = 1 }",
                "`mix` does not apply",
            ),
            (
                "objective = 'ddpo'\nweighting = 'style'\nsemantic_share = 0.5",
                "semantic share",
            ),
            (
                "objective = 'orpo'\nloss_type = 'ipo'",
                "`loss_type` does not apply",
            ),
            ("objective = 'dpo'\nloss_type = 'kto'", "kto"),
            (
                "objective = 'dpo'\nsimpo_gamma = 0.5",
                "`simpo_gamma` does not apply",
            ),
            (
                "objective = 'kto'\ndesirable_weight = -1.0",
                "`desirable_weight` is -1",
            ),
            (
                "objective = 'kto'\ndesirable_weight = 0\nundesirable_weight = 0",
                "are both 0",
            ),
            ("objective = 'dpo'\nlora_alpha = 0", "`lora_alpha` is 0"),
            ("objective = 'dpo'\nlora_alpha = -1", "`lora_alpha` is -1"),
            (
                "objective = 'dpo'\nnum_train_epochs = 1e300",
                "at most 1000000",
            ),
            (
                "objective = 'kto'\nshuffle_weights = true",
                "`shuffle_weights` does not apply",
            ),
            ("objective = 'ppo'", "ppo"),
            ("beta = 0.1", "`objective` is missing"),
        ] {
            let error = resolve(&format!("{LEAST}{extra}"))
                .expect_err(extra)
                .chain();
            assert!(error.contains(needle), "{extra}: {error}");
        }
    }

    #[test]
    fn every_recipe_resolves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../native/recipes");
        let mut recipes = 0;
        let recipe = |entry: &std::fs::DirEntry| entry.path().is_file();
        let entries = std::fs::read_dir(folder).expect("recipes").flatten();
        for entry in entries.filter(recipe) {
            RunConfig::resolve(Some(&entry.path()), Table::new()).expect("a recipe that resolves");
            recipes += 1;
        }
        assert!(recipes >= 5, "{recipes} recipes");
    }
}
