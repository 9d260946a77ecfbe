//! Incremental decoding of tokens to text.

use crate::error::ModelError;
use crate::tokenizer::Tokenizer;

/// What tokenizers write for bytes that are not, or not yet, a whole character.
const INCOMPLETE: char = char::REPLACEMENT_CHARACTER;

/// Decodes tokens one by one. The pieces add up to the text of all tokens.
///
/// A token's text can depend on the token before it. A piece is therefore the difference between
/// decoding the last few tokens with and without the newest one, starting one piece earlier; the
/// cost per token does not depend on the length of the text. A token that ends within a character
/// adds nothing, and the token that completes the character adds all of it.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    tokens: Vec<u32>,
    /// Start of the tokens that are decoded again.
    start: usize,
    /// Number of tokens whose text has been returned.
    told: usize,
}

impl TextStream {
    /// Adds a token and returns its text.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Result<String, ModelError> {
        self.tokens.push(token);
        let added = self.added(tokenizer)?;
        if added.is_empty() || added.ends_with(INCOMPLETE) {
            return Ok(String::new());
        }
        (self.start, self.told) = (self.told, self.tokens.len());
        Ok(added)
    }

    /// The rest of the text: a character that was never completed.
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
