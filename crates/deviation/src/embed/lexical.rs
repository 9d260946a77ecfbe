//! `builtin:lexical`: the words that a text uses.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation;

use super::embedder::{EmbedError, Embedder, unit};
use super::function_words::is_function_word;

/// Number of components. A power of two, so that a hash is cut to an index without bias.
const DIMS: usize = 1024;

/// Lengths of the character n-grams, in letters, the marks of the word's ends included.
const CHARACTER_NGRAMS: std::ops::RangeInclusive<usize> = 3..=5;

/// The weight of a function word, where a content word has 1.
const FUNCTION_WORD: f64 = 0.15;

/// Hashed words, pairs of words and character n-grams: a stand-in for a semantic embedder.
///
/// Lower-cased words (split at Unicode word boundaries), pairs of neighbouring words, and
/// the 3- to 5-grams of the letters of each word are counted; a count `c` becomes `1 + ln c`
/// (sublinear term frequency), and function words count for little. Each of the three groups is
/// scaled to length 1, so that the many character n-grams do not drown the words, and added by
/// signed feature hashing ("Feature Hashing for Large Scale Multitask Learning", Weinberger et
/// al., arXiv 0902.2206) to one vector of 1024 components, which is scaled to length 1.
///
/// A text without any letter or digit is read by its symbols, so that emoji are words there.
/// White space alone gives the zero vector.
///
/// # What it cannot see
/// Meaning. Two texts are near when they share words or parts of words: a paraphrase in other
/// words is as far away as another subject, negation and word order hardly count, and function words
/// are known for English only. Unrelated texts are at a distance of about 1, give or take 0.1, since
/// some words share letters and some hash to one component.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lexical;

impl Embedder for Lexical {
    fn id(&self) -> &str {
        // The number is raised with every change to the vectors.
        "builtin:lexical@1"
    }

    fn dims(&self) -> usize {
        DIMS
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| embed(text)).collect())
    }
}

fn embed(text: &str) -> Vec<f32> {
    // Function words are listed with the straight apostrophe.
    let lower = text.to_lowercase().replace('’', "'");
    let words = words(&lower);
    let mut values = vec![0.0; DIMS];
    for group in [
        word_counts(&words),
        pair_counts(&words),
        ngram_counts(&words),
    ] {
        group.add_to(&mut values);
    }
    unit(&values)
}

/// The words of a text, or its symbols if there are no words.
fn words(lower: &str) -> Vec<&str> {
    let words: Vec<&str> = lower.unicode_words().collect();
    if !words.is_empty() {
        return words;
    }
    lower
        .split_word_bounds()
        .filter(|segment| !segment.trim().is_empty())
        .collect()
}

/// The weight of a word.
fn importance(word: &str) -> f64 {
    if is_function_word(word) {
        FUNCTION_WORD
    } else {
        1.0
    }
}

fn word_counts(words: &[&str]) -> Counts {
    let mut counts = Counts::default();
    for word in words {
        counts.count(&["word", word], importance(word));
    }
    counts
}

fn pair_counts(words: &[&str]) -> Counts {
    let mut counts = Counts::default();
    for pair in words.windows(2) {
        counts.count(
            &["pair", pair[0], pair[1]],
            importance(pair[0]) * importance(pair[1]),
        );
    }
    counts
}

fn ngram_counts(words: &[&str]) -> Counts {
    let mut counts = Counts::default();
    for word in words {
        let marked = format!("<{word}>");
        let starts: Vec<usize> = marked
            .char_indices()
            .map(|(at, _)| at)
            .chain([marked.len()])
            .collect();
        let importance = importance(word);
        for n in CHARACTER_NGRAMS {
            for ends in starts.windows(n + 1) {
                counts.count(&["letters", &marked[ends[0]..ends[n]]], importance);
            }
        }
    }
    counts
}

/// How often each feature of one group occurs and what it counts for.
///
/// Ordered by hash, so that sums are taken in one order everywhere.
#[derive(Default)]
struct Counts(BTreeMap<u64, (f64, f64)>);

impl Counts {
    fn count(&mut self, feature: &[&str], importance: f64) {
        let (count, weight) = self.0.entry(hash(feature)).or_default();
        *count += 1.0;
        *weight = importance;
    }

    /// Adds the group, scaled to length 1, to the hashed vector.
    fn add_to(&self, values: &mut [f64]) {
        let value = |(count, importance): &(f64, f64)| importance * (1.0 + count.ln());
        let length = self
            .0
            .values()
            .map(|c| value(c).powi(2))
            .sum::<f64>()
            .sqrt();
        for (hash, count) in &self.0 {
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            let index = (hash % DIMS as u64) as usize;
            values[index] += sign * value(count) / length;
        }
    }
}

/// FNV-1a over the parts and a separator, then murmur's finaliser: FNV alone leaves the low bits,
/// which choose the component, poorly mixed. The standard library's hasher may change with it.
fn hash(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &str, b: &str) -> f64 {
        let (a, b) = (embed(a), embed(b));
        1.0 - a.iter().zip(&b).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    }

    fn length(values: &[f32]) -> f64 {
        values
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .sqrt()
    }

    #[test]
    fn rows_have_length_one_whatever_the_script() {
        for text in [
            "The fox.",
            "狐狸跑回家了。",
            "الثعلب ركض",
            "🦊🏃‍♀️🏠",
            "!?",
            "é",
            "ไทย",
        ] {
            let row = embed(text);
            assert_eq!(row.len(), DIMS);
            assert!((length(&row) - 1.0).abs() < 1e-6, "{text}");
        }
    }

    #[test]
    fn white_space_has_no_direction() {
        for text in ["", " \n\t\u{3000}"] {
            assert_eq!(length(&embed(text)), 0.0);
        }
    }

    #[test]
    fn capitals_do_not_matter_and_forms_of_a_word_are_near() {
        assert!(distance("The Fox RAN", "the fox ran").abs() < 1e-6);
        assert!(distance("lighthouse keeper", "lighthouses keepers") < 0.7);
        assert!(distance("lighthouse keeper", "tired baker") > 0.9);
    }

    #[test]
    fn unrelated_texts_are_about_one_apart() {
        let d = distance(
            "A sailor lost her compass in a storm and sailed by the stars.",
            "Grandfather's bakery burned; customers brought flour until morning.",
        );
        assert!((d - 1.0).abs() < 0.12, "{d}");
    }

    #[test]
    fn emoji_alone_are_told_apart() {
        assert!(distance("🦊🏠", "🌊🚢") > 0.5);
        assert!(distance("🦊🏠", "🦊🏠").abs() < 1e-6);
    }
}
