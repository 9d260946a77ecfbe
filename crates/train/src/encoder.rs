//! From texts to token ids that a run learns from.

use rarebit_data::Text;
use rarebit_models::ModelError;
use rarebit_models::chat::{ChatTemplate, Message};
use rarebit_models::tokenizer::Tokenizer;

use crate::example::{Sequence, TruncationMode};

/// Turns texts into sequences of token ids.
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

/// Which tokens supervised fine-tuning learns, under TRL's names; with both set, those that both
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SftTokens {
    /// Those after the prompt; else all.
    pub completion_only_loss: bool,
    /// Those that the assistant wrote, in every turn of a conversation.
    pub assistant_only_loss: bool,
}

impl Encoder<'_> {
    /// Both completions of a pair, each with the prompt.
    ///
    /// # Errors
    /// When the template or the tokenizer fails, or a conversation meets a model without template.
    pub fn pair(
        &self,
        prompt: &Text,
        chosen: &Text,
        rejected: &Text,
    ) -> Result<[Sequence; 2], ModelError> {
        let mut sides = [self.encode(prompt, chosen)?, self.encode(prompt, rejected)?];
        // Where the template changes what it wrote of the prompt, both completions begin where the
        // first of them parts from it, as in TRL.
        let start = sides.iter().map(completion_start).min().unwrap_or(0);
        for side in &mut sides {
            side.labels = std::iter::once(start..side.ids.len()).collect();
        }
        Ok(sides.map(|side| self.cut(side)))
    }

    /// A prompt and its completion, or a conversation split before its last turn.
    ///
    /// # Errors
    /// As for [`Self::pair`], and when the assistant's tokens are asked for and cannot be told.
    pub fn supervised(
        &self,
        prompt: &Text,
        completion: &Text,
        tokens: SftTokens,
    ) -> Result<Sequence, ModelError> {
        let sequence = if tokens.assistant_only_loss {
            self.assistant(prompt, completion, tokens.completion_only_loss)?
        } else {
            let mut sequence = self.encode(prompt, completion)?;
            if !tokens.completion_only_loss {
                sequence.labels = std::iter::once(0..sequence.ids.len()).collect();
            }
            sequence
        };
        Ok(self.cut(sequence))
    }

    fn encode(&self, prompt: &Text, completion: &Text) -> Result<Sequence, ModelError> {
        let (prompt, completion) = (messages(prompt, "user"), messages(completion, "assistant"));
        let encoded = self.template.encode(self.tokenizer, &prompt, &completion)?;
        Ok(Sequence {
            diverges: encoded.diverges,
            ..Sequence::completion(&encoded.prompt, &encoded.completion)
        })
    }

    fn assistant(
        &self,
        prompt: &Text,
        completion: &Text,
        completion_only: bool,
    ) -> Result<Sequence, ModelError> {
        let prompt = messages(prompt, "user");
        let mut turns = prompt.clone();
        turns.extend(messages(completion, "assistant"));
        let conversation = self.template.encode_conversation(self.tokenizer, &turns)?;
        let (start, diverges) = match completion_only {
            true => {
                let alone = self.template.encode_prompt(self.tokenizer, &prompt)?;
                let both = alone.iter().zip(&conversation.ids);
                let shared = both.take_while(|(a, b)| a == b).count();
                (shared, shared < alone.len())
            }
            false => (0, false),
        };
        let labels: Vec<_> = conversation
            .assistant
            .into_iter()
            .map(|span| span.start.max(start)..span.end)
            .filter(|span| !span.is_empty())
            .collect();
        if labels.is_empty() {
            return Err(ModelError::Prompt {
                reason: "assistant_only_loss leaves nothing to learn: the chat template marks no token as the \
                         assistant's; look at its {% generation %}"
                    .to_owned(),
            });
        }
        Ok(Sequence {
            ids: conversation.ids,
            labels,
            diverges,
        })
    }

    fn cut(&self, sequence: Sequence) -> Sequence {
        sequence.truncated(self.max_length, self.truncation_mode)
    }
}

fn completion_start(sequence: &Sequence) -> usize {
    sequence
        .labels
        .first()
        .map_or(sequence.ids.len(), |span| span.start)
}

/// Turns for a chat template: plain text is what `role` says.
pub fn messages(text: &Text, role: &str) -> Vec<Message> {
    match text {
        Text::Plain(text) => vec![Message::new(role, text)],
        Text::Chat(turns) => turns
            .iter()
            .map(|turn| Message {
                name: turn.name.clone(),
                ..Message::new(&*turn.role, &*turn.content)
            })
            .collect(),
    }
}
