//! NoveltyBench's two metrics: the number of distinct responses, and their utility.

use rarebit_deviation::DistanceMatrix;

/// The share of the attention to one response that is left for the next one: NoveltyBench's
/// patience.
pub const PATIENCE: f64 = 0.8;

/// The class of each response, numbered in the order in which classes appear.
///
/// The first response without a class founds one, which every later response without a class joins
/// that is at most `threshold` away from it ("NoveltyBench", Zhang et al., arXiv 2504.05228). Each
/// class is represented by its founder, so the order of the responses matters.
///
/// # Departures
/// NoveltyBench asks a trained classifier whether two responses are equivalent; here the cosine
/// distance of embeddings decides. A threshold belongs to an embedder.
#[must_use]
pub fn classes(matrix: &DistanceMatrix, threshold: f64) -> Vec<usize> {
    // Distances are f32: a threshold of 0.3 must include a distance of 0.3.
    let threshold = threshold as f32;
    let mut founders: Vec<usize> = Vec::new();
    (0..matrix.len())
        .map(|response| {
            let row = matrix.row(response);
            let known = founders
                .iter()
                .position(|&founder| row[founder] <= threshold);
            known.unwrap_or_else(|| {
                founders.push(response);
                founders.len() - 1
            })
        })
        .collect()
}

/// The number of classes, NoveltyBench's `distinct_k` for `k` responses; `None` for fewer than two
/// responses. It grows with their number: compare only equal numbers.
#[must_use]
pub fn distinct_k(classes: &[usize]) -> Option<f64> {
    let founded = classes.iter().max().map(|last| (last + 1) as f64);
    founded.filter(|_| classes.len() > 1)
}

/// NoveltyBench's utility: the scores as valued by a reader who loses patience and gains nothing from
/// repetition,
///
/// ```text
/// sum_i p^i u_i / sum_i p^i,    u_i = score of response i, 0 when its class was seen before
/// ```
///
/// with patience `p` = [`PATIENCE`] and `i` from 0 (arXiv 2504.05228). NoveltyBench's
/// scores range from 1 to 10. Because a repeat counts 0, 0 must be the minimum: `None` with a negative
/// score, and if a response has no score.
#[must_use]
pub fn utility(classes: &[usize], scores: &[Option<f64>]) -> Option<f64> {
    let scores: Vec<f64> = scores.iter().copied().collect::<Option<_>>()?;
    if scores.len() < 2 || scores.iter().any(|&score| score < 0.0) {
        return None;
    }
    let (mut gained, mut attention, mut weight, mut seen) = (0.0, 0.0, 1.0, 0);
    for (&class, score) in classes.iter().zip(scores) {
        if class == seen {
            gained += weight * score;
            seen += 1;
        }
        attention += weight;
        weight *= PATIENCE;
    }
    Some(gained / attention)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Responses on a circle, by their angle in degrees.
    fn at(angles: &[f32]) -> DistanceMatrix {
        let rows: Vec<Vec<f32>> = angles
            .iter()
            .map(|angle| vec![angle.to_radians().cos(), angle.to_radians().sin()])
            .collect();
        DistanceMatrix::from_embeddings(&rows).unwrap()
    }

    #[test]
    fn a_class_is_known_by_its_founder() {
        // 1 - cos(40 degrees) = 0.234; 80 degrees are too far from the founder at 0.
        let matrix = at(&[0.0, 40.0, 80.0, 0.0, 100.0]);
        assert_eq!(classes(&matrix, 0.25), [0, 0, 1, 0, 1]);
        assert_eq!(classes(&matrix, 0.0), [0, 1, 2, 0, 3]);
        assert_eq!(classes(&matrix, 2.0), [0; 5]);
    }

    #[test]
    fn the_threshold_itself_is_near_enough() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert_eq!(classes(&matrix, 1.0), [0, 0]);
        assert_eq!(classes(&matrix, 0.999), [0, 1]);
    }

    #[test]
    fn distinct_responses_are_counted() {
        assert_eq!(distinct_k(&[0, 1, 0, 2]), Some(3.0));
        assert_eq!(distinct_k(&[0, 0]), Some(1.0));
        assert_eq!(distinct_k(&[0]), None);
        assert_eq!(distinct_k(&[]), None);
    }

    #[test]
    fn repeats_are_worth_nothing_and_patience_wanes() {
        let scores = [Some(10.0), Some(10.0), Some(5.0)];
        let attention = 1.0 + 0.8 + 0.64;
        let found = utility(&[0, 0, 1], &scores).unwrap();
        assert!((found - (10.0 + 0.64 * 5.0) / attention).abs() < 1e-12);
        assert!((utility(&[0, 1], &[Some(3.0); 2]).unwrap() - 3.0).abs() < 1e-12);
        assert_eq!(utility(&[0, 1], &[Some(3.0), None]), None);
        assert_eq!(utility(&[0, 1], &[Some(3.0), Some(-0.1)]), None);
        assert_eq!(utility(&[0], &[Some(3.0)]), None);
    }
}
