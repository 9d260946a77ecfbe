//! The training loop: one loop for policies, whose objective is an enum, and for reward models.
//!
//! Token ids and weights go in, a trained model comes out. State lives in the run folder:
//! checkpoints from which a killed run resumes, `metrics.jsonl`, TensorBoard events. Progress is
//! reported through a callback; nothing is printed.
//!
//! # Example
//! ```
//! use rarebit_train::schedule::{LrSchedulerType, Schedule};
//!
//! let schedule = Schedule::new(LrSchedulerType::Cosine, 3e-5, 500, 2_000);
//! assert_eq!((schedule.lr(0), schedule.lr(500)), (0.0, 3e-5));
//! ```

mod arguments;
mod batch;
mod checkpoint;
mod clip;
mod error;
mod event;
mod example;
mod example_tokenizer;
mod objective;
mod perplexity;
mod pinned_optimizer;
mod plateau;
mod policy;
mod reference;
mod reward;
mod run_log;
pub mod schedule;
mod split;
mod step;
mod stop;
mod task;
pub mod tensorboard;
mod trainer;

pub use arguments::{TrainingArguments, defaults};
pub use batch::{Batch, BatchLogps, epoch_batches};
pub use checkpoint::fingerprint;
pub use error::TrainError;
pub use event::{Event, Outcome};
pub use example::{Completion, Example, Labelled, Pair, Sequence, TruncationMode};
pub use example_tokenizer::{ExampleTokenizer, SftTokens};
pub use objective::{LearnsFrom, LossType, Objective, OrpoNll, OrpoWeight};
pub use perplexity::perplexities;
pub use plateau::{Plateau, PlateauSettings};
pub use policy::{Item, PolicyRun, PolicyTask, Round, train, train_on};
pub use reference::{ReferenceCache, reference_logps};
pub use reward::{RewardRun, RewardTask, ScoredExample, train_reward};
pub use run_log::METRICS;
pub use step::{AdamW, Learner, StepReport};
pub use stop::Stop;
pub use task::{Losses, Sample, Task};
