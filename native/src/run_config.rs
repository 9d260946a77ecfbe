//! The settings of a training run: a TOML file, flags over it, and the resolved whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use rarebit_deviation::{Kinds, Weighting};
use rarebit_train::{Objective, OrpoWeight, TrainingArguments};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::lora_settings::LoraSettings;
use crate::online_settings::OnlineSettings;
use crate::{chat_settings, settings};

/// The paper's.
const DEFAULT_BETA: f64 = 0.1;
/// The paper's.
const DEFAULT_LAMBDA: f64 = 0.25;

/// What is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ObjectiveName {
    /// Supervised fine-tuning on completions
    Sft,
    /// Direct preference optimisation
    Dpo,
    /// DPO weighted by deviation
    Ddpo,
    /// Odds-ratio preference optimisation
    Orpo,
    /// ORPO weighted by deviation
    Dorpo,
}

/// Where DORPO's weight stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DorpoForm {
    /// Before the whole loss, as the paper prints it
    #[default]
    Paper,
    /// Before the NLL and inside the sigmoid, as the authors' code has it
    Reference,
}

/// What a run trains and on what; how the loop runs is [`TrainingArguments`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelArguments {
    pub(crate) model_name_or_path: String,
    pub(crate) output_dir: PathBuf,
    pub(crate) objective: ObjectiveName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dataset_name: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) train_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eval_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lambda: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dorpo_form: Option<DorpoForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weighting: Option<Kinds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rank: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shrinkage: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renormalise: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_pairs: Option<usize>,
    /// See [`crate::chat_settings`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chat_template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chat_template_kwargs: Option<Table>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chat_template_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completion_only_loss: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assistant_only_loss: Option<bool>,
}

/// A run's settings, resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunConfig {
    pub(crate) model: ModelArguments,
    pub(crate) lora: LoraSettings,
    pub(crate) arguments: TrainingArguments,
    /// Learning from what the policy writes itself.
    pub(crate) online: Option<OnlineSettings>,
}

impl RunConfig {
    /// Reads a TOML file, if one is given, and puts flags over it.
    pub(crate) fn resolve(file: Option<&Path>, flags: Table) -> anyhow::Result<Self> {
        settings::resolve(file, flags, Self::from_table)
    }

    fn from_table(mut table: Table) -> anyhow::Result<Self> {
        let online = OnlineSettings::take(&mut table)?;
        if online.is_some() {
            let once = toml::Value::Float(1.0);
            table.entry("num_train_epochs").or_insert(once);
        }
        let (model, lora, arguments) =
            settings::read(table, &["model_name_or_path", "output_dir", "objective"])?;
        let mut config = Self {
            model,
            lora,
            arguments,
            online,
        };
        config.validate()?;
        config.fill_defaults();
        Ok(config)
    }

    /// Writes out what the objective and the adapter take where nothing was said.
    fn fill_defaults(&mut self) {
        self.lora.fill_defaults();
        let model = &mut self.model;
        match model.objective {
            ObjectiveName::Sft => {}
            ObjectiveName::Dpo | ObjectiveName::Ddpo => {
                model.beta.get_or_insert(DEFAULT_BETA);
            }
            ObjectiveName::Orpo => {
                model.lambda.get_or_insert(DEFAULT_LAMBDA);
            }
            ObjectiveName::Dorpo => {
                model.lambda.get_or_insert(DEFAULT_LAMBDA);
                model.dorpo_form.get_or_insert_default();
            }
        }
    }

    /// The whole configuration as the TOML file that would give it.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let mut table = Table::try_from(&self.model)?;
        table.extend(Table::try_from(&self.lora)?);
        table.extend(Table::try_from(&self.arguments)?);
        if let Some(online) = &self.online {
            table.extend(Table::try_from(online)?);
        }
        Ok(toml::to_string(&table)?)
    }

    fn validate(&self) -> anyhow::Result<()> {
        self.arguments.validate()?;
        let model = &self.model;
        if let Some(beta) = model.beta {
            ensure!(
                beta > 0.0 && beta.is_finite(),
                "`beta` is {beta}: it must be above 0"
            );
        }
        if let Some(lambda) = model.lambda {
            ensure!(
                lambda >= 0.0 && lambda.is_finite(),
                "`lambda` is {lambda}: it must be 0 or more"
            );
        }
        self.lora.validate()?;
        ensure!(
            model.max_pairs != Some(0),
            "`max_pairs` is 0: it must be at least 1"
        );
        self.weighting().validate()?;

        let objective = model.objective;
        let meant_for = |key: &str, present: bool, objectives: &[ObjectiveName]| match present
            && !objectives.contains(&objective)
        {
            true => bail!(
                "`{key}` means nothing to the objective {objective:?}: remove it, or train {objectives:?}"
            ),
            false => Ok(()),
        };
        use ObjectiveName::{Ddpo, Dorpo, Dpo, Orpo, Sft};
        for (key, setting) in [
            ("completion_only_loss", model.completion_only_loss),
            ("assistant_only_loss", model.assistant_only_loss),
        ] {
            meant_for(key, setting.is_some(), &[Sft])?;
        }
        if let Some(date) = &model.chat_template_date {
            chat_settings::parse_date(date)
                .with_context(|| "`chat_template_date` cannot be read")?;
        }
        meant_for("beta", model.beta.is_some(), &[Dpo, Ddpo])?;
        meant_for("lambda", model.lambda.is_some(), &[Orpo, Dorpo])?;
        meant_for("dorpo_form", model.dorpo_form.is_some(), &[Dorpo])?;
        for (key, present) in [
            ("weighting", model.weighting.is_some()),
            ("floor", model.floor.is_some()),
            ("rank", model.rank.is_some()),
            ("shrinkage", model.shrinkage.is_some()),
            ("renormalise", model.renormalise.is_some()),
        ] {
            meant_for(key, present, &[Ddpo, Dorpo])?;
        }
        ensure!(
            self.online.is_none() || model.eval_file.is_none(),
            "`eval_file` means nothing to an online run: each round says how good what it wrote is"
        );
        match (&model.dataset_name, &model.train_file) {
            (None, None) => bail!(
                "there is nothing to train on: give --dataset-name, a folder of `rarebit prepare`, or --train-file"
            ),
            (Some(_), Some(_)) => {
                bail!("`dataset_name` and `train_file` are both set: one of them is enough")
            }
            _ => Ok(()),
        }
    }

    /// The objective with its own settings.
    pub(crate) fn objective(&self) -> Objective {
        let beta = self.model.beta.unwrap_or(DEFAULT_BETA) as f32;
        let lambda = self.model.lambda.unwrap_or(DEFAULT_LAMBDA) as f32;
        match self.model.objective {
            ObjectiveName::Sft => Objective::Sft,
            ObjectiveName::Dpo => Objective::Dpo {
                beta,
                weighted: false,
            },
            ObjectiveName::Ddpo => Objective::Dpo {
                beta,
                weighted: true,
            },
            ObjectiveName::Orpo => Objective::Orpo {
                lambda,
                weight: OrpoWeight::None,
            },
            ObjectiveName::Dorpo => Objective::Orpo {
                lambda,
                weight: match self.model.dorpo_form.unwrap_or_default() {
                    DorpoForm::Paper => OrpoWeight::Paper,
                    DorpoForm::Reference => OrpoWeight::Reference,
                },
            },
        }
    }

    /// How weights are made, where the run asks for others than the data has.
    pub(crate) fn weighting(&self) -> Weighting {
        Weighting {
            kinds: self.model.weighting.unwrap_or_default(),
            floor: self.model.floor,
            rank: self.model.rank.unwrap_or(false),
            shrinkage: self.model.shrinkage,
        }
    }

    /// Whether the run asks for other weights than the data has.
    pub(crate) fn reweighs(&self) -> bool {
        let model = &self.model;
        model.weighting.is_some()
            || model.floor.is_some()
            || model.rank.is_some()
            || model.shrinkage.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> anyhow::Result<RunConfig> {
        RunConfig::from_table(toml::from_str(text).expect("toml"))
    }

    const LEAST: &str = "model_name_or_path = 'm'\noutput_dir = 'o'\ndataset_name = 'd'\n";

    #[test]
    fn a_resolved_configuration_gives_itself() {
        let config = resolve(&format!(
            "{LEAST}objective = 'ddpo'\nbeta = 0.2\nfloor = 0.1\nmax_steps = 7\nlora_r = 4\n\
             chat_template = 'rag'\nchat_template_date = '2026-11-24T01:02:03'\n\
             chat_template_kwargs = {{ enable_thinking = false, tools = {{ a = [1, 'b'] }} }}"
        ))
        .expect("valid");
        let again = resolve(&config.to_toml().expect("toml")).expect("valid");
        assert_eq!(config, again);
        assert_eq!(again.arguments.max_steps, Some(7));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (extra, needle) in [
            ("objective = 'ddpo'\nbeta = -1.0", "`beta` is -1"),
            ("objective = 'ddpo'\nbta = 1.0", "`bta`"),
            ("objective = 'ddpo'\nlerning_rate = 1.0", "`learning_rate`"),
            ("objective = 'sft'\nbeta = 0.1", "`beta` means nothing"),
            (
                "objective = 'dpo'\nassistant_only_loss = true",
                "`assistant_only_loss` means nothing",
            ),
            (
                "objective = 'sft'\nchat_template_date = 'today'",
                "`chat_template_date`",
            ),
            (
                "objective = 'dpo'\nweighting = 'both'",
                "`weighting` means nothing",
            ),
            ("objective = 'dpo'\nlearning_rate = 0.0", "learning_rate"),
            ("objective = 'ddpo'\nfloor = 2.0", "floor"),
            ("objective = 'ppo'", "ppo"),
            ("beta = 0.1", "`objective` is missing"),
        ] {
            let error = format!(
                "{:#}",
                resolve(&format!("{LEAST}{extra}")).expect_err(extra)
            );
            assert!(error.contains(needle), "{extra}: {error}");
        }
    }

    #[test]
    fn every_recipe_resolves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
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
