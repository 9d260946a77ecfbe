//! The eigenvalues of a symmetric matrix.
//!
//! Written out because all that is needed is the values of small matrices: a linear algebra crate
//! would bring a dozen others with it.

/// The eigenvalues of a symmetric matrix, row-major `[n, n]`, in no order; rounding apart, they sum
/// to its trace. Only the lower triangle is read.
///
/// Householder reflections make the matrix tridiagonal, the QL method with implicit shifts takes
/// the values from it ("Linear Algebra", Wilkinson and Reinsch, 1971, contributions II/2 and II/4):
/// `4/3 n^3` operations.
pub(crate) fn symmetric_eigenvalues(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let mut off_diagonal = tridiagonalise(&mut matrix, n);
    let mut diagonal: Vec<f64> = (0..n).map(|i| matrix[i * n + i]).collect();
    implicit_ql(&mut diagonal, &mut off_diagonal);
    diagonal
}

/// Reflects rows from the last to the second, so that only the diagonal and the entries beside it
/// are left. Gives the latter: entry `i` stands between rows `i - 1` and `i`, entry 0 is 0.
fn tridiagonalise(a: &mut [f64], n: usize) -> Vec<f64> {
    let mut beside = vec![0.0; n];
    for i in (1..n).rev() {
        let row: Vec<f64> = a[i * n..i * n + i].to_vec();
        let length = norm(&row);
        let last = row[i - 1];
        if length == 0.0 || row[..i - 1].iter().all(|&value| value == 0.0) {
            beside[i] = last;
            continue;
        }
        // The reflection I - u u^T / h takes the row to (0, .., 0, -sign(last) * length).
        let target = if last > 0.0 { -length } else { length };
        beside[i] = target;
        let mut u = row;
        u[i - 1] = last - target;
        let h = length * length - last * target;
        let mut p = vec![0.0; i];
        for j in 0..i {
            p[j] += a[j * n + j] * u[j];
            for k in 0..j {
                p[j] += a[j * n + k] * u[k];
                p[k] += a[j * n + k] * u[j];
            }
        }
        let half: f64 = p.iter().zip(&u).map(|(p, u)| p * u).sum::<f64>() / (2.0 * h * h);
        let q: Vec<f64> = p.iter().zip(&u).map(|(p, u)| p / h - half * u).collect();
        for j in 0..i {
            for k in 0..=j {
                a[j * n + k] -= u[j] * q[k] + q[j] * u[k];
            }
        }
    }
    beside
}

/// Turns the diagonal into the eigenvalues.
fn implicit_ql(diagonal: &mut [f64], beside: &mut [f64]) {
    /// Three or so are usual; the bound is against a loop that never ends.
    const SWEEPS: usize = 64;
    let n = diagonal.len();
    if n == 0 {
        return;
    }
    beside.rotate_left(1);
    for first in 0..n {
        for _ in 0..SWEEPS {
            let is_split = |m: &usize| {
                let size = diagonal[*m].abs() + diagonal[*m + 1].abs();
                beside[*m].abs() <= f64::EPSILON * size
            };
            let m = (first..n - 1).find(is_split).unwrap_or(n - 1);
            if m == first {
                break;
            }
            ql_sweep(diagonal, beside, first, m);
        }
    }
}

/// One sweep of plane rotations from row `m` up to row `first`.
fn ql_sweep(diagonal: &mut [f64], beside: &mut [f64], first: usize, m: usize) {
    let g = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
    let r = g.hypot(1.0).copysign(g);
    let mut g = diagonal[m] - diagonal[first] + beside[first] / (g + r);
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (first..m).rev() {
        let f = sine * beside[i];
        let b = cosine * beside[i];
        let r = f.hypot(g);
        beside[i + 1] = r;
        if r == 0.0 {
            // The matrix has split: what is above is for the next sweep.
            diagonal[i + 1] -= p;
            beside[m] = 0.0;
            return;
        }
        sine = f / r;
        cosine = g / r;
        let base = diagonal[i + 1] - p;
        let r = (diagonal[i] - base) * sine + 2.0 * cosine * b;
        p = sine * r;
        diagonal[i + 1] = base + p;
        g = cosine * r - b;
    }
    diagonal[first] -= p;
    beside[first] = g;
    beside[m] = 0.0;
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(matrix: &[f64], n: usize) -> Vec<f64> {
        let mut values = symmetric_eigenvalues(matrix.to_vec(), n);
        values.sort_by(f64::total_cmp);
        values
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn small_matrices_by_hand() {
        assert!(sorted(&[], 0).is_empty());
        assert_close(&sorted(&[3.0], 1), &[3.0]);
        assert_close(&sorted(&[2.0, 1.0, 1.0, 2.0], 2), &[1.0, 3.0]);
        assert_close(&sorted(&[0.0; 9], 3), &[0.0; 3]);
        let diagonal = [5.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 2.0];
        assert_close(&sorted(&diagonal, 3), &[-1.0, 2.0, 5.0]);
    }

    #[test]
    fn a_matrix_of_ones_has_one_eigenvalue() {
        for n in [2, 3, 8, 50] {
            let mut expected = vec![0.0; n];
            expected[n - 1] = n as f64;
            assert_close(&sorted(&vec![1.0; n * n], n), &expected);
        }
    }

    #[test]
    fn the_path_graph_has_cosines() {
        // Tridiagonal with ones beside a zero diagonal: 2 cos(k pi / (n + 1)).
        let n = 120;
        let mut path = vec![0.0; n * n];
        for i in 1..n {
            path[i * n + i - 1] = 1.0;
            path[(i - 1) * n + i] = 1.0;
        }
        let cosine = |k: usize| 2.0 * (k as f64 * std::f64::consts::PI / (n + 1) as f64).cos();
        let expected: Vec<f64> = (1..=n).rev().map(cosine).collect();
        assert_close(&sorted(&path, n), &expected);
    }

    proptest! {
        /// Trace, Frobenius norm and the trace of the cube say all there is for three rows, and
        /// much for more.
        #[test]
        fn power_sums_are_those_of_the_matrix(
            (n, entries) in (1_usize..24).prop_flat_map(|n| {
                (Just(n), prop::collection::vec(-1.0_f64..1.0, n * n))
            })
        ) {
            let matrix: Vec<f64> = (0..n * n)
                .map(|at| entries[(at / n).max(at % n) * n + (at / n).min(at % n)])
                .collect();
            let values = symmetric_eigenvalues(matrix.clone(), n);
            let cell = |i: usize, j: usize| matrix[i * n + j];
            let trace: f64 = (0..n).map(|i| cell(i, i)).sum();
            let squares: f64 = matrix.iter().map(|value| value * value).sum();
            let cubes: f64 = (0..n)
                .flat_map(|i| (0..n).flat_map(move |j| (0..n).map(move |k| (i, j, k))))
                .map(|(i, j, k)| cell(i, j) * cell(j, k) * cell(k, i))
                .sum();
            let power = |exponent| values.iter().map(|value| value.powi(exponent)).sum::<f64>();
            prop_assert!((power(1) - trace).abs() < 1e-10);
            prop_assert!((power(2) - squares).abs() < 1e-9);
            prop_assert!((power(3) - cubes).abs() < 1e-8);
        }
    }
}
