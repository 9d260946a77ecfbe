//! What can go wrong between a model folder and a running model.

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
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written. What stood in its place before is untouched.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A model folder lacks a file that it cannot do without.
    #[error("no {file} in {}: a Hugging Face model folder holds one", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// The file, relative to the folder.
        file: String,
    },
    /// A JSON file does not parse, or lacks a key, or holds a value of the wrong type.
    #[error("{} is not what it should be", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A setting has a value that no model can be built from.
    #[error("`{key}` in {}: {reason}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The folder asks for something that this program does not have.
    #[error("{} asks for {what}, which is not supported", path.display())]
    Unsupported {
        /// The file that asks.
        path: PathBuf,
        /// What it asks for.
        what: String,
    },
    /// A safetensors file is truncated or damaged.
    #[error("{} is not a whole safetensors file: {reason}", path.display())]
    DamagedWeights {
        /// The file.
        path: PathBuf,
        /// What does not add up.
        reason: String,
    },
    /// A weight is absent.
    #[error("no tensor `{name}` in {}", path.display())]
    MissingTensor {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
    },
    /// There is a weight for which the model has no place.
    #[error(
        "{} holds tensor `{name}`{}, for which a `{model_type}` model with the settings beside it \
         has no place: settings and weights do not belong together",
        path.display(),
        and_others(*others)
    )]
    ExtraTensor {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// How many more there are.
        others: usize,
        /// The architecture that the settings name.
        model_type: String,
    },
    /// A weight has another shape than the configuration gives it.
    #[error("tensor `{name}` has shape {found:?}, not {expected:?}, in {}", path.display())]
    Shape {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A weight has another number of dimensions than its place in the model.
    #[error("tensor `{name}` has shape {found:?}, not {expected} dimensions, in {}", path.display())]
    Rank {
        /// The file or folder of weights.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The number of dimensions asked for.
        expected: usize,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A weight is stored in a number format that is not read.
    #[error(
        "tensor `{name}` is stored as {dtype}, only F64, F32, F16, BF16 and I8 with a scale for each row \
         are read, in {}",
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
    /// A finite weight does not fit the half precision it is to be saved in.
    #[error("tensor `{name}` holds {value}, too large for {precision}, writing {}", path.display())]
    Overflow {
        /// The file being written.
        path: PathBuf,
        /// The key of the weight.
        name: String,
        /// The offending value.
        value: f32,
        /// The format asked for.
        precision: &'static str,
    },
    /// The tokenizer does not load or does not encode.
    #[error("tokenizer {}: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What the tokenizer said.
        reason: String,
    },
    /// The tokenizer has ids for which the model has no embedding.
    #[error(
        "the tokenizer does not fit the model: `{token}` has id {id}, the model knows {vocab_size} \
         tokens, in {}",
        folder.display()
    )]
    Vocabulary {
        /// The model folder.
        folder: PathBuf,
        /// The token with the largest id.
        token: String,
        /// Its id.
        id: u32,
        /// The model's number of token embeddings.
        vocab_size: usize,
    },
    /// A prompt cannot be read by the model.
    #[error("{reason}")]
    Prompt {
        /// What is wrong with it.
        reason: String,
    },
    /// Results could not be read back from the device.
    #[error("cannot read results back from the device: {reason}")]
    Readback {
        /// What the device said.
        reason: String,
    },
}

impl ModelError {
    /// A chat template that is not used, for that reason.
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
