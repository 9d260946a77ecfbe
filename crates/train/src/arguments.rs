//! The settings of a run, under the names of transformers' `TrainingArguments` and TRL's configs.

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::example::TruncationMode;
use crate::plateau::{Plateau, PlateauSettings};
use crate::schedule::{LrSchedulerType, Schedule};
use crate::step::AdamW;

/// How the loop runs. Defaults are transformers' unless a line says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingArguments {
    /// Largest learning rate. 5e-6 is the paper's for DPO and DDPO.
    pub learning_rate: f64,
    /// Shape of the learning rate over the run.
    pub lr_scheduler_type: LrSchedulerType,
    /// How a learning rate falls on plateaus, for `reduce_lr_on_plateau`.
    #[serde(skip_serializing_if = "PlateauSettings::are_torchs")]
    pub lr_scheduler_kwargs: PlateauSettings,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// The same as a share of all steps; used when `warmup_steps` is 0.
    pub warmup_ratio: f64,
    /// Passes over the data.
    pub num_train_epochs: f64,
    /// Steps in all, in place of `num_train_epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Examples per forward pass. 2 is the paper's.
    pub per_device_train_batch_size: usize,
    /// Examples per forward pass in evaluation.
    pub per_device_eval_batch_size: usize,
    /// Forward passes per step.
    pub gradient_accumulation_steps: usize,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// AdamW's first decay.
    pub adam_beta1: f64,
    /// AdamW's second decay.
    pub adam_beta2: f64,
    /// AdamW's denominator term.
    pub adam_epsilon: f64,
    /// Largest norm of all gradients together; 0 does not clip.
    pub max_grad_norm: f64,
    /// Longest sequence in tokens; 0 for no limit. 2,048 is the paper's.
    pub max_length: usize,
    /// Which end of a longer sequence is kept.
    pub truncation_mode: TruncationMode,
    /// Seed of the order of examples and of dropout.
    pub seed: u64,
    /// Steps between lines of the log.
    pub logging_steps: u64,
    /// Steps between evaluations; 0 evaluates at the end only.
    pub eval_steps: u64,
    /// Steps between checkpoints; 0 saves at the end only.
    pub save_steps: u64,
    /// How many checkpoints are kept, the best one aside.
    pub save_total_limit: usize,
    /// Evaluations without improvement after which the run stops; 0 never stops early.
    pub early_stopping_patience: u64,
    /// Whether the finished model is the best evaluated one in place of the last.
    pub load_best_model_at_end: bool,
}

impl Default for TrainingArguments {
    fn default() -> Self {
        Self {
            learning_rate: 5e-6,
            lr_scheduler_type: LrSchedulerType::Linear,
            lr_scheduler_kwargs: PlateauSettings::default(),
            warmup_steps: 0,
            warmup_ratio: 0.0,
            num_train_epochs: 3.0,
            max_steps: None,
            per_device_train_batch_size: 2,
            per_device_eval_batch_size: 8,
            gradient_accumulation_steps: 1,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            max_length: 2048,
            truncation_mode: TruncationMode::KeepStart,
            seed: 42,
            logging_steps: 10,
            eval_steps: 0,
            save_steps: 200,
            save_total_limit: 2,
            early_stopping_patience: 0,
            load_best_model_at_end: false,
        }
    }
}

impl TrainingArguments {
    /// # Errors
    /// The first setting that nothing can be trained with.
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

    /// The length limit, if there is one.
    pub fn max_length(&self) -> Option<usize> {
        (self.max_length > 0).then_some(self.max_length)
    }

    /// The arguments that decide where a run goes: how often it is saved does not.
    pub(crate) fn of_the_course(&self) -> Self {
        Self {
            save_steps: 0,
            save_total_limit: 0,
            ..self.clone()
        }
    }

    /// Where a learning rate that falls on plateaus starts.
    pub(crate) fn plateau(&self) -> Option<Plateau> {
        (self.lr_scheduler_type == LrSchedulerType::ReduceLrOnPlateau)
            .then(|| Plateau::new(self.learning_rate))
    }

    /// Optimizer steps of one pass over the data.
    pub fn steps_per_epoch(&self, examples: usize) -> u64 {
        let batches = examples.div_ceil(self.per_device_train_batch_size);
        batches.div_ceil(self.gradient_accumulation_steps) as u64
    }

    /// Steps of the whole run.
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
