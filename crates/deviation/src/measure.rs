//! How distance from the others is measured: mean distance, nearest neighbour, or determinant.

use serde::{Deserialize, Serialize};

use crate::{DistanceMatrix, deviations};

/// How a response's distances to the others become its raw deviation.
///
/// With every measure, copies of a text share one deviation, the two responses of a prompt of two
/// have the same deviation, and a single response has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The mean distance to the others, as in the paper: [`deviations`]. It measures distance from
    /// the crowd: two equal responses far from all others both deviate much.
    #[default]
    Mean,
    /// The distance to the nearest other response, `min_{j != i} D_ij`, in `[0, 2]`. A response with
    /// a near twin does not deviate, wherever the two are.
    Nearest,
    /// What the response adds to the log-determinant of the group,
    ///
    /// ```text
    /// d_i = log det(L + I) - log det(L_{-i} + I),  L_ij = 1 - D_ij       in [0, log 2]
    /// ```
    ///
    /// where `L_{-i}` is `L` without the response. With `L` as the kernel of a determinantal point
    /// process (Kulesza and Taskar, arXiv 1207.6083) this is `-log(1 - P(i in Y))`, which orders
    /// responses by their marginal probabilities. All others count, near ones the most.
    LogDet,
}

impl Measure {
    /// The raw deviation of each response; `None` for one that is alone.
    #[must_use]
    pub fn deviations(self, matrix: &DistanceMatrix) -> Vec<Option<f64>> {
        let n = matrix.len();
        if n < 2 {
            return vec![None; n];
        }
        match self {
            Self::Mean => deviations(matrix),
            Self::Nearest => (0..n).map(|i| Some(nearest(i, matrix.row(i)))).collect(),
            // det(A_{-i}) / det(A) is the i-th diagonal element of A's inverse.
            Self::LogDet => inverse_diagonal(matrix)
                .into_iter()
                .map(|share| Some(-share.ln()))
                .collect(),
        }
    }
}

fn nearest(own: usize, row: &[f32]) -> f64 {
    let others = row.iter().enumerate().filter(|(j, _)| *j != own);
    others
        .map(|(_, &distance)| f64::from(distance))
        .fold(f64::INFINITY, f64::min)
}

/// The diagonal of `(L + I)^-1`, by Cholesky's `L + I = C C^T`.
///
/// Similarities are inner products, so that `L + I` has no eigenvalue below 1 but for rounding.
fn inverse_diagonal(matrix: &DistanceMatrix) -> Vec<f64> {
    let n = matrix.len();
    let mut c = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let similarity = 1.0 - f64::from(matrix.row(i)[j]);
            let own = similarity + if i == j { 1.0 } else { 0.0 };
            let dot: f64 = (0..j).map(|k| c[i * n + k] * c[j * n + k]).sum();
            c[i * n + j] = match i == j {
                true => (own - dot).sqrt(),
                false => (own - dot) / c[j * n + j],
            };
        }
    }
    // (C C^T)^-1 has on its diagonal the squared lengths of the columns of C^-1.
    let mut diagonal = vec![0.0; n];
    let mut column = vec![0.0; n];
    for (first, sum) in diagonal.iter_mut().enumerate() {
        for i in first..n {
            let own = if i == first { 1.0 } else { 0.0 };
            let dot: f64 = (first..i).map(|k| c[i * n + k] * column[k]).sum();
            column[i] = (own - dot) / c[i * n + i];
        }
        *sum = column[first..].iter().map(|value| value * value).sum();
    }
    diagonal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Measure; 3] = [Measure::Mean, Measure::Nearest, Measure::LogDet];

    fn found(measure: Measure, rows: &[Vec<f32>]) -> Vec<f64> {
        let matrix = DistanceMatrix::from_embeddings(rows).unwrap();
        measure
            .deviations(&matrix)
            .into_iter()
            .map(Option::unwrap)
            .collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-9, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn the_nearest_other_decides() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![-1.0, 0.0]];
        assert_close(&found(Measure::Nearest, &rows), &[1.0, 1.0, 1.0]);
        let twins = [vec![1.0, 0.0], vec![-1.0, 0.0], vec![-1.0, 0.0]];
        assert_close(&found(Measure::Nearest, &twins), &[2.0, 0.0, 0.0]);
        // The mean has it the other way round: one of the twins is far from the single one.
        assert_close(&found(Measure::Mean, &twins), &[2.0, 1.0, 1.0]);
    }

    #[test]
    fn determinants_of_orthogonal_and_of_equal_responses() {
        let rows = [
            vec![1.0, 0.0, 0.0],
            vec![0.0, 1.0, 0.0],
            vec![0.0, 0.0, 1.0],
        ];
        let ln2 = 2f64.ln();
        assert_close(&found(Measure::LogDet, &rows), &[ln2, ln2, ln2]);
        // Of n copies, det(L + I) = n + 1: each adds log((n + 1) / n).
        let copies = vec![vec![0.6, 0.8]; 4];
        assert_close(&found(Measure::LogDet, &copies), &[(5.0 / 4.0_f64).ln(); 4]);
        // Two copies and one apart: det = 3 * 2.
        let rows = [vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        let (copy, apart) = (1.5_f64.ln(), ln2);
        assert_close(&found(Measure::LogDet, &rows), &[copy, copy, apart]);
    }

    #[test]
    fn alone_and_two_and_empty_texts() {
        for measure in ALL {
            let matrix = DistanceMatrix::from_embeddings(&[vec![1.0]]).unwrap();
            assert_eq!(measure.deviations(&matrix), [None]);
            let matrix = DistanceMatrix::from_embeddings(&[]).unwrap();
            assert!(measure.deviations(&matrix).is_empty());
            let two = found(measure, &[vec![1.0, 0.1], vec![0.3, 1.0]]);
            assert!((two[0] - two[1]).abs() < 1e-12, "{measure:?}: {two:?}");
            let empty = found(measure, &[vec![0.0, 0.0], vec![0.0, 0.0], vec![0.3, 1.0]]);
            assert!((empty[0] - empty[1]).abs() < 1e-12 && empty[2] > empty[0] + 1e-3);
        }
    }

    fn rows() -> impl Strategy<Value = Vec<Vec<f32>>> {
        prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 3), 2..12)
    }

    proptest! {
        #[test]
        fn every_deviation_is_finite_and_in_its_range(rows in rows()) {
            for measure in ALL {
                let most = if measure == Measure::LogDet { 2f64.ln() } else { 2.0 };
                for d in found(measure, &rows) {
                    prop_assert!((-1e-6..=most + 1e-6).contains(&d), "{:?}: {}", measure, d);
                }
            }
        }

        #[test]
        fn the_order_of_responses_does_not_matter(
            (rows, order) in rows().prop_flat_map(|rows| {
                let order: Vec<usize> = (0..rows.len()).collect();
                (Just(rows), Just(order).prop_shuffle())
            }),
        ) {
            let shuffled: Vec<Vec<f32>> = order.iter().map(|&i| rows[i].clone()).collect();
            for measure in ALL {
                let (straight, mixed) = (found(measure, &rows), found(measure, &shuffled));
                for (k, &i) in order.iter().enumerate() {
                    prop_assert!((mixed[k] - straight[i]).abs() < 1e-6);
                }
            }
        }

        #[test]
        fn copies_share_their_deviation_and_it_falls_with_each(rows in rows()) {
            for measure in [Measure::Nearest, Measure::LogDet] {
                let once = found(measure, &rows)[0];
                let mut more = rows.clone();
                more.push(rows[0].clone());
                let twice = found(measure, &more);
                prop_assert!((twice[0] - twice[rows.len()]).abs() < 1e-6);
                prop_assert!(twice[0] <= once + 1e-6);
            }
        }
    }
}
