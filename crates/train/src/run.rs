//! What a run is, what it tells while it goes on, and how it ends.

use std::path::{Path, PathBuf};

use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::LoraConfig;

use crate::arguments::TrainingArguments;
use crate::checkpoint::{Checkpoints, fingerprint};
use crate::error::TrainError;
use crate::example::Example;
use crate::objective::Objective;
use crate::step::StepReport;

/// What is trained, on what, and where the run is kept.
pub struct Run<'a> {
    /// The run folder.
    pub output_dir: &'a Path,
    /// Settings of the loop.
    pub arguments: &'a TrainingArguments,
    /// The objective.
    pub objective: Objective,
    /// Examples to learn from.
    pub train: &'a [Example],
    /// Examples to be judged by; may be none.
    pub eval: &'a [Example],
    /// Fills batches.
    pub pad: u32,
    /// A hash of the files that the starting policy was read from.
    pub policy: String,
    /// The settings of the adapter that is trained, if one is.
    pub adapter: Option<&'a LoraConfig>,
    /// Keeps reference log-probabilities between runs.
    pub reference_cache: Option<PathBuf>,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// Reference log-probabilities are being computed.
    Reference {
        /// Examples done.
        done: usize,
        /// Examples in all.
        total: usize,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// Its step.
        step: u64,
    },
    /// A step was taken.
    Step {
        /// Steps taken so far.
        step: u64,
        /// Steps in all.
        total: u64,
        /// What it did.
        report: &'a StepReport,
        /// Speed since the last line of the log, padding left out.
        tokens_per_second: f64,
    },
    /// Examples held back are being read.
    Evaluating {
        /// Examples done.
        done: usize,
        /// Examples in all.
        total: usize,
    },
    /// They have been.
    Evaluated {
        /// Steps taken so far.
        step: u64,
        /// Loss and metrics.
        report: &'a StepReport,
    },
    /// A checkpoint is whole.
    Saved {
        /// Its folder.
        path: &'a Path,
    },
}

/// How a run ended.
pub struct Outcome {
    /// The policy: the last, or the best evaluated one if the settings ask for it.
    pub model: CausalLm,
    /// Steps taken.
    pub steps: u64,
    /// Whether evaluation stopped improving before the last step.
    pub stopped_early: bool,
    /// The lowest evaluation loss and its step.
    pub best: Option<(u64, f64)>,
    /// Loss of the last step taken by this process; none when the run was finished before.
    pub last_loss: Option<f64>,
}

impl Run<'_> {
    /// Refuses a run folder whose checkpoints are of another run.
    ///
    /// # Errors
    /// When they are, or cannot be read.
    pub fn check_folder(&self) -> Result<(), TrainError> {
        let checkpoints = Checkpoints::new(self.output_dir);
        let Some(&step) = checkpoints.steps().last() else {
            return Ok(());
        };
        if checkpoints.read_state(step)?.fingerprint == self.fingerprint() {
            return Ok(());
        }
        Err(TrainError::OtherRun {
            path: checkpoints.path(step),
            what: "the model, the data, the objective or a training argument",
        })
    }

    /// Everything that determines the course of the run, hashed.
    pub(crate) fn fingerprint(&self) -> String {
        // How often it is saved does not change where it goes.
        let arguments = TrainingArguments {
            save_steps: 0,
            save_total_limit: 0,
            ..self.arguments.clone()
        };
        let mut data = Vec::new();
        for example in self.train.iter().chain(self.eval) {
            data.extend(example.weight.to_le_bytes());
            for sequence in example.sequences() {
                for span in &sequence.labels {
                    data.extend((span.start as u64).to_le_bytes());
                    data.extend((span.end as u64).to_le_bytes());
                }
                data.extend(sequence.ids.iter().flat_map(|id| id.to_le_bytes()));
            }
        }
        fingerprint(&[
            self.policy.as_bytes(),
            format!("{arguments:?}{:?}{:?}", self.objective, self.adapter).as_bytes(),
            &data,
        ])
    }
}
