//! Hugging Face models as readable Burn modules: decoders, sentence embedders, adapters, the
//! tokenizers and chat templates beside them, and sampling.
//!
//! A model is read from an unmodified folder (`config.json`, safetensors, `tokenizer.json`), its
//! fields are named after the checkpoint's keys, and it computes what transformers computes.
//! Only safetensors are read: a pickle can run code.
//!
//! # Example
//! ```
//! use rarebit_models::generation::LogitsProcessors;
//!
//! let processors = LogitsProcessors { top_k: 2, ..LogitsProcessors::default() };
//! let mut logits = [1.0, 3.0, 2.0];
//! processors.apply(&mut logits, &[]);
//! assert_eq!(logits, [f32::NEG_INFINITY, 3.0, 2.0]);
//! ```

mod activation;
mod backbone;
pub mod causal_lm;
pub mod chat;
mod checkpoint;
mod config_file;
pub mod decoder;
mod device;
pub mod error;
pub mod files;
pub mod generation;
pub mod gpt2;
pub mod init;
mod jinja;
mod kv_cache;
mod length_batches;
mod linear;
pub mod lora;
mod norm;
mod parameters;
pub mod reward;
mod rope;
pub mod safetensors_file;
pub mod sequence_classifier;
mod text_stream;
pub mod tokenizer;
mod tunable;

pub use activation::Activation;
pub use backbone::BackboneConfig;
pub use config_file::CONFIG;
pub use device::splits_batches;
pub use error::ModelError;
pub use kv_cache::KvCache;
pub use parameters::{NamedTensors, NamedValues, Values, param_id};
pub use rope::{Llama3Scaling, LongRopeScaling, RopeConfig, RopeScaling, YarnScaling};
pub use text_stream::TextStream;

pub mod bert;
pub mod encoder;
mod encoder_attention;
pub mod jina_v3;
pub mod modernbert;
pub mod pooling;
mod sentence_folder;
mod sentence_head;
pub mod sentence_transformer;
