//! What a run reports as it proceeds, and how it ends.

use std::path::Path;

use burn::optim::ModuleOptimizer;
use rarebit_models::causal_lm::CausalLm;

use crate::step::StepReport;

/// Progress of a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// Reference log-probabilities are being computed.
    Reference {
        /// Examples done.
        done: usize,
        /// Total number of examples.
        total: usize,
    },
    /// The run resumes from a checkpoint.
    Resumed {
        /// The checkpoint's step.
        step: u64,
        /// Whether its files are known to be as they were written: older versions did not keep their
        /// hashes.
        is_verified: bool,
    },
    /// A checkpoint is damaged; the run resumes from the one before it.
    DamagedCheckpoint {
        /// The damaged file.
        path: &'a Path,
        /// What is wrong with it.
        reason: &'a str,
    },
    /// A step was completed.
    Step {
        /// Steps taken so far.
        step: u64,
        /// Total number of steps.
        total: u64,
        /// Its loss and metrics.
        report: &'a StepReport,
        /// Throughput since the last log line, padding excluded.
        tokens_per_second: f64,
    },
    /// Evaluation is in progress.
    Evaluating {
        /// Examples done.
        done: usize,
        /// Total number of examples.
        total: usize,
    },
    /// Evaluation is complete.
    Evaluated {
        /// Steps taken so far.
        step: u64,
        /// Loss and metrics.
        report: &'a StepReport,
    },
    /// A checkpoint was written.
    Saved {
        /// Its folder.
        path: &'a Path,
    },
}

/// How a run ended.
pub struct Outcome<M = CausalLm> {
    /// The trained model: the last one, or the one with the lowest evaluation loss if the settings
    /// say so.
    pub model: M,
    /// The optimizer after the last step.
    pub optimizer: ModuleOptimizer,
    /// Steps taken.
    pub steps: u64,
    /// Whether evaluation stopped improving before the last step.
    pub stopped_early: bool,
    /// Step and value of the lowest evaluation loss.
    pub best: Option<(u64, f64)>,
    /// Loss of the last step in this process; none if the run had been complete already.
    pub last_loss: Option<f64>,
}
