//! Correlation of two quantities.

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::evaluation::Interval;

/// Two correlation coefficients with their intervals over the points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Pearson's r: how well a straight line fits.
    pub pearson: Interval,
    /// Spearman's ρ: how well the order agrees.
    pub spearman: Interval,
    /// The number of points.
    pub points: usize,
}

impl Correlation {
    /// The correlation of points; `None` where one of the two coordinates is constant.
    #[must_use]
    pub fn of(points: &[(f64, f64)], bootstrap: &Bootstrap) -> Option<Self> {
        let interval = |statistic: fn(&[(f64, f64)]) -> Option<f64>| {
            bootstrap.interval_of(points.len(), |indices| {
                let drawn: Vec<(f64, f64)> = indices.iter().map(|&index| points[index]).collect();
                statistic(&drawn)
            })
        };
        Some(Self {
            pearson: interval(pearson)?,
            spearman: interval(spearman)?,
            points: points.len(),
        })
    }
}

/// Pearson's r; `None` with fewer than two points or where one coordinate is constant.
#[must_use]
pub fn pearson(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / n, y / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for point in points {
        let (dx, dy) = (point.0 - x, point.1 - y);
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    // Rounding leaves a small remainder where a coordinate is constant.
    let varies = |squares: f64, mean: f64| squares > 1e-24 * n * mean.mul_add(mean, 1e-24);
    (points.len() > 1 && varies(xx, x) && varies(yy, y))
        .then(|| (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
}

/// Spearman's ρ, with ties at their mean rank; `None` as for [`pearson`].
#[must_use]
pub fn spearman(points: &[(f64, f64)]) -> Option<f64> {
    let x = ranks(points.iter().map(|point| point.0));
    let y = ranks(points.iter().map(|point| point.1));
    let ranked: Vec<(f64, f64)> = x.into_iter().zip(y).collect();
    pearson(&ranked)
}

/// The rank of each value; equal values share the mean of their ranks.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        for &index in tied {
            ranks[index] = first as f64 + (tied.len() - 1) as f64 / 2.0;
        }
        first += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_scipys() {
        // scipy 1.17.1: pearsonr gives 0.7745966692, spearmanr 0.7378647874.
        let points = [(1.0, 2.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)];
        assert!((pearson(&points).unwrap() - 0.774_596_669_2).abs() < 1e-9);
        assert!((spearman(&points).unwrap() - 0.737_864_787_4).abs() < 1e-9);
    }

    #[test]
    fn an_order_is_an_order_however_bent() {
        let bent: Vec<(f64, f64)> = (1..9).map(|x| (f64::from(x), f64::from(x).exp())).collect();
        assert!((spearman(&bent).unwrap() - 1.0).abs() < 1e-12);
        assert!(pearson(&bent).unwrap() < 0.9);
        let falling: Vec<(f64, f64)> = bent.iter().map(|(x, y)| (*x, -y)).collect();
        assert!((spearman(&falling).unwrap() + 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_vary_correlates_with_nothing() {
        assert_eq!(pearson(&[]), None);
        assert_eq!(pearson(&[(1.0, 2.0)]), None);
        assert_eq!(pearson(&[(0.1, 1.0), (0.1, 2.0), (0.1, 3.0)]), None);
        assert_eq!(spearman(&[(1.0, 5.0), (2.0, 5.0)]), None);
        assert_eq!(pearson(&[(0.0, 0.0), (1.0, 1.0)]), Some(1.0));
    }
}
