//! Tokenization of prompts and completions.

use std::borrow::Cow;

use super::{ChatTemplate, Message, Turns};
use crate::error::ModelError;
use crate::tokenizer::Tokenizer;

/// A prompt and a completion as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The prompt, including what the template adds before the completion.
    pub prompt: Vec<u32>,
    /// The completion, with its end-of-turn token.
    pub completion: Vec<u32>,
    /// Whether the template renders the prompt differently when a completion follows. The
    /// completion then starts where the two differ, and the model is not trained on the prompt that
    /// it gets in generation.
    pub diverges: bool,
}

impl ChatTemplate {
    /// Token ids of a prompt, ready for a completion to follow. A conversation that ends in the
    /// assistant's turn is continued within that turn.
    ///
    /// # Errors
    /// If the template or the tokenizer fails, or there is no template for a conversation.
    pub fn encode_prompt<'a>(
        &self,
        tokenizer: &Tokenizer,
        prompt: impl Into<Turns<'a>>,
    ) -> Result<Vec<u32>, ModelError> {
        let prompt = prompt.into();
        if self.is_conversational() {
            // The template adds the special tokens itself.
            tokenizer.encode(&self.render_prompt(&turns(prompt, "user"))?, false)
        } else {
            tokenizer.encode_open(self.plain(prompt, "user")?, true)
        }
    }

    /// Token ids of a prompt before a completion that is a turn of its own, whoever has the last
    /// turn of the prompt. This is where [`Self::encode`] ends the prompt, like TRL's trainers.
    ///
    /// # Errors
    /// As for [`Self::encode_prompt`].
    pub fn encode_before_turn<'a>(
        &self,
        tokenizer: &Tokenizer,
        prompt: impl Into<Turns<'a>>,
    ) -> Result<Vec<u32>, ModelError> {
        let prompt = prompt.into();
        match self.is_conversational() {
            true => tokenizer.encode(&self.render(&turns(prompt, "user"), true)?, false),
            false => self.encode_prompt(tokenizer, prompt),
        }
    }

    /// Token ids of a prompt and its completion, split where the completion begins.
    ///
    /// With a template, the completion is what the template adds to the prompt for the following
    /// turns; without one, it is the plain text and the end-of-text token. In both cases the ids
    /// are those of the whole text, unless a token would cross the boundary.
    ///
    /// # Errors
    /// If the template or the tokenizer fails, there is no template for a conversation, or the
    /// output with the completion does not start with any of the prompt.
    pub fn encode<'a, 'b>(
        &self,
        tokenizer: &Tokenizer,
        prompt: impl Into<Turns<'a>>,
        completion: impl Into<Turns<'b>>,
    ) -> Result<Encoded, ModelError> {
        let (prompt, completion) = (prompt.into(), completion.into());
        if self.is_conversational() {
            self.encode_chat(
                tokenizer,
                &turns(prompt, "user"),
                &turns(completion, "assistant"),
            )
        } else {
            let prompt = self.plain(prompt, "user")?;
            let completion = self.plain(completion, "assistant")?;
            let ids = tokenizer.encode_open(prompt, true)?;
            let mut added = tokenizer.continuation(prompt, &ids, completion, true)?;
            if added
                .last()
                .is_none_or(|last| !tokenizer.eos.contains(last))
            {
                added.extend(tokenizer.eos.first());
            }
            Ok(Encoded {
                prompt: ids,
                completion: added,
                diverges: false,
            })
        }
    }

    fn encode_chat(
        &self,
        tokenizer: &Tokenizer,
        prompt: &[Message],
        completion: &[Message],
    ) -> Result<Encoded, ModelError> {
        let before = self.render(prompt, true)?;
        let whole = self.render(&[prompt, completion].concat(), false)?;
        let mut prompt = tokenizer.encode(&before, false)?;
        let (mut completion, diverges) = match whole.strip_prefix(&before) {
            Some(added) => (
                tokenizer.continuation(&before, &prompt, added, false)?,
                false,
            ),
            None => {
                // Like TRL: some templates render the generation prompt differently from an answer.
                let mut ids = tokenizer.encode(&whole, false)?;
                let shared = common_prefix(&prompt, &ids);
                if shared == 0 {
                    return Err(self.refused(
                        "does not start with the prompt when the assistant's turn is added"
                            .to_owned(),
                    ));
                }
                prompt.truncate(shared);
                (ids.split_off(shared), true)
            }
        };
        end_turn(tokenizer, &mut completion)?;
        Ok(Encoded {
            prompt,
            completion,
            diverges,
        })
    }

    /// The text for a model without a template; a single turn is a text as well.
    fn plain<'a>(&self, turns: Turns<'a>, role: &str) -> Result<&'a str, ModelError> {
        match turns {
            Turns::Plain(text) => Ok(text),
            Turns::Chat([message]) if message.role == role => Ok(&message.content),
            Turns::Chat(_) => Err(self.refused(
                "is missing: a conversation of several turns needs a model with a chat template"
                    .to_owned(),
            )),
        }
    }
}

/// The turns for a template.
fn turns<'a>(turns: Turns<'a>, role: &str) -> Cow<'a, [Message]> {
    match turns {
        Turns::Plain(text) => Cow::Owned(vec![Message::new(role, text)]),
        Turns::Chat(messages) => Cow::Borrowed(messages),
    }
}

/// Ends a conversation with the assistant's end-of-turn token.
///
/// What templates add after the last end-of-turn token, often a line break, is never generated and
/// must not be learned. If a template adds no such token, one is appended, so that the model learns
/// to stop.
pub(super) fn end_turn(tokenizer: &Tokenizer, ids: &mut Vec<u32>) -> Result<(), ModelError> {
    match ids.iter().rposition(|id| tokenizer.eos.contains(id)) {
        Some(end) if tokenizer.is_blank(&ids[end + 1..])? => ids.truncate(end + 1),
        Some(_) => {}
        None => ids.extend(tokenizer.eos.first()),
    }
    Ok(())
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
