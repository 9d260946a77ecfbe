//! The unit of all steps: the responses to one prompt.

use serde::{Deserialize, Serialize};

use rarebit_text::{Message, Text};

/// The responses to one prompt, as the source gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The source's own `prompt_id`, or the file's stem and the row: `stories:17`.
    pub id: String,
    /// What the responses answer.
    pub prompt: Text,
    /// The responses, in the order of the source.
    pub responses: Vec<Response>,
    /// Pairs that the source itself gives; `None` where pairs are still to be drawn.
    pub pairs: Option<Vec<Pair>>,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Leads back to the source: the position in the row's list for grouped rows; the row's
    /// `response_id` or `sample` or else its line for flat rows; for preference rows twice the
    /// line, plus one when rejected.
    pub id: u32,
    /// The text. What is embedded and compared, also where there are `turns`.
    pub text: String,
    /// Its score, where the source has one; always finite.
    pub score: Option<f64>,
    /// Its perplexity given the prompt, from the source or from a language model; always finite.
    pub surprise: Option<f64>,
    /// The messages of a response of more than a single assistant turn; otherwise empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Message>,
    /// A weight that the source itself gives, 0 or more.
    pub weight: Option<f64>,
    /// Whether the source calls it desirable, in TRL's rows for KTO.
    pub label: Option<Label>,
    /// Why the model stopped, in samples of `rarebit generate` or of an API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}

impl Response {
    /// A response as its source gives it.
    pub fn new(id: u32, text: Text, score: Option<f64>) -> Self {
        let flat = text.flat().into_owned();
        let turns = match text {
            Text::Chat(messages) if !is_single_answer(&messages) => messages,
            _ => Vec::new(),
        };
        Self {
            id,
            text: flat,
            score,
            surprise: None,
            turns,
            weight: None,
            label: None,
            finish_reason: None,
        }
    }

    /// The response in the form of `prompt`: turns beside a conversation, plain text beside plain
    /// text.
    pub fn beside(&self, prompt: &Text) -> Text {
        if !self.turns.is_empty() {
            Text::Chat(self.turns.clone())
        } else if prompt.is_chat() {
            Text::Chat(vec![Message::new("assistant", &*self.text)])
        } else {
            Text::Plain(self.text.clone())
        }
    }
}

/// What a source says about whether a completion is desirable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// It is.
    Desirable,
    /// It is not.
    Undesirable,
    /// Something that is not a label, as an error message shows it.
    Unknown(String),
}

/// Why a response is not an answer to its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unanswered {
    /// It has no text, or only blanks.
    Empty,
    /// Its finish reason is an error.
    Error,
    /// Its finish reason is a content filter.
    ContentFilter,
    /// Its finish reason is a refusal.
    Refusal,
}

impl Unanswered {
    /// The name under which it is counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Error => "error",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
        }
    }
}

impl Response {
    /// Why this is not an answer, judged by its finish reason and, failing that, its text.
    pub fn unanswered(&self) -> Option<Unanswered> {
        let reason = self.finish_reason.as_deref().unwrap_or_default();
        match &*reason.to_lowercase() {
            "error" => Some(Unanswered::Error),
            "content_filter" | "safety" | "prohibited_content" | "blocklist" | "recitation" => {
                Some(Unanswered::ContentFilter)
            }
            "refusal" => Some(Unanswered::Refusal),
            _ if self.text.trim().is_empty() => Some(Unanswered::Empty),
            _ => None,
        }
    }
}

fn is_single_answer(messages: &[Message]) -> bool {
    matches!(messages, [message] if message.role == "assistant")
}

/// Two responses of one group, by [`Response::id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// The preferred response.
    pub chosen: u32,
    /// The other.
    pub rejected: u32,
}

impl Group {
    /// The response with this id.
    pub fn response(&self, id: u32) -> Option<&Response> {
        self.responses.iter().find(|response| response.id == id)
    }
}
