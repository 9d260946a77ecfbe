#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! Each module is a crate of its own, which can also be depended on alone. What most programs need
//! is re-exported here.

pub use rarebit_core as core;
pub use rarebit_data as data;
pub use rarebit_deviation as deviation;
pub use rarebit_eval as eval;
pub use rarebit_models as models;
pub use rarebit_pipeline as pipeline;
pub use rarebit_provider as provider;
pub use rarebit_text as text;
pub use rarebit_train as train;

pub use burn::tensor::Device;
pub use rarebit_data::steps::weigh::Embedders;
pub use rarebit_data::{PrepareOptions, SourceOptions};
pub use rarebit_eval::{EvalOptions, evaluate};
pub use rarebit_pipeline::evaluation::read_system;
pub use rarebit_pipeline::generate::{Job, Respondent, Writer, read_prompts};
pub use rarebit_pipeline::model::load;
pub use rarebit_pipeline::settings::run::RunConfig;
pub use rarebit_pipeline::settings::sampling::SamplingSettings;
pub use rarebit_pipeline::{
    Event, Events, LocalFolders, ModelSource, PipelineError, Preparation, Session, Stop, prepare,
    train_online, train_policy, train_reward,
};
