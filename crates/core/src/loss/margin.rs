use burn::tensor::Tensor;

use crate::PairLogps;

/// The two coefficients of the DPO family: of the policy's log-probabilities and of the reference's.
///
/// In DPO both are β, and a number stands for both. Soft preference learning (Slocum et al.,
/// arXiv 2511.08594) takes the KL divergence to the reference apart: α weighs the policy's entropy
/// and β its cross-entropy to the reference, so that the best policy is `ref^(β/α) · exp(r/α)`. With
/// α above β the policy is softer than the reference, and more diverse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Betas {
    /// α, of the policy's log-probabilities.
    pub policy: f32,
    /// β, of the reference's.
    pub reference: f32,
}

impl From<f32> for Betas {
    fn from(beta: f32) -> Self {
        Self {
            policy: beta,
            reference: beta,
        }
    }
}

/// `α (log π_w - log π_l) - β (log ref_w - log ref_l)`, what every loss of the DPO family looks at;
/// with α = β it is β times DPO's log-ratio of log-ratios.
///
/// # Shapes
/// `[batch]` each.
pub(super) fn margin(policy: &PairLogps, reference: &PairLogps, betas: Betas) -> Tensor<1> {
    let own = policy.log_ratio();
    let h = own.clone() - reference.log_ratio();
    // Not `α own - β other`: two numbers of the size of whole texts would be rounded before they
    // cancel.
    h * betas.reference + own * (betas.policy - betas.reference)
}

/// The implicit rewards `α log π - β log ref` of both completions, as TRL logs them
/// (`rewards/chosen`, `rewards/rejected`).
///
/// # Shapes
/// All `[batch]`.
pub fn dpo_rewards(
    policy: &PairLogps,
    reference: &PairLogps,
    betas: impl Into<Betas>,
) -> PairLogps {
    let betas = betas.into();
    let reward = |policy: &Tensor<1>, reference: &Tensor<1>| {
        (policy.clone() - reference.clone()) * betas.reference
            + policy.clone() * (betas.policy - betas.reference)
    };
    PairLogps {
        chosen: reward(&policy.chosen, &reference.chosen),
        rejected: reward(&policy.rejected, &reference.rejected),
    }
}
