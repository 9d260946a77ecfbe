//! The settings of a run, under the names of transformers' `TrainingArguments` and TRL's configs.

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::example::TruncationMode;
use crate::plateau::{Plateau, PlateauSettings};
use crate::schedule::{LrSchedulerType, Schedule};
use crate::step::AdamW;

/// How training runs. Defaults are transformers' unless a line says otherwise.
///
/// This is the one declaration of each setting: its key in TOML, its flag, its help and its default.
#[derive(clap::Args, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Training")]
pub struct TrainingArguments {
    /// Peak learning rate; 5e-6 is the paper's for DPO and DDPO
    #[arg(long, default_value = "5e-6", allow_negative_numbers = true)]
    pub learning_rate: f64,
    /// Shape of the learning rate over the run
    #[arg(long, value_enum, default_value = "linear")]
    pub lr_scheduler_type: LrSchedulerType,
    /// reduce_lr_on_plateau: torch's settings as JSON; what is left out has torch's default:
    /// '{"factor": 0.1, "patience": 10, "threshold": 1e-4, "cooldown": 0, "min_lr": 0}'
    #[arg(long, value_name = "JSON", value_parser = plateau, default_value = "{}", hide_default_value = true)]
    #[serde(skip_serializing_if = "PlateauSettings::are_default")]
    pub lr_scheduler_kwargs: PlateauSettings,
    /// Steps over which the learning rate rises from 0
    #[arg(long, value_name = "N", default_value = "0")]
    pub warmup_steps: u64,
    /// Share of all steps over which the learning rate rises from 0; used if warmup-steps is 0
    #[arg(long, value_name = "SHARE", default_value = "0")]
    pub warmup_ratio: f64,
    /// Passes over the data
    #[arg(long, value_name = "N", default_value = "3")]
    pub num_train_epochs: f64,
    /// Total number of steps; overrides num-train-epochs
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Examples per forward pass; 2 is the paper's
    #[arg(long, value_name = "N", default_value = "2")]
    pub per_device_train_batch_size: usize,
    /// Examples per forward pass in evaluation
    #[arg(long, value_name = "N", default_value = "8")]
    pub per_device_eval_batch_size: usize,
    /// Forward passes per optimizer step
    #[arg(long, value_name = "N", default_value = "1")]
    pub gradient_accumulation_steps: usize,
    /// AdamW's weight decay, applied to matrices only
    #[arg(long, default_value = "0")]
    pub weight_decay: f64,
    /// AdamW's beta1
    #[arg(long, value_name = "BETA", default_value = "0.9")]
    pub adam_beta1: f64,
    /// AdamW's beta2
    #[arg(long, value_name = "BETA", default_value = "0.999")]
    pub adam_beta2: f64,
    /// AdamW's epsilon
    #[arg(long, value_name = "EPSILON", default_value = "1e-8")]
    pub adam_epsilon: f64,
    /// Gradients are clipped to this global norm; 0 does not clip
    #[arg(long, value_name = "NORM", default_value = "1")]
    pub max_grad_norm: f64,
    /// Longest sequence in tokens; 0 for no limit; 2048 is the paper's
    #[arg(long, value_name = "N", default_value = "2048")]
    pub max_length: usize,
    /// Which end of a longer sequence is kept
    #[arg(long, value_enum, default_value = "keep_start")]
    pub truncation_mode: TruncationMode,
    /// Seed of the order of examples, of fresh adapters and of dropout
    #[arg(long, default_value = "42", value_parser = clap::value_parser!(u64).range(..=LARGEST_INTEGER))]
    pub seed: u64,

    /// Steps between log lines
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        help_heading = "Logging, evaluation, checkpoints"
    )]
    pub logging_steps: u64,
    /// Steps between evaluations; 0 evaluates at the end only
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        help_heading = "Logging, evaluation, checkpoints"
    )]
    pub eval_steps: u64,
    /// Steps between checkpoints; 0 saves at the end only
    #[arg(
        long,
        value_name = "N",
        default_value = "200",
        help_heading = "Logging, evaluation, checkpoints"
    )]
    pub save_steps: u64,
    /// Checkpoints that are kept beside the best one
    #[arg(
        long,
        value_name = "N",
        default_value = "2",
        help_heading = "Logging, evaluation, checkpoints"
    )]
    pub save_total_limit: usize,
    /// Evaluations without improvement after which the run stops; 0 never stops early
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        help_heading = "Logging, evaluation, checkpoints"
    )]
    pub early_stopping_patience: u64,
    /// Finish with the best evaluated model instead of the last
    #[arg(
        long,
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        help_heading = "Logging, evaluation, checkpoints"
    )]
    pub load_best_model_at_end: bool,
}

/// The largest integer in TOML, where settings are kept.
const LARGEST_INTEGER: u64 = i64::MAX as u64;
/// More than any run takes, and few enough to be counted in steps.
const MOST_EPOCHS: f64 = 1e6;

impl Default for TrainingArguments {
    fn default() -> Self {
        defaults()
    }
}

/// The default of every setting of a struct, as its flags declare them.
///
/// # Panics
/// When a setting has no default, which a test of the struct shows.
pub fn defaults<S: clap::Args>() -> S {
    let command = S::augment_args(clap::Command::new("settings").no_binary_name(true));
    command
        .try_get_matches_from::<_, &str>([])
        .and_then(|matches| S::from_arg_matches(&matches))
        .expect("every setting has a default")
}

fn plateau(json: &str) -> Result<PlateauSettings, serde_json::Error> {
    serde_json::from_str(json)
}

impl TrainingArguments {
    /// # Errors
    /// The first setting out of range.
    pub fn validate(&self) -> Result<(), TrainError> {
        let wrong = |key, value: String, reason| Err(TrainError::Setting { key, value, reason });
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("adam_epsilon", self.adam_epsilon),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(key, value.to_string(), "it must be above 0");
            }
        }
        for (key, value) in [
            ("weight_decay", self.weight_decay),
            ("max_grad_norm", self.max_grad_norm),
            ("num_train_epochs", self.num_train_epochs),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(key, value.to_string(), "it must be 0 or more");
            }
        }
        if self.num_train_epochs > MOST_EPOCHS {
            let value = self.num_train_epochs.to_string();
            return wrong("num_train_epochs", value, "it must be at most 1000000");
        }
        for (key, value) in [
            ("warmup_ratio", self.warmup_ratio),
            ("adam_beta1", self.adam_beta1),
            ("adam_beta2", self.adam_beta2),
        ] {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, value.to_string(), "it must be at least 0 and below 1");
            }
        }
        for (key, value) in [
            (
                "per_device_train_batch_size",
                self.per_device_train_batch_size,
            ),
            (
                "per_device_eval_batch_size",
                self.per_device_eval_batch_size,
            ),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps,
            ),
        ] {
            if value == 0 {
                return wrong(key, "0".to_owned(), "it must be at least 1");
            }
        }
        self.lr_scheduler_kwargs.validate()?;
        if self.max_steps == Some(0) || self.num_train_epochs == 0.0 && self.max_steps.is_none() {
            return wrong("max_steps", "0".to_owned(), "a run takes at least one step");
        }
        Ok(())
    }

    pub(crate) fn adam(&self) -> AdamW {
        AdamW {
            adam_beta1: self.adam_beta1 as f32,
            adam_beta2: self.adam_beta2 as f32,
            adam_epsilon: self.adam_epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }

    pub(crate) fn clip(&self) -> Option<f64> {
        (self.max_grad_norm > 0.0).then_some(self.max_grad_norm)
    }

    /// The sequence length limit, if there is one.
    pub fn max_length(&self) -> Option<usize> {
        (self.max_length > 0).then_some(self.max_length)
    }

    /// The arguments with those neutralised that do not affect results: how often a run is saved.
    pub(crate) fn affecting_results(&self) -> Self {
        Self {
            save_steps: 0,
            save_total_limit: 0,
            ..self.clone()
        }
    }

    /// The initial state of `reduce_lr_on_plateau`.
    pub(crate) fn plateau(&self) -> Option<Plateau> {
        (self.lr_scheduler_type == LrSchedulerType::ReduceLrOnPlateau)
            .then(|| Plateau::new(self.learning_rate))
    }

    /// Optimizer steps per pass over the data.
    pub fn steps_per_epoch(&self, examples: usize) -> u64 {
        let batches = examples.div_ceil(self.per_device_train_batch_size);
        batches.div_ceil(self.gradient_accumulation_steps) as u64
    }

    /// Optimizer steps of the whole run.
    pub fn total_steps(&self, examples: usize) -> u64 {
        self.max_steps.unwrap_or_else(|| {
            (self.num_train_epochs * self.steps_per_epoch(examples) as f64).ceil() as u64
        })
    }

    pub(crate) fn schedule(&self, total_steps: u64) -> Schedule {
        let warmup = match self.warmup_steps {
            0 => (self.warmup_ratio * total_steps as f64).ceil() as u64,
            steps => steps,
        };
        Schedule::new(
            self.lr_scheduler_type,
            self.learning_rate,
            warmup,
            total_steps,
        )
    }
}
