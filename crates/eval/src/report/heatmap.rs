//! The pairwise distances among one system's responses to one prompt, as a heat map.

use maud::{Markup, html};

use super::format::{coordinate, fixed};

/// Side of a cell in drawing units; the script uses the same.
const CELL: usize = 20;
/// Room for the responses' numbers above and beside the cells; the script uses the same.
const MARGIN: usize = 12;
/// Up to this many responses each cell shows its number; the script uses the same.
const NUMBERED: usize = 6;

/// Distances as the page holds them: the upper triangle, row by row, in thousandths. The matrix is
/// symmetric with a zero diagonal, and finer shades cannot be told apart.
pub(super) struct Triangle {
    size: usize,
    pub(super) thousandths: Vec<u32>,
}

impl Triangle {
    /// The triangle of the first `limit` responses; `None` without a pair, or if the matrix is not
    /// square.
    pub(super) fn new<T: Copy + Into<f64>>(matrix: &[Vec<T>], limit: usize) -> Option<Self> {
        if matrix.iter().any(|row| row.len() != matrix.len()) {
            return None;
        }
        let size = matrix.len().min(limit);
        let thousandths = pairs(size)
            .map(|(row, column)| in_thousandths(matrix[row][column].into()))
            .collect();
        (size >= 2).then_some(Self { size, thousandths })
    }

    fn get(&self, row: usize, column: usize) -> Option<u32> {
        let (first, second) = (row.min(column), row.max(column));
        // The rows before `first` hold size - 1, size - 2, ... cells.
        let before = first * (2 * self.size).saturating_sub(first + 1) / 2;
        (first != second)
            .then(|| self.thousandths.get(before + second - first - 1).copied())
            .flatten()
    }

    /// The mean and the nearest pair, as one line.
    fn summary(&self) -> String {
        let mean =
            f64::from(self.thousandths.iter().sum::<u32>()) / self.thousandths.len().max(1) as f64;
        let nearest = pairs(self.size)
            .zip(&self.thousandths)
            .min_by_key(|&(_, &distance)| distance);
        let nearest = nearest.map_or_else(String::new, |((row, column), &distance)| {
            format!(
                " · nearest {} and {}: {}",
                row + 1,
                column + 1,
                written(distance)
            )
        });
        format!("mean {}{nearest}", fixed(mean / 1000.0, 2))
    }
}

/// The cells above the diagonal, row by row.
fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size).flat_map(move |row| (row + 1..size).map(move |column| (row, column)))
}

fn in_thousandths(distance: f64) -> u32 {
    if distance.is_finite() {
        (distance.clamp(0.0, 2.0) * 1000.0).round() as u32
    } else {
        0
    }
}

fn written(thousandths: u32) -> String {
    fixed(f64::from(thousandths) / 1000.0, 2)
}

/// The dark end of a kind's scale: the largest distance on the page, rounded up, so that maps of
/// different systems and prompts are comparable by eye.
pub(super) fn darkest<'a>(triangles: impl Iterator<Item = &'a Triangle>) -> u32 {
    let largest = triangles
        .flat_map(|triangle| &triangle.thousandths)
        .copied()
        .max()
        .unwrap_or(0);
    largest.div_ceil(100).max(1) * 100
}

/// The map as HTML. The script replaces it by one that is navigable with the arrow keys.
pub(super) fn map(triangle: &Triangle, system: &str, kind: &str, darkest: u32) -> Markup {
    let rows = 0..triangle.size;
    let shade = |distance: u32| (f64::from(distance) / f64::from(darkest.max(1))).min(1.0);
    let side = triangle.size * CELL + MARGIN;
    let label = format!(
        "{kind} distances among {system}’s {} responses",
        triangle.size
    );
    html! {
        div.heat role="group" aria-label=(label) {
            svg viewBox={ "-" (MARGIN) " -" (MARGIN) " " (side) " " (side) } aria-hidden="true" {
                @for row in rows.clone() {
                    @for column in rows.clone() {
                        @let distance = triangle.get(row, column);
                        rect class=[distance.is_none().then_some("self")]
                            x=(column * CELL) y=(row * CELL) width=(CELL) height=(CELL)
                            fill-opacity=[distance.map(|it| format!("{:.2}", shade(it)))] {}
                    }
                }
                @for row in rows.clone() {
                    text class="index" x=(coordinate((row as f64 + 0.5) * CELL as f64)) y="-4" { (row + 1) }
                    text class="index" x="-7" y=(coordinate((row as f64 + 0.62) * CELL as f64)) { (row + 1) }
                    @for column in rows.clone().filter(|_| triangle.size <= NUMBERED) {
                        @if let Some(distance) = triangle.get(row, column) {
                            text x=(column * CELL + CELL / 2)
                                y=(coordinate((row * CELL) as f64 + CELL as f64 * 0.6))
                                class=[(shade(distance) > 0.5).then_some("on-dark")] { (written(distance)) }
                        }
                    }
                }
            }
        }
        p.readout { (triangle.summary()) }
    }
}

/// The legend: the shades from identical to farthest apart.
pub(super) fn legend(darkest: u32) -> Markup {
    html! {
        p.shades {
            span { "Distance between two responses: 0, the same" } " "
            svg viewBox="0 0 132 10" width="132" height="10" aria-hidden="true" {
                @for step in 0..=10 {
                    rect x=(step * 12) y="0" width="12" height="10"
                        fill-opacity=(format!("{:.1}", f64::from(step) / 10.0)) {}
                }
            } " "
            span { span id="darkest" { (fixed(f64::from(darkest) / 1000.0, 1)) } ", far apart" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triangle_finds_every_pair() {
        let matrix: Vec<Vec<f64>> = (0..5)
            .map(|row| {
                (0..5)
                    .map(|column| f64::from(row + column) / 100.0)
                    .collect()
            })
            .collect();
        let triangle = Triangle::new(&matrix, 16).unwrap();
        for row in 0..5 {
            for column in 0..5 {
                let wanted = (row != column).then_some(((row + column) * 10) as u32);
                assert_eq!(triangle.get(row, column), wanted);
            }
        }
        assert_eq!(triangle.summary(), "mean 0.04 · nearest 1 and 2: 0.01");
    }

    #[test]
    fn malformed_matrices_are_skipped() {
        assert!(Triangle::new(&[vec![0.0]], 16).is_none());
        assert!(Triangle::new(&[vec![0.0, 1.0], vec![1.0]], 16).is_none());
        assert!(Triangle::new::<f64>(&[], 16).is_none());
        let hole = Triangle::new(&[vec![0.0, f64::NAN], vec![f64::NAN, 0.0]], 16).unwrap();
        let drawn = map(&hole, "a", "semantic", 0).into_string();
        assert!(!drawn.contains("NaN"));
    }

    #[test]
    fn a_limit_keeps_the_first() {
        let matrix = vec![vec![0.5; 9]; 9];
        assert_eq!(Triangle::new(&matrix, 4).unwrap().thousandths.len(), 6);
    }
}
