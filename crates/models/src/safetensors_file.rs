//! Weights on disk: safetensors files, single or sharded, read and written tensor by tensor.
//!
//! A file is not held in memory: opening it reads and checks the header, and each tensor is mapped,
//! converted and let go when it is asked for. The whole header is checked before any number is
//! read: sizes against shapes, offsets against each other, and their sum against the file's length,
//! so that a truncated file is told at opening and never half way.

mod floats;
mod header;
mod read;
mod shards;
mod source;
mod write;

pub use read::TensorFile;
pub use shards::save_model;
pub use write::{Precision, Stored, save};

/// Name of the only weight file of a small model.
pub const SINGLE: &str = "model.safetensors";
/// Name of the map from tensors to the weight files of a sharded model.
pub const INDEX: &str = "model.safetensors.index.json";

/// Length of the field in front of the header.
const LENGTH_FIELD: u64 = 8;
/// The safetensors format's own cap, against files that claim a giant header.
const MAX_HEADER: u64 = 100_000_000;

#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;
