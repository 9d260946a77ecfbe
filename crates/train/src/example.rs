//! Training examples as token ids, and how they are cut to length.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::task::Sample;

/// What is lost of a sequence that is too long, as in TRL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum TruncationMode {
    /// The end is lost.
    #[default]
    KeepStart,
    /// The beginning is lost.
    KeepEnd,
}

/// A pair, or a completion alone, with what the loss needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Leads back to the row it comes from; named when training fails on it.
    pub id: String,
    /// The preferred completion with its prompt, or the only one.
    pub chosen: Sequence,
    /// The other; absent in supervised fine-tuning. Where there is a label: the prompt with a
    /// completion that answers another one.
    pub rejected: Option<Sequence>,
    /// Multiplies the loss.
    pub weight: f32,
    /// Whether the completion is desirable, as KTO needs to know; absent otherwise.
    pub label: Option<bool>,
}

impl Example {
    /// Tokens of both sequences.
    pub fn tokens(&self) -> usize {
        self.sequences().map(|sequence| sequence.ids.len()).sum()
    }

    /// The longer sequence's length: what a batch is padded to.
    pub fn length(&self) -> usize {
        self.sequences()
            .map(|sequence| sequence.ids.len())
            .max()
            .unwrap_or(0)
    }

    /// Tokens that the loss looks at, both sequences together.
    pub fn completion_tokens(&self) -> usize {
        self.sequences().map(Sequence::completion_tokens).sum()
    }

    /// The chosen sequence, then the rejected one if there is one.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        std::iter::once(&self.chosen).chain(&self.rejected)
    }
}

impl Sample for &Example {
    fn id(&self) -> &str {
        &self.id
    }

    fn length(&self) -> usize {
        Example::length(self)
    }

    fn tokens(&self) -> usize {
        Example::tokens(self)
    }
}

/// A text, as a rule a prompt and its completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids of both.
    pub ids: Vec<u32>,
    /// The stretches of `ids` that the loss looks at, in order.
    pub labels: Vec<Range<usize>>,
    /// Whether the chat template writes the prompt otherwise when it is not answered yet:
    /// [`rarebit_models::chat::Encoded::diverges`].
    pub diverges: bool,
}

impl Sequence {
    /// A prompt and its completion; the loss looks at the completion.
    pub fn completion(prompt: &[u32], completion: &[u32]) -> Self {
        let ids = [prompt, completion].concat();
        let end = ids.len();
        Self {
            labels: std::iter::once(prompt.len()..end).collect(),
            ids,
            diverges: false,
        }
    }

    /// Cut to `max_length` tokens.
    pub fn truncated(mut self, max_length: Option<usize>, mode: TruncationMode) -> Self {
        let kept = max_length.unwrap_or(usize::MAX).min(self.ids.len());
        let start = match mode {
            TruncationMode::KeepStart => 0,
            TruncationMode::KeepEnd => self.ids.len() - kept,
        };
        self.ids.truncate(start + kept);
        self.ids.drain(..start);
        let place = |at: usize| at.saturating_sub(start).min(kept);
        for span in &mut self.labels {
            *span = place(span.start)..place(span.end);
        }
        self.labels.retain(|span| !span.is_empty());
        self
    }

    /// How many tokens the loss looks at.
    pub fn completion_tokens(&self) -> usize {
        self.places().count()
    }

    /// The positions whose token is a label. The sequence's very first token is never predicted.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.labels
            .iter()
            .cloned()
            .flatten()
            .filter(|&place| place > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(labels: &[Range<usize>]) -> Sequence {
        Sequence {
            ids: (0..10).collect(),
            labels: labels.to_vec(),
            diverges: false,
        }
    }

    #[test]
    fn either_end_of_a_long_sequence_can_be_kept() {
        for (max, mode, ids, places) in [
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
            assert_eq!(cut.places().collect::<Vec<_>>(), places, "{max:?} {mode:?}");
            assert_eq!(cut.completion_tokens(), places.len());
        }
    }

    #[test]
    fn the_first_token_of_all_is_never_predicted() {
        assert_eq!(Sequence::completion(&[], &[4, 5]).completion_tokens(), 1);
        assert_eq!(Sequence::completion(&[3], &[4, 5]).completion_tokens(), 2);
        assert_eq!(Sequence::completion(&[3], &[]).completion_tokens(), 0);
    }
}
