//! Errors of loading and running models.

use std::path::{Path, PathBuf};

/// The error of this crate. Every variant names the file or folder that caused it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written. An existing file is unchanged.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A model folder lacks a required file.
    #[error("no {file} in {}: a Hugging Face model folder holds one", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file, relative to the folder.
        file: String,
    },
    /// A JSON file is malformed, lacks a key, or has a value of the wrong type.
    #[error("{} is not valid", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A setting has an invalid value.
    #[error("`{key}` in {}: {reason}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The folder needs something that is not supported.
    #[error("{} needs {what}, which is not supported", path.display())]
    Unsupported {
        /// The file that needs it.
        path: PathBuf,
        /// What is not supported.
        what: String,
    },
    /// A safetensors file is truncated or damaged.
    #[error("{} is not a whole safetensors file: {reason}", path.display())]
    DamagedWeights {
        /// The file.
        path: PathBuf,
        /// What is inconsistent.
        reason: String,
    },
    /// A weight is missing.
    #[error("no tensor `{name}` in {}", path.display())]
    MissingTensor {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
    },
    /// There is a weight that the model does not have.
    #[error(
        "{} has tensor `{name}`{}, which a `{model_type}` model with this configuration does not \
         have: configuration and weights do not belong together",
        path.display(),
        and_others(*others)
    )]
    ExtraTensor {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// Number of further such weights.
        others: usize,
        /// The architecture according to the configuration.
        model_type: String,
    },
    /// A weight does not have the shape that follows from the configuration.
    #[error("tensor `{name}` has shape {found:?}, not {expected:?}, in {}", path.display())]
    Shape {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The expected shape.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A weight has the wrong number of dimensions.
    #[error("tensor `{name}` has shape {found:?}, not {expected} dimensions, in {}", path.display())]
    Rank {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The expected number of dimensions.
        expected: usize,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A weight is stored in an unsupported format.
    #[error(
        "tensor `{name}` is stored as {dtype}; only F64, F32, F16, BF16 and I8 with a scale per row are \
         supported, in {}",
        path.display()
    )]
    Dtype {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The format.
        dtype: String,
    },
    /// A finite weight does not fit the half precision in which it is saved.
    #[error("tensor `{name}` holds {value}, too large for {precision}, writing {}", path.display())]
    Overflow {
        /// The file being written.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The offending value.
        value: f32,
        /// The requested format.
        precision: &'static str,
    },
    /// The tokenizer cannot be loaded or fails.
    #[error("tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// The tokenizer's error.
        reason: String,
    },
    /// A text contains a token without an embedding.
    #[error(
        "a text has the token `{token}`, but its id {id} is beyond the {vocab_size} token embeddings \
         of the model: leave the token out of the text, or use the model's own tokenizer instead of {}",
        path.display()
    )]
    Vocabulary {
        /// The tokenizer's file.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// The model's number of token embeddings.
        vocab_size: usize,
    },
    /// A prompt is invalid for the model.
    #[error("{reason}")]
    Prompt {
        /// What is wrong with the prompt.
        reason: String,
    },
    /// Results could not be read back from the device.
    #[error("cannot read results back from the device: {reason}")]
    Readback {
        /// The device's error.
        reason: String,
    },
}

impl ModelError {
    /// The error for a chat template that cannot be used.
    pub(crate) fn chat_template(path: &Path, reason: String) -> Self {
        Self::Setting {
            path: path.to_owned(),
            key: "chat_template".to_owned(),
            reason,
        }
    }
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        _ => format!(" and {others} more"),
    }
}
