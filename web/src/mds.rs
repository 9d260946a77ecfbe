//! A two-dimensional map of a set of texts: the two directions in which they differ most.

use rarebit_deviation::DistanceMatrix;
use rarebit_eval::{Eigenpair, largest_eigenpairs};

/// Shares of the total variance below this are rounding errors.
const NEGLIGIBLE: f64 = 1e-9;

/// The position of each text on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Mds {
    /// Coordinates `[x, y]` of each text, centred on the origin.
    pub points: Vec<[f64; 2]>,
    /// The share of the total variance along each axis, in `[0, 1]`.
    pub shares: [f64; 2],
}

/// Classical multidimensional scaling: the principal components of the texts' vectors, computed from
/// their distances.
///
/// For vectors of length 1 the cosine distance is half the squared Euclidean one, so that
///
/// ```text
/// B = -J D J,    J = I - 1/n 1 1ᵀ
/// ```
///
/// is the Gram matrix of the centred vectors; its two largest eigenvalues and their eigenvectors give
/// the map. (Torgerson, "Multidimensional scaling: I. Theory and method", 1952.) The sign of an
/// axis is chosen so that its farthest text is on the positive side; the same distances give the
/// same map. Identical texts, and a single text, lie at the origin.
#[must_use]
pub fn classical_mds(distances: &DistanceMatrix) -> Mds {
    let n = distances.len();
    let gram = gram(distances);
    let trace: f64 = (0..n).map(|i| gram[i * n + i]).sum();
    let mut points = vec![[0.0; 2]; n];
    let mut shares = [0.0; 2];
    let largest = largest_eigenpairs(gram, n, 2).into_iter();
    for (axis, Eigenpair { value, vector }) in largest.enumerate() {
        if value <= NEGLIGIBLE * trace.max(NEGLIGIBLE) {
            break;
        }
        shares[axis] = value / trace;
        let farthest = vector
            .iter()
            .copied()
            .max_by(|a, b| a.abs().total_cmp(&b.abs()));
        let scale = value.sqrt().copysign(farthest.unwrap_or_default());
        for (point, v) in points.iter_mut().zip(&vector) {
            point[axis] = v * scale;
        }
    }
    Mds { points, shares }
}

/// `-J D J`, row-major `[n, n]`.
fn gram(distances: &DistanceMatrix) -> Vec<f64> {
    let n = distances.len();
    let means: Vec<f64> = distances
        .rows()
        .map(|row| row.iter().map(|&d| f64::from(d)).sum::<f64>() / n as f64)
        .collect();
    let mean = means.iter().sum::<f64>() / n as f64;
    let mut gram = Vec::with_capacity(n * n);
    for (row, row_mean) in distances.rows().zip(&means) {
        for (&distance, column_mean) in row.iter().zip(&means) {
            gram.push(row_mean + column_mean - mean - f64::from(distance));
        }
    }
    gram
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[Vec<f32>]) -> Mds {
        classical_mds(&DistanceMatrix::from_embeddings(rows).unwrap())
    }

    #[test]
    fn coplanar_vectors_keep_their_distances() {
        // On a circle in three dimensions all differences lie in one plane.
        let rows: Vec<Vec<f32>> = [0.1_f32, 0.9, 2.0, 3.1, 5.0]
            .iter()
            .map(|angle| vec![0.6 * angle.cos(), 0.6 * angle.sin(), 0.8])
            .collect();
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        let found = classical_mds(&matrix);
        assert!(
            (found.shares[0] + found.shares[1] - 1.0).abs() < 1e-6,
            "{found:?}"
        );
        for (i, a) in found.points.iter().enumerate() {
            for (j, b) in found.points.iter().enumerate() {
                let squared = (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
                assert!((squared / 2.0 - f64::from(matrix.row(i)[j])).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_map_is_centred_and_its_first_axis_is_the_wider() {
        let rows: Vec<Vec<f32>> = (0..7)
            .map(|i| (0..5).map(|k| ((i * 5 + k) as f32).sin()).collect())
            .collect();
        let found = map(&rows);
        for axis in 0..2 {
            let mean: f64 = found.points.iter().map(|p| p[axis]).sum();
            assert!(mean.abs() < 1e-9);
        }
        assert!(found.shares[0] >= found.shares[1] && found.shares[1] > 0.0);
    }

    #[test]
    fn without_differences_all_texts_are_at_the_origin() {
        assert_eq!(map(&[]).points, Vec::<[f64; 2]>::new());
        assert_eq!(map(&[vec![1.0, 0.0]]).points, [[0.0; 2]]);
        let same = map(&vec![vec![0.3, 0.4]; 4]);
        assert_eq!((same.points, same.shares), (vec![[0.0; 2]; 4], [0.0; 2]));
    }

    #[test]
    fn two_texts_lie_on_one_axis() {
        let found = map(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
        assert!((found.points[0][0] + found.points[1][0]).abs() < 1e-9);
        assert!(((found.points[0][0] - found.points[1][0]).powi(2) / 2.0 - 1.0).abs() < 1e-9);
        assert!((found.shares[0] - 1.0).abs() < 1e-9);
        assert!(found.points.iter().all(|p| p[1].abs() < 1e-6));
    }
}
