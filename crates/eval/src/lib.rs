//! Diversity and quality of sets of responses with confidence intervals, and the report that shows
//! them.
//!
//! Each metric is a function of one prompt's responses in a file of its own. [`evaluate`] applies
//! all of them to every prompt of every system, averages over prompts with bootstrap intervals, and
//! compares the systems prompt by prompt.
//!
//! # Example
//! ```
//! use rarebit_eval::{Bootstrap, Mode, metrics::ngrams::distinct_ngrams};
//!
//! let bootstrap = Bootstrap { resamples: 1000, confidence: 0.95, seed: 42 };
//! let prompts = [["a b a b", "a b"], ["a b c", "d e"]];
//! let distinct: Vec<f64> = prompts
//!     .iter()
//!     .filter_map(|responses| distinct_ngrams(responses, Mode::Correct)[1])
//!     .collect();
//! assert_eq!(distinct, [0.5, 1.0]);
//! assert_eq!(bootstrap.interval(&distinct).map(|interval| interval.mean), Some(0.75));
//! ```

pub mod bootstrap;
mod compare;
pub mod correlation;
mod csv;
mod eigen;
mod error;
mod evaluate;
pub mod evaluation;
mod frontier;
mod html;
pub mod human;
pub mod metrics;
pub mod report;
pub mod reward;
mod samples;
pub mod study;
#[cfg(test)]
mod tests;

pub use bootstrap::Bootstrap;
pub use csv::{equal_quality_csv, evaluation_csv};
pub use eigen::{Eigenpair, largest_eigenpairs};
pub use error::EvalError;
pub use evaluate::{EvalOptions, Progress, Stage, evaluate};
pub use evaluation::{Evaluation, Mode, Thresholds};
pub use frontier::family;
pub use metrics::{catalogue, measure};
pub use samples::{PromptSamples, SampleRow, SystemSamples};
