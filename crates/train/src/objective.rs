//! Training objectives: one enum, each objective with its own settings.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use rarebit_core::loss::{self, Betas, KtoSettings};
use rarebit_core::{CompletionLogps, PairLogps, numerics::log_sigmoid};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::example::Example;
use crate::task::Losses;

/// The training objective.
///
/// A weighted objective multiplies each example's loss by its weight; otherwise the weight is 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Objective {
    /// Supervised fine-tuning on completions.
    Sft {
        /// Whether completions are weighted.
        weighted: bool,
    },
    /// Direct preference optimisation and its variants; weighted, it is DDPO.
    Dpo {
        /// The loss as a function of the margin.
        loss_type: LossType,
        /// Strength of the regularisation towards the reference policy.
        beta: f32,
        /// The coefficient of the policy's log-ratio if it differs from `beta`: soft preference
        /// learning.
        policy_beta: Option<f32>,
        /// Whether pairs are weighted.
        weighted: bool,
    },
    /// Odds-ratio preference optimisation; weighted, it is DORPO.
    Orpo {
        /// Weight of the odds-ratio term.
        lambda: f32,
        /// Which tokens the NLL of the chosen response covers.
        nll: OrpoNll,
        /// Whether pairs are weighted, and where the weight enters.
        weight: OrpoWeight,
    },
    /// Simple preference optimisation.
    Simpo {
        /// Scale of the margin between mean log-probabilities.
        beta: f32,
        /// The target margin.
        gamma: f32,
        /// Whether pairs are weighted.
        weighted: bool,
    },
    /// Kahneman-Tversky optimisation on labelled completions.
    Kto {
        /// How quickly the value of a gain saturates.
        beta: f32,
        /// Weight of desirable completions.
        desirable_weight: f32,
        /// Weight of undesirable ones.
        undesirable_weight: f32,
        /// Whether completions are weighted.
        weighted: bool,
    },
}

/// DPO's loss as a function of the margin, under TRL's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum LossType {
    /// `-log σ(margin)`: DPO.
    #[default]
    Sigmoid,
    /// The same on log-probabilities averaged over tokens: length-normalised DPO.
    SigmoidNorm,
    /// `(h - 1/(2β))²` on averaged log-probabilities: IPO.
    Ipo,
    /// `max(0, 1 - margin)`.
    Hinge,
}

/// Which tokens ORPO's NLL of the chosen response covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum OrpoNll {
    /// The completion's, as in the paper.
    #[default]
    Completion,
    /// Those of prompt and completion, as in TRL.
    Sequence,
}

/// Where DORPO's weight enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrpoWeight {
    /// Nowhere: plain ORPO.
    None,
    /// As a factor of the whole loss, as in the paper.
    Paper,
    /// As a factor of the NLL and inside the sigmoid, as in the authors' code.
    Reference,
}

/// What an objective learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearnsFrom {
    /// Single completions.
    Completions,
    /// Pairs of a chosen and a rejected completion.
    Pairs,
    /// Completions with a binary label.
    Labelled,
}

/// What the losses of a micro-batch are computed from.
pub(crate) struct Inputs<'a> {
    /// Of the policy, in the order of [`Example::sequences`].
    pub(crate) completions: &'a CompletionLogps,
    /// The policy's mean log-probability of prompt and chosen completion, `[examples]`; present if
    /// [`Objective::reads_sequences`].
    pub(crate) sequences: Option<Tensor<1>>,
    /// The reference's summed log-probabilities of the same completions; present if
    /// [`Objective::needs_reference`].
    pub(crate) reference: Option<&'a PairLogps>,
    /// 1 where the completion is desirable, `[examples]`.
    pub(crate) desirable: Tensor<1>,
    /// `[examples]`
    pub(crate) weight: Tensor<1>,
}

impl Objective {
    /// Whether the loss compares with a reference policy.
    pub fn needs_reference(self) -> bool {
        matches!(self, Self::Dpo { .. } | Self::Kto { .. })
    }

    /// What it learns from.
    pub fn learns_from(self) -> LearnsFrom {
        match self {
            Self::Sft { .. } => LearnsFrom::Completions,
            Self::Dpo { .. } | Self::Orpo { .. } | Self::Simpo { .. } => LearnsFrom::Pairs,
            Self::Kto { .. } => LearnsFrom::Labelled,
        }
    }

    /// Whether it learns from examples of this kind.
    pub fn fits(self, example: &Example) -> bool {
        self.learns_from()
            == match example {
                Example::Completion(_) => LearnsFrom::Completions,
                Example::Pair(_) => LearnsFrom::Pairs,
                Example::Labelled(_) => LearnsFrom::Labelled,
            }
    }

    /// Fails on the first example that does not fit.
    pub(crate) fn check<'a>(
        self,
        examples: impl IntoIterator<Item = &'a Example>,
    ) -> Result<(), TrainError> {
        let mut examples = examples.into_iter();
        match examples.find(|example| !self.fits(example)) {
            Some(example) => Err(TrainError::Unfit {
                id: example.id().to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Whether the examples' weights are read.
    pub fn is_weighted(self) -> bool {
        match self {
            Self::Sft { weighted }
            | Self::Dpo { weighted, .. }
            | Self::Simpo { weighted, .. }
            | Self::Kto { weighted, .. } => weighted,
            Self::Orpo { weight, .. } => weight != OrpoWeight::None,
        }
    }

    /// Whether it reads log-probabilities of prompts, too.
    pub(crate) fn reads_sequences(self) -> bool {
        matches!(
            self,
            Self::Orpo {
                nll: OrpoNll::Sequence,
                ..
            }
        )
    }

    /// An example's share of the divisor of a step's losses: 1, or in supervised fine-tuning, whose
    /// loss is a mean over tokens, its number of completion tokens.
    pub(crate) fn share(self, example: &Example) -> usize {
        match self.learns_from() {
            LearnsFrom::Completions => example.completion_tokens(),
            LearnsFrom::Pairs | LearnsFrom::Labelled => 1,
        }
    }

    /// The objective's part of [`Task::finish_metrics`](crate::Task::finish_metrics).
    pub(crate) fn finish_metrics(self, means: &mut BTreeMap<String, f64>) {
        match self {
            Self::Kto { .. } => means_by_label(means),
            Self::Sft { .. } | Self::Dpo { .. } | Self::Orpo { .. } | Self::Simpo { .. } => {}
        }
    }

    pub(crate) fn losses(self, inputs: Inputs<'_>) -> Result<Losses, TrainError> {
        let Inputs {
            completions,
            sequences,
            reference,
            desirable,
            weight,
        } = inputs;
        let reference = || reference.ok_or(TrainError::NoReference);
        Ok(match self {
            Self::Sft { .. } => Losses {
                per_example: loss::sft(completions.logps.clone(), weight),
                sums: vec![("logps/chosen", completions.logps.clone().detach().sum())],
            },
            Self::Dpo {
                loss_type,
                beta,
                policy_beta,
                ..
            } => {
                let betas = Betas {
                    policy: policy_beta.unwrap_or(beta),
                    reference: beta,
                };
                dpo(completions, reference()?, weight, loss_type, betas)
            }
            Self::Orpo {
                lambda,
                nll,
                weight: form,
            } => {
                let policy = completions.pairs(true);
                let nll = match nll {
                    OrpoNll::Completion => -policy.chosen.clone(),
                    OrpoNll::Sequence => -sequences.ok_or(TrainError::NoSequences)?,
                };
                orpo(&policy, nll, weight, lambda, form)
            }
            Self::Simpo { beta, gamma, .. } => {
                let policy = completions.pairs(true);
                let plain = detached(&policy);
                let rewards = scaled(&plain, beta);
                Losses {
                    per_example: loss::simpo(&policy, weight, beta, gamma),
                    sums: pair_metrics(&rewards, &plain),
                }
            }
            Self::Kto {
                beta,
                desirable_weight,
                undesirable_weight,
                ..
            } => {
                let settings = KtoSettings {
                    beta,
                    desirable_weight,
                    undesirable_weight,
                };
                kto(completions, reference()?, desirable, weight, settings)
            }
        })
    }
}

/// Logged rewards and log-probabilities are summed over tokens even if the loss averages them, as
/// in TRL.
fn dpo(
    completions: &CompletionLogps,
    reference: &PairLogps,
    weight: Tensor<1>,
    loss_type: LossType,
    betas: Betas,
) -> Losses {
    let policy = completions.pairs(false);
    let plain = detached(&policy);
    let rewards = loss::dpo_rewards(&plain, reference, betas);
    let sums = pair_metrics(&rewards, &plain);
    let means = || (completions.pairs(true), completions.averaged(reference));
    let per_example = match loss_type {
        LossType::Sigmoid => loss::dpo(&policy, reference, weight, betas),
        LossType::Hinge => loss::hinge(&policy, reference, weight, betas),
        LossType::SigmoidNorm => {
            let (policy, reference) = means();
            loss::dpo(&policy, &reference, weight, betas)
        }
        LossType::Ipo => {
            let (policy, reference) = means();
            loss::ipo(&policy, &reference, weight, betas)
        }
    };
    Losses { per_example, sums }
}

fn orpo(
    policy: &PairLogps,
    nll: Tensor<1>,
    weight: Tensor<1>,
    lambda: f32,
    form: OrpoWeight,
) -> Losses {
    let plain = detached(policy);
    let log_odds = loss::log_odds(plain.chosen.clone()) - loss::log_odds(plain.rejected.clone());
    let mut sums = pair_metrics(&scaled(&plain, lambda), &plain);
    // TRL's names: its `log_odds_ratio` is the log-sigmoid of the difference of log-odds.
    sums.push(("log_odds_ratio", log_sigmoid(log_odds.clone()).sum()));
    sums.push(("log_odds_chosen", log_odds.sum()));
    sums.push(("nll_loss", nll.clone().detach().sum()));
    let per_example = match form {
        OrpoWeight::None | OrpoWeight::Paper => loss::orpo(policy, nll, weight, lambda),
        OrpoWeight::Reference => loss::orpo_weight_inside(policy, nll, weight, lambda),
    };
    Losses { per_example, sums }
}

/// The second completions are the mismatched ones, from which the KL divergence is estimated.
/// Rewards and log-probabilities are summed by label and counted: [`means_by_label`] divides them.
fn kto(
    completions: &CompletionLogps,
    reference: &PairLogps,
    desirable: Tensor<1>,
    weight: Tensor<1>,
    settings: KtoSettings,
) -> Losses {
    let policy = completions.pairs(false);
    let log_ratio = policy.chosen.clone() - reference.chosen.clone();
    let mismatched = policy.rejected.detach() - reference.rejected.clone();
    let [examples] = mismatched.dims();
    let kl = loss::kl_estimate(mismatched);
    let rewards = log_ratio.clone().detach() * settings.beta;
    let own = policy.chosen.detach();
    let undesirable = desirable.ones_like() - desirable.clone();
    let over = |values: &Tensor<1>, which: &Tensor<1>| (values.clone() * which.clone()).sum();
    let sums = vec![
        ("kl", kl.clone() * examples as f32),
        ("rewards/chosen", over(&rewards, &desirable)),
        ("rewards/rejected", over(&rewards, &undesirable)),
        ("logps/chosen", over(&own, &desirable)),
        ("logps/rejected", over(&own, &undesirable)),
        ("count/chosen", desirable.clone().sum()),
        ("count/rejected", undesirable.sum()),
    ];
    Losses {
        per_example: loss::kto(log_ratio, kl, desirable, weight, settings),
        sums,
    }
}

/// Divides KTO's sums over desirable (`chosen`) and undesirable (`rejected`) examples by their
/// numbers and adds the margin between them. TRL's names.
fn means_by_label(values: &mut BTreeMap<String, f64>) {
    for side in ["chosen", "rejected"] {
        let Some(count) = values.remove(&format!("count/{side}")) else {
            return;
        };
        for name in [format!("rewards/{side}"), format!("logps/{side}")] {
            match values.remove(&name).filter(|_| count > 0.0) {
                Some(sum) => values.insert(name, sum / count),
                None => None,
            };
        }
    }
    let reward = |side| values.get(side).copied();
    if let Some((chosen, rejected)) = reward("rewards/chosen").zip(reward("rewards/rejected")) {
        values.insert("rewards/margins".to_owned(), chosen - rejected);
    }
}

fn detached(logps: &PairLogps) -> PairLogps {
    PairLogps {
        chosen: logps.chosen.clone().detach(),
        rejected: logps.rejected.clone().detach(),
    }
}

fn scaled(logps: &PairLogps, by: f32) -> PairLogps {
    PairLogps {
        chosen: logps.chosen.clone() * by,
        rejected: logps.rejected.clone() * by,
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
    use crate::example::{Completion, Labelled, Pair, Sequence};

    const DPO: Objective = Objective::Dpo {
        loss_type: LossType::Sigmoid,
        beta: 0.1,
        policy_beta: None,
        weighted: true,
    };
    const KTO: Objective = Objective::Kto {
        beta: 0.1,
        desirable_weight: 1.0,
        undesirable_weight: 1.0,
        weighted: false,
    };

    #[test]
    fn objectives_with_a_reference_fail_without_one() {
        let device = Device::flex();
        let completions =
            CompletionLogps::new(Tensor::zeros([2], &device), Tensor::ones([2, 2], &device));
        for objective in [DPO, KTO] {
            assert!(objective.needs_reference());
            let losses = objective.losses(Inputs {
                completions: &completions,
                sequences: None,
                reference: None,
                desirable: Tensor::ones([1], &device),
                weight: Tensor::ones([1], &device),
            });
            assert!(matches!(losses, Err(TrainError::NoReference)));
        }
    }

    #[test]
    fn ktos_sums_by_label_become_means_and_others_stay() {
        let values = |pairs: &[(&str, f64)]| -> BTreeMap<String, f64> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect()
        };
        let mut kto = values(&[
            ("kl", 0.3),
            ("rewards/chosen", 0.5),
            ("rewards/rejected", -0.3),
            ("logps/chosen", -1.0),
            ("logps/rejected", -6.0),
            ("count/chosen", 0.25),
            ("count/rejected", 0.75),
        ]);
        KTO.finish_metrics(&mut kto);
        let expected = values(&[
            ("kl", 0.3),
            ("rewards/chosen", 2.0),
            ("rewards/rejected", -0.3 / 0.75),
            ("rewards/margins", 2.0 + 0.3 / 0.75),
            ("logps/chosen", -4.0),
            ("logps/rejected", -8.0),
        ]);
        assert_eq!(kto, expected);
        let mut dpo = values(&[("rewards/chosen", 0.5), ("rewards/rejected", 0.1)]);
        let before = dpo.clone();
        DPO.finish_metrics(&mut dpo);
        assert_eq!(dpo, before);
        // No example was desirable, so there is no mean.
        let mut none = values(&[
            ("rewards/chosen", 0.0),
            ("count/chosen", 0.0),
            ("count/rejected", 1.0),
        ]);
        KTO.finish_metrics(&mut none);
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn examples_fit_the_objectives_that_can_learn_from_them() {
        let sft = Objective::Sft { weighted: false };
        let sequence = || Sequence::completion(&[1], &[2]);
        let completion = Example::Completion(Completion {
            id: "a".to_owned(),
            weight: 1.0,
            sequence: sequence(),
        });
        let pair = Example::Pair(Pair {
            id: "b".to_owned(),
            weight: 1.0,
            chosen: sequence(),
            rejected: sequence(),
        });
        let labelled = Example::Labelled(Labelled {
            id: "c".to_owned(),
            weight: 1.0,
            own: sequence(),
            mismatched: sequence(),
            desirable: false,
        });
        let error = DPO.check([&pair, &completion]).unwrap_err();
        assert!(matches!(error, TrainError::Unfit { id } if id == "a"));
        for (objective, fitting) in [(sft, 0), (DPO, 1), (KTO, 2)] {
            for (i, example) in [&completion, &pair, &labelled].into_iter().enumerate() {
                assert_eq!(objective.fits(example), i == fitting, "{objective:?}, {i}");
            }
        }
    }
}
