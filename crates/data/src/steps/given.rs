//! Pairs that the source gives: whether they express a preference, and whether scores agree.

use serde::{Deserialize, Serialize};

use crate::group::Group;

/// What becomes of a given pair whose chosen response has the lower score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contradicting {
    /// It stays: preferences and scores may come from different judges.
    #[default]
    Keep,
    /// It is dropped.
    Drop,
    /// Its sides change places.
    Swap,
}

/// Given pairs by what is odd about them. Equal texts are dropped; the others are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PairCounts {
    /// In the source.
    pub given: u64,
    /// Whose two texts are equal, so that nothing is preferred: dropped.
    pub equal: u64,
    /// Whose scores are equal.
    pub tied: u64,
    /// Whose chosen response has the lower score.
    pub contradicting: u64,
}

/// What is odd about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    Equal,
    Tied,
    Contradicting,
}

impl PairCounts {
    /// Counts a pair by its texts and its scores, the chosen one's first.
    pub(crate) fn count(&mut self, is_equal: bool, scores: Option<(f64, f64)>) -> Option<Oddity> {
        self.given += 1;
        let oddity = match scores {
            _ if is_equal => Oddity::Equal,
            Some((chosen, rejected)) if chosen < rejected => Oddity::Contradicting,
            Some((chosen, rejected)) if chosen == rejected => Oddity::Tied,
            _ => return None,
        };
        *match oddity {
            Oddity::Equal => &mut self.equal,
            Oddity::Tied => &mut self.tied,
            Oddity::Contradicting => &mut self.contradicting,
        } += 1;
        Some(oddity)
    }

    /// What is odd, in words; `None` where nothing is.
    pub fn note(&self) -> Option<String> {
        let parts = [
            (self.equal, "with equal texts dropped"),
            (
                self.contradicting,
                "whose chosen response has the lower score",
            ),
            (self.tied, "whose scores are equal"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!parts.is_empty()).then(|| format!("of {} pairs: {}", self.given, parts.join(", ")))
    }
}

/// Counts the pairs of a group and drops those that express no preference.
pub fn check_given(group: &mut Group, contradicting: Contradicting, counts: &mut PairCounts) {
    let Some(pairs) = group.pairs.take() else {
        return;
    };
    let kept = pairs.into_iter().filter_map(|mut pair| {
        let (chosen, rejected) = (group.response(pair.chosen)?, group.response(pair.rejected)?);
        let is_equal = chosen.text == rejected.text;
        match counts.count(is_equal, chosen.score.zip(rejected.score)) {
            Some(Oddity::Equal) => return None,
            Some(Oddity::Contradicting) => match contradicting {
                Contradicting::Keep => {}
                Contradicting::Drop => return None,
                Contradicting::Swap => std::mem::swap(&mut pair.chosen, &mut pair.rejected),
            },
            Some(Oddity::Tied) | None => {}
        }
        Some(pair)
    });
    group.pairs = Some(kept.collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Pair, Response};

    fn group() -> Group {
        let texts = [("a", 3.0), ("b", 50.0), ("b", 1.0), ("c", 3.0)];
        let responses = (0..).zip(texts);
        Group {
            id: "g:1".to_owned(),
            prompt: "p".into(),
            responses: responses
                .map(|(id, (text, score))| Response::new(id, text.into(), Some(score)))
                .collect(),
            pairs: Some(
                [(0, 1), (1, 2), (0, 3), (1, 0)]
                    .map(|(chosen, rejected)| Pair { chosen, rejected })
                    .to_vec(),
            ),
        }
    }

    fn checked(contradicting: Contradicting) -> (Vec<(u32, u32)>, PairCounts) {
        let (mut group, mut counts) = (group(), PairCounts::default());
        check_given(&mut group, contradicting, &mut counts);
        let pairs = group.pairs.unwrap();
        (
            pairs.iter().map(|it| (it.chosen, it.rejected)).collect(),
            counts,
        )
    }

    #[test]
    fn equal_texts_go_and_scores_that_contradict_are_counted() {
        let (kept, counts) = checked(Contradicting::Keep);
        assert_eq!(kept, [(0, 1), (0, 3), (1, 0)]);
        let expected = PairCounts {
            given: 4,
            equal: 1,
            tied: 1,
            contradicting: 1,
        };
        assert_eq!(counts, expected);
        assert_eq!(
            checked(Contradicting::Drop),
            (vec![(0, 3), (1, 0)], expected)
        );
        let swapped = checked(Contradicting::Swap);
        assert_eq!(swapped, (vec![(1, 0), (0, 3), (1, 0)], expected));
    }

    #[test]
    fn the_note_says_what_is_odd() {
        let note = checked(Contradicting::Keep).1.note().unwrap();
        assert_eq!(
            note,
            "of 4 pairs: 1 with equal texts dropped, 1 whose chosen response has the lower score, 1 \
             whose scores are equal"
        );
        assert_eq!(PairCounts::default().note(), None);
    }
}
