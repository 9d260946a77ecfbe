//! A model folder's tokenizer, with the special tokens from its other files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{AddedToken, TruncationParams};

use crate::error::ModelError;
use crate::files;

/// File of the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// File of the tokenizer's settings: special tokens and chat template.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// File of the special tokens, for tokenizer settings without `added_tokens_decoder`.
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";

/// A tokenizer and the special tokens of its model.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    /// Number of token embeddings of the model. The tokenizer may have ids beyond them.
    vocab_size: usize,
    /// Id of the token at the start of a sequence, if the model has one.
    pub bos: Option<u32>,
    /// Ids of the tokens that end a completion. In training, the first one is appended to
    /// completions.
    pub eos: Vec<u32>,
    /// Id of the padding token; any id works, since padding is masked.
    pub pad: u32,
    /// The texts of the special tokens, by their names in chat templates.
    named: BTreeMap<String, String>,
    /// Whether the first word of a text is tokenized differently from the same word later in the
    /// text, as with a prefix space.
    starts_differently: bool,
}

impl Tokenizer {
    /// Loads `tokenizer.json` of a model folder, and the special tokens from
    /// `tokenizer_config.json`, `generation_config.json` and `config.json`.
    ///
    /// The tokenizer may have tokens beyond the model's `vocab_size` embeddings, as those of Gemma 3
    /// and Code Llama do. A text that contains one is refused when it is encoded.
    ///
    /// # Errors
    /// If there is no tokenizer, or it is damaged.
    pub fn read(folder: &Path, vocab_size: usize) -> Result<Self, ModelError> {
        let path = folder.join(TOKENIZER);
        let mut inner = read_plain(folder, None)?;
        let named = special_tokens(folder)?;
        guarded(&path, || recognise(&mut inner, &named))?;
        let is_embedded = |id: &u32| (*id as usize) < vocab_size;
        let id_of = |key: &str| inner.token_to_id(named.get(key)?).filter(is_embedded);
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
        eos.retain(|id| is_embedded(id) && seen.insert(*id));
        let pad = id_of("pad_token").or(eos.first().copied()).unwrap_or(0);
        Ok(Self {
            inner,
            path,
            vocab_size,
            bos: bos.filter(is_embedded),
            eos,
            pad,
            named,
            starts_differently: false,
        }
        .with_start_looked_at())
    }

    /// Token ids of a text, including the special tokens of the tokenizer's post-processor if
    /// `special` is set. Special tokens in the text itself are always recognized.
    ///
    /// # Errors
    /// If the tokenizer fails, or the text contains a token that the model has no embedding for.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, ModelError> {
        Ok(self.encoding(text, special)?.get_ids().to_vec())
    }

    /// Token ids of a text that will be continued: if `special` is set, with the special tokens
    /// that the post-processor adds at the start, but without those at the end.
    pub(crate) fn encode_open(&self, text: &str, special: bool) -> Result<Vec<u32>, ModelError> {
        let encoding = self.encoding(text, special)?;
        // Set for special tokens added by the post-processor, not for those in the text.
        let added = |encoding: &tokenizers::Encoding| encoding.get_special_tokens_mask().to_vec();
        let end = match added(&encoding).iter().rposition(|&added| added == 0) {
            Some(last) => last + 1,
            // The text has no tokens, so take the special tokens before that of another text.
            None => added(&self.encoding("a", special)?)
                .iter()
                .take_while(|&&added| added == 1)
                .count(),
        };
        Ok(encoding.get_ids()[..end].to_vec())
    }

    /// Token ids of `added`, the continuation of `before`, whose ids are `ids`.
    ///
    /// These are the ids of the concatenated text after `ids`. If tokens would merge across the
    /// boundary, `added` is tokenized on its own.
    pub(crate) fn continuation(
        &self,
        before: &str,
        ids: &[u32],
        added: &str,
        special: bool,
    ) -> Result<Vec<u32>, ModelError> {
        let mut both = self.encode_open(&[before, added].concat(), special)?;
        if both.starts_with(ids) {
            both.drain(..ids.len());
            return Ok(both);
        }
        if self.starts_differently {
            // After a line break, a word is not the first of its text.
            let (line, both) = (self.encode("\n", false)?, ["\n", added].concat());
            let mut both = self.encode(&both, false)?;
            if both.starts_with(&line) {
                both.drain(..line.len());
                return Ok(both);
            }
        }
        self.encode(added, false)
    }

    /// Token ids of a text that contains its special tokens, and for each span of bytes the tokens
    /// that overlap it.
    pub(crate) fn encode_spans(
        &self,
        text: &str,
        stretches: &[Range<usize>],
    ) -> Result<(Vec<u32>, Vec<Range<usize>>), ModelError> {
        let encoding = self.encoding(text, false)?;
        let offsets = encoding.get_offsets();
        let tokens = |stretch: &Range<usize>| {
            let first = offsets
                .iter()
                .position(|&(start, end)| start < end && end > stretch.start)
                .unwrap_or(offsets.len());
            let end = offsets
                .iter()
                .rposition(|&(start, end)| start < end && start < stretch.end)
                .map_or(0, |last| last + 1);
            first..end.max(first)
        };
        let spans = stretches.iter().map(tokens).collect();
        Ok((encoding.get_ids().to_vec(), spans))
    }

    fn encoding(&self, text: &str, special: bool) -> Result<tokenizers::Encoding, ModelError> {
        let encoding = guarded(&self.path, || self.inner.encode(text, special))?;
        check_ids(&self.inner, encoding.get_ids(), self.vocab_size, &self.path)?;
        Ok(encoding)
    }

    /// The text of token ids, without special tokens.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        guarded(&self.path, || self.inner.decode(ids, true))
    }

    /// Whether token ids are only white space.
    pub(crate) fn is_blank(&self, ids: &[u32]) -> Result<bool, ModelError> {
        let text = guarded(&self.path, || self.inner.decode(ids, false))?;
        Ok(text.chars().all(char::is_whitespace))
    }

    /// The texts of the special tokens, by name: `bos_token`, `eos_token`, ..
    pub(crate) fn named(&self) -> &BTreeMap<String, String> {
        &self.named
    }

    /// The text of a special token.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn with_start_looked_at(mut self) -> Self {
        let ids = |text: &str| self.encode(text, false).unwrap_or_default();
        let (line, later) = (ids("\n"), ids("\na"));
        self.starts_differently = later.strip_prefix(&line[..]) != Some(&ids("a")[..]);
        self
    }
}

/// Refuses token ids that a model with `vocab_size` token embeddings cannot look up.
pub(crate) fn check_ids(
    tokenizer: &tokenizers::Tokenizer,
    ids: &[u32],
    vocab_size: usize,
    path: &Path,
) -> Result<(), ModelError> {
    match ids.iter().find(|&&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(&id) => Err(ModelError::Vocabulary {
            path: path.to_owned(),
            token: tokenizer.id_to_token(id).unwrap_or_default(),
            id,
            vocab_size,
        }),
    }
}

/// What a tokenizer does. A damaged or contradictory `tokenizer.json` can make it panic; that is an
/// error of the file, not of this program.
pub(crate) fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> tokenizers::Result<T>,
) -> Result<T, ModelError> {
    let reason = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it is damaged: its parts contradict each other".to_owned(),
    };
    Err(ModelError::Tokenizer {
        path: path.to_owned(),
        reason,
    })
}

/// The special tokens that a folder names: `bos_token`, `eos_token` and every other key that ends
/// in `_token`.
fn special_tokens(folder: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    let settings = read_json(&folder.join(TOKENIZER_CONFIG))?;
    let mut named = BTreeMap::new();
    let mut take = |settings: &Value| {
        let fields = settings.as_object().into_iter().flatten();
        for (key, token) in fields.filter(|(key, _)| key.ends_with("_token")) {
            let text = token
                .as_str()
                .or_else(|| token.get("content").and_then(Value::as_str));
            match text {
                Some(text) => named.insert(key.clone(), text.to_owned()),
                None if token.is_null() => named.remove(key),
                None => None,
            };
        }
    };
    take(&settings);
    if settings.get("added_tokens_decoder").is_none() {
        take(&read_json(&folder.join(SPECIAL_TOKENS_MAP))?);
    }
    Ok(named)
}

/// Registers the named tokens as special, like transformers, so that they are recognized in text
/// even if `tokenizer.json` has them only in its vocabulary.
fn recognise(
    inner: &mut tokenizers::Tokenizer,
    named: &BTreeMap<String, String>,
) -> tokenizers::Result<()> {
    let special: Vec<String> = inner
        .get_added_tokens_decoder()
        .into_values()
        .filter(|token| token.special)
        .map(|token| token.content)
        .collect();
    let missing: Vec<AddedToken> = named
        .values()
        .filter(|text| inner.token_to_id(text).is_some() && !special.contains(text))
        .map(|text| AddedToken::from(text.clone(), true))
        .collect();
    if !missing.is_empty() {
        inner.add_special_tokens(missing)?;
    }
    Ok(())
}

/// A folder's tokenizer without the padding and truncation that it was saved with. `max_length`
/// limits encoded sequences, special tokens included.
pub(crate) fn read_plain(
    folder: &Path,
    max_length: Option<usize>,
) -> Result<tokenizers::Tokenizer, ModelError> {
    let path = folder.join(TOKENIZER);
    if !files::is_file(&path) {
        return Err(ModelError::MissingFile {
            folder: folder.to_owned(),
            file: TOKENIZER.to_owned(),
        });
    }
    let bytes = files::read(&path).map_err(|source| ModelError::Read {
        path: path.clone(),
        source,
    })?;
    let truncation = max_length.map(|max_length| TruncationParams {
        max_length,
        ..TruncationParams::default()
    });
    guarded(&path, || {
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(truncation)?;
        Ok(tokenizer)
    })
}

fn as_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// A JSON file, or an empty object if it does not exist.
pub(crate) fn read_json(path: &Path) -> Result<Value, ModelError> {
    if !files::is_file(path) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let bytes = files::read(path).map_err(|source| ModelError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
}
