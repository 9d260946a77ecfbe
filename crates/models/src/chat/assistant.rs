//! Tokenization of whole conversations, with the spans that the assistant wrote.

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
    /// Spans of `ids` that the assistant wrote, in order.
    pub assistant: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// Token ids of a conversation, and the spans that the assistant wrote. If the template has `{%
    /// generation %}` tags, these are the spans that it marks, as in transformers'
    /// `return_assistant_tokens_mask`. Otherwise they are what each of the assistant's turns adds
    /// to the previous turns, up to its end-of-turn token.
    ///
    /// # Errors
    /// If the template or the tokenizer fails, or a template without tags renders a turn
    /// differently when more turns follow.
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
            // An added end-of-turn token belongs to the turn that it ends.
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
                "its {% generation %} tags change the output: \
                 put them inside the loop over the messages, around the assistant's text"
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
                    "the assistant's text cannot be found in a conversation that starts with it: \
                     mark it in the template with {% generation %} and {% endgeneration %}"
                        .to_owned(),
                ));
            }
            let before = self.render(&messages[..i], true)?;
            let after = self.render(&messages[..=i], false)?;
            if !(after.starts_with(&before) && whole.starts_with(&after)) {
                return Err(self.refused(format!(
                    "renders turn {} differently when more turns follow, so the assistant's tokens cannot be found; \
                     mark them in the template with {{% generation %}} and {{% endgeneration %}}",
                    i + 1
                )));
            }
            spans.push(before.len()..after.len());
        }
        Ok(spans)
    }
}
