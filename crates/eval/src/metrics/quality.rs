//! The quality of the responses, by their scores.

use crate::evaluation::Response;

/// The mean of the scores; `None` if no response has one.
///
/// A score is whatever the samples contain: a reward model's output, or readers' votes.
#[must_use]
pub fn mean_score(responses: &[Response]) -> Option<f64> {
    let scores: Vec<f64> = responses
        .iter()
        .filter_map(|response| response.score)
        .collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_without_a_score_do_not_count() {
        let response = |score| Response {
            text: String::new(),
            score,
        };
        assert_eq!(
            mean_score(&[response(Some(1.0)), response(None), response(Some(2.0))]),
            Some(1.5)
        );
        assert_eq!(mean_score(&[response(None)]), None);
    }
}
