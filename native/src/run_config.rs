//! The settings of a training run: a TOML file, flags over it, and the resolved whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use rarebit_deviation::{Kinds, Mix, Signal, Weighting};
use rarebit_train::{LossType, Objective, OrpoNll, OrpoWeight, TrainingArguments};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::lora_settings::LoraSettings;
use crate::online_settings::OnlineSettings;
use crate::{chat_settings, settings};

/// The paper's, and TRL's for KTO.
const DEFAULT_BETA: f64 = 0.1;
/// Least of those that SimPO's paper searched; its margins are of means over tokens, which are small.
const DEFAULT_SIMPO_BETA: f64 = 2.0;
/// TRL's.
const DEFAULT_SIMPO_GAMMA: f64 = 0.5;
/// TRL's: both sides alike.
const DEFAULT_SIDE_WEIGHT: f64 = 1.0;
/// The paper's.
const DEFAULT_LAMBDA: f64 = 0.25;

/// What is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ObjectiveName {
    /// Supervised fine-tuning on completions
    Sft,
    /// The same, each completion times its weight
    Dsft,
    /// Direct preference optimisation
    Dpo,
    /// DPO weighted by deviation
    Ddpo,
    /// Odds-ratio preference optimisation
    Orpo,
    /// ORPO weighted by deviation
    Dorpo,
    /// Simple preference optimisation
    Simpo,
    /// SimPO weighted by deviation
    Dsimpo,
    /// Kahneman-Tversky optimisation on labelled completions
    Kto,
    /// KTO, each completion times its weight
    Dkto,
}

impl ObjectiveName {
    const SFT: [Self; 2] = [Self::Sft, Self::Dsft];
    const DPO: [Self; 2] = [Self::Dpo, Self::Ddpo];
    const ORPO: [Self; 2] = [Self::Orpo, Self::Dorpo];
    const SIMPO: [Self; 2] = [Self::Simpo, Self::Dsimpo];
    const KTO: [Self; 2] = [Self::Kto, Self::Dkto];
    const WEIGHTED: [Self; 5] = [
        Self::Dsft,
        Self::Ddpo,
        Self::Dorpo,
        Self::Dsimpo,
        Self::Dkto,
    ];

    fn is_weighted(self) -> bool {
        Self::WEIGHTED.contains(&self)
    }
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
    pub(crate) loss_type: Option<LossType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_beta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) simpo_gamma: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) desirable_weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undesirable_weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lambda: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) orpo_nll: Option<OrpoNll>,
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
    pub(crate) tau: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) semantic_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mix: Option<Mix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shuffle_weights: Option<bool>,
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
            ObjectiveName::Sft | ObjectiveName::Dsft => {}
            ObjectiveName::Dpo | ObjectiveName::Ddpo => {
                model.loss_type.get_or_insert_default();
                model.beta.get_or_insert(DEFAULT_BETA);
            }
            ObjectiveName::Orpo => {
                model.lambda.get_or_insert(DEFAULT_LAMBDA);
                model.orpo_nll.get_or_insert_default();
            }
            ObjectiveName::Dorpo => {
                model.lambda.get_or_insert(DEFAULT_LAMBDA);
                model.orpo_nll.get_or_insert_default();
                model.dorpo_form.get_or_insert_default();
            }
            ObjectiveName::Simpo | ObjectiveName::Dsimpo => {
                model.beta.get_or_insert(DEFAULT_SIMPO_BETA);
                model.simpo_gamma.get_or_insert(DEFAULT_SIMPO_GAMMA);
            }
            ObjectiveName::Kto | ObjectiveName::Dkto => {
                model.beta.get_or_insert(DEFAULT_BETA);
                model.desirable_weight.get_or_insert(DEFAULT_SIDE_WEIGHT);
                model.undesirable_weight.get_or_insert(DEFAULT_SIDE_WEIGHT);
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
        for (key, setting) in [("beta", model.beta), ("policy_beta", model.policy_beta)] {
            if let Some(value) = setting {
                ensure!(
                    value > 0.0 && value.is_finite(),
                    "`{key}` is {value}: it must be above 0"
                );
            }
        }
        for (key, setting) in [
            ("lambda", model.lambda),
            ("simpo_gamma", model.simpo_gamma),
            ("desirable_weight", model.desirable_weight),
            ("undesirable_weight", model.undesirable_weight),
        ] {
            if let Some(value) = setting {
                ensure!(
                    value >= 0.0 && value.is_finite(),
                    "`{key}` is {value}: it must be 0 or more"
                );
            }
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
        use ObjectiveName as Name;
        for (key, setting) in [
            ("completion_only_loss", model.completion_only_loss),
            ("assistant_only_loss", model.assistant_only_loss),
        ] {
            meant_for(key, setting.is_some(), &Name::SFT)?;
        }
        if let Some(date) = &model.chat_template_date {
            chat_settings::parse_date(date)
                .with_context(|| "`chat_template_date` cannot be read")?;
        }
        let with_beta = [Name::DPO, Name::SIMPO, Name::KTO].concat();
        let meant: [(&str, bool, &[Name]); 18] = [
            ("loss_type", model.loss_type.is_some(), &Name::DPO[..]),
            ("beta", model.beta.is_some(), &with_beta),
            ("policy_beta", model.policy_beta.is_some(), &Name::DPO),
            ("simpo_gamma", model.simpo_gamma.is_some(), &Name::SIMPO),
            (
                "desirable_weight",
                model.desirable_weight.is_some(),
                &Name::KTO,
            ),
            (
                "undesirable_weight",
                model.undesirable_weight.is_some(),
                &Name::KTO,
            ),
            ("lambda", model.lambda.is_some(), &Name::ORPO),
            ("orpo_nll", model.orpo_nll.is_some(), &Name::ORPO),
            ("dorpo_form", model.dorpo_form.is_some(), &[Name::Dorpo]),
            ("weighting", model.weighting.is_some(), &Name::WEIGHTED),
            ("floor", model.floor.is_some(), &Name::WEIGHTED),
            ("rank", model.rank.is_some(), &Name::WEIGHTED),
            ("shrinkage", model.shrinkage.is_some(), &Name::WEIGHTED),
            ("tau", model.tau.is_some(), &Name::WEIGHTED),
            (
                "semantic_share",
                model.semantic_share.is_some(),
                &Name::WEIGHTED,
            ),
            ("mix", model.mix.is_some(), &Name::WEIGHTED),
            (
                "shuffle_weights",
                model.shuffle_weights.is_some(),
                &Name::WEIGHTED,
            ),
            ("renormalise", model.renormalise.is_some(), &Name::WEIGHTED),
        ];
        for (key, present, objectives) in meant {
            meant_for(key, present, objectives)?;
        }
        ensure!(
            self.online.is_none() || model.eval_file.is_none(),
            "`eval_file` means nothing to an online run: each round says how good what it wrote is"
        );
        let counts_surprise = model.mix.is_some_and(|mix| mix.counts(Signal::Surprise));
        ensure!(
            self.online.is_none() || !counts_surprise,
            "`mix` counts surprise, which an online run does not measure: leave it out"
        );
        settings::check_source(model.dataset_name.as_deref(), model.train_file.as_deref())
    }

    /// The objective with its own settings.
    pub(crate) fn objective(&self) -> Objective {
        let model = &self.model;
        let number = |setting: Option<f64>, default| setting.unwrap_or(default) as f32;
        let weighted = model.objective.is_weighted();
        match model.objective {
            ObjectiveName::Sft | ObjectiveName::Dsft => Objective::Sft { weighted },
            ObjectiveName::Dpo | ObjectiveName::Ddpo => Objective::Dpo {
                loss_type: model.loss_type.unwrap_or_default(),
                beta: number(model.beta, DEFAULT_BETA),
                policy_beta: model.policy_beta.map(|beta| beta as f32),
                weighted,
            },
            ObjectiveName::Orpo | ObjectiveName::Dorpo => Objective::Orpo {
                lambda: number(model.lambda, DEFAULT_LAMBDA),
                nll: model.orpo_nll.unwrap_or_default(),
                weight: match (weighted, model.dorpo_form.unwrap_or_default()) {
                    (false, _) => OrpoWeight::None,
                    (true, DorpoForm::Paper) => OrpoWeight::Paper,
                    (true, DorpoForm::Reference) => OrpoWeight::Reference,
                },
            },
            ObjectiveName::Simpo | ObjectiveName::Dsimpo => Objective::Simpo {
                beta: number(model.beta, DEFAULT_SIMPO_BETA),
                gamma: number(model.simpo_gamma, DEFAULT_SIMPO_GAMMA),
                weighted,
            },
            ObjectiveName::Kto | ObjectiveName::Dkto => Objective::Kto {
                beta: number(model.beta, DEFAULT_BETA),
                desirable_weight: number(model.desirable_weight, DEFAULT_SIDE_WEIGHT),
                undesirable_weight: number(model.undesirable_weight, DEFAULT_SIDE_WEIGHT),
                weighted,
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
            tau: self.model.tau,
            semantic_share: self.model.semantic_share,
            mix: self.model.mix,
        }
    }

    /// Whether the run asks for other weights than the data has.
    pub(crate) fn reweighs(&self) -> bool {
        let model = &self.model;
        model.weighting.is_some()
            || model.floor.is_some()
            || model.rank.is_some()
            || model.shrinkage.is_some()
            || model.tau.is_some()
            || model.semantic_share.is_some()
            || model.mix.is_some()
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
            ("objective = 'ddpo'\ntau = -1.0", "tau"),
            (
                "objective = 'ddpo'\nmix = { novelty = -1 }",
                "lambda of novelty is -1",
            ),
            ("objective = 'ddpo'\nmix = { wit = 1 }", "`wit`"),
            (
                "objective = 'dpo'\nmix = { novelty = 1 }",
                "`mix` means nothing",
            ),
            (
                "objective = 'ddpo'\nweighting = 'style'\nsemantic_share = 0.5",
                "semantic share",
            ),
            (
                "objective = 'orpo'\nloss_type = 'ipo'",
                "`loss_type` means nothing",
            ),
            ("objective = 'dpo'\nloss_type = 'kto'", "kto"),
            (
                "objective = 'dpo'\nsimpo_gamma = 0.5",
                "`simpo_gamma` means nothing",
            ),
            (
                "objective = 'kto'\ndesirable_weight = -1.0",
                "`desirable_weight` is -1",
            ),
            (
                "objective = 'kto'\nshuffle_weights = true",
                "`shuffle_weights` means nothing",
            ),
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
