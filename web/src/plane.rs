//! A flat map of a set of texts: the two directions in which they differ most.

use rarebit_deviation::DistanceMatrix;

/// Rounds of iteration at most. Directions that are still turning then are as good as each other.
const ROUNDS: usize = 300;
/// A direction that turns by less than this (its sine) has settled.
const SETTLED: f64 = 1e-9;
/// Shares of the spread below this are rounding.
const NOTHING: f64 = 1e-9;

/// Where each text lies on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Coordinates `[x, y]` of each text, around a mean of 0.
    pub points: Vec<[f64; 2]>,
    /// The share of the spread that each axis shows, in `[0, 1]`.
    pub shares: [f64; 2],
}

/// Classical scaling: the principal components of the texts' vectors, found from their distances.
///
/// For vectors of length 1 the cosine distance is half the squared Euclidean one, so that
///
/// ```text
/// B = -J D J,    J = I - 1/n 1 1ᵀ
/// ```
///
/// is the Gram matrix of the centred vectors; its two largest eigenvalues and their vectors give
/// the map. (Torgerson, "Multidimensional scaling: I. Theory and method", 1952.) The sign of an
/// axis is chosen so that its farthest text is on the positive side; the same distances give the
/// same map. Equal texts, and a text alone, lie at the origin.
#[must_use]
pub fn plane(distances: &DistanceMatrix) -> Plane {
    let n = distances.len();
    let mut gram = gram(distances);
    let trace: f64 = (0..n).map(|i| gram[i * n + i]).sum();
    let mut points = vec![[0.0; 2]; n];
    let mut shares = [0.0; 2];
    for (axis, share) in shares.iter_mut().enumerate() {
        let (value, vector) = largest(&gram, n);
        if value <= NOTHING * trace.max(NOTHING) {
            break;
        }
        *share = value / trace;
        for (point, v) in points.iter_mut().zip(&vector) {
            point[axis] = v * value.sqrt();
        }
        // What this direction explains is taken out before the next is sought.
        for i in 0..n {
            for j in 0..n {
                gram[i * n + j] -= value * vector[i] * vector[j];
            }
        }
    }
    Plane { points, shares }
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

/// The largest eigenvalue of a symmetric matrix without negative ones, and its vector of length 1.
fn largest(matrix: &[f64], n: usize) -> (f64, Vec<f64>) {
    // Any start that no set of texts is orthogonal to by its own regularity.
    let mut vector: Vec<f64> = (0..n)
        .map(|i| ((i + 1) as f64).sqrt().fract() - 0.4)
        .collect();
    let mut value = scale_to_unit(&mut vector);
    for _ in 0..ROUNDS {
        let mut next: Vec<f64> = matrix
            .chunks_exact(n.max(1))
            .map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum())
            .collect();
        value = scale_to_unit(&mut next);
        let cosine: f64 = next.iter().zip(&vector).map(|(a, b)| a * b).sum();
        vector = next;
        if 1.0 - cosine * cosine < SETTLED * SETTLED {
            break;
        }
    }
    let farthest = vector
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if farthest.is_some_and(|v| v < 0.0) {
        vector.iter_mut().for_each(|v| *v = -*v);
    }
    (value, vector)
}

/// Scales a vector to length 1, unless it is 0, and returns the length it had.
fn scale_to_unit(vector: &mut [f64]) -> f64 {
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|v| *v /= length);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[Vec<f32>]) -> Plane {
        plane(&DistanceMatrix::from_embeddings(rows).unwrap())
    }

    #[test]
    fn vectors_of_a_plane_keep_their_distances() {
        // On a circle of the third dimension all differences lie in one plane.
        let rows: Vec<Vec<f32>> = [0.1_f32, 0.9, 2.0, 3.1, 5.0]
            .iter()
            .map(|angle| vec![0.6 * angle.cos(), 0.6 * angle.sin(), 0.8])
            .collect();
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        let found = plane(&matrix);
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
    fn without_differences_there_is_only_the_origin() {
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
