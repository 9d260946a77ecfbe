//! How well a reward model judges: its rewards beside the scores they should be.

mod calibration;
mod pairs;
mod spearman;

use serde::{Deserialize, Serialize};

pub use calibration::{CalibrationBin, calibration};
pub use pairs::{PairCounts, pair_counts};
pub use spearman::spearman;

use crate::Bootstrap;
use crate::evaluation::Interval;

/// A response as the reward model judges it, and as it should.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The model's reward.
    pub reward: f64,
    /// The score, on the scale that the model learned.
    pub score: f64,
}

/// How well a reward model judges. Intervals are bootstrapped over prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEvaluation {
    /// Prompts.
    pub prompts: usize,
    /// Responses that have a score.
    pub responses: usize,
    /// Mean distance of reward and score, which L1 training lowers.
    pub mae: Interval,
    /// The same for one reward that is given to every response: the median score. What a model
    /// that has learned nothing reaches.
    pub mae_of_median: f64,
    /// Spearman's rank correlation over all responses; none where either is the same everywhere.
    pub spearman: Option<Interval>,
    /// The same within a prompt, averaged over the prompts that have one.
    pub spearman_within_prompt: Option<Interval>,
    /// Share of pairs of one prompt's responses with different scores that the rewards order
    /// rightly; a pair of equal rewards counts half.
    pub pair_accuracy: Option<Interval>,
    /// What those pairs were.
    pub pairs: PairCounts,
    /// Mean score by reward.
    pub calibration: Vec<CalibrationBin>,
    /// How often the prompts were drawn anew.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Compares rewards with scores, a list of responses for each prompt; none without responses.
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
    fn a_perfect_judge_errs_nowhere() {
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
    fn what_cannot_be_told_is_left_out() {
        // One response per prompt, all of one score: neither pairs nor ranks.
        let prompts = vec![judged(&[(0.3, 1.0)]), Vec::new(), judged(&[(0.1, 1.0)])];
        let found = evaluate_reward(&prompts, &BOOTSTRAP).expect("responses");
        assert_eq!(found.prompts, 2);
        assert!(found.spearman.is_none() && found.pair_accuracy.is_none());
        assert!((found.mae.mean - 0.8).abs() < 1e-12);
        assert_eq!(evaluate_reward(&[], &BOOTSTRAP), None);
    }
}
