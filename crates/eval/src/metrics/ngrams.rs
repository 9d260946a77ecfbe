//! Distinct n-grams of a prompt's responses.

use std::collections::HashSet;

use crate::evaluation::Mode;

/// The longest n-gram that counts.
pub const LONGEST: usize = 4;

/// `distinct / all` n-grams for n = 1..=4, pooled over the responses; `None` where no response has
/// `n` words.
///
/// ("A Diversity-Promoting Objective Function for Neural Conversation Models", Li et al., arXiv
/// 1510.03055.) Words are separated by white space. More responses, or longer ones, repeat more
/// n-grams: compare only equal numbers of responses per prompt, with an eye on their length.
///
/// # Departures
/// The reference (PyPI `diversity`) joins the responses into one text, so that n-grams cross their
/// borders, and splits it at single spaces, so that line breaks end up inside words.
/// [`Mode::ReferenceCompat`] does the same.
#[must_use]
pub fn distinct_ngrams(texts: &[&str], mode: Mode) -> [Option<f64>; LONGEST] {
    let joined;
    let documents: Vec<Vec<&str>> = match mode {
        Mode::Correct => texts
            .iter()
            .map(|text| text.split_whitespace().collect())
            .collect(),
        Mode::ReferenceCompat => {
            joined = texts.join(" ");
            vec![joined.split(' ').collect()]
        }
    };
    std::array::from_fn(|i| distinct(&documents, i + 1))
}

/// The sum of the shares that are defined, between 0 and 4.
///
/// ("Locally Typical Sampling", Meister et al., arXiv 2202.00666, section 5.)
#[must_use]
pub fn ngram_diversity(distinct: &[Option<f64>; LONGEST]) -> Option<f64> {
    distinct
        .iter()
        .copied()
        .flatten()
        .reduce(|sum, share| sum + share)
}

fn distinct(documents: &[Vec<&str>], n: usize) -> Option<f64> {
    let mut seen = HashSet::new();
    let mut all = 0;
    for ngram in documents.iter().flat_map(|words| words.windows(n)) {
        seen.insert(ngram);
        all += 1;
    }
    (all > 0).then(|| seen.len() as f64 / f64::from(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_pooled_over_the_responses() {
        let found = distinct_ngrams(&["a b a b", "a b"], Mode::Correct);
        // a, b of 6; ab, ba of 4; aba, bab of 2; abab of 1.
        assert_eq!(
            found,
            [Some(2.0 / 6.0), Some(2.0 / 4.0), Some(1.0), Some(1.0)]
        );
        let sum = ngram_diversity(&found).unwrap();
        assert!((sum - (1.0 / 3.0 + 0.5 + 2.0)).abs() < 1e-12);
    }

    #[test]
    fn ngrams_end_with_their_response() {
        let texts = ["a b", "a b"];
        assert_eq!(distinct_ngrams(&texts, Mode::Correct)[1], Some(0.5));
        // Joined: ab, ba, ab.
        assert_eq!(
            distinct_ngrams(&texts, Mode::ReferenceCompat)[1],
            Some(2.0 / 3.0)
        );
    }

    #[test]
    fn short_and_empty_responses_have_what_they_have() {
        let found = distinct_ngrams(&["yes", "", "yes"], Mode::Correct);
        assert_eq!(found, [Some(0.5), None, None, None]);
        assert_eq!(ngram_diversity(&found), Some(0.5));
        let none = distinct_ngrams(&["", " \n"], Mode::Correct);
        assert_eq!(ngram_diversity(&none), None);
    }
}
