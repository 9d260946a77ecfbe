//! The learning rate as a function of the step, with the names and values of transformers'
//! `get_scheduler`.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The shape of the learning rate after the warm-up, under transformers' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum LrSchedulerType {
    /// A straight line from the peak to 0 at the last step.
    #[default]
    Linear,
    /// Half a cosine from the peak to 0 at the last step.
    Cosine,
    /// The peak throughout: the warm-up is ignored, as in transformers.
    Constant,
    /// The peak after the warm-up.
    ConstantWithWarmup,
    /// The peak until the evaluation loss stops improving, then reduced step by step, as
    /// `lr_scheduler_kwargs` says. There is no warm-up, as in transformers.
    ReduceLrOnPlateau,
}

impl LrSchedulerType {
    /// All types, in the order of help texts.
    pub const ALL: [Self; 5] = [
        Self::Linear,
        Self::Cosine,
        Self::Constant,
        Self::ConstantWithWarmup,
        Self::ReduceLrOnPlateau,
    ];

    /// Its name in configuration files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::Constant => "constant",
            Self::ConstantWithWarmup => "constant_with_warmup",
            Self::ReduceLrOnPlateau => "reduce_lr_on_plateau",
        }
    }
}

impl fmt::Display for LrSchedulerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An unknown scheduler name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown learning rate schedule `{0}`: use linear, cosine, constant, constant_with_warmup or \
     reduce_lr_on_plateau"
)]
pub struct UnknownScheduler(String);

impl FromStr for LrSchedulerType {
    type Err = UnknownScheduler;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownScheduler(name.to_owned()))
    }
}

/// The learning rate at every optimizer step of a run.
///
/// It holds no state, so a resumed run continues where it was. `reduce_lr_on_plateau` is not a
/// function of the step: here it stays at the peak, and [`Plateau`](crate::Plateau) reduces it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    kind: LrSchedulerType,
    learning_rate: f64,
    warmup_steps: u64,
    total_steps: u64,
}

impl Schedule {
    /// A schedule that rises to `learning_rate` over `warmup_steps` and ends at `total_steps`, in
    /// optimizer steps.
    pub fn new(
        kind: LrSchedulerType,
        learning_rate: f64,
        warmup_steps: u64,
        total_steps: u64,
    ) -> Self {
        Self {
            kind,
            learning_rate,
            warmup_steps,
            total_steps,
        }
    }

    /// The learning rate after `step` completed optimizer steps.
    ///
    /// As in transformers, the first step of a warm-up (`step` 0) has learning rate 0.
    pub fn lr(&self, step: u64) -> f64 {
        self.learning_rate * self.factor(step)
    }

    fn factor(&self, step: u64) -> f64 {
        if matches!(
            self.kind,
            LrSchedulerType::Constant | LrSchedulerType::ReduceLrOnPlateau
        ) {
            return 1.0;
        }
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        match self.kind {
            LrSchedulerType::Linear => self.total_steps.saturating_sub(step) as f64 / decay_steps,
            LrSchedulerType::Cosine => {
                // In transformers the cosine rises again past the last step. A run never gets
                // there; 0 is the safe value.
                let progress = ((step - self.warmup_steps) as f64 / decay_steps).min(1.0);
                0.5 * (1.0 + (PI * progress).cos())
            }
            LrSchedulerType::Constant
            | LrSchedulerType::ReduceLrOnPlateau
            | LrSchedulerType::ConstantWithWarmup => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [u64; 7] = [0, 1, 3, 4, 10, 19, 20];

    fn assert_close(kind: LrSchedulerType, expected: [f64; 7]) {
        let schedule = Schedule::new(kind, 5e-4, 4, 20);
        for (step, expected) in STEPS.into_iter().zip(expected) {
            let lr = schedule.lr(step);
            assert!((lr - expected).abs() < 1e-15, "{kind} {step}: {lr}");
        }
    }

    /// `get_scheduler(name, AdamW(lr=5e-4), 4, 20)`, `get_last_lr()` after 0, 1, 3, ... steps.
    #[test]
    fn values_are_those_of_transformers() {
        assert_close(
            LrSchedulerType::Linear,
            [0.0, 1.25e-4, 3.75e-4, 5e-4, 3.125e-4, 3.125e-5, 0.0],
        );
        assert_close(
            LrSchedulerType::Cosine,
            [
                0.0,
                1.25e-4,
                3.75e-4,
                5e-4,
                3.456_708_580_912_725e-4,
                4.803679899192392e-6,
                0.0,
            ],
        );
        assert_close(LrSchedulerType::Constant, [5e-4; 7]);
        assert_close(
            LrSchedulerType::ConstantWithWarmup,
            [0.0, 1.25e-4, 3.75e-4, 5e-4, 5e-4, 5e-4, 5e-4],
        );
    }

    #[test]
    fn odd_lengths_stay_finite() {
        for kind in LrSchedulerType::ALL {
            for (warmup_steps, total_steps) in [(0, 0), (0, 1), (5, 5), (9, 3)] {
                let schedule = Schedule::new(kind, 1.0, warmup_steps, total_steps);
                for step in 0..12 {
                    let lr = schedule.lr(step);
                    assert!((0.0..=1.0).contains(&lr), "{schedule:?} {step}: {lr}");
                }
            }
        }
    }

    #[test]
    fn names_round_trip_and_agree_with_serde() {
        for kind in LrSchedulerType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!("warm".parse::<LrSchedulerType>().is_err());
    }
}
