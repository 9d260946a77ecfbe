//! Diversity among the responses of sufficient quality.

use rarebit_deviation::DistanceMatrix;

/// The mean distance over all pairs of responses, where a pair counts 0 unless both scores reach
/// the threshold:
///
/// ```text
/// 2 / (n (n - 1)) * sum_{i<j} d_ij [q_i >= t] [q_j >= t]
/// ```
///
/// ("Evaluating the Diversity and Quality of LLM Generated Content", Shypula et al., arXiv
/// 2504.12522: diversity among outputs that meet a quality threshold.) Dividing by all pairs, not
/// by the good ones, penalises every bad response, so that a system with two good responses in ten
/// does not pass for diverse. `None` for fewer than two responses or if one has no score.
///
/// # Departures
/// The paper's distance says whether two programs behave the same; here it is the cosine distance of
/// two embeddings.
#[must_use]
pub fn effective_diversity(
    matrix: &DistanceMatrix,
    scores: &[Option<f64>],
    threshold: f64,
) -> Option<f64> {
    let n = matrix.len();
    let good = good_enough(scores, threshold)?;
    if n < 2 {
        return None;
    }
    let kept = matrix.select(&good);
    // Every pair occurs twice in the matrix, as it does in n (n - 1).
    let sum: f64 = kept.rows().flatten().copied().map(f64::from).sum();
    Some(sum / (n * (n - 1)) as f64)
}

/// The share of responses whose score reaches the threshold; `None` without responses or when one
/// has no score.
#[must_use]
pub fn good_share(scores: &[Option<f64>], threshold: f64) -> Option<f64> {
    let good = good_enough(scores, threshold)?.len();
    (!scores.is_empty()).then(|| good as f64 / scores.len() as f64)
}

/// Indices of the responses whose score reaches the threshold.
fn good_enough(scores: &[Option<f64>], threshold: f64) -> Option<Vec<usize>> {
    let scores: Vec<f64> = scores.iter().copied().collect::<Option<_>>()?;
    let reaches = |(index, score): (usize, f64)| (score >= threshold).then_some(index);
    Some(scores.into_iter().enumerate().filter_map(reaches).collect())
}

#[cfg(test)]
mod tests {
    use super::super::diversity::diversity;
    use super::*;

    fn matrix() -> DistanceMatrix {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![-1.0, 0.0]];
        DistanceMatrix::from_embeddings(&rows).unwrap()
    }

    #[test]
    fn only_pairs_of_good_responses_count() {
        let scores = [Some(2.0), Some(1.0), Some(2.0)];
        assert_eq!(
            effective_diversity(&matrix(), &scores, 2.0),
            Some(2.0 / 3.0)
        );
        assert_eq!(good_share(&scores, 2.0), Some(2.0 / 3.0));
        assert_eq!(effective_diversity(&matrix(), &scores, 3.0), Some(0.0));
    }

    #[test]
    fn when_all_are_good_it_is_the_diversity() {
        let scores = [Some(2.0); 3];
        let (found, plain) = (
            effective_diversity(&matrix(), &scores, 2.0).unwrap(),
            diversity(&matrix()).unwrap(),
        );
        assert!((found - plain).abs() < 1e-12);
    }

    #[test]
    fn without_every_score_there_is_none() {
        assert_eq!(
            effective_diversity(&matrix(), &[Some(1.0), None, Some(1.0)], 0.0),
            None
        );
        let alone = DistanceMatrix::from_embeddings(&[vec![1.0]]).unwrap();
        assert_eq!(effective_diversity(&alone, &[Some(1.0)], 0.0), None);
        assert_eq!(good_share(&[], 0.0), None);
    }
}
