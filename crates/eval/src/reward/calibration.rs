//! Calibration: whether the mean score of responses equals their reward.

use serde::{Deserialize, Serialize};

use super::judged::Judged;

/// The number of bins.
const BINS: usize = 10;
/// The half width of a 95 % interval, in standard errors.
const Z: f64 = 1.96;

/// Responses of similar reward: a tenth of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Their number.
    pub responses: usize,
    /// Their mean reward.
    pub mean_reward: f64,
    /// Their mean score: equal to it where the model is calibrated.
    pub mean_score: f64,
    /// Lower end of the mean score's 95 % interval by its standard error.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Responses sorted by reward, in ten bins of equal count (fewer bins if there are fewer responses).
/// Equal rewards may fall on both sides of a border.
#[must_use]
pub fn calibration(responses: &[Judged]) -> Vec<CalibrationBin> {
    let mut sorted = responses.to_vec();
    sorted.sort_by(|a, b| {
        a.reward
            .total_cmp(&b.reward)
            .then(a.score.total_cmp(&b.score))
    });
    let bins = BINS.min(sorted.len());
    let border = |bin: usize| bin * sorted.len() / bins;
    (0..bins)
        .map(|i| bin(&sorted[border(i)..border(i + 1)]))
        .collect()
}

fn bin(responses: &[Judged]) -> CalibrationBin {
    let n = responses.len() as f64;
    let mean = |of: fn(&Judged) -> f64| responses.iter().map(of).sum::<f64>() / n;
    let mean_score = mean(|judged| judged.score);
    let squares = responses
        .iter()
        .map(|judged| (judged.score - mean_score).powi(2));
    let error = (squares.sum::<f64>() / (n - 1.0).max(1.0) / n).sqrt();
    CalibrationBin {
        responses: responses.len(),
        mean_reward: mean(|judged| judged.reward),
        mean_score,
        low: mean_score - Z * error,
        high: mean_score + Z * error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_response_is_in_one_bin() {
        for count in [0, 1, 7, 10, 23, 1000] {
            let responses: Vec<Judged> = (0..count)
                .map(|i| Judged {
                    reward: f64::from((i * 37) % 101),
                    score: f64::from(i % 5),
                })
                .collect();
            let bins = calibration(&responses);
            let total: usize = bins.iter().map(|bin| bin.responses).sum();
            assert_eq!(total, responses.len());
            assert!(bins.is_sorted_by(|a, b| a.mean_reward <= b.mean_reward));
            assert!(bins.iter().all(|bin| bin.low <= bin.high));
        }
    }
}
