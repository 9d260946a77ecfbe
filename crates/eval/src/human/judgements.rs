//! One annotator's answers, as the page saves them.

use serde::{Deserialize, Serialize};

/// The file that an annotator saves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgements {
    /// The format version, [`VERSION`](super::VERSION).
    pub version: u32,
    /// The study that was judged.
    pub study: String,
    /// The name that the annotator gave.
    pub annotator: String,
    /// One for each judged item, in the order shown.
    pub answers: Vec<Answer>,
}

/// The answers about one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The item's number.
    pub item: String,
    /// The set that was shown on the left.
    pub left: Choice,
    /// Which set is more diverse; `None` if left open.
    #[serde(default)]
    pub diversity: Option<Choice>,
    /// Which set holds the best writing.
    #[serde(default)]
    pub quality: Option<Choice>,
    /// How long the item was shown.
    #[serde(default)]
    pub seconds: f64,
}

impl Answer {
    /// The answer to a question.
    #[must_use]
    pub fn to(&self, question: Question) -> Option<Choice> {
        match question {
            Question::Diversity => self.diversity,
            Question::Quality => self.quality,
        }
    }
}

/// One of an item's two sets, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The first set of the item, whichever side it was on.
    First,
    /// The second.
    Second,
    /// No difference.
    Tie,
}

/// What is asked about each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Which set is more diverse?
    Diversity,
    /// Which set holds the best writing?
    Quality,
}

impl Question {
    /// Both, in the order in which they are asked.
    pub const ALL: [Self; 2] = [Self::Diversity, Self::Quality];

    /// Its wording.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Diversity => "Which set is more diverse?",
            Self::Quality => "Which set holds the best writing?",
        }
    }
}
