//! From texts to token sequences.

use std::path::PathBuf;

use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence as Normalizers};
use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection, TruncationParams};

use crate::config_file;
use crate::encoder::Encoder;
use crate::error::ModelError;
use crate::sentence_folder::SentenceFolder;
use crate::tokenizer::{TOKENIZER, check_ids, guarded, read_plain};

/// What to do with a text that is too long for the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongTexts {
    /// Truncate it, like sentence-transformers.
    #[default]
    Truncate,
    /// Split it into chunks and average their vectors, weighted by their number of tokens. A prompt
    /// precedes the first chunk only.
    MeanOfChunks,
}

/// Token ids and the index of their text.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) text: usize,
    pub(super) ids: Vec<u32>,
    /// Number of tokens at the start that pooling ignores.
    pub(super) skipped: usize,
}

/// A tokenizer with the prompt and the limits of its folder.
#[derive(Debug)]
pub(super) struct Sequences {
    tokenizer: Tokenizer,
    path: PathBuf,
    /// Number of the encoder's token embeddings.
    vocab_size: usize,
    /// Precedes every text; may be empty.
    prompt: String,
    /// Number of the prompt's tokens that pooling ignores.
    skipped: usize,
    long_texts: LongTexts,
    /// Whether the tokenizer truncates at the start and returns chunks from the end.
    cut_start: bool,
}

impl Sequences {
    /// Loads the folder's tokenizer.
    pub(super) fn new(
        layout: &SentenceFolder,
        encoder: &Encoder,
        prompt: String,
        include_prompt: bool,
        long_texts: LongTexts,
    ) -> Result<Self, ModelError> {
        let mut tokenizer = read_plain(&layout.encoder, None)?;
        let path = layout.encoder.join(TOKENIZER);
        if layout.do_lower_case {
            guarded(&path, || lower_case(&mut tokenizer))?;
        }
        let max_length = layout.max_tokens.unwrap_or(usize::MAX);
        let max_length = max_length.min(encoder.max_tokens);
        let special = tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        if max_length <= special {
            let reason =
                format!("{max_length} tokens, {special} of them special, leave no room for text");
            return Err(config_file::wrong(&path, "max_seq_length", reason));
        }
        let truncation = TruncationParams {
            max_length,
            direction: match layout.cut_start {
                true => TruncationDirection::Left,
                false => TruncationDirection::Right,
            },
            ..TruncationParams::default()
        };
        guarded(&path, || {
            tokenizer.with_truncation(Some(truncation)).map(drop)
        })?;
        let mut sequences = Self {
            tokenizer,
            path,
            vocab_size: encoder.vocab_size,
            prompt,
            skipped: 0,
            long_texts,
            cut_start: layout.cut_start,
        };
        if sequences.prompt.is_empty() {
            return Ok(sequences);
        }
        let prompt = sequences.prompt_tokens()?;
        if prompt.len() >= max_length {
            let reason = format!("the prompt alone fills the {max_length} tokens of a text");
            let path = &sequences.path;
            return Err(config_file::wrong(path, "max_seq_length", reason));
        }
        if !include_prompt {
            let added = sequences.tokenizer.get_added_tokens_decoder();
            let special = |id: &u32| added.get(id).is_some_and(|token| token.special);
            // The final special token ends the prompt only if no text follows.
            sequences.skipped = prompt.len() - usize::from(prompt.last().is_some_and(special));
        }
        Ok(sequences)
    }

    fn prompt_tokens(&self) -> Result<Vec<u32>, ModelError> {
        let encode = || self.tokenizer.encode_fast(self.prompt.as_str(), true);
        let encoding = guarded(&self.path, encode)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Length of the longest possible sequence.
    pub(super) fn max_tokens(&self) -> usize {
        let truncation = self.tokenizer.get_truncation();
        truncation.map_or(usize::MAX, |truncation| truncation.max_length)
    }

    /// The sequences of each text: one, or the chunks of a long text.
    pub(super) fn of(&self, texts: &[&str]) -> Result<Vec<Sequence>, ModelError> {
        let encode = || match self.prompt.as_str() {
            "" => self.tokenizer.encode_batch_fast(texts.to_vec(), true),
            prompt => {
                let texts = texts.iter().map(|text| format!("{prompt}{text}"));
                let texts: Vec<String> = texts.collect();
                self.tokenizer.encode_batch_fast(texts, true)
            }
        };
        let encodings = guarded(&self.path, encode)?;
        let mut sequences = Vec::with_capacity(texts.len());
        for (text, encoding) in encodings.iter().enumerate() {
            let mut chunks = vec![encoding];
            if self.long_texts == LongTexts::MeanOfChunks {
                chunks.extend(encoding.get_overflowing());
                if self.cut_start {
                    chunks.reverse();
                }
            }
            sequences.extend(chunks.iter().enumerate().map(|(i, chunk)| Sequence {
                text,
                ids: chunk.get_ids().to_vec(),
                skipped: if i == 0 { self.skipped } else { 0 },
            }));
        }
        // Without special tokens, an empty text has no tokens.
        sequences.retain(|sequence| sequence.ids.len() > sequence.skipped);
        for sequence in &sequences {
            check_ids(&self.tokenizer, &sequence.ids, self.vocab_size, &self.path)?;
        }
        Ok(sequences)
    }
}

/// Lower-cases texts before any other normalization, except for special tokens.
fn lower_case(tokenizer: &mut Tokenizer) -> Result<(), tokenizers::Error> {
    let mut steps = vec![NormalizerWrapper::Lowercase(Lowercase)];
    steps.extend(tokenizer.get_normalizer().cloned());
    tokenizer.with_normalizer(Some(Normalizers::new(steps)))?;
    Ok(())
}
