//! A learning rate that falls when evaluation stops improving, as torch's `ReduceLROnPlateau`
//! lowers it (PyTorch 2.15, in its modes `min` and `rel`).

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// Smaller changes of the learning rate are not made, as in torch.
const EPSILON: f64 = 1e-8;

/// When the learning rate falls, and by how much, under torch's names and with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlateauSettings {
    /// What the learning rate is multiplied by.
    pub factor: f64,
    /// Evaluations without improvement that are waited for.
    pub patience: u64,
    /// The share of the lowest loss by which another must be lower to count as better.
    pub threshold: f64,
    /// Evaluations after a fall during which nothing is counted.
    pub cooldown: u64,
    /// The learning rate never falls below it.
    pub min_lr: f64,
}

impl Default for PlateauSettings {
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
        }
    }
}

impl PlateauSettings {
    /// Whether they are the defaults, of which a configuration need not speak.
    pub(crate) fn are_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        let wrong = |key, value: f64, reason| {
            Err(TrainError::Setting {
                key,
                value: value.to_string(),
                reason,
            })
        };
        if !(0.0..1.0).contains(&self.factor) {
            return wrong("factor", self.factor, "it must be at least 0 and below 1");
        }
        if !(0.0..1.0).contains(&self.threshold) {
            return wrong(
                "threshold",
                self.threshold,
                "it must be at least 0 and below 1",
            );
        }
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            return wrong("min_lr", self.min_lr, "it must be 0 or more");
        }
        Ok(())
    }
}

/// Where the learning rate of a run stands; part of its checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The learning rate now.
    pub learning_rate: f64,
    /// The lowest loss so far.
    best: Option<f64>,
    /// Evaluations since it, cooldowns left out.
    bad: u64,
    /// Evaluations of a cooldown that are left.
    cooling: u64,
}

impl Plateau {
    /// The start of a run.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            best: None,
            bad: 0,
            cooling: 0,
        }
    }

    /// Takes note of an evaluation's loss.
    pub fn step(&mut self, loss: f64, settings: &PlateauSettings) {
        let is_better = |best: f64| loss < best * (1.0 - settings.threshold);
        if self.best.is_none_or(is_better) {
            self.best = Some(loss);
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.bad = 0;
        }
        if self.bad > settings.patience {
            let lower = (self.learning_rate * settings.factor).max(settings.min_lr);
            if self.learning_rate - lower > EPSILON {
                self.learning_rate = lower;
            }
            self.cooling = settings.cooldown;
            self.bad = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_lower_a_rate_are_refused() {
        for (settings, key) in [
            (
                PlateauSettings {
                    factor: 1.0,
                    ..PlateauSettings::default()
                },
                "factor",
            ),
            (
                PlateauSettings {
                    threshold: f64::NAN,
                    ..PlateauSettings::default()
                },
                "threshold",
            ),
            (
                PlateauSettings {
                    min_lr: -1.0,
                    ..PlateauSettings::default()
                },
                "min_lr",
            ),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
