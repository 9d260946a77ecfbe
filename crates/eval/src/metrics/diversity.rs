//! Semantic and style diversity: the mean raw deviation among a prompt's responses, and the mean
//! distance to the nearest neighbour.

use rarebit_deviation::{DistanceMatrix, deviations};

/// The mean over the responses of their raw deviation, which is the mean distance over all pairs:
///
/// ```text
/// 1/n * sum_i d_i,    d_i = 1/(n-1) * sum_{j != i} (1 - <e(y_i), e(y_j)>)
/// ```
///
/// (arXiv 2503.17126, section 5). `None` for fewer than two responses.
#[must_use]
pub fn diversity(matrix: &DistanceMatrix) -> Option<f64> {
    let deviations: Option<Vec<f64>> = deviations(matrix).into_iter().collect();
    let deviations = deviations.filter(|d| !d.is_empty())?;
    Some(deviations.iter().sum::<f64>() / deviations.len() as f64)
}

/// The mean over the responses of the distance to the nearest other one, the Chamfer distance.
///
/// ("Directed Diversity", Cox et al., CHI 2021, arXiv 2101.06030.) One near copy of each response
/// makes it 0, while the mean distance barely changes. More responses are closer to each other:
/// compare only equal numbers. `None` for fewer than two responses.
#[must_use]
pub fn nearest_distance(matrix: &DistanceMatrix) -> Option<f64> {
    let n = matrix.len();
    if n < 2 {
        return None;
    }
    let nearest = |(i, row): (usize, &[f32])| {
        let others = row.iter().enumerate().filter(|(j, _)| *j != i);
        others.fold(f32::INFINITY, |least, (_, distance)| least.min(*distance))
    };
    let sum: f64 = matrix.rows().enumerate().map(nearest).map(f64::from).sum();
    Some(sum / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_mean_distance_over_pairs() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![-1.0, 0.0]];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert_eq!(diversity(&matrix), Some((1.0 + 2.0 + 1.0) / 3.0));
    }

    #[test]
    fn the_nearest_is_another() {
        let rows = [
            vec![1.0, 0.0],
            vec![0.0, 1.0],
            vec![-1.0, 0.0],
            vec![1.0, 0.0],
        ];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert_eq!(
            nearest_distance(&matrix),
            Some((0.0 + 1.0 + 1.0 + 0.0) / 4.0)
        );
    }

    #[test]
    fn alone_or_absent_there_is_none() {
        let alone = DistanceMatrix::from_embeddings(&[vec![1.0]]).unwrap();
        assert_eq!(diversity(&alone), None);
        assert_eq!(nearest_distance(&alone), None);
        assert_eq!(
            diversity(&DistanceMatrix::from_embeddings(&[]).unwrap()),
            None
        );
    }
}
