//! Readers' votes: heavy-tailed counts that are correlated with quality.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// A log-normal law of votes: `max(1, round(exp(location + slope · quality + spread · noise)))`, quality in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoteLaw {
    /// The log of the median votes of the worst tale.
    pub location: f64,
    /// The increase of the log-median from the worst tale to the best.
    pub slope: f64,
    /// The standard deviation of the log-votes.
    pub spread: f64,
}

impl Default for VoteLaw {
    /// Medians from 2 to 40 votes; of two tales of different quality whose votes differ by five or more,
    /// the better one leads in about nine cases out of ten.
    fn default() -> Self {
        Self {
            location: 0.7,
            slope: 3.0,
            spread: 0.8,
        }
    }
}

impl VoteLaw {
    pub(crate) fn draw(&self, quality: f64, rng: &mut impl Rng) -> u32 {
        let log_votes = self.location + self.slope * quality + self.spread * normal(rng);
        // The cast saturates, so no law can overflow the count.
        (log_votes.exp().round() as u32).max(1)
    }
}

/// A standard normal draw (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn normal_has_unit_variance() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let draws: Vec<f64> = (0..20_000).map(|_| normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
    }

    #[test]
    fn no_law_overflows_or_falls_below_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let wild = VoteLaw {
            location: 1e9,
            slope: 0.0,
            spread: 1.0,
        };
        assert_eq!(wild.draw(1.0, &mut rng), u32::MAX);
        let broken = VoteLaw {
            location: f64::NAN,
            slope: 0.0,
            spread: 1.0,
        };
        assert_eq!(broken.draw(1.0, &mut rng), 1);
    }
}
