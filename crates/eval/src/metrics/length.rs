//! The length of the responses.

/// The mean number of words, separated by white space; `None` without responses.
///
/// A confounder: longer responses repeat more n-grams and compress better.
#[must_use]
pub fn mean_words(texts: &[&str]) -> Option<f64> {
    let words: usize = texts
        .iter()
        .map(|text| text.split_whitespace().count())
        .sum();
    (!texts.is_empty()).then(|| words as f64 / texts.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_response_has_no_words() {
        assert_eq!(mean_words(&["one two  three\n", ""]), Some(1.5));
        assert_eq!(mean_words(&[]), None);
    }
}
