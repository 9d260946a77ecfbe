//! Percentile bootstrap over prompts.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::evaluation::Interval;

/// A percentile bootstrap: the prompts are drawn anew, with replacement, many times.
///
/// ("An Introduction to the Bootstrap", Efron and Tibshirani, 1993, chapters 13 and 16.) The same
/// seed draws the same prompts for every metric of equally many prompts, so that metrics and runs
/// are comparable. With fewer than some twenty prompts the intervals are too narrow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How often the prompts are drawn anew.
    pub resamples: usize,
    /// The share of resampled means inside the interval.
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// The mean of one value per prompt and its interval; `None` without values.
    #[must_use]
    pub fn interval(&self, values: &[f64]) -> Option<Interval> {
        let mean = mean(values)?;
        let mut means = self.means(values);
        means.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval {
            mean,
            low: quantile(&means, tail),
            high: quantile(&means, 1.0 - tail),
            prompts: values.len(),
        })
    }

    /// The interval of one difference per prompt, and the two-sided p of no difference,
    ///
    /// ```text
    /// p = 2 * min((1 + #{mean <= 0}) / (1 + B), (1 + #{mean >= 0}) / (1 + B)), at most 1
    /// ```
    ///
    /// over the B resampled means. A single prompt shows nothing: its p is 1.
    #[must_use]
    pub fn difference(&self, differences: &[f64]) -> Option<(Interval, f64)> {
        let interval = self.interval(differences)?;
        if differences.len() < 2 {
            return Some((interval, 1.0));
        }
        let means = self.means(differences);
        let share = |holds: fn(&f64) -> bool| {
            let count = means.iter().filter(|mean| holds(mean)).count();
            (count + 1) as f64 / (means.len() + 1) as f64
        };
        let p = 2.0 * share(|mean| *mean <= 0.0).min(share(|mean| *mean >= 0.0));
        Some((interval, p.min(1.0)))
    }

    /// The mean of each resample.
    fn means(&self, values: &[f64]) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // Drawn as u32, so that 32-bit machines draw the same prompts.
        let n = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let mut draw = || values[rng.random_range(0..n) as usize];
        (0..self.resamples)
            .map(|_| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n))
            .collect()
    }
}

/// The mean; `None` of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let position = at * (sorted.len().saturating_sub(1)) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * position.fract(),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap {
        resamples: 10_000,
        confidence: 0.95,
        seed: 7,
    };

    fn alternating(n: usize) -> Vec<f64> {
        (0..n).map(|i| (i % 2) as f64).collect()
    }

    #[test]
    fn agrees_with_the_normal_approximation() {
        // Mean 0.5, standard error 0.5 / sqrt(400).
        let found = BOOTSTRAP.interval(&alternating(400)).unwrap();
        assert_eq!(found.mean, 0.5);
        assert!(
            (found.low - (0.5 - 1.96 * 0.025)).abs() < 0.004,
            "{found:?}"
        );
        assert!(
            (found.high - (0.5 + 1.96 * 0.025)).abs() < 0.004,
            "{found:?}"
        );
    }

    #[test]
    fn one_seed_one_interval() {
        let values = alternating(31);
        assert_eq!(BOOTSTRAP.interval(&values), BOOTSTRAP.interval(&values));
        let other = Bootstrap {
            seed: 8,
            ..BOOTSTRAP
        };
        let shifted: Vec<f64> = (0..31).map(|i| f64::from(i).sqrt()).collect();
        assert_ne!(BOOTSTRAP.interval(&shifted), other.interval(&shifted));
    }

    #[test]
    fn nothing_and_one_prompt() {
        assert_eq!(BOOTSTRAP.interval(&[]), None);
        assert_eq!(BOOTSTRAP.difference(&[]), None);
        let (interval, p) = BOOTSTRAP.difference(&[0.3]).unwrap();
        assert_eq!((interval.low, interval.high, p), (0.3, 0.3, 1.0));
    }

    #[test]
    fn p_is_small_for_a_clear_difference_and_one_for_none() {
        let clear: Vec<f64> = (0..50).map(|i| 0.1 + f64::from(i % 5) * 0.01).collect();
        let (interval, p) = BOOTSTRAP.difference(&clear).unwrap();
        assert!(interval.low > 0.0);
        assert!((p - 2.0 / 10_001.0).abs() < 1e-12);
        assert_eq!(BOOTSTRAP.difference(&[0.0; 20]).unwrap().1, 1.0);
        let mixed: Vec<f64> = (0..50).map(|i| f64::from(i % 2) - 0.5).collect();
        assert!(BOOTSTRAP.difference(&mixed).unwrap().1 > 0.5);
    }

    #[test]
    fn the_sign_of_a_difference_does_not_change_its_p() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 7) - 2.5).collect();
        let negated: Vec<f64> = values.iter().map(|v| -v).collect();
        let (a, b) = (
            BOOTSTRAP.difference(&values).unwrap(),
            BOOTSTRAP.difference(&negated).unwrap(),
        );
        assert_eq!(a.1, b.1);
        assert!((a.0.low + b.0.high).abs() < 1e-12);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0], 0.975), 1.0);
    }
}
