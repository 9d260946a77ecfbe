//! From texts to the token ids of training examples.

use rarebit_models::ModelError;
use rarebit_models::chat::{ChatTemplate, Text};
use rarebit_models::tokenizer::Tokenizer;

use crate::example::{Sequence, TruncationMode};

/// Turns prompts and completions into sequences of token ids.
#[derive(Debug)]
pub struct ExampleTokenizer<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The model's chat template.
    pub template: &'a ChatTemplate,
    /// Maximum sequence length.
    pub max_length: Option<usize>,
    /// Which end of longer sequences is kept.
    pub truncation_mode: TruncationMode,
}

/// Which tokens supervised fine-tuning computes the loss on, under TRL's names; with both set, the
/// intersection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SftTokens {
    /// Only the completion's; otherwise all.
    pub completion_only_loss: bool,
    /// Only the assistant's, in every turn of a conversation.
    pub assistant_only_loss: bool,
}

impl ExampleTokenizer<'_> {
    /// Both completions of a pair, each with the prompt.
    ///
    /// # Errors
    /// When the template or the tokenizer fails, or the texts are conversations and the model has
    /// no chat template.
    pub fn pair(
        &self,
        prompt: &Text,
        chosen: &Text,
        rejected: &Text,
    ) -> Result<[Sequence; 2], ModelError> {
        let mut sides = [self.encode(prompt, chosen)?, self.encode(prompt, rejected)?];
        // Where the template renders the prompt differently once a completion follows, both
        // completions start where the first of them diverges from the prompt, as in TRL.
        let start = sides.iter().map(completion_start).min().unwrap_or(0);
        for side in &mut sides {
            side.loss_spans = std::iter::once(start..side.ids.len()).collect();
        }
        Ok(sides.map(|side| self.cut(side)))
    }

    /// A prompt and its completion, or a conversation split before its last turn.
    ///
    /// # Errors
    /// As for [`Self::pair`], and when the loss is restricted to the assistant's tokens and the
    /// template does not mark them.
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
                sequence.loss_spans = std::iter::once(0..sequence.ids.len()).collect();
            }
            sequence
        };
        Ok(self.cut(sequence))
    }

    fn encode(&self, prompt: &Text, completion: &Text) -> Result<Sequence, ModelError> {
        let encoded = self.template.encode(self.tokenizer, prompt, completion)?;
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
        let mut turns = prompt.clone().into_turns("user");
        turns.extend(completion.clone().into_turns("assistant"));
        let conversation = self.template.encode_conversation(self.tokenizer, &turns)?;
        let (start, diverges) = match completion_only {
            true => {
                let alone = self.template.encode_before_turn(self.tokenizer, prompt)?;
                let both = alone.iter().zip(&conversation.ids);
                let shared = both.take_while(|(a, b)| a == b).count();
                (shared, shared < alone.len())
            }
            false => (0, false),
        };
        let loss_spans: Vec<_> = conversation
            .assistant
            .into_iter()
            .map(|span| span.start.max(start)..span.end)
            .filter(|span| !span.is_empty())
            .collect();
        if loss_spans.is_empty() {
            return Err(ModelError::Prompt {
                reason: "assistant_only_loss leaves no token to learn from: the chat template marks none as the \
                         assistant's; check its {% generation %} block"
                    .to_owned(),
            });
        }
        Ok(Sequence {
            ids: conversation.ids,
            loss_spans,
            diverges,
        })
    }

    fn cut(&self, sequence: Sequence) -> Sequence {
        sequence.truncated(self.max_length, self.truncation_mode)
    }
}

fn completion_start(sequence: &Sequence) -> usize {
    sequence
        .loss_spans
        .first()
        .map_or(sequence.ids.len(), |span| span.start)
}
