//! Prompts that end in the assistant's turn, which the model continues.

use super::{ChatTemplate, Message};
use crate::error::ModelError;

/// Marks the end of the text to continue. transformers uses this tag, and templates can look at the
/// text, so it is the same here. Its last character shows whether a template trims the text.
const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

impl ChatTemplate {
    /// Renders a prompt to sample from: with the generation prompt for a new turn, or without it and
    /// up to the end of the last message if that is the assistant's, like TRL.
    ///
    /// # Errors
    /// As for [`Self::render`] and [`Self::render_continued`].
    pub fn render_prompt(&self, messages: &[Message]) -> Result<String, ModelError> {
        match messages.last() {
            Some(last) if last.role == "assistant" => self.render_continued(messages),
            _ => self.render(messages, true),
        }
    }

    /// Renders a conversation up to the end of the text of its last message, like transformers with
    /// `continue_final_message`. White space at the end of that text is kept if the template keeps
    /// it.
    ///
    /// # Errors
    /// As for [`Self::render`], and if the output does not contain the last message's text as it is.
    pub fn render_continued(&self, messages: &[Message]) -> Result<String, ModelError> {
        let mut tagged = messages.to_vec();
        let mut text = "";
        if let (Some(last), Some(end)) = (messages.last(), tagged.last_mut()) {
            text = last.content.trim();
            end.content.push_str(TAG);
        }
        let mut rendered = self.render(&tagged, false)?;
        let end = rendered
            .rfind(TAG.trim_end())
            .filter(|_| rendered.contains(text))
            // A template that never names the text writes whole messages, in a notation of its own.
            .filter(|_| self.source().is_some_and(|it| it.contains("content")));
        let Some(end) = end else {
            return Err(self.refused(
                "does not render the text of the last message as it is, so the text cannot be \
                 continued; let the prompt end in a turn of the user"
                    .to_owned(),
            ));
        };
        let is_kept = rendered[end..].starts_with(TAG);
        rendered.truncate(end);
        if !is_kept {
            rendered.truncate(rendered.trim_end().len());
        }
        Ok(rendered)
    }
}
