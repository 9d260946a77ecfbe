//! Step 0: which prompts are held out.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::rng;

/// The side of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// Held out for evaluation.
    Test,
}

impl Split {
    /// Both, in the order of files and tables.
    pub const ALL: [Split; 2] = [Split::Train, Split::Test];

    /// The name of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The side of a prompt, from its text and the seed alone: a prompt that occurs twice, or in
/// another file, falls on the same side.
pub fn split(prompt: &str, seed: u64, test_size: f64) -> Split {
    if rng(seed, "split", "", prompt).random::<f64>() < test_size {
        Split::Test
    } else {
        Split::Train
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_held_out_is_the_share_asked_for() {
        let held_out = |seed| {
            (0..10_000)
                .filter(|i| split(&format!("prompt {i}"), seed, 0.1) == Split::Test)
                .count()
        };
        for seed in [0, 1, 42] {
            assert!((850..1150).contains(&held_out(seed)), "{}", held_out(seed));
        }
    }

    #[test]
    fn the_ends_hold_out_nothing_and_everything() {
        assert_eq!(split("p", 1, 0.0), Split::Train);
        assert_eq!(split("p", 1, 1.0), Split::Test);
    }
}
