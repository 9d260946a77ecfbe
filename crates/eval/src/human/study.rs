//! What annotators see, and its key.

use serde::{Deserialize, Serialize};

/// The format version of keys, judgements and results.
pub const VERSION: u32 = 1;

/// A study: the items as shown and, apart from them, which system is where.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Its identity: a hash of the items.
    pub study: String,
    /// The items.
    pub items: Vec<Item>,
    /// Which system is which.
    pub key: Key,
}

/// One prompt and two sets of responses. Nothing in it identifies a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its number on the page.
    pub id: String,
    /// What was asked.
    pub prompt: String,
    /// The first and the second set.
    pub sets: [Vec<Text>; 2],
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// All of it.
    pub text: String,
    /// A summary to read instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// The key of a study: only with it can sets be attributed to systems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The format version, [`VERSION`].
    pub version: u32,
    /// The study it belongs to.
    pub study: String,
    /// The seed that drew it.
    pub seed: u64,
    /// The system that the others are compared with.
    pub baseline: String,
    /// Each item of the page.
    pub items: Vec<KeyItem>,
}

/// What an item holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyItem {
    /// The item's number on the page.
    pub id: String,
    /// The prompt's id in the files of samples.
    pub prompt_id: String,
    /// The first and the second set.
    pub sets: [KeySet; 2],
}

/// The system whose responses a set holds, and which ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The system.
    pub system: String,
    /// Their indices among the system's responses to the prompt, in the order shown.
    pub responses: Vec<usize>,
}
