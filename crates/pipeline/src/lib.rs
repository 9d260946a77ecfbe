//! From grouped responses to a trained, sampled and measured model, without a terminal.
//!
//! A [`Session`] says where to compute, where models are found and whom to tell about progress.
//! Settings ([`settings`]) are plain structs that also read and write TOML under the names of TRL,
//! transformers and peft. With both, [`train_policy`], [`train_online`] and [`train_reward`] train,
//! [`generate`] samples, [`model`] judges; nothing here prints or reads the environment.

pub mod embedder;
pub mod error;
pub mod evaluation;
pub mod event;
pub mod examples;
pub mod generate;
pub mod model;
pub mod output;
mod prepare;
pub mod scored;
pub mod session;
pub mod settings;
mod train;

pub use error::{PipelineError, Result};
pub use event::{Event, Events, Stage};
pub use rarebit_train::Stop;

pub use prepare::{Preparation, TokenCounter, prepare};
pub use session::{LocalFolders, ModelSource, Session};
pub use train::{RewardOutcome, train_online, train_policy, train_reward};
