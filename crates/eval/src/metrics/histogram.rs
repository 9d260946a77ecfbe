//! The distribution of distances between a prompt's responses.

use rarebit_deviation::DistanceMatrix;

/// Width of a bin.
pub const BIN: f64 = 0.05;
/// Bins from distance 0 to the greatest, 2.
pub const BINS: usize = 40;

/// The share of the pairs of responses whose distance falls in each bin `[k BIN, (k + 1) BIN)`; the
/// last bin includes 2. Repeats are in the first. `None` for fewer than two responses.
///
/// A mean hides whether all responses are equally far apart or form a few tight clusters; two modes
/// indicate the latter.
#[must_use]
pub fn distance_histogram(matrix: &DistanceMatrix) -> Option<Vec<f64>> {
    let n = matrix.len();
    if n < 2 {
        return None;
    }
    let mut bins = vec![0.0; BINS];
    for (i, row) in matrix.rows().enumerate() {
        for &distance in &row[i + 1..] {
            bins[bin(distance)] += 1.0;
        }
    }
    let pairs = (n * (n - 1) / 2) as f64;
    bins.iter_mut().for_each(|count| *count /= pairs);
    Some(bins)
}

/// In f32, whose multiples of 1/20 the distances are compared with: 0.3 begins a bin.
fn bin(distance: f32) -> usize {
    ((distance * (BINS as f32 / 2.0)) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_counts_once() {
        let rows = [
            vec![1.0, 0.0],
            vec![0.0, 1.0],
            vec![-1.0, 0.0],
            vec![1.0, 0.0],
        ];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        let bins = distance_histogram(&matrix).unwrap();
        // Distances 1, 2, 0, 1, 1, 2.
        assert_eq!((bins[0], bins[20], bins[39]), (1.0 / 6.0, 0.5, 1.0 / 3.0));
        assert!((bins.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bins_begin_at_their_lower_end() {
        assert_eq!(
            [0.0, 0.049, 0.05, 0.3, 1.99, 2.0].map(bin),
            [0, 0, 1, 6, 39, 39]
        );
    }

    #[test]
    fn alone_there_is_none() {
        let alone = DistanceMatrix::from_embeddings(&[vec![1.0]]).unwrap();
        assert_eq!(distance_histogram(&alone), None);
    }
}
