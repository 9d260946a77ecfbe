//! The text of tokens that come one by one.

use crate::error::ModelError;
use crate::tokenizer::Tokenizer;

/// What decoders write for bytes that are no character, or not a whole one yet.
const INCOMPLETE: char = char::REPLACEMENT_CHARACTER;

/// Decodes tokens as they come. The pieces put together are the text of all tokens.
///
/// A token's text can depend on the one before it, so a piece is what a stretch of tokens has beyond
/// the same stretch without the newest; the stretch begins a piece earlier, which keeps the work the
/// same however long the text becomes. A token that ends inside a character gives nothing, and the
/// one that completes it the whole.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    tokens: Vec<u32>,
    /// Where the stretch begins.
    start: usize,
    /// How many tokens the text is told of.
    told: usize,
}

impl TextStream {
    /// The text that a token adds.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Result<String, ModelError> {
        self.tokens.push(token);
        let added = self.added(tokenizer)?;
        if added.is_empty() || added.ends_with(INCOMPLETE) {
            return Ok(String::new());
        }
        (self.start, self.told) = (self.told, self.tokens.len());
        Ok(added)
    }

    /// What is left at the end: a character that was never completed.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn finish(&mut self, tokenizer: &Tokenizer) -> Result<String, ModelError> {
        let added = self.added(tokenizer)?;
        (self.start, self.told) = (self.told, self.tokens.len());
        Ok(added)
    }

    fn added(&self, tokenizer: &Tokenizer) -> Result<String, ModelError> {
        let before = tokenizer.decode(&self.tokens[self.start..self.told])?;
        let text = tokenizer.decode(&self.tokens[self.start..])?;
        Ok(text.strip_prefix(&before).unwrap_or_default().to_owned())
    }
}
