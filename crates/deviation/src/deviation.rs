//! The raw deviation of each response and its normalised form within the prompt.

use crate::distance::{check_rows, dot};
use crate::{DeviationError, DistanceMatrix};

/// Deviations of one prompt that differ by no more than this count as equal.
///
/// Distances come from 32-bit vectors and carry an error of some 1e-7; the same text embedded in two
/// batches of different lengths can differ by about as much. Min-max would stretch such a difference
/// to all of `[0, 1]`: of two responses, whose deviations are equal by definition, one would get the
/// weight 0 and the other 2 by rounding alone.
pub const TIE_TOLERANCE: f64 = 1e-6;

/// The mean distance of each response to the other responses,
///
/// ```text
/// d_i = 1/(n-1) * sum_{j != i} (1 - <e(y_i), e(y_j)>)        in [0, 2]
/// ```
///
/// (arXiv 2503.17126, section 3). A single response has no deviation: `None`.
#[must_use]
pub fn deviations(matrix: &DistanceMatrix) -> Vec<Option<f64>> {
    let n = matrix.len();
    let mean = |row: &[f32]| {
        // The diagonal is 0, so the row's sum is the sum over the others.
        (n > 1).then(|| row.iter().map(|&d| f64::from(d)).sum::<f64>() / (n - 1) as f64)
    };
    matrix.rows().map(mean).collect()
}

/// The mean distance of each response to the others, from embeddings and without the distances of
/// pairs:
///
/// ```text
/// d_i = 1/(n-1) Σ_{j≠i} (1 - <e_i, e_j>) = (n - <e_i, Σ_j e_j>) / (n - 1),  rows of length 1
/// ```
///
/// Time and memory grow linearly with the number of responses. The result is that of [`deviations`]
/// but for rounding: there, each distance is rounded to `f32` first. `None` for a single response.
///
/// # Errors
/// As for [`DistanceMatrix::from_embeddings`].
pub fn mean_distances(embeddings: &[Vec<f32>]) -> Result<Vec<Option<f64>>, DeviationError> {
    check_rows(embeddings)?;
    let n = embeddings.len();
    if n < 2 {
        return Ok(vec![None; n]);
    }
    let lengths: Vec<f64> = embeddings.iter().map(|row| dot(row, row).sqrt()).collect();
    let mut sum = vec![0.0; embeddings.first().map_or(0, Vec::len)];
    for (row, &length) in embeddings.iter().zip(&lengths) {
        if length > 0.0 {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += f64::from(value) / length;
            }
        }
    }
    let zeros = lengths.iter().filter(|&&length| length == 0.0).count();
    let mean = |(row, &length): (&Vec<f32>, &f64)| {
        let total = match length > 0.0 {
            true => {
                let to_all: f64 = row.iter().zip(&sum).map(|(&a, b)| f64::from(a) * b).sum();
                n as f64 - to_all / length
            }
            // A zero vector is at distance 1 from all but other zero vectors.
            false => (n - zeros) as f64,
        };
        // Among equal responses it may be a rounding error below 0.
        Some((total / (n - 1) as f64).clamp(0.0, 2.0))
    };
    Ok(embeddings.iter().zip(&lengths).map(mean).collect())
}

/// Min-max of one prompt's raw deviations, `u_i = (d_i - min d) / (max d - min d)`.
///
/// Deviations within [`TIE_TOLERANCE`] of each other count as equal; if all do, every `u_i` is 0.5.
///
/// # Panics
/// When a deviation is not finite. Those of [`deviations`] always are.
#[must_use]
pub fn normalise(raw: &[f64]) -> Vec<f64> {
    let mut u = vec![0.5; raw.len()];
    let ties = ties(raw);
    let (Some(first), Some(last)) = (ties.first(), ties.last()) else {
        return u;
    };
    let (min, max) = (first.value, last.value);
    if ties.len() > 1 {
        for tie in &ties {
            for &i in &tie.members {
                u[i] = (tie.value - min) / (max - min);
            }
        }
    }
    u
}

/// Ranks of one prompt's raw deviations, `u_i = (rank_i - 1/2) / n`, in place of [`normalise`].
///
/// Deviations within [`TIE_TOLERANCE`] of each other share the average of their ranks. No `u_i`
/// is 0, so no response loses its weight altogether, and an outlier stretches nothing.
///
/// # Panics
/// When a deviation is not finite. Those of [`deviations`] always are.
#[must_use]
pub fn normalise_ranks(raw: &[f64]) -> Vec<f64> {
    let n = raw.len() as f64;
    let mut u = vec![0.5; raw.len()];
    let mut below = 0;
    for tie in ties(raw) {
        let size = tie.members.len();
        // The average of the ranks below + 1 ..= below + size.
        let rank = below as f64 + (size + 1) as f64 / 2.0;
        for i in tie.members {
            u[i] = (rank - 0.5) / n;
        }
        below += size;
    }
    u
}

/// Responses whose deviations are equal within [`TIE_TOLERANCE`].
struct Tie {
    /// The smallest of the deviations.
    value: f64,
    /// Indices of the responses.
    members: Vec<usize>,
}

/// The responses in groups of equal deviation, from the least to the most deviating.
///
/// A group is measured from its smallest value, so that a long chain of small steps does not
/// become one group.
fn ties(raw: &[f64]) -> Vec<Tie> {
    assert!(
        raw.iter().all(|d| d.is_finite()),
        "deviations must be finite: {raw:?}"
    );
    let mut order: Vec<usize> = (0..raw.len()).collect();
    order.sort_by(|&i, &j| raw[i].total_cmp(&raw[j]));
    let mut ties: Vec<Tie> = Vec::new();
    for i in order {
        match ties.last_mut() {
            Some(tie) if raw[i] - tie.value <= TIE_TOLERANCE => tie.members.push(i),
            _ => ties.push(Tie {
                value: raw[i],
                members: vec![i],
            }),
        }
    }
    ties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn without_pairs_the_mean_distances_are_the_same() {
        let mut rows: Vec<Vec<f32>> = (0..40)
            .map(|i| {
                (0..7)
                    .map(|j| ((i * 7 + j) as f32).sin() * i as f32)
                    .collect()
            })
            .collect();
        // Row 0 is a zero vector; another one, a copy and the opposite of a row beside it.
        rows.push(vec![0.0; 7]);
        rows.push(rows[3].clone());
        rows.push(rows[3].iter().map(|value| -value).collect());
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        let pairwise: Vec<f64> = deviations(&matrix).into_iter().flatten().collect();
        let linear: Vec<f64> = mean_distances(&rows)
            .unwrap()
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(pairwise.len(), linear.len());
        for (a, b) in pairwise.iter().zip(&linear) {
            assert!((a - b).abs() < 1e-6, "{a} and {b}");
        }
        assert_eq!(mean_distances(&rows[..1]).unwrap(), [None]);
        assert!(mean_distances(&[]).unwrap().is_empty());
        let equal = mean_distances(&vec![vec![0.6, 0.8]; 1000]).unwrap();
        assert!(equal.iter().all(|d| d.unwrap() < 1e-12));
        assert!(mean_distances(&[vec![1.0], vec![f32::NAN]]).is_err());
    }

    #[test]
    fn deviation_is_the_mean_distance_to_the_others() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0], vec![-1.0, 0.0]];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        assert_eq!(deviations(&matrix), [Some(1.5), Some(1.0), Some(1.5)]);
    }

    #[test]
    fn two_responses_share_one_deviation() {
        let matrix = DistanceMatrix::from_embeddings(&[vec![1.0, 0.1], vec![0.3, 1.0]]).unwrap();
        let d = deviations(&matrix);
        assert_eq!(d[0], d[1]);
    }

    #[test]
    fn alone_there_is_nothing_to_deviate_from() {
        let matrix = DistanceMatrix::from_embeddings(&[vec![1.0]]).unwrap();
        assert_eq!(deviations(&matrix), [None]);
        let matrix = DistanceMatrix::from_embeddings(&[]).unwrap();
        assert_eq!(deviations(&matrix), []);
    }

    #[test]
    fn each_copy_of_a_text_is_a_response() {
        let rows = [
            vec![1.0, 0.0],
            vec![1.0, 0.0],
            vec![1.0, 0.0],
            vec![0.0, 1.0],
        ];
        let matrix = DistanceMatrix::from_embeddings(&rows).unwrap();
        let third = Some(1.0 / 3.0);
        assert_eq!(deviations(&matrix), [third, third, third, Some(1.0)]);
    }

    #[test]
    fn min_max_spans_the_unit_interval() {
        assert_close(
            &normalise(&[0.2, 0.3, 0.5, 0.4]),
            &[0.0, 1.0 / 3.0, 1.0, 2.0 / 3.0],
        );
    }

    #[test]
    fn rounding_noise_stays_a_tie() {
        let noisy = [0.4, 0.4 + 5e-8, 0.4 - 2e-7];
        assert_eq!(normalise(&noisy), [0.5; 3]);
        assert_eq!(normalise_ranks(&noisy), [0.5; 3]);
        // Copies of the least deviating text all have 0, those of the most deviating all 1.
        assert_eq!(
            normalise(&[0.1, 0.1 + 1e-8, 0.9 - 1e-8, 0.9]),
            [0.0, 0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn ties_share_their_average_rank() {
        assert_close(
            &normalise_ranks(&[0.2, 0.5, 0.2, 0.9]),
            &[0.25, 0.625, 0.25, 0.875],
        );
    }

    #[test]
    fn nothing_to_normalise() {
        assert!(normalise(&[]).is_empty());
        assert!(normalise_ranks(&[]).is_empty());
        assert_eq!(normalise(&[0.7]), [0.5]);
        assert_eq!(normalise_ranks(&[0.7]), [0.5]);
    }
}
