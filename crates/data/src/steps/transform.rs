//! Step 0: votes, which are heavy-tailed, mapped to a scale that a reward model can learn.

use serde::{Deserialize, Serialize};

/// How scores are transformed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreTransform {
    /// `log(x + 1)` a hundred times on the shifted score, then mapped to `[-1, 1]`.
    #[default]
    Correct,
    /// The same with the reference code's slip: its minimum and maximum are not shifted as the
    /// scores are, so that the range is not `[-1, 1]`.
    Reference,
    /// No transformed score.
    None,
}

/// A [`ScoreTransform`] over the range of one source's scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    shift: f64,
    low: f64,
    high: f64,
}

impl Transform {
    /// `None` where nothing is transformed, or where the reference's mode is undefined: it takes the
    /// logarithm of `min + 1`, which needs scores above -1.
    pub fn new(mode: ScoreTransform, (min, max): (f64, f64)) -> Option<Self> {
        // The smallest score becomes 1, away from the logarithm's pole.
        let shift = 1.0 - min;
        let (low, high) = match mode {
            ScoreTransform::Correct => (compress(min + shift), compress(max + shift)),
            ScoreTransform::Reference if min > -1.0 => (compress(min), compress(max)),
            ScoreTransform::Reference | ScoreTransform::None => return None,
        };
        Some(Self { shift, low, high })
    }

    /// The transformed score; 0 where all scores are equal.
    pub fn apply(&self, score: f64) -> f64 {
        let width = self.high - self.low;
        if width == 0.0 {
            return 0.0;
        }
        2.0 * (compress(score + self.shift) - self.low) / width - 1.0
    }
}

/// `log(x + 1)`, a hundred times.
fn compress(x: f64) -> f64 {
    (0..100).fold(x, |x, _| (x + 1.0).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_from_1_to_20000() {
        let transform = Transform::new(ScoreTransform::Correct, (1.0, 20_000.0)).unwrap();
        for (votes, expected) in [
            (1.0, -1.0),
            (2.0, -0.3094),
            (3.0, -0.0488),
            (5.0, 0.1873),
            (10.0, 0.4038),
            (20.0, 0.5489),
            (50.0, 0.6788),
            (100.0, 0.7492),
            (1000.0, 0.8964),
            (20_000.0, 1.0),
        ] {
            let found = transform.apply(votes);
            assert!((found - expected).abs() < 5e-5, "{votes}: {found}");
        }
    }

    #[test]
    fn negative_votes_reach_both_ends() {
        let transform = Transform::new(ScoreTransform::Correct, (-37.0, 12.0)).unwrap();
        assert!((transform.apply(-37.0) + 1.0).abs() < 1e-12);
        assert!((transform.apply(12.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_references_range_misses_its_ends() {
        let transform = Transform::new(ScoreTransform::Reference, (0.0, 100.0)).unwrap();
        assert!(transform.apply(0.0) > -0.99);
        assert!(transform.apply(100.0) > 1.0);
        assert_eq!(Transform::new(ScoreTransform::Reference, (-1.0, 5.0)), None);
    }

    #[test]
    fn equal_scores_become_zero() {
        let transform = Transform::new(ScoreTransform::Correct, (4.0, 4.0)).unwrap();
        assert_eq!(transform.apply(4.0), 0.0);
    }
}
