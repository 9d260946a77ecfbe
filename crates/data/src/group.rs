//! The unit of everything here: the responses to one prompt.

use serde::{Deserialize, Serialize};

/// The responses to one prompt, as the source gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The source's own `prompt_id`, or the file's stem and the row: `stories:17`.
    pub id: String,
    /// What the responses answer.
    pub prompt: String,
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
    /// The text.
    pub text: String,
    /// Its score, where the source has one; always finite.
    pub score: Option<f64>,
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
