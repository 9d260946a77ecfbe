//! How unusual the distances between a response's words are.

use std::collections::{BTreeMap, BTreeSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::DeviationError;
use crate::distance::check_rows;

/// The distinct words of a text, lower-cased, split at Unicode word boundaries.
#[must_use]
pub fn distinct_words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    lower.unicode_words().map(str::to_owned).collect()
}

/// The vector of each word, scaled to length 1.
#[derive(Debug, Clone, Default)]
pub struct WordVectors {
    vectors: BTreeMap<String, Vec<f64>>,
}

impl WordVectors {
    /// An embedder's vectors of `words`, in their order; they need not be normalised.
    ///
    /// # Errors
    /// When rows differ in their number of components, or a component is not finite.
    pub fn new(
        words: impl IntoIterator<Item = String>,
        rows: &[Vec<f32>],
    ) -> Result<Self, DeviationError> {
        check_rows(rows)?;
        let vectors = words.into_iter().zip(rows.iter().map(|row| unit(row)));
        Ok(Self {
            vectors: vectors.collect(),
        })
    }

    fn of<'a>(&'a self, words: &'a BTreeSet<String>) -> impl Iterator<Item = &'a [f64]> {
        let known = words.iter().filter_map(|word| self.vectors.get(word));
        known.map(Vec::as_slice)
    }
}

/// Scaled to length 1; the zero vector stays as it is.
fn unit(row: &[f32]) -> Vec<f64> {
    let squares = row.iter().map(|&v| f64::from(v) * f64::from(v));
    let length = squares.sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    row.iter().map(|&v| f64::from(v) * scale).collect()
}

/// Divergent semantic integration, the mean distance between the words of a text,
///
/// ```text
/// DSI(y) = 1/(m (m-1)) * sum_{a != b} (1 - <e_a, e_b>)        in [0, 2]
/// ```
///
/// over its `m` distinct words (Johnson et al., "Divergent semantic integration (DSI): Extracting
/// creativity from narratives with distributional semantic modeling", 2022; with one vector per
/// word as CrPO's code takes it). 0 for a text of fewer than two words.
fn divergent_semantic_integration<'a>(vectors: impl Iterator<Item = &'a [f64]>) -> f64 {
    // sum_{a != b} <e_a, e_b> = |sum e|^2 - sum |e|^2 makes time and memory linear in the words.
    let mut sum: Vec<f64> = Vec::new();
    let (mut squares, mut words) = (0.0, 0.0);
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        for (total, value) in sum.iter_mut().zip(vector) {
            *total += value;
        }
        squares += vector.iter().map(|v| v * v).sum::<f64>();
        words += 1.0;
    }
    if words < 2.0 {
        return 0.0;
    }
    let together = sum.iter().map(|v| v * v).sum::<f64>() - squares;
    (1.0 - together / (words * (words - 1.0))).clamp(0.0, 2.0)
}

/// How unusual each response's word distances are beside those of all responses together,
///
/// ```text
/// novelty_i = 2 * |DSI(y_i) - DSI(y_1 .. y_n)|                in [0, 4]
/// ```
///
/// (CrPO, arXiv 2505.14442). Words without a vector are ignored.
///
/// # Departures
/// Words are split at Unicode word boundaries; CrPO takes spaCy's tokens without punctuation.
#[must_use]
pub fn novelty(texts: &[&str], vectors: &WordVectors) -> Vec<f64> {
    let words: Vec<BTreeSet<String>> = texts.iter().map(|text| distinct_words(text)).collect();
    let all: BTreeSet<String> = words.iter().flatten().cloned().collect();
    let apart = |words| divergent_semantic_integration(vectors.of(words));
    let of_all = apart(&all);
    words
        .iter()
        .map(|words| 2.0 * (apart(words) - of_all).abs())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words on a circle.
    fn vectors(angles: &[(&str, f32)]) -> WordVectors {
        let words = angles.iter().map(|(word, _)| (*word).to_owned());
        let rows: Vec<Vec<f32>> = angles
            .iter()
            .map(|(_, angle)| vec![3.0 * angle.cos(), 3.0 * angle.sin()])
            .collect();
        WordVectors::new(words, &rows).unwrap()
    }

    #[test]
    fn words_are_distinct_and_without_punctuation() {
        let words = distinct_words("The fox, the FOX: l'été!");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(words, ["fox", "l'été", "the"]);
        assert!(distinct_words(" ... ").is_empty());
    }

    #[test]
    fn novelty_is_twice_the_difference_from_all_words() {
        let quarter = std::f32::consts::FRAC_PI_2;
        let vectors = vectors(&[("fox", 0.0), ("hen", 0.0), ("sea", quarter)]);
        // Distances: fox and hen 0, either to sea 1. Of all three words: 2/3.
        let found = novelty(&["Fox fox hen.", "fox sea", "sea", ""], &vectors);
        let of_all = 2.0 / 3.0;
        for (found, apart) in found.iter().zip([0.0, 1.0, 0.0, 0.0]) {
            let expected = 2.0 * f64::abs(apart - of_all);
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }

    #[test]
    fn a_word_without_a_vector_is_passed_over() {
        let vectors = vectors(&[("fox", 0.0), ("sea", 1.0)]);
        let whole = novelty(&["fox sea", "fox"], &vectors);
        assert_eq!(novelty(&["fox sea so", "fox on"], &vectors), whole);
        assert_eq!(novelty(&["a", "b"], &WordVectors::default()), [0.0, 0.0]);
    }

    #[test]
    fn bad_rows_are_refused() {
        let words = ["a".to_owned(), "b".to_owned()];
        assert!(WordVectors::new(words.clone(), &[vec![1.0], vec![f32::NAN]]).is_err());
        assert!(WordVectors::new(words, &[vec![1.0], vec![1.0, 0.0]]).is_err());
    }

    proptest! {
        #[test]
        fn the_sum_over_pairs_is_that_of_the_definition(
            rows in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 3), 2..12),
        ) {
            let units: Vec<Vec<f64>> = rows.iter().map(|row| unit(row)).collect();
            let mut sum = 0.0;
            for (a, one) in units.iter().enumerate() {
                for (b, other) in units.iter().enumerate() {
                    let dot: f64 = one.iter().zip(other).map(|(x, y)| x * y).sum();
                    sum += if a == b { 0.0 } else { 1.0 - dot };
                }
            }
            let pairs = (units.len() * (units.len() - 1)) as f64;
            let found = divergent_semantic_integration(units.iter().map(Vec::as_slice));
            prop_assert!((found - sum / pairs).abs() < 1e-9);
        }

        #[test]
        fn responses_of_one_text_have_no_novelty(copies in 1..6_usize) {
            let vectors = vectors(&[("fox", 0.0), ("sea", 1.0), ("rain", 2.5)]);
            let texts = vec!["fox and sea and rain"; copies];
            prop_assert_eq!(novelty(&texts, &vectors), vec![0.0; copies]);
        }
    }
}
