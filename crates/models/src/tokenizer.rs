//! A model folder's tokenizer with the special tokens that its other files name.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::TruncationParams;

use crate::error::ModelError;

/// File of the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// File of the tokenizer's settings: special tokens and chat template.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// A tokenizer and what it needs to know of its model.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    /// Put before a sequence, if the model has such a token.
    pub bos: Option<u32>,
    /// Tokens that end a completion. The first one is appended to completions in training.
    pub eos: Vec<u32>,
    /// Fills batches; any token will do, since padding is masked.
    pub pad: u32,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder, and the special tokens that `tokenizer_config.json`,
    /// `generation_config.json` and `config.json` name.
    ///
    /// # Errors
    /// When there is no tokenizer, it is damaged, or it has ids for which the model (of
    /// `vocab_size` embeddings) has none.
    pub fn read(folder: &Path, vocab_size: usize) -> Result<Self, ModelError> {
        let path = folder.join(TOKENIZER);
        let inner = read_plain(folder, vocab_size, None)?;
        let settings = read_json(&folder.join(TOKENIZER_CONFIG))?;
        let id_of = |key: &str| {
            let token = settings.get(key)?;
            let text = token.as_str().or_else(|| token.get("content")?.as_str())?;
            inner.token_to_id(text)
        };
        let mut eos: Vec<u32> = id_of("eos_token").into_iter().collect();
        let mut bos = id_of("bos_token");
        for file in ["generation_config.json", "config.json"] {
            let settings = read_json(&folder.join(file))?;
            let more = match settings.get("eos_token_id") {
                Some(Value::Array(ids)) => ids.iter().filter_map(as_id).collect(),
                Some(id) => as_id(id).into_iter().collect::<Vec<_>>(),
                None => Vec::new(),
            };
            eos.extend(more);
            bos = bos.or_else(|| settings.get("bos_token_id").and_then(as_id));
        }
        let mut seen = std::collections::HashSet::new();
        eos.retain(|&id| (id as usize) < vocab_size && seen.insert(id));
        let pad = id_of("pad_token").or(eos.first().copied()).unwrap_or(0);
        Ok(Self {
            inner,
            path,
            bos,
            eos,
            pad,
        })
    }

    /// Token ids of a text, with the special tokens that the tokenizer's own post-processor adds
    /// when `special` is set. Special tokens written out in the text are recognised either way.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, ModelError> {
        let encoding = self
            .inner
            .encode(text, special)
            .map_err(|error| self.failed(&error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of token ids, special tokens left out.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.inner
            .decode(ids, true)
            .map_err(|error| self.failed(&error))
    }

    /// The written form of a special token.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn failed(&self, error: &tokenizers::Error) -> ModelError {
        ModelError::Tokenizer {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

/// A folder's tokenizer without the padding and truncation of whoever saved it; `max_length` cuts
/// what it encodes, special tokens counted.
pub(crate) fn read_plain(
    folder: &Path,
    vocab_size: usize,
    max_length: Option<usize>,
) -> Result<tokenizers::Tokenizer, ModelError> {
    let path = folder.join(TOKENIZER);
    if !path.is_file() {
        return Err(ModelError::MissingFile {
            folder: folder.to_owned(),
            file: TOKENIZER.to_owned(),
        });
    }
    let failed = |error: tokenizers::Error| ModelError::Tokenizer {
        path: path.clone(),
        reason: error.to_string(),
    };
    let mut tokenizer = tokenizers::Tokenizer::from_file(&path).map_err(failed)?;
    tokenizer.with_padding(None);
    let truncation = max_length.map(|max_length| TruncationParams {
        max_length,
        ..TruncationParams::default()
    });
    tokenizer.with_truncation(truncation).map_err(failed)?;
    let vocabulary = tokenizer.get_vocab(true);
    let largest = vocabulary.into_iter().max_by_key(|(_, id)| *id);
    match largest.filter(|(_, id)| *id as usize >= vocab_size) {
        None => Ok(tokenizer),
        Some((token, id)) => Err(ModelError::Vocabulary {
            folder: folder.to_owned(),
            token,
            id,
            vocab_size,
        }),
    }
}

fn as_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// A JSON file, or an empty object where there is none.
pub(crate) fn read_json(path: &Path) -> Result<Value, ModelError> {
    if !path.is_file() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let bytes = std::fs::read(path).map_err(|source| ModelError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
}
