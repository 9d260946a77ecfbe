//! Exact repeats among the responses.

use std::collections::HashSet;

/// The share of responses that repeat an earlier one exactly, up to white space at the ends.
///
/// `None` for fewer than two responses. With `n` equal responses it is `(n-1)/n`.
#[must_use]
pub fn duplicate_share(texts: &[&str]) -> Option<f64> {
    let distinct: HashSet<&str> = texts.iter().map(|text| text.trim()).collect();
    (texts.len() > 1).then(|| (texts.len() - distinct.len()) as f64 / texts.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_its_kind_is_no_repeat() {
        assert_eq!(duplicate_share(&["a", "b", "a ", "a"]), Some(0.5));
        assert_eq!(duplicate_share(&["a", "b"]), Some(0.0));
        assert_eq!(duplicate_share(&["a"]), None);
    }
}
