//! The signals that weights can follow.

use std::fmt;

/// What weights can reward in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// How far it is from the prompt's other responses.
    Diversity,
    /// How unusual the distances between its words are: [`novelty`](crate::novelty).
    Novelty,
    /// How little a language model expected it: its perplexity, given the prompt.
    Surprise,
    /// How good it is: its score.
    Quality,
}

impl Signal {
    /// Every signal, in the order that files and messages keep.
    pub const ALL: [Signal; 4] = [
        Signal::Diversity,
        Signal::Novelty,
        Signal::Surprise,
        Signal::Quality,
    ];

    /// The signal of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str() == name)
    }

    /// The name in files and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Diversity => "diversity",
            Signal::Novelty => "novelty",
            Signal::Surprise => "surprise",
            Signal::Quality => "quality",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
