//! Reading and writing safetensors files, single or sharded, tensor by tensor.
//!
//! A file is not held in memory: opening it reads and validates the header; each tensor is mapped,
//! converted and unmapped on request. The whole header is validated before any value is read: sizes
//! against shapes, offsets against each other, and their sum against the file's length. A truncated
//! file is therefore rejected when it is opened.

mod floats;
mod header;
mod read;
mod shards;
mod source;
mod write;

pub use read::TensorFile;
pub use shards::save_model;
pub use write::{Precision, Stored, save};

/// Name of the weight file of an unsharded model.
pub const SINGLE: &str = "model.safetensors";
/// Name of the index of a sharded model, which maps tensors to files.
pub const INDEX: &str = "model.safetensors.index.json";

/// Size of the length field before the header.
const LENGTH_FIELD: u64 = 8;
/// The format's own limit, against files that claim a huge header.
const MAX_HEADER: u64 = 100_000_000;

#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;
