//! What a policy is trained for, and the settings of each objective.

use std::fmt;

use clap::ValueEnum;
use rarebit_train::{LossType, Objective, OrpoNll, OrpoWeight};
use serde::{Deserialize, Serialize};

use crate::error::{Result, bail, ensure};

/// What is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveName {
    /// Supervised fine-tuning on completions
    Sft,
    /// SFT, each completion multiplied by its weight
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
    /// KTO, each completion multiplied by its weight
    Dkto,
}

use ObjectiveName as Name;

impl ObjectiveName {
    const SFT: &[Self] = &[Name::Sft, Name::Dsft];
    const DPO: &[Self] = &[Name::Dpo, Name::Ddpo];
    const DPO_KTO_SIMPO: &[Self] = &[
        Name::Dpo,
        Name::Ddpo,
        Name::Kto,
        Name::Dkto,
        Name::Simpo,
        Name::Dsimpo,
    ];
    const DPO_KTO: &[Self] = &[Name::Dpo, Name::Ddpo, Name::Kto, Name::Dkto];
    const ORPO: &[Self] = &[Name::Orpo, Name::Dorpo];
    const DORPO: &[Self] = &[Name::Dorpo];
    const SIMPO: &[Self] = &[Name::Simpo, Name::Dsimpo];
    const KTO: &[Self] = &[Name::Kto, Name::Dkto];
    /// The objectives whose loss is multiplied by a weight.
    pub const WEIGHTED: &[Self] = &[
        Name::Dsft,
        Name::Ddpo,
        Name::Dorpo,
        Name::Dsimpo,
        Name::Dkto,
    ];

    /// Whether the loss is multiplied by a weight.
    pub fn is_weighted(self) -> bool {
        Self::WEIGHTED.contains(&self)
    }

    /// Refuses a setting that the objective does not read.
    pub(crate) fn check(self, key: &str, is_set: bool, meant: &[Self]) -> Result<()> {
        if is_set && !meant.contains(&self) {
            bail!(
                "`{key}` does not apply to the objective {self}: remove it, or train {}",
                listed(meant)
            );
        }
        Ok(())
    }
}

impl fmt::Display for ObjectiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Names in a sentence: `dpo, ddpo or kto`.
fn listed(names: &[ObjectiveName]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        names => names.concat(),
    }
}

/// Where DORPO's weight stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DorpoForm {
    /// To the whole loss, as in the paper
    #[default]
    Paper,
    /// To the NLL and inside the sigmoid, as in the authors' code
    Reference,
}

impl fmt::Display for DorpoForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Declares [`ObjectiveSettings`]: for each setting its help, its type, its check, the objectives
/// that read it, and what it is for those of them that need a value where none is set.
macro_rules! objective_settings {
    ($(
        $(#[doc = $help:literal])+
        $key:ident: $type:ty, $(check $check:ident,)? $(arg($($arg:tt)*),)?
        for $objectives:ident $(, default $($of:ident = $default:expr),+)?;
    )+) => {
        /// The settings of the objectives. Each applies to some of them only, and is refused for
        /// the others.
        #[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[command(next_help_heading = "Objective")]
        pub struct ObjectiveSettings {
            $(
                $(#[doc = $help])+
                #[arg(
                    long,
                    allow_negative_numbers = true,
                    help = help(
                        &[$($help),+],
                        ObjectiveName::$objectives,
                        &[$($((ObjectiveName::$of, shown(&$default))),+)?],
                    )
                    $(, $($arg)*)?
                )]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $key: Option<$type>,
            )+
        }

        impl ObjectiveSettings {
            /// Whether every value is in its range and read by the objective.
            pub(crate) fn validate(&self, objective: ObjectiveName) -> Result<()> {
                $(
                    $(if let Some(value) = self.$key { $check(stringify!($key), value)?; })?
                    let is_set = self.$key.is_some();
                    objective.check(stringify!($key), is_set, ObjectiveName::$objectives)?;
                )+
                let weights = [self.desirable_weight, self.undesirable_weight];
                ensure!(
                    weights != [Some(0.0); 2],
                    "`desirable_weight` and `undesirable_weight` are both 0: nothing would be learned; set one of them"
                );
                Ok(())
            }

            /// The same settings with what the objective takes where nothing is set.
            #[must_use]
            pub fn with_defaults(mut self, objective: ObjectiveName) -> Self {
                $($($(
                    if ObjectiveName::$of.contains(&objective) {
                        self.$key.get_or_insert($default);
                    }
                )+)?)+
                self
            }
        }
    };
}

objective_settings! {
    /// The loss as a function of the margin
    loss_type: LossType, arg(value_enum), for DPO, default DPO = LossType::Sigmoid;
    /// Strength of the regularisation towards the reference; for SimPO the scale of the margin
    beta: f64, check positive, for DPO_KTO_SIMPO, default DPO_KTO = 0.1, SIMPO = 2.0;
    /// A separate beta for the policy's log-ratio (soft preference learning). A value above beta
    /// makes the policy more diverse than the reference [default: beta]
    policy_beta: f64, check positive, for DPO;
    /// The target margin
    simpo_gamma: f64, check not_negative, for SIMPO, default SIMPO = 0.5;
    /// Weight of all desirable completions
    desirable_weight: f64, check not_negative, for KTO, default KTO = 1.0;
    /// Weight of all undesirable completions
    undesirable_weight: f64, check not_negative, for KTO, default KTO = 1.0;
    /// Weight of the odds-ratio term
    lambda: f64, check not_negative, for ORPO, default ORPO = 0.25;
    /// The tokens whose likelihood is maximised: the completion's, or as in TRL those of prompt and
    /// completion
    orpo_nll: OrpoNll, arg(value_enum), for ORPO, default ORPO = OrpoNll::Completion;
    /// Where the weight is applied
    dorpo_form: DorpoForm, arg(value_enum), for DORPO, default DORPO = DorpoForm::Paper;
    /// Train only on what follows the prompt [default: true; false for rows of `messages`]
    completion_only_loss: bool, arg(num_args = 0..=1, default_missing_value = "true"), for SFT;
    /// Train only on the assistant's turns of a conversation; without it, false
    assistant_only_loss: bool, arg(num_args = 0..=1, default_missing_value = "true"), for SFT;
}

/// The help of a setting: the objectives, what it does, its defaults.
fn help(
    lines: &[&str],
    objectives: &[ObjectiveName],
    defaults: &[(&[ObjectiveName], String)],
) -> String {
    let names = |names: &[ObjectiveName]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let text = lines.concat();
    let mut help = format!("{}: {}", names(objectives), text.trim());
    match defaults {
        [] => {}
        [(_, default)] => help += &format!(" [default: {default}]"),
        several => {
            let each = several
                .iter()
                .map(|(of, value)| format!("{value} for {}", names(of)));
            help += &format!(" [default: {}]", each.collect::<Vec<_>>().join("; "));
        }
    }
    help
}

/// A value as it is written on the command line.
fn shown(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(value) => value
            .as_f64()
            .map_or(value.to_string(), |it| it.to_string()),
        Err(_) => String::new(),
    }
}

fn positive(key: &str, value: f64) -> Result<()> {
    ensure!(
        value > 0.0 && value.is_finite(),
        "`{key}` is {value}: it must be above 0"
    );
    Ok(())
}

fn not_negative(key: &str, value: f64) -> Result<()> {
    ensure!(
        value >= 0.0 && value.is_finite(),
        "`{key}` is {value}: it must be 0 or more"
    );
    Ok(())
}

impl ObjectiveSettings {
    /// The objective with its settings.
    pub fn objective(&self, name: ObjectiveName) -> Objective {
        let set = self.clone().with_defaults(name);
        let number = |setting: Option<f64>| setting.unwrap_or_default() as f32;
        let weighted = name.is_weighted();
        match name {
            Name::Sft | Name::Dsft => Objective::Sft { weighted },
            Name::Dpo | Name::Ddpo => Objective::Dpo {
                loss_type: set.loss_type.unwrap_or_default(),
                beta: number(set.beta),
                policy_beta: set.policy_beta.map(|beta| beta as f32),
                weighted,
            },
            Name::Orpo | Name::Dorpo => Objective::Orpo {
                lambda: number(set.lambda),
                nll: set.orpo_nll.unwrap_or_default(),
                weight: match (weighted, set.dorpo_form.unwrap_or_default()) {
                    (false, _) => OrpoWeight::None,
                    (true, DorpoForm::Paper) => OrpoWeight::Paper,
                    (true, DorpoForm::Reference) => OrpoWeight::Reference,
                },
            },
            Name::Simpo | Name::Dsimpo => Objective::Simpo {
                beta: number(set.beta),
                gamma: number(set.simpo_gamma),
                weighted,
            },
            Name::Kto | Name::Dkto => Objective::Kto {
                beta: number(set.beta),
                desirable_weight: number(set.desirable_weight),
                undesirable_weight: number(set.undesirable_weight),
                weighted,
            },
        }
    }
}
