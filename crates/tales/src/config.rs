//! The configuration of a world, and its validation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::prompt::COMBINATIONS;
use crate::votes::VoteLaw;

/// The configuration of a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// The seed of the split, the phrasings and every tale.
    pub seed: u64,
    /// The number of prompts, of 9,216, held out from training.
    pub held_out: usize,
    /// The skew of the plots: the r-th most frequent has a probability proportional to `r^-exponent`; 0 is uniform.
    pub plot_exponent: f64,
    /// The skew of the voices, likewise.
    pub voice_exponent: f64,
    /// The distribution of votes.
    pub votes: VoteLaw,
}

impl Default for WorldConfig {
    /// With exponent 1.4 the first plot and the first voice each account for about half of all tales, and the mode
    /// of both for a quarter; the rarest of the 48 modes is one in a thousand.
    fn default() -> Self {
        Self {
            seed: 0,
            held_out: 512,
            plot_exponent: 1.4,
            voice_exponent: 1.4,
            votes: VoteLaw::default(),
        }
    }
}

impl WorldConfig {
    /// Whether the configuration is valid.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bad_exponent = |value: &f64| !(value.is_finite() && *value >= 0.0);
        if self.held_out >= COMBINATIONS {
            return Err(ConfigError::HeldOut {
                asked: self.held_out,
                prompts: COMBINATIONS,
            });
        }
        if let Some(value) = [self.plot_exponent, self.voice_exponent]
            .into_iter()
            .find(bad_exponent)
        {
            return Err(ConfigError::Exponent(value));
        }
        let VoteLaw {
            location,
            slope,
            spread,
        } = self.votes;
        if ![location, slope, spread].into_iter().all(f64::is_finite) {
            return Err(ConfigError::Votes(self.votes));
        }
        Ok(())
    }
}

/// An invalid configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConfigError {
    /// `held_out` leaves no prompt to train on.
    HeldOut {
        /// The requested number.
        asked: usize,
        /// The number of prompts.
        prompts: usize,
    },
    /// A negative or non-finite exponent.
    Exponent(f64),
    /// A vote law with a non-finite parameter.
    Votes(VoteLaw),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeldOut { asked, prompts } => {
                write!(
                    f,
                    "held_out = {asked} leaves nothing to train on: the world has {prompts} prompts"
                )
            }
            Self::Exponent(value) => write!(
                f,
                "an exponent must be a finite number of at least 0, not {value}"
            ),
            Self::Votes(law) => write!(f, "a vote law must be finite, not {law:?}"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_worlds_are_refused() {
        let refuse = |config: WorldConfig| config.check().unwrap_err();
        let default = WorldConfig::default();
        assert!(
            refuse(WorldConfig {
                held_out: 9216,
                ..default.clone()
            })
            .to_string()
            .contains("9216")
        );
        assert!(matches!(
            refuse(WorldConfig {
                plot_exponent: f64::NAN,
                ..default.clone()
            }),
            ConfigError::Exponent(_)
        ));
        assert!(matches!(
            refuse(WorldConfig {
                voice_exponent: -1.0,
                ..default.clone()
            }),
            ConfigError::Exponent(_)
        ));
        let votes = VoteLaw {
            spread: f64::INFINITY,
            ..VoteLaw::default()
        };
        assert!(matches!(
            refuse(WorldConfig { votes, ..default }),
            ConfigError::Votes(_)
        ));
    }
}
