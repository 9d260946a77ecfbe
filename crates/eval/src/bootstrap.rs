//! Percentile bootstrap over prompts.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::evaluation::Interval;

/// A percentile bootstrap: prompts are resampled with replacement many times.
///
/// ("An Introduction to the Bootstrap", Efron and Tibshirani, 1993, chapters 13 and 16.) The same
/// seed draws the same prompts for every metric with the same number of prompts, so that metrics and
/// runs are comparable. With fewer than about twenty prompts the intervals are too narrow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// The number of resamples.
    pub resamples: usize,
    /// The share of resampled means inside the interval.
    pub confidence: f64,
    /// The seed of the resamples.
    pub seed: u64,
}

impl Bootstrap {
    /// The mean of one value per prompt and its interval; `None` without values.
    #[must_use]
    pub fn interval(&self, values: &[f64]) -> Option<Interval> {
        Some(self.percentiles(mean(values)?, self.means(values), values.len()))
    }

    /// The interval of any statistic of prompts, recomputed on each resample of their indices.
    /// Resamples on which it is undefined are skipped; `None` if it is undefined on the prompts
    /// themselves.
    #[must_use]
    pub fn interval_of(
        &self,
        prompts: usize,
        statistic: impl Fn(&[usize]) -> Option<f64>,
    ) -> Option<Interval> {
        let all: Vec<usize> = (0..prompts).collect();
        let found = statistic(&all)?;
        let mut resample = vec![0; prompts];
        let mut draw = self.draws(prompts);
        let resampled = (0..self.resamples)
            .filter_map(|_| {
                resample.iter_mut().for_each(|index| *index = draw());
                statistic(&resample)
            })
            .collect();
        Some(self.percentiles(found, resampled, prompts))
    }

    /// The intervals of several statistics of prompts at once, as from [`Self::interval_of`], each with
    /// the two-sided p of being 0, as from [`Self::difference`]. Empty if they are undefined on the
    /// prompts themselves.
    #[must_use]
    pub fn columns_of(
        &self,
        prompts: usize,
        statistics: impl Fn(&[usize]) -> Option<Vec<f64>>,
    ) -> Vec<(Interval, f64)> {
        let all: Vec<usize> = (0..prompts).collect();
        let Some(found) = statistics(&all) else {
            return Vec::new();
        };
        let mut resample = vec![0; prompts];
        let mut draw = self.draws(prompts);
        let mut resampled = vec![Vec::with_capacity(self.resamples); found.len()];
        for _ in 0..self.resamples {
            resample.iter_mut().for_each(|index| *index = draw());
            for (column, value) in resampled
                .iter_mut()
                .zip(statistics(&resample).unwrap_or_default())
            {
                column.push(value);
            }
        }
        let of_column = |(found, resampled): (f64, Vec<f64>)| {
            let p = if prompts < 2 {
                1.0
            } else {
                p_of_none(&resampled)
            };
            (self.percentiles(found, resampled, prompts), p)
        };
        found.into_iter().zip(resampled).map(of_column).collect()
    }

    /// The interval of each column of a table with a row per prompt, as from [`Self::interval`] for
    /// the column alone; empty without rows.
    #[must_use]
    pub fn intervals(&self, rows: &[Vec<f64>]) -> Vec<Interval> {
        let columns = rows.first().map_or(0, Vec::len);
        let mut draw = self.draws(rows.len());
        let mut means = vec![Vec::with_capacity(self.resamples); columns];
        let mut sums = vec![0.0; columns];
        for _ in 0..self.resamples {
            sums.fill(0.0);
            for _ in 0..rows.len() {
                let row = &rows[draw()];
                sums.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += value);
            }
            for (means, sum) in means.iter_mut().zip(&sums) {
                means.push(sum / rows.len() as f64);
            }
        }
        let of_column = |(column, means): (usize, Vec<f64>)| {
            let sum: f64 = rows.iter().map(|row| row[column]).sum();
            self.percentiles(sum / rows.len() as f64, means, rows.len())
        };
        means.into_iter().enumerate().map(of_column).collect()
    }

    /// The interval of one difference per prompt, and the two-sided p of no difference,
    ///
    /// ```text
    /// p = 2 * min((1 + #{mean <= 0}) / (1 + B), (1 + #{mean >= 0}) / (1 + B)), at most 1
    /// ```
    ///
    /// over the B resampled means. A single prompt is no evidence: its p is 1.
    #[must_use]
    pub fn difference(&self, differences: &[f64]) -> Option<(Interval, f64)> {
        let mean = mean(differences)?;
        let means = self.means(differences);
        if differences.len() < 2 {
            return Some((self.percentiles(mean, means, 1), 1.0));
        }
        let p = p_of_none(&means);
        Some((self.percentiles(mean, means, differences.len()), p))
    }

    /// The interval and the p of a value (or a difference) per prompt of several runs, such as seeds,
    /// that do not share their prompts: the runs are resampled, then the prompts of each.
    ///
    /// The mean is that of the runs' means. Runs without a value are skipped; `None` if none is left.
    /// With a handful of runs the interval is too narrow, as with any bootstrap of so few
    /// ("Bootstrap Methods and their Application", Davison and Hinkley, 1997, section 3.8).
    #[must_use]
    pub fn over_runs(&self, runs: &[Vec<f64>]) -> Option<(Interval, f64)> {
        let runs: Vec<&Vec<f64>> = runs.iter().filter(|run| !run.is_empty()).collect();
        let means: Vec<f64> = runs.iter().filter_map(|run| mean(run)).collect();
        let mean = mean(&means)?;
        let prompts = runs.iter().map(|run| run.len()).sum();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut below = |n: usize| {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            rng.random_range(0..n) as usize
        };
        let resampled: Vec<f64> = (0..self.resamples)
            .map(|_| {
                let of_runs = (0..runs.len()).map(|_| {
                    let run = runs[below(runs.len())];
                    let drawn = (0..run.len()).map(|_| run[below(run.len())]);
                    drawn.sum::<f64>() / run.len() as f64
                });
                of_runs.sum::<f64>() / runs.len() as f64
            })
            .collect();
        let p = if prompts < 2 {
            1.0
        } else {
            p_of_none(&resampled)
        };
        Some((self.percentiles(mean, resampled, prompts), p))
    }

    fn percentiles(&self, mean: f64, mut resampled: Vec<f64>, prompts: usize) -> Interval {
        resampled.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Interval {
            mean,
            low: quantile(&resampled, tail),
            high: quantile(&resampled, 1.0 - tail),
            prompts,
        }
    }

    /// The mean of each resample.
    fn means(&self, values: &[f64]) -> Vec<f64> {
        let mut draw = self.draws(values.len());
        let mut mean = || {
            let drawn = (0..values.len()).map(|_| values[draw()]);
            drawn.sum::<f64>() / values.len() as f64
        };
        (0..self.resamples).map(|_| mean()).collect()
    }

    /// Indices of prompts, one at a time, the same ones for every set of `n` prompts.
    fn draws(&self, n: usize) -> impl FnMut() -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // Drawn as u32, so that 32-bit machines draw the same prompts.
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        move || rng.random_range(0..n) as usize
    }
}

/// The two-sided p of no difference, from resampled differences.
fn p_of_none(resampled: &[f64]) -> f64 {
    let share = |holds: fn(&f64) -> bool| {
        let count = resampled.iter().filter(|value| holds(value)).count();
        (count + 1) as f64 / (resampled.len() + 1) as f64
    };
    let p = 2.0 * share(|value| *value <= 0.0).min(share(|value| *value >= 0.0));
    p.min(1.0)
}

/// The mean; `None` without values.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The quantile of sorted values, with linear interpolation.
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
    fn runs_that_disagree_widen_the_interval() {
        let run = |shift: f64| -> Vec<f64> { alternating(40).iter().map(|v| v + shift).collect() };
        let (alike, _) = BOOTSTRAP
            .over_runs(&[run(0.0), run(0.0), run(0.0)])
            .unwrap();
        let (apart, p) = BOOTSTRAP
            .over_runs(&[run(-1.0), run(0.0), run(1.0)])
            .unwrap();
        assert_eq!((alike.mean, alike.prompts), (0.5, 120));
        assert!((apart.mean - 0.5).abs() < 1e-12);
        // Of the means of 120 prompts, and of three runs that are 1 apart: 2/3 of variance each.
        let half = |interval: &Interval| (interval.high - interval.low) / 2.0;
        assert!((half(&alike) - 1.96 * 0.5 / 120f64.sqrt()).abs() < 0.01);
        assert!((half(&apart) - 1.96 * (2f64 / 9.0).sqrt()).abs() < 0.15);
        assert!(p > 0.05);
    }

    #[test]
    fn runs_count_alike_whatever_their_prompts_and_empty_ones_do_not() {
        let runs = [vec![0.0; 30], vec![1.0; 3], Vec::new()];
        assert_eq!(BOOTSTRAP.over_runs(&runs).unwrap().0.mean, 0.5);
        assert_eq!(BOOTSTRAP.over_runs(&[Vec::new()]), None);
        let (one, p) = BOOTSTRAP.over_runs(&[vec![0.3]]).unwrap();
        assert_eq!((one.low, one.high, p), (0.3, 0.3, 1.0));
    }

    #[test]
    fn columns_have_the_intervals_that_they_have_alone() {
        let rows: Vec<Vec<f64>> = (0..23)
            .map(|i| vec![f64::from(i), f64::from(i % 4)])
            .collect();
        let column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<_>>();
        let expected = [0, 1].map(|at| BOOTSTRAP.interval(&column(at)).unwrap());
        assert_eq!(BOOTSTRAP.intervals(&rows), expected);
        assert!(BOOTSTRAP.intervals(&[]).is_empty());
    }

    #[test]
    fn a_statistic_has_the_interval_of_the_mean_when_it_is_the_mean() {
        let values: Vec<f64> = (0..31).map(|i| f64::from(i).sqrt()).collect();
        let mean_of = |indices: &[usize]| {
            let sum: f64 = indices.iter().map(|&index| values[index]).sum();
            (!indices.is_empty()).then(|| sum / indices.len() as f64)
        };
        assert_eq!(
            BOOTSTRAP.interval_of(values.len(), mean_of),
            BOOTSTRAP.interval(&values)
        );
        assert_eq!(BOOTSTRAP.interval_of(0, mean_of), None);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0], 0.975), 1.0);
    }
}
