//! Training examples as token ids, and how they are cut to length.

use rarebit_models::ModelError;
use rarebit_models::chat::{ChatTemplate, Encoded};
use rarebit_models::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

/// What is lost of a sequence that is too long, as in TRL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TruncationMode {
    /// The end is lost.
    #[default]
    KeepStart,
    /// The beginning is lost.
    KeepEnd,
}

/// A pair, or a completion alone, with what the loss needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Leads back to the row it comes from; named when training fails on it.
    pub id: String,
    /// The preferred completion with its prompt.
    pub chosen: Sequence,
    /// The other; absent in supervised fine-tuning.
    pub rejected: Option<Sequence>,
    /// Multiplies the loss.
    pub weight: f32,
}

impl Example {
    /// Tokens of both sequences.
    pub fn tokens(&self) -> usize {
        self.sequences().map(|sequence| sequence.ids.len()).sum()
    }

    /// The longer sequence's length: what a batch is padded to.
    pub fn length(&self) -> usize {
        self.sequences()
            .map(|sequence| sequence.ids.len())
            .max()
            .unwrap_or(0)
    }

    /// Tokens that the loss looks at, both sequences together.
    pub fn completion_tokens(&self) -> usize {
        self.sequences().map(Sequence::completion_tokens).sum()
    }

    /// The chosen sequence, then the rejected one if there is one.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        std::iter::once(&self.chosen).chain(&self.rejected)
    }
}

/// A prompt and its completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids of both.
    pub ids: Vec<u32>,
    /// Where the completion begins: the loss looks at `ids[completion_start..]`.
    pub completion_start: usize,
}

impl Sequence {
    /// Joins prompt and completion and cuts them to `max_length` tokens.
    pub fn new(encoded: Encoded, max_length: Option<usize>, mode: TruncationMode) -> Self {
        let mut completion_start = encoded.prompt.len();
        let mut ids = encoded.prompt;
        ids.extend(encoded.completion);
        if let Some(excess) = max_length
            .and_then(|max| ids.len().checked_sub(max))
            .filter(|excess| *excess > 0)
        {
            match mode {
                TruncationMode::KeepStart => ids.truncate(ids.len() - excess),
                TruncationMode::KeepEnd => {
                    ids.drain(..excess);
                    completion_start = completion_start.saturating_sub(excess);
                }
            }
        }
        Self {
            completion_start: completion_start.min(ids.len()),
            ids,
        }
    }

    /// How many tokens the loss looks at. The sequence's very first token is never predicted.
    pub fn completion_tokens(&self) -> usize {
        self.ids.len() - self.first_label()
    }

    /// The first position whose token is a label.
    pub(crate) fn first_label(&self) -> usize {
        self.completion_start.max(1).min(self.ids.len())
    }
}

/// Turns texts into examples.
#[derive(Debug)]
pub struct Encoder<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The model's chat template.
    pub template: &'a ChatTemplate,
    /// Longest sequence.
    pub max_length: Option<usize>,
    /// Which end of a longer one is kept.
    pub truncation_mode: TruncationMode,
}

impl Encoder<'_> {
    /// # Errors
    /// When the template or the tokenizer fails.
    pub fn sequence(&self, prompt: &str, completion: &str) -> Result<Sequence, ModelError> {
        let encoded = self.template.encode(self.tokenizer, prompt, completion)?;
        Ok(Sequence::new(
            encoded,
            self.max_length,
            self.truncation_mode,
        ))
    }
}
