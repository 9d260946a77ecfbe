//! What a model answers, wherever it runs.

use std::error::Error;

use rarebit_data::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tokens of a question and its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the question.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text, without the reasoning before it.
    pub text: String,
    /// `stop`, `length`, `refusal`, `content_filter`, or the service's own word.
    pub finish_reason: String,
    /// What it took.
    pub usage: Usage,
    /// The version of the model that answered, where the service says so.
    pub model: Option<String>,
}

/// A chat model behind an API, which may be asked from several threads.
pub trait ChatService: Sync {
    /// What decides the answers, for a fingerprint and a record; never a key.
    fn describe(&self) -> Value;

    /// Asks until there is an answer. `sample` tells equal questions apart; none once
    /// [`Self::stop`] was called.
    ///
    /// # Errors
    /// When asking again does not help.
    fn ask(
        &self,
        messages: &[Message],
        sample: usize,
    ) -> Result<Option<Answer>, Box<dyn Error + Send + Sync>>;

    /// Lets every thread end as soon as it can.
    fn stop(&self);
}
