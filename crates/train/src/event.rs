//! What a run tells while it goes on, and how it ends.

use std::path::Path;

use burn::optim::ModuleOptimizer;
use rarebit_models::causal_lm::CausalLm;

use crate::step::StepReport;

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
pub struct Outcome<M = CausalLm> {
    /// What was trained: the last, or the best evaluated one if the settings ask for it.
    pub model: M,
    /// The optimizer as the last step left it.
    pub optimizer: ModuleOptimizer,
    /// Steps taken.
    pub steps: u64,
    /// Whether evaluation stopped improving before the last step.
    pub stopped_early: bool,
    /// The lowest evaluation loss and its step.
    pub best: Option<(u64, f64)>,
    /// Loss of the last step taken by this process; none when the run was finished before.
    pub last_loss: Option<f64>,
}
