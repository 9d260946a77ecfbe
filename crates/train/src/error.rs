//! What can go wrong in training.

use std::path::PathBuf;

use rarebit_models::ModelError;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting is out of range.
    #[error("`{key}` is {value}: {reason}")]
    Setting {
        /// The setting's name in configuration files.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        reason: &'static str,
    },
    /// There is no training data.
    #[error("there are no training examples: the file is empty, or all of its rows were dropped")]
    NoExamples,
    /// The objective multiplies every example's loss by a weight of 0.
    #[error(
        "all weights of the training examples are 0: the model would learn nothing. Make weights with \
         `rarebit prepare`, or train the objective without weights"
    )]
    NoWeights,
    /// An example is not of the kind that the objective learns from.
    #[error(
        "example {id} does not fit the objective: preference objectives learn from pairs, sft from completions, \
         kto from labelled completions"
    )]
    Unfit {
        /// The example.
        id: String,
    },
    /// The objective needs reference log-probabilities, and the examples come without.
    #[error("the objective needs reference log-probabilities, and the examples come without")]
    NoReference,
    /// Evaluation data was given to a round of online training, which has no reference for it.
    #[error("a round of online training takes no evaluation data")]
    EvaluatedRound,
    /// ORPO over whole sequences was computed on a batch without their log-probabilities.
    #[error(
        "the objective needs log-probabilities of prompts and completions, and the batch has none of prompts"
    )]
    NoSequences,
    /// The loss or the gradient is not finite.
    #[error(
        "the loss became {loss} (gradient norm {grad_norm}) at step {step}, on the examples {ids}; {last_good}. \
         Try a lower learning_rate or a max_grad_norm, and look at these examples",
        ids = ids.join(", ")
    )]
    NotFinite {
        /// The step that failed.
        step: u64,
        /// Its loss.
        loss: f64,
        /// Its gradient norm.
        grad_norm: f64,
        /// The examples of its batch.
        ids: Vec<String>,
        /// Where to resume from.
        last_good: String,
    },
    /// The parameters or the evaluation loss are not finite.
    #[error(
        "the model is not finite after step {step}; {last_good}. Try a lower learning_rate or a max_grad_norm"
    )]
    Diverged {
        /// The step that caused it, or a later one.
        step: u64,
        /// Where to resume from.
        last_good: String,
    },
    /// The run was asked to stop.
    #[error(
        "stopped after step {step}: {}the same command goes on from there",
        checkpoint.as_ref().map_or_else(String::new, |path| format!("{} is written, and ", path.display()))
    )]
    Stopped {
        /// The last step.
        step: u64,
        /// Its checkpoint; none before the first step.
        checkpoint: Option<PathBuf>,
    },
    /// A checkpoint belongs to another run.
    #[error(
        "{} was made with other settings ({what}): choose another output_dir, or remove this one to start over",
        path.display()
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What may differ.
        what: &'static str,
    },
    /// A file of the run folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file of a checkpoint is damaged.
    #[error("{} is damaged: {reason}; remove its folder to resume from the checkpoint before it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are checkpoints, and every one of them is damaged.
    #[error(
        "every checkpoint is damaged: the newest because of {} ({reason}); remove {} to start over",
        path.display(),
        folder.display()
    )]
    NoCheckpoint {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// The damaged file of the newest one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint of the best model, with which the run is to finish, is damaged.
    #[error(
        "{} is damaged: {reason}; it is of the best model, with which load_best_model_at_end finishes: remove {} to \
         start over",
        path.display(),
        folder.display()
    )]
    DamagedBest {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Results could not be read back from the device.
    #[error("cannot read results back from the device: {reason}")]
    Device {
        /// The device's error.
        reason: String,
    },
    /// The model or its tokenizer failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl TrainError {
    pub(crate) fn read(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::File {
            action: "read",
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn write(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::File {
            action: "write",
            path: path.to_owned(),
            source,
        }
    }
}
