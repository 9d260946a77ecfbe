//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! Written out because only small dense matrices are needed here: a linear algebra crate would bring
//! a dozen others with it.

/// The eigenvalues of a symmetric matrix, row-major `[n, n]`, unordered; up to rounding, they sum to
/// its trace. Only the lower triangle is read.
///
/// Householder reflections make the matrix tridiagonal, then the QL method with implicit shifts
/// finds the values ("Linear Algebra", Wilkinson and Reinsch, 1971, contributions II/2 and II/4):
/// `4/3 n^3` operations.
pub(crate) fn symmetric_eigenvalues(matrix: Vec<f64>, n: usize) -> Vec<f64> {
    Tridiagonal::new(matrix, n).eigenvalues()
}

/// An eigenvalue and its eigenvector of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigenpair {
    /// The eigenvalue.
    pub value: f64,
    /// The eigenvector. Its sign is arbitrary, and so is its direction within the eigenspace of a
    /// repeated eigenvalue; the same matrix always gives the same vector.
    pub vector: Vec<f64>,
}

/// The `count` largest eigenvalues of a symmetric matrix, row-major `[n, n]`, largest first, with
/// orthogonal vectors. Only the lower triangle is read.
///
/// The vectors come by inverse iteration on the tridiagonal matrix (contribution II/18 of the same
/// book), so that a few of them cost little more than the values.
#[must_use]
pub fn largest_eigenpairs(matrix: Vec<f64>, n: usize, count: usize) -> Vec<Eigenpair> {
    let tridiagonal = Tridiagonal::new(matrix, n);
    let mut values = tridiagonal.eigenvalues();
    values.sort_by(|a, b| b.total_cmp(a));
    values.truncate(count);
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(values.len());
    for &value in &values {
        vectors.push(tridiagonal.eigenvector(value, &vectors));
    }
    let pair = |(value, vector)| Eigenpair {
        value,
        vector: tridiagonal.back(vector),
    };
    values.into_iter().zip(vectors).map(pair).collect()
}

/// `I - u u^T / h` on the first rows and columns, as many as `u` has entries.
struct Reflection {
    u: Vec<f64>,
    h: f64,
}

/// A symmetric matrix as reflections of a tridiagonal one.
struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Entry `i` is between rows `i - 1` and `i`, entry 0 is 0.
    beside: Vec<f64>,
    /// In the order of application to the original matrix.
    reflections: Vec<Reflection>,
}

impl Tridiagonal {
    /// Reflects rows from the last to the second, so that only the diagonal and the entries beside
    /// it remain.
    fn new(mut a: Vec<f64>, n: usize) -> Self {
        let mut beside = vec![0.0; n];
        let mut reflections = Vec::new();
        for i in (1..n).rev() {
            let row: Vec<f64> = a[i * n..i * n + i].to_vec();
            let length = norm(&row);
            let last = row[i - 1];
            if length == 0.0 || row[..i - 1].iter().all(|&value| value == 0.0) {
                beside[i] = last;
                continue;
            }
            // The reflection takes the row to (0, .., 0, -sign(last) * length).
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
            reflections.push(Reflection { u, h });
        }
        Self {
            diagonal: (0..n).map(|i| a[i * n + i]).collect(),
            beside,
            reflections,
        }
    }

    fn eigenvalues(&self) -> Vec<f64> {
        let mut diagonal = self.diagonal.clone();
        implicit_ql(&mut diagonal, &mut self.beside.clone());
        diagonal
    }

    /// The eigenvector of `value` that is orthogonal to those in `found`.
    fn eigenvector(&self, value: f64, found: &[Vec<f64>]) -> Vec<f64> {
        /// The first solution is accurate unless the start is almost orthogonal to the vector.
        const ROUNDS: usize = 4;
        let n = self.diagonal.len();
        // An irregular start, another one for each vector: in the eigenspace of a repeated value the
        // same one would lead to the same vector.
        let mut vector: Vec<f64> = (0..n)
            .map(|i| (((i + 1) * (found.len() + 2)) as f64).sqrt().fract() - 0.4)
            .collect();
        for _ in 0..ROUNDS {
            self.solve_shifted(value, &mut vector);
            // Twice, since what cancels in the first pass leaves rounding errors.
            for other in found.iter().chain(found) {
                let dot = dot(other, &vector);
                for (v, o) in vector.iter_mut().zip(other) {
                    *v -= dot * o;
                }
            }
            let length = norm(&vector);
            vector.iter_mut().for_each(|v| *v /= length);
        }
        vector
    }

    /// Solves `(T - shift I) x = b` in place by elimination with row exchanges. A pivot of 0, as an
    /// exact eigenvalue gives, is replaced by a tiny one.
    fn solve_shifted(&self, shift: f64, b: &mut [f64]) {
        let n = self.diagonal.len();
        let largest = |values: &[f64]| values.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
        let size = largest(&self.diagonal).max(largest(&self.beside));
        let tiny = if size > 0.0 { f64::EPSILON * size } else { 1.0 };
        let pivot = |value: f64| {
            if value.abs() < tiny {
                tiny.copysign(value)
            } else {
                value
            }
        };
        // The upper triangle by rows: the diagonal and the two entries to its right.
        let mut rows: Vec<[f64; 3]> = (0..n)
            .map(|i| {
                let right = self.beside.get(i + 1).copied().unwrap_or_default();
                [self.diagonal[i] - shift, right, 0.0]
            })
            .collect();
        for i in 0..n.saturating_sub(1) {
            let below = self.beside[i + 1];
            let (row, next) = (rows[i], rows[i + 1]);
            if row[0].abs() >= below.abs() {
                rows[i][0] = pivot(row[0]);
                let factor = below / rows[i][0];
                rows[i + 1][0] -= factor * row[1];
                b[i + 1] -= factor * b[i];
            } else {
                let factor = row[0] / below;
                rows[i] = [below, next[0], next[1]];
                rows[i + 1] = [row[1] - factor * next[0], -factor * next[1], 0.0];
                b.swap(i, i + 1);
                b[i + 1] -= factor * b[i];
            }
        }
        for i in (0..n).rev() {
            let right = |k: usize| b.get(i + k).copied().unwrap_or_default();
            let rest = b[i] - rows[i][1] * right(1) - rows[i][2] * right(2);
            b[i] = rest / pivot(rows[i][0]);
        }
    }

    /// A vector of the tridiagonal matrix as one of the original.
    fn back(&self, mut vector: Vec<f64>) -> Vec<f64> {
        // The reflection that was applied last is undone first.
        for Reflection { u, h } in self.reflections.iter().rev() {
            let share = dot(u, &vector) / h;
            for (v, u) in vector.iter_mut().zip(u) {
                *v -= share * u;
            }
        }
        vector
    }
}

/// Turns the diagonal into the eigenvalues.
fn implicit_ql(diagonal: &mut [f64], beside: &mut [f64]) {
    /// About three are usual; the bound only guards against an endless loop.
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
            // The matrix has split: the part above is left to the next sweep.
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

/// The product of two vectors over the length of the shorter.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
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

    /// The largest entry of `A v - value v`.
    fn residual(matrix: &[f64], pair: &Eigenpair) -> f64 {
        let n = pair.vector.len();
        assert!((norm(&pair.vector) - 1.0).abs() < 1e-12);
        let rows = matrix.chunks_exact(n).zip(&pair.vector);
        rows.map(|(row, v)| (dot(row, &pair.vector) - pair.value * v).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn a_repeated_eigenvalue_has_orthogonal_vectors() {
        let n = 6;
        // The identity, and twice the identity less a projection, which has 2 five times.
        let identity = |i: usize, j: usize| f64::from(i == j);
        let cells = |of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..n * n).map(|at| of(at / n, at % n)).collect()
        };
        for matrix in [
            cells(&identity),
            cells(&|i, j| 2.0 * identity(i, j) - 1.0 / 6.0),
            vec![0.0; n * n],
        ] {
            let pairs = largest_eigenpairs(matrix.clone(), n, 3);
            for (at, pair) in pairs.iter().enumerate() {
                assert!(residual(&matrix, pair) < 1e-12);
                for other in &pairs[..at] {
                    assert!(dot(&pair.vector, &other.vector).abs() < 1e-12);
                }
            }
        }
        assert!(largest_eigenpairs(Vec::new(), 0, 2).is_empty());
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
        /// Trace, Frobenius norm and the trace of the cube determine the values of three rows, and
        /// constrain those of more.
        #[test]
        fn values_and_vectors_are_those_of_the_matrix(
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

            let pairs = largest_eigenpairs(matrix.clone(), n, n);
            let mut ordered = values.clone();
            ordered.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(&ordered, &pairs.iter().map(|pair| pair.value).collect::<Vec<_>>());
            for (at, pair) in pairs.iter().enumerate() {
                prop_assert!(residual(&matrix, pair) < 1e-9);
                for other in &pairs[..at] {
                    prop_assert!(dot(&pair.vector, &other.vector).abs() < 1e-9);
                }
            }
        }
    }
}
