//! The accuracy of a reward model: its rewards against the scores they should match.

mod calibration;
mod judged;
mod pairs;
mod spearman;

use serde::{Deserialize, Serialize};

pub use calibration::{CalibrationBin, calibration};
pub use judged::Judged;
pub use pairs::{PairCounts, pair_counts};
pub use spearman::spearman;

use crate::bootstrap::Bootstrap;
use crate::evaluation::Interval;

/// The accuracy of a reward model. Intervals are bootstrapped over prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEvaluation {
    /// The number of prompts.
    pub prompts: usize,
    /// The number of responses with a score.
    pub responses: usize,
    /// Mean absolute error of the rewards, which L1 training minimises.
    pub mae: Interval,
    /// The same with the median score as the reward of every response: the error of a model that
    /// has learned nothing.
    pub mae_of_median: f64,
    /// Spearman's rank correlation over all responses; `None` where rewards or scores are constant.
    pub spearman: Option<Interval>,
    /// The same within a prompt, averaged over the prompts that have one.
    pub spearman_within_prompt: Option<Interval>,
    /// The share of pairs (two responses to one prompt with different scores) that the rewards order
    /// correctly; equal rewards count half.
    pub pair_accuracy: Option<Interval>,
    /// The counts behind it.
    pub pairs: PairCounts,
    /// Mean score by reward.
    pub calibration: Vec<CalibrationBin>,
    /// The number of bootstrap resamples.
    pub resamples: usize,
    /// Their seed.
    pub seed: u64,
}

/// Compares rewards with scores, given the responses to each prompt; `None` without responses.
#[must_use]
pub fn evaluate_reward(prompts: &[Vec<Judged>], bootstrap: &Bootstrap) -> Option<RewardEvaluation> {
    let prompts: Vec<&[Judged]> = prompts
        .iter()
        .map(Vec::as_slice)
        .filter(|responses| !responses.is_empty())
        .collect();
    let over = |statistic: &dyn Fn(&[Judged]) -> Option<f64>| {
        bootstrap.interval_of(prompts.len(), |drawn| {
            let drawn: Vec<Judged> = drawn.iter().flat_map(|&i| prompts[i]).copied().collect();
            statistic(&drawn)
        })
    };
    let all: Vec<Judged> = prompts.concat();
    let median = median(&all)?;
    let within: Vec<f64> = prompts.iter().filter_map(|one| spearman(one)).collect();
    let counts: Vec<PairCounts> = prompts.iter().map(|one| pair_counts(one)).collect();
    let sum = |drawn: &mut dyn Iterator<Item = &PairCounts>| {
        drawn.fold(PairCounts::default(), |sum, &counts| sum + counts)
    };
    Some(RewardEvaluation {
        prompts: prompts.len(),
        responses: all.len(),
        mae: over(&|responses| mean_distance(responses, |judged| judged.reward))?,
        mae_of_median: mean_distance(&all, |_| median)?,
        spearman: over(&spearman),
        spearman_within_prompt: bootstrap.interval(&within),
        pair_accuracy: bootstrap.interval_of(prompts.len(), |drawn| {
            sum(&mut drawn.iter().map(|&i| &counts[i])).accuracy()
        }),
        pairs: sum(&mut counts.iter()),
        calibration: calibration(&all),
        resamples: bootstrap.resamples,
        seed: bootstrap.seed,
    })
}

fn mean_distance(responses: &[Judged], reward: impl Fn(&Judged) -> f64) -> Option<f64> {
    let distances = responses
        .iter()
        .map(|judged| (reward(judged) - judged.score).abs());
    (!responses.is_empty()).then(|| distances.sum::<f64>() / responses.len() as f64)
}

fn median(responses: &[Judged]) -> Option<f64> {
    let mut scores: Vec<f64> = responses.iter().map(|judged| judged.score).collect();
    scores.sort_by(f64::total_cmp);
    let last = scores.len().checked_sub(1)?;
    Some((scores[last / 2] + scores[last.div_ceil(2)]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap {
        resamples: 200,
        confidence: 0.95,
        seed: 1,
    };

    fn judged(values: &[(f64, f64)]) -> Vec<Judged> {
        let judged = |&(reward, score)| Judged { reward, score };
        values.iter().map(judged).collect()
    }

    #[test]
    fn a_perfect_model_makes_no_error() {
        let prompts: Vec<_> = (0..6)
            .map(|p| judged(&[(f64::from(p), f64::from(p)), (-1.0, -1.0), (0.5, 0.5)]))
            .collect();
        let found = evaluate_reward(&prompts, &BOOTSTRAP).expect("responses");
        assert_eq!((found.prompts, found.responses), (6, 18));
        assert_eq!((found.mae.mean, found.mae.high), (0.0, 0.0));
        assert_eq!(found.spearman.expect("ranks").mean, 1.0);
        assert_eq!(found.pair_accuracy.expect("pairs").low, 1.0);
        assert!(found.mae_of_median > 0.5);
    }

    #[test]
    fn undefined_statistics_are_omitted() {
        // One response per prompt, all of one score: neither pairs nor ranks.
        let prompts = vec![judged(&[(0.3, 1.0)]), Vec::new(), judged(&[(0.1, 1.0)])];
        let found = evaluate_reward(&prompts, &BOOTSTRAP).expect("responses");
        assert_eq!(found.prompts, 2);
        assert!(found.spearman.is_none() && found.pair_accuracy.is_none());
        assert!((found.mae.mean - 0.8).abs() < 1e-12);
        assert_eq!(evaluate_reward(&[], &BOOTSTRAP), None);
    }
}
