//! The Vendi score: the effective number of different responses.

use rarebit_deviation::DistanceMatrix;

use crate::eigen::symmetric_eigenvalues;

/// The exponential of the entropy of the eigenvalues of the similarities,
///
/// ```text
/// exp(-sum_i l_i log l_i),    l_i the eigenvalues of K / n,    K_ij = 1 - d_ij
/// ```
///
/// ("The Vendi Score", Friedman and Dieng, arXiv 2210.02410, definition 3.1). With the cosine
/// kernel of the embeddings: 1 when all responses point one way (or its opposite), `n` when each is
/// orthogonal to all others. It grows with the number of responses: compare only equal numbers.
/// `None` for fewer than two responses.
#[must_use]
pub fn vendi_score(matrix: &DistanceMatrix) -> Option<f64> {
    let n = matrix.len();
    if n < 2 {
        return None;
    }
    let similarities = matrix
        .rows()
        .flatten()
        .map(|&distance| (1.0 - f64::from(distance)) / n as f64)
        .collect();
    // Rounding may leave eigenvalues of 0 slightly negative.
    let entropy: f64 = symmetric_eigenvalues(similarities, n)
        .into_iter()
        .filter(|value| *value > 0.0)
        .map(|value| -value * value.ln())
        .sum();
    Some(entropy.exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(rows: &[Vec<f32>]) -> Option<f64> {
        vendi_score(&DistanceMatrix::from_embeddings(rows).unwrap())
    }

    #[test]
    fn counts_responses_that_have_nothing_in_common() {
        let one = |at: usize| (0..5).map(|i| f32::from(i == at)).collect::<Vec<_>>();
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?}");
        };
        close(score(&[one(0), one(0), one(0)]), 1.0);
        close(score(&[one(0), one(1), one(2)]), 3.0);
        close(score(&[one(0), one(1), one(0), one(1)]), 2.0);
        // Three of one kind and one of another: exp(H(3/4, 1/4)).
        let expected = (-(0.75_f64 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln())).exp();
        close(score(&[one(0), one(0), one(1), one(0)]), expected);
    }

    #[test]
    fn empty_responses_are_one_kind_of_their_own() {
        let found = score(&[vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 0.0]]).unwrap();
        let expected = (-(2.0 / 3.0 * (2.0_f64 / 3.0).ln() + (1.0_f64 / 3.0).ln() / 3.0)).exp();
        assert!((found - expected).abs() < 1e-9, "{found}");
    }

    #[test]
    fn alone_or_absent_there_is_none() {
        assert_eq!(score(&[]), None);
        assert_eq!(score(&[vec![1.0]]), None);
    }

    proptest! {
        #[test]
        fn lies_between_one_and_the_number_of_responses(
            rows in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 6), 2..12)
        ) {
            let found = score(&rows).unwrap();
            prop_assert!(found > 1.0 - 1e-6 && found < rows.len() as f64 + 1e-6, "{}", found);
        }
    }
}
