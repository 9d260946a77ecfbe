//! Training examples as token ids, and their truncation.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::task::Sample;

/// Which end of a sequence is kept when it is too long, as in TRL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum TruncationMode {
    /// The beginning is kept.
    #[default]
    KeepStart,
    /// The end is kept.
    KeepEnd,
}

/// A training example, by what its objective learns from.
#[derive(Debug, Clone, PartialEq)]
pub enum Example {
    /// For supervised fine-tuning.
    Completion(Completion),
    /// For preference objectives.
    Pair(Pair),
    /// For KTO.
    Labelled(Labelled),
}

/// A completion to imitate.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Identifies the row it was read from; named when training fails on it.
    pub id: String,
    /// Multiplies the loss.
    pub weight: f32,
    /// The prompt with the completion.
    pub sequence: Sequence,
}

/// Two completions of one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Identifies the row it was read from; named when training fails on it.
    pub id: String,
    /// Multiplies the loss.
    pub weight: f32,
    /// The prompt with the preferred completion.
    pub chosen: Sequence,
    /// The prompt with the other one.
    pub rejected: Sequence,
}

/// A completion with a binary label.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// Identifies the row it was read from; named when training fails on it.
    pub id: String,
    /// Multiplies the loss.
    pub weight: f32,
    /// The prompt with its completion.
    pub own: Sequence,
    /// The prompt with a completion of another prompt, from which the KL divergence is estimated.
    pub mismatched: Sequence,
    /// The label: whether the completion is desirable.
    pub desirable: bool,
}

impl Example {
    /// Identifies the row it was read from; named when training fails on it.
    pub fn id(&self) -> &str {
        match self {
            Self::Completion(Completion { id, .. })
            | Self::Pair(Pair { id, .. })
            | Self::Labelled(Labelled { id, .. }) => id,
        }
    }

    /// Multiplies the loss.
    pub fn weight(&self) -> f32 {
        match self {
            Self::Completion(Completion { weight, .. })
            | Self::Pair(Pair { weight, .. })
            | Self::Labelled(Labelled { weight, .. }) => *weight,
        }
    }

    /// The weight, to be changed.
    pub fn weight_mut(&mut self) -> &mut f32 {
        match self {
            Self::Completion(Completion { weight, .. })
            | Self::Pair(Pair { weight, .. })
            | Self::Labelled(Labelled { weight, .. }) => weight,
        }
    }

    /// The label, if it has one: whether the completion is desirable.
    pub fn desirable(&self) -> Option<bool> {
        match self {
            Self::Labelled(labelled) => Some(labelled.desirable),
            Self::Completion(_) | Self::Pair(_) => None,
        }
    }

    /// Tokens of all its sequences.
    pub fn tokens(&self) -> usize {
        self.sequences().map(|sequence| sequence.ids.len()).sum()
    }

    /// Length of its longest sequence, to which a batch is padded.
    pub fn length(&self) -> usize {
        self.sequences()
            .map(|sequence| sequence.ids.len())
            .max()
            .unwrap_or(0)
    }

    /// Tokens that the loss is computed on, of all its sequences.
    pub fn completion_tokens(&self) -> usize {
        self.sequences().map(Sequence::completion_tokens).sum()
    }

    /// Its sequences: the only one, chosen and rejected, or own and mismatched.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        std::iter::once(self.first()).chain(self.second())
    }

    /// The completion, the chosen one, or the labelled one.
    pub(crate) fn first(&self) -> &Sequence {
        match self {
            Self::Completion(completion) => &completion.sequence,
            Self::Pair(pair) => &pair.chosen,
            Self::Labelled(labelled) => &labelled.own,
        }
    }

    /// The rejected or the mismatched completion.
    pub(crate) fn second(&self) -> Option<&Sequence> {
        match self {
            Self::Completion(_) => None,
            Self::Pair(pair) => Some(&pair.rejected),
            Self::Labelled(labelled) => Some(&labelled.mismatched),
        }
    }
}

impl Sample for &Example {
    fn id(&self) -> &str {
        Example::id(self)
    }

    fn length(&self) -> usize {
        Example::length(self)
    }

    fn tokens(&self) -> usize {
        Example::tokens(self)
    }
}

/// Token ids, as a rule a prompt followed by its completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The token ids.
    pub ids: Vec<u32>,
    /// The spans of `ids` that the loss is computed on, in order.
    pub loss_spans: Vec<Range<usize>>,
    /// Whether the chat template renders the prompt differently when no completion follows:
    /// [`rarebit_models::chat::Encoded::diverges`].
    pub diverges: bool,
}

impl Sequence {
    /// A prompt and its completion; the loss is computed on the completion.
    pub fn completion(prompt: &[u32], completion: &[u32]) -> Self {
        let ids = [prompt, completion].concat();
        let end = ids.len();
        Self {
            loss_spans: std::iter::once(prompt.len()..end).collect(),
            ids,
            diverges: false,
        }
    }

    /// Truncated to `max_length` tokens.
    pub fn truncated(mut self, max_length: Option<usize>, mode: TruncationMode) -> Self {
        let kept = max_length.unwrap_or(usize::MAX).min(self.ids.len());
        let start = match mode {
            TruncationMode::KeepStart => 0,
            TruncationMode::KeepEnd => self.ids.len() - kept,
        };
        self.ids.truncate(start + kept);
        self.ids.drain(..start);
        let moved = |position: usize| position.saturating_sub(start).min(kept);
        for span in &mut self.loss_spans {
            *span = moved(span.start)..moved(span.end);
        }
        self.loss_spans.retain(|span| !span.is_empty());
        self
    }

    /// Number of tokens that the loss is computed on.
    pub fn completion_tokens(&self) -> usize {
        self.target_positions().count()
    }

    /// Positions of the tokens that the loss is computed on. The very first token of a sequence is
    /// never predicted.
    pub(crate) fn target_positions(&self) -> impl Iterator<Item = usize> {
        self.loss_spans
            .iter()
            .cloned()
            .flatten()
            .filter(|&position| position > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(loss_spans: &[Range<usize>]) -> Sequence {
        Sequence {
            ids: (0..10).collect(),
            loss_spans: loss_spans.to_vec(),
            diverges: false,
        }
    }

    #[test]
    fn either_end_of_a_long_sequence_can_be_kept() {
        for (max, mode, ids, positions) in [
            (None, TruncationMode::KeepStart, 0..10, vec![2, 3, 7, 8, 9]),
            (
                Some(20),
                TruncationMode::KeepEnd,
                0..10,
                vec![2, 3, 7, 8, 9],
            ),
            (Some(8), TruncationMode::KeepStart, 0..8, vec![2, 3, 7]),
            (Some(2), TruncationMode::KeepStart, 0..2, vec![]),
            (Some(7), TruncationMode::KeepEnd, 3..10, vec![4, 5, 6]),
            (Some(2), TruncationMode::KeepEnd, 8..10, vec![1]),
            (Some(0), TruncationMode::KeepEnd, 10..10, vec![]),
        ] {
            let cut = sequence(&[2..4, 7..10]).truncated(max, mode);
            assert_eq!(cut.ids, ids.collect::<Vec<u32>>(), "{max:?} {mode:?}");
            assert_eq!(
                cut.target_positions().collect::<Vec<_>>(),
                positions,
                "{max:?} {mode:?}"
            );
            assert_eq!(cut.completion_tokens(), positions.len());
        }
    }

    #[test]
    fn the_very_first_token_is_never_predicted() {
        assert_eq!(Sequence::completion(&[], &[4, 5]).completion_tokens(), 1);
        assert_eq!(Sequence::completion(&[3], &[4, 5]).completion_tokens(), 2);
        assert_eq!(Sequence::completion(&[3], &[]).completion_tokens(), 0);
    }
}
