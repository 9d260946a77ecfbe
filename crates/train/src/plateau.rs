//! A learning rate that is reduced when the evaluation loss stops improving, as by torch's
//! `ReduceLROnPlateau` (PyTorch 2.15, modes `min` and `rel`).

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// Smaller reductions are skipped, as in torch.
const EPSILON: f64 = 1e-8;

/// When the learning rate is reduced and by how much, with torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlateauSettings {
    /// Factor of each reduction.
    pub factor: f64,
    /// Evaluations without improvement before a reduction.
    pub patience: u64,
    /// Relative improvement on the lowest loss that counts as one.
    pub threshold: f64,
    /// Evaluations after a reduction that do not count.
    pub cooldown: u64,
    /// Lower bound of the learning rate.
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
    /// Whether they are the defaults, which a saved configuration omits.
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

/// The state of the reductions in a run; part of its checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// The current learning rate.
    pub learning_rate: f64,
    /// The lowest loss so far.
    best: Option<f64>,
    /// Evaluations since then, cooldowns excluded.
    bad: u64,
    /// Evaluations left of a cooldown.
    cooling: u64,
}

impl Plateau {
    /// The state at the start of a run.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            best: None,
            bad: 0,
            cooling: 0,
        }
    }

    /// Records an evaluation loss.
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
    fn settings_out_of_range_are_refused() {
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
