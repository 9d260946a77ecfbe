//! Cosine distances between the responses to one prompt.

use crate::DeviationError;

/// The cosine distances between `n` texts: symmetric, with a zero diagonal.
///
/// Each pair is computed once and stored twice, so the matrix is symmetric to the bit.
#[derive(Debug, Clone, PartialEq)]
pub struct DistanceMatrix {
    n: usize,
    /// Row-major, `[n, n]`.
    values: Vec<f32>,
}

impl DistanceMatrix {
    /// Distances `1 - <a, b> / (|a| |b|)` between all pairs of `embeddings`, each in `[0, 2]`.
    ///
    /// Dividing by the lengths changes nothing for an embedder's rows, which have length 1, and allows
    /// precomputed vectors of any length. A zero vector (an empty text) has no
    /// direction: it is at distance 1 from every other text and at distance 0 from another zero
    /// vector. Equal rows are at distance 0 exactly.
    ///
    /// # Errors
    /// When rows differ in their number of components, or a component is not finite.
    pub fn from_embeddings(embeddings: &[Vec<f32>]) -> Result<Self, DeviationError> {
        check_rows(embeddings)?;
        let squared_norms: Vec<f64> = embeddings.iter().map(|row| dot(row, row)).collect();
        let n = embeddings.len();
        let mut values = vec![0.0; n * n];
        for i in 0..n {
            for j in i + 1..n {
                let scale = squared_norms[i].sqrt() * squared_norms[j].sqrt();
                let distance = if scale > 0.0 {
                    1.0 - dot(&embeddings[i], &embeddings[j]) / scale
                } else if squared_norms[i] == squared_norms[j] {
                    0.0
                } else {
                    1.0
                };
                let distance = match embeddings[i] == embeddings[j] {
                    true => 0.0,
                    false => distance.clamp(0.0, 2.0) as f32,
                };
                values[i * n + j] = distance;
                values[j * n + i] = distance;
            }
        }
        Ok(Self { n, values })
    }

    /// The number of texts, `n`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are no texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The distances of text `i` to each text, itself included.
    ///
    /// # Panics
    /// When `i >= self.len()`, as a slice does.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.n..(i + 1) * self.n]
    }

    /// All rows, from the first text's to the last one's.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        (0..self.n).map(|i| self.row(i))
    }

    /// The matrix of some of the texts, in the order of `indices`.
    ///
    /// # Panics
    /// When an index is `self.len()` or more, as a slice does.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let values = indices
            .iter()
            .flat_map(|&i| indices.iter().map(move |&j| self.row(i)[j]))
            .collect();
        Self {
            n: indices.len(),
            values,
        }
    }
}

/// Whether all rows have the same number of components, all of them finite.
pub(crate) fn check_rows(embeddings: &[Vec<f32>]) -> Result<(), DeviationError> {
    let expected = embeddings.first().map_or(0, Vec::len);
    for (row, embedding) in embeddings.iter().enumerate() {
        if embedding.len() != expected {
            return Err(DeviationError::Dims {
                row,
                expected,
                found: embedding.len(),
            });
        }
        if let Some(dim) = embedding.iter().position(|value| !value.is_finite()) {
            return Err(DeviationError::NotFinite {
                row,
                dim,
                value: embedding[dim],
            });
        }
    }
    Ok(())
}

/// In `f64`, where the squares of `f32` can neither overflow nor vanish.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_angles_and_opposites() {
        let rows = [vec![1.0, 0.0], vec![0.0, 2.0], vec![-3.0, 0.0]];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert_eq!(matrix.row(0), [0.0, 1.0, 2.0]);
        assert_eq!(matrix.row(1), [1.0, 0.0, 1.0]);
        assert_eq!(matrix.row(2), [2.0, 1.0, 0.0]);
    }

    #[test]
    fn equal_rows_are_at_distance_zero() {
        let row: Vec<f32> = (0..384).map(|i| (i as f32).sin()).collect();
        let matrix = DistanceMatrix::from_embeddings(&[row.clone(), row]).unwrap();
        assert_eq!(matrix.row(0), [0.0, 0.0]);
    }

    #[test]
    fn a_zero_vector_is_far_from_all_but_its_like() {
        let rows = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 0.0]];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert_eq!(matrix.row(0), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn extreme_components_neither_overflow_nor_vanish() {
        let rows = [
            vec![f32::MAX, 0.0],
            vec![f32::MAX, f32::MAX],
            vec![1e-45, 1e-45],
        ];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert!((matrix.row(0)[1] - (1.0 - 0.5_f32.sqrt())).abs() < 1e-6);
        assert!(matrix.row(1)[2].abs() < 1e-6);
    }

    #[test]
    fn bad_rows_are_named() {
        let ragged = DistanceMatrix::from_embeddings(&[vec![1.0, 0.0], vec![1.0]]).unwrap_err();
        assert_eq!(
            ragged.to_string(),
            "embedding 1 has 1 dimensions where embedding 0 has 2"
        );
        let nan = DistanceMatrix::from_embeddings(&[vec![1.0], vec![f32::NAN]]).unwrap_err();
        assert_eq!(
            nan.to_string(),
            "embedding 1 holds NaN at dimension 0; every component must be finite"
        );
        assert!(DistanceMatrix::from_embeddings(&[vec![f32::INFINITY]]).is_err());
    }

    #[test]
    fn selection_keeps_the_order_asked_for() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![-1.0, 0.0]];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        let selected = matrix.select(&[2, 0]);
        assert_eq!(
            selected.rows().collect::<Vec<_>>(),
            [[0.0, 2.0], [2.0, 0.0]]
        );
    }

    #[test]
    fn no_texts_no_distances() {
        let matrix = DistanceMatrix::from_embeddings(&[]).unwrap();
        assert!(matrix.is_empty());
        assert_eq!(matrix.rows().len(), 0);
    }
}
