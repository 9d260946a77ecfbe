//! Prompts and completions as token ids.

use std::borrow::Cow;

use super::{ChatTemplate, Message, Turns};
use crate::error::ModelError;
use crate::tokenizer::Tokenizer;

/// A prompt and a completion as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The prompt, with whatever the template puts before the completion.
    pub prompt: Vec<u32>,
    /// The completion, with its end-of-turn token.
    pub completion: Vec<u32>,
    /// Whether the template writes the prompt otherwise once a completion follows, so that the
    /// completion begins where both part, and the model is not trained on the prompt that it will
    /// be asked.
    pub diverges: bool,
}

impl ChatTemplate {
    /// Token ids of a prompt, ready for a completion to follow.
    ///
    /// # Errors
    /// When the template or the tokenizer fails, or there is no template for a conversation.
    pub fn encode_prompt<'a>(
        &self,
        tokenizer: &Tokenizer,
        prompt: impl Into<Turns<'a>>,
    ) -> Result<Vec<u32>, ModelError> {
        let prompt = prompt.into();
        if self.is_conversational() {
            // The template writes the special tokens itself.
            tokenizer.encode(&self.render(&turns(prompt, "user"), true)?, false)
        } else {
            tokenizer.encode_open(self.plain(prompt, "user")?, true)
        }
    }

    /// Token ids of a prompt and its completion, split where the completion begins.
    ///
    /// With a template, the completion is what the template adds to the prompt for the turns that
    /// follow; without one, it is the plain text and the end-of-text token. In both cases the
    /// ids are those of the whole text, except where a token would reach across the split.
    ///
    /// # Errors
    /// When the template or the tokenizer fails, there is no template for a conversation, or the
    /// template does not continue the prompt at all.
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
                // As TRL does: some templates open an answer otherwise than they write it.
                let mut ids = tokenizer.encode(&whole, false)?;
                let shared = common_prefix(&prompt, &ids);
                if shared == 0 {
                    return Err(self.refused(
                        "does not continue the prompt it opened when the assistant's turn is added"
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

    /// Text for a model without a template, which one turn of a conversation can be, too.
    fn plain<'a>(&self, turns: Turns<'a>, role: &str) -> Result<&'a str, ModelError> {
        match turns {
            Turns::Plain(text) => Ok(text),
            Turns::Chat([message]) if message.role == role => Ok(&message.content),
            Turns::Chat(_) => Err(self.refused(
                "is absent: a conversation of several turns needs a model with a chat template"
                    .to_owned(),
            )),
        }
    }
}

/// Turns for a template.
fn turns<'a>(turns: Turns<'a>, role: &str) -> Cow<'a, [Message]> {
    match turns {
        Turns::Plain(text) => Cow::Owned(vec![Message::new(role, text)]),
        Turns::Chat(messages) => Cow::Borrowed(messages),
    }
}

/// Lets a conversation end where the assistant's turn does.
///
/// What templates write after the last end-of-turn token, often a line break, is never generated,
/// so it is not learned; a template that writes no such token gets one, so that stopping is.
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
