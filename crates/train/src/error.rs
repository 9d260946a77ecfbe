//! What can go wrong in training.

use std::path::PathBuf;

use rarebit_models::ModelError;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting has a value that nothing can be trained with.
    #[error("`{key}` is {value}: {reason}")]
    Setting {
        /// The setting's name in configuration files.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        reason: &'static str,
    },
    /// There is nothing to learn from.
    #[error("there are no training examples: every pair was dropped or the file is empty")]
    NoExamples,
    /// An example has no rejected completion, or no label, though the objective looks at it, or has
    /// one though it does not.
    #[error(
        "the example {id} does not fit the objective: preference objectives learn from pairs, sft from completions, \
         kto from labelled completions"
    )]
    Unfit {
        /// The example.
        id: String,
    },
    /// An objective with a reference was asked for on examples without its log-probabilities.
    #[error("an example has no reference log-probabilities, which the objective compares with")]
    NoReference,
    /// A round of several was given evaluation data, of which it knows no reference.
    #[error("a round is not evaluated: what it learns from is its own")]
    EvaluatedRound,
    /// ORPO over whole sequences was asked for without their likelihoods.
    #[error("the likelihood of prompts and completions is missing, which the objective reads")]
    NoSequences,
    /// The loss is not a number any more.
    #[error(
        "the loss became {loss} (gradient norm {grad_norm}) at step {step}, on the examples {ids}; {last_good}. \
         A lower learning_rate or a max_grad_norm may help, and so may a look at those examples",
        ids = ids.join(", ")
    )]
    NotFinite {
        /// The step that failed.
        step: u64,
        /// Its loss.
        loss: f64,
        /// Its gradients' norm.
        grad_norm: f64,
        /// The examples of its batch.
        ids: Vec<String>,
        /// Where to go on from.
        last_good: String,
    },
    /// The parameters, or the loss in evaluation, are no numbers any more.
    #[error(
        "the model is no longer finite after step {step}; {last_good}. A lower learning_rate or a \
         max_grad_norm may help"
    )]
    Diverged {
        /// The step that did it, or a later one.
        step: u64,
        /// Where to go on from.
        last_good: String,
    },
    /// A checkpoint does not belong to this run.
    #[error("{} was made with other settings ({what}): give another output_dir, or remove it to start anew", path.display())]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A file of the run folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of a checkpoint is damaged.
    #[error("{} is damaged: {reason}; remove its folder to go on from the checkpoint before it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not parse.
        reason: String,
    },
    /// Results could not be read back from the device.
    #[error("cannot read results back from the device: {reason}")]
    Device {
        /// What the device said.
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
