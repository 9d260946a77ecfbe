//! Whether rewards order the responses of a prompt as their scores do.

use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::judged::Judged;

/// The pairs of one prompt's responses, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Pairs of different scores whose rewards are in the same order.
    pub right: u64,
    /// Pairs of different scores whose rewards are in the opposite order.
    pub wrong: u64,
    /// Pairs of different scores and equal rewards.
    pub tied_rewards: u64,
    /// Pairs of equal scores, which say nothing about the model and are not counted above.
    pub tied_scores: u64,
}

impl PairCounts {
    /// The share of pairs of different scores that are in the right order. Equal rewards count half,
    /// as a coin toss would.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let all = self.right + self.wrong + self.tied_rewards;
        (all > 0).then(|| (self.right as f64 + 0.5 * self.tied_rewards as f64) / all as f64)
    }
}

impl Add for PairCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            wrong: self.wrong + other.wrong,
            tied_rewards: self.tied_rewards + other.tied_rewards,
            tied_scores: self.tied_scores + other.tied_scores,
        }
    }
}

/// Counts the pairs of one prompt's responses.
#[must_use]
pub fn pair_counts(responses: &[Judged]) -> PairCounts {
    let mut counts = PairCounts::default();
    for (i, one) in responses.iter().enumerate() {
        for other in &responses[i + 1..] {
            let (score, reward) = (one.score - other.score, one.reward - other.reward);
            let counted = if score == 0.0 {
                &mut counts.tied_scores
            } else if reward == 0.0 {
                &mut counts.tied_rewards
            } else if (score > 0.0) == (reward > 0.0) {
                &mut counts.right
            } else {
                &mut counts.wrong
            };
            *counted += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_told_apart() {
        let judged = |reward, score| Judged { reward, score };
        let found = pair_counts(&[
            judged(0.5, 3.0),
            judged(0.5, 1.0),
            judged(0.1, 1.0),
            judged(0.9, 2.0),
        ]);
        let expected = PairCounts {
            right: 3,
            wrong: 1,
            tied_rewards: 1,
            tied_scores: 1,
        };
        assert_eq!(found, expected);
        assert_eq!(found.accuracy(), Some(0.7));
        assert_eq!(pair_counts(&[judged(0.0, 1.0)]).accuracy(), None);
    }
}
