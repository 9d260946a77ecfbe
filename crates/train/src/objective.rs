//! What is trained for: one enum, each objective with its own settings.

use burn::tensor::Tensor;
use rarebit_core::{CompletionLogps, PairLogps, loss, numerics::log_sigmoid};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::task::Losses;

/// The training objective.
///
/// A weighted objective is its plain sibling times the pair's weight; plain ones see weight 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Objective {
    /// Supervised fine-tuning on completions.
    Sft,
    /// Direct preference optimisation; weighted, it is DDPO.
    Dpo {
        /// Strength of the pull toward the reference policy.
        beta: f32,
        /// Whether pairs are weighted by deviation.
        weighted: bool,
    },
    /// Odds-ratio preference optimisation; weighted, it is DORPO.
    Orpo {
        /// Weight of the odds-ratio term.
        lambda: f32,
        /// Whether pairs are weighted by deviation, and where the weight stands.
        weight: OrpoWeight,
    },
}

/// Where DORPO's weight stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrpoWeight {
    /// Nowhere: ORPO.
    None,
    /// Before the whole loss, as the paper prints it.
    Paper,
    /// Before the NLL and inside the sigmoid, as the authors' code has it.
    Reference,
}

impl Objective {
    /// Whether the loss compares with a reference policy.
    pub fn needs_reference(self) -> bool {
        matches!(self, Self::Dpo { .. })
    }

    /// Whether it learns from pairs; else from completions alone.
    pub fn is_pairwise(self) -> bool {
        !matches!(self, Self::Sft)
    }

    /// Whether the pairs' weights are read.
    pub fn is_weighted(self) -> bool {
        matches!(self, Self::Dpo { weighted: true, .. })
            || matches!(
                self,
                Self::Orpo {
                    weight: OrpoWeight::Paper | OrpoWeight::Reference,
                    ..
                }
            )
    }

    /// `weight` is `[examples]`; `reference` is there when [`Self::needs_reference`].
    pub(crate) fn losses(
        self,
        completions: &CompletionLogps,
        reference: Option<&PairLogps>,
        weight: Tensor<1>,
    ) -> Result<Losses, TrainError> {
        Ok(match self {
            Self::Sft => Losses {
                per_example: loss::sft(completions.logps.clone(), weight),
                sums: vec![("logps/chosen", completions.logps.clone().detach().sum())],
            },
            Self::Dpo { beta, .. } => {
                let policy = completions.pairs(false);
                let reference = reference.ok_or(TrainError::NoReference)?;
                let rewards = loss::dpo_rewards(&detached(&policy), reference, beta);
                Losses {
                    per_example: loss::dpo(&policy, reference, weight, beta),
                    sums: pair_metrics(&rewards, &detached(&policy)),
                }
            }
            Self::Orpo {
                lambda,
                weight: form,
            } => {
                let policy = completions.pairs(true);
                let plain = detached(&policy);
                let rewards = PairLogps {
                    chosen: plain.chosen.clone() * lambda,
                    rejected: plain.rejected.clone() * lambda,
                };
                let log_odds =
                    loss::log_odds(plain.chosen.clone()) - loss::log_odds(plain.rejected.clone());
                let mut sums = pair_metrics(&rewards, &plain);
                // TRL's names: the ratio is what its sigmoid makes of the log odds.
                sums.push(("log_odds_ratio", log_sigmoid(log_odds.clone()).sum()));
                sums.push(("log_odds_chosen", log_odds.sum()));
                sums.push(("nll_loss", -plain.chosen.sum()));
                let per_example = match form {
                    OrpoWeight::None | OrpoWeight::Paper => {
                        loss::orpo(&policy, -policy.chosen.clone(), weight, lambda)
                    }
                    OrpoWeight::Reference => {
                        loss::orpo_weight_inside(&policy, -policy.chosen.clone(), weight, lambda)
                    }
                };
                Losses { per_example, sums }
            }
        })
    }
}

fn detached(logps: &PairLogps) -> PairLogps {
    PairLogps {
        chosen: logps.chosen.clone().detach(),
        rejected: logps.rejected.clone().detach(),
    }
}

fn pair_metrics(rewards: &PairLogps, logps: &PairLogps) -> Vec<(&'static str, Tensor<1>)> {
    let margin = rewards.log_ratio();
    vec![
        ("rewards/chosen", rewards.chosen.clone().sum()),
        ("rewards/rejected", rewards.rejected.clone().sum()),
        (
            "rewards/accuracies",
            margin.clone().greater_scalar(0.0).float().sum(),
        ),
        ("rewards/margins", margin.sum()),
        ("logps/chosen", logps.chosen.clone().sum()),
        ("logps/rejected", logps.rejected.clone().sum()),
    ]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn dpo_without_a_reference_is_an_error() {
        let device = Device::flex();
        let completions =
            CompletionLogps::new(Tensor::zeros([2], &device), Tensor::ones([2, 2], &device));
        let dpo = Objective::Dpo {
            beta: 0.1,
            weighted: true,
        };
        let losses = dpo.losses(&completions, None, Tensor::ones([1], &device));
        assert!(matches!(losses, Err(TrainError::NoReference)));
    }
}
