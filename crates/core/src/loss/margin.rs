use burn::tensor::Tensor;

use crate::logps::PairLogps;

/// The two coefficients of the DPO family, of the policy's and the reference's log-probabilities.
///
/// In DPO both are β, and a plain number converts into two equal ones. Soft preference learning
/// (Slocum et al., arXiv 2511.08594) splits the KL divergence to the reference: α weights the
/// policy's entropy and β its cross-entropy with the reference, so that the optimal policy is
/// `ref^(β/α) · exp(r/α)`. With α above β the policy is softer, and more diverse, than the
/// reference.
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

/// `α (log π_w - log π_l) - β (log ref_w - log ref_l)`, on which every loss of the DPO family
/// is computed; with α = β it is β times the difference of DPO's log-ratios.
///
/// # Shapes
/// `[batch]` each.
pub(super) fn margin(policy: &PairLogps, reference: &PairLogps, betas: Betas) -> Tensor<1> {
    let own = policy.log_ratio();
    let h = own.clone() - reference.log_ratio();
    // Not `α own - β other`: the log-probabilities of whole texts are large, and their products
    // would be rounded before they cancel.
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
