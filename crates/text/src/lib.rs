//! Prompts and responses: plain text, or the turns of a conversation.
//!
//! # Example
//! ```
//! use rarebit_text::{Message, Text};
//!
//! let prompt = Text::from("Tell me a story.");
//! assert_eq!(prompt.into_turns("user"), [Message::new("user", "Tell me a story.")]);
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, or any other role that the chat template knows.
    pub role: String,
    /// The text of the turn.
    pub content: String,
    /// Who speaks, for chat templates that tell participants apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            name: None,
        }
    }
}

/// A prompt or a response: in JSON, a string or a list of messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// Plain text.
    Plain(String),
    /// The turns of a conversation.
    Chat(Vec<Message>),
}

impl Text {
    /// Whether it is a conversation.
    pub fn is_chat(&self) -> bool {
        matches!(self, Self::Chat(_))
    }

    /// The text as one string, for embedders and for people. A single message becomes its content;
    /// several messages are each preceded by their role.
    pub fn flat(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Chat(messages) => flat(messages),
        }
    }

    /// The turns of the text. Plain text becomes one turn of `role`.
    pub fn into_turns(self, role: &str) -> Vec<Message> {
        match self {
            Self::Plain(text) => vec![Message::new(role, text)],
            Self::Chat(messages) => messages,
        }
    }
}

/// [`Text::flat`] of a list of messages.
pub fn flat(messages: &[Message]) -> Cow<'_, str> {
    match messages {
        [message] => Cow::Borrowed(&message.content),
        _ => {
            let turns: Vec<String> = messages
                .iter()
                .map(|message| format!("{}: {}", message.role, message.content))
                .collect();
            Cow::Owned(turns.join("\n\n"))
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.flat())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_a_string_or_a_list_of_messages() {
        let chat = Text::Chat(vec![Message::new("user", "Sky?")]);
        for (text, json) in [
            (Text::from("Sky?"), r#""Sky?""#),
            (chat, r#"[{"role":"user","content":"Sky?"}]"#),
        ] {
            assert_eq!(serde_json::to_string(&text).unwrap(), json);
            assert_eq!(serde_json::from_str::<Text>(json).unwrap(), text);
            assert_eq!(text.to_string(), "Sky?");
        }
    }

    #[test]
    fn several_turns_are_told_apart_in_one_text() {
        let turns = vec![
            Message::new("system", "Be brief."),
            Message::new("user", "Sky?"),
        ];
        assert_eq!(Text::Chat(turns).flat(), "system: Be brief.\n\nuser: Sky?");
    }
}
