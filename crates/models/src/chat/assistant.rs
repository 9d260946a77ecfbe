//! Whole conversations, and which of their tokens the assistant wrote.

use std::ops::Range;

use super::encode::end_turn;
use super::{ChatTemplate, Message};
use crate::error::ModelError;
use crate::jinja::{sentinels, split_sentinels};
use crate::tokenizer::Tokenizer;

/// A conversation as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// All turns.
    pub ids: Vec<u32>,
    /// The spans of `ids` that are the assistant's, in order.
    pub assistant: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// Token ids of a conversation, and which of them are the assistant's: those that the template
    /// marks by `{% generation %}`, as transformers' `return_assistant_tokens_mask` tells them; in
    /// a template without marks, what each of the assistant's turns adds to the turns before it,
    /// up to its end-of-turn token.
    ///
    /// # Errors
    /// When the template or the tokenizer fails, or a template without marks writes a turn
    /// otherwise when more turns follow.
    pub fn encode_conversation(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
    ) -> Result<Conversation, ModelError> {
        let whole = self.render(messages, false)?;
        let marked = self.has_generation_spans();
        let spans = match marked {
            true => self.marked(messages, &whole)?,
            false => self.by_prefix(messages, &whole)?,
        };
        let (mut ids, mut assistant) = tokenizer.encode_spans(&whole, &spans)?;
        if !marked {
            for span in &mut assistant {
                let tokens = &ids[span.clone()];
                let end = tokens.iter().rposition(|id| tokenizer.eos.contains(id));
                if let Some(end) = end
                    && tokenizer.is_blank(&tokens[end + 1..])?
                {
                    span.end = span.start + end + 1;
                }
            }
        }
        let written = ids.len();
        end_turn(tokenizer, &mut ids)?;
        for span in &mut assistant {
            span.end = span.end.min(ids.len());
        }
        let is_answered = messages.last().is_some_and(|last| last.role == "assistant");
        if is_answered && !assistant.is_empty() {
            // An end of turn that was added belongs to the turn that it ends.
            assistant.push(written.min(ids.len())..ids.len());
        }
        assistant.retain(|span| !span.is_empty());
        Ok(Conversation { ids, assistant })
    }

    fn marked(&self, messages: &[Message], whole: &str) -> Result<Vec<Range<usize>>, ModelError> {
        let shown = self.render_with(messages, false, sentinels())?;
        match split_sentinels(&shown) {
            Some((text, spans)) if text == whole => Ok(spans),
            _ => Err(self.refused(
                "its {% generation %} marks stand where they change what is written: \
                 put them into the loop over the messages, around what the assistant says"
                    .to_owned(),
            )),
        }
    }

    fn by_prefix(
        &self,
        messages: &[Message],
        whole: &str,
    ) -> Result<Vec<Range<usize>>, ModelError> {
        let mut spans = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            if message.role != "assistant" {
                continue;
            }
            if i == 0 {
                return Err(self.refused(
                    "cannot tell what is the assistant's in a conversation that it begins: \
                     mark it in the template by {% generation %} and {% endgeneration %}"
                        .to_owned(),
                ));
            }
            let before = self.render(&messages[..i], true)?;
            let after = self.render(&messages[..=i], false)?;
            if !(after.starts_with(&before) && whole.starts_with(&after)) {
                return Err(self.refused(format!(
                    "writes turn {} otherwise when more turns follow, so that the assistant's tokens cannot be told; \
                     mark them in the template by {{% generation %}} and {{% endgeneration %}}",
                    i + 1
                )));
            }
            spans.push(before.len()..after.len());
        }
        Ok(spans)
    }
}
