use burn::tensor::{Tensor, assert_shape};

use super::margin::{Betas, margin};
use crate::logps::PairLogps;
use crate::numerics::log_sigmoid;

/// Direct preference optimisation, weighted by the deviation of the chosen response (DDPO):
///
/// `-w · log σ(β · h)`,  `h = (log π_w - log π_l) - (log ref_w - log ref_l)`
///
/// With `weight` 1 this is DPO (Rafailov et al., arXiv 2305.18290, eq. 7; TRL: `sigmoid`); with the
/// weights of `rarebit-deviation` it is DDPO (Chung et al., arXiv 2503.17126). On log-probabilities
/// averaged over the tokens it is length-normalised DPO (Lambert et al., arXiv 2411.15124; TRL:
/// `sigmoid_norm`). With two [`Betas`] it is soft preference learning (arXiv 2511.08594).
///
/// # Shapes
/// - `policy`, `reference`: log-probabilities summed over completion tokens, `[batch]`
/// - `weight`: `[batch]`
/// - output: `[batch]`
///
/// # Departures
/// None from the paper. The batch's loss is the mean of the output, not divided by the sum of
/// the weights.
pub fn dpo(
    policy: &PairLogps,
    reference: &PairLogps,
    weight: Tensor<1>,
    betas: impl Into<Betas>,
) -> Tensor<1> {
    let [batch] = policy.chosen.dims();
    assert_shape!(weight, [batch]);
    -log_sigmoid(margin(policy, reference, betas.into())) * weight
}

#[cfg(test)]
mod tests {
    use super::super::margin::dpo_rewards;
    use super::*;
    use burn::tensor::Device;

    fn pair(device: &Device, chosen: f32, rejected: f32) -> PairLogps {
        PairLogps {
            chosen: Tensor::from_floats([chosen], device),
            rejected: Tensor::from_floats([rejected], device),
        }
    }

    fn value(policy: (f32, f32), reference: (f32, f32), weight: f32, beta: f32) -> f32 {
        let device = Device::flex();
        let weight = Tensor::from_floats([weight], &device);
        dpo(
            &pair(&device, policy.0, policy.1),
            &pair(&device, reference.0, reference.1),
            weight,
            beta,
        )
        .into_scalar()
    }

    #[test]
    fn policy_equal_to_reference_gives_w_ln_2() {
        for weight in [0.0, 0.5, 1.0, 2.5] {
            assert!(
                (value((-7.0, -9.0), (-7.0, -9.0), weight, 0.1) - weight * 2f32.ln()).abs() < 1e-6
            );
        }
    }

    #[test]
    fn the_papers_vectors() {
        assert!((value((3.0, 0.0), (0.0, 0.0), 1.0, 0.1) - 0.554_355).abs() < 1e-6);
        assert!((value((3.0, 0.0), (0.0, 0.0), 1.6, 0.1) - 0.886_968).abs() < 1e-6);
    }

    /// `-log σ(α (π_w - π_l) - β (ref_w - ref_l))`: here 0.3 · 3 - 0.1 · 2 = 0.7.
    #[test]
    fn two_coefficients_weight_policy_and_reference_separately() {
        let device = Device::flex();
        let (policy, reference) = (pair(&device, -5.0, -8.0), pair(&device, -6.0, -8.0));
        let betas = Betas {
            policy: 0.3,
            reference: 0.1,
        };
        let loss = |betas| dpo(&policy, &reference, Tensor::ones([1], &device), betas);
        let soft: f32 = loss(betas).into_scalar();
        assert!((soft - 0.403_186).abs() < 1e-6, "{soft}");
        let margin: f32 = dpo_rewards(&policy, &reference, betas)
            .log_ratio()
            .into_scalar();
        assert!((margin - 0.7).abs() < 1e-6, "{margin}");
        let equal = Betas {
            policy: 0.1,
            ..betas
        };
        assert_eq!(
            loss(equal).into_scalar::<f32>(),
            loss(Betas::from(0.1)).into_scalar::<f32>()
        );
    }

    #[test]
    fn swapping_the_pair_flips_the_margin() {
        let device = Device::flex();
        let (policy, reference) = (pair(&device, -3.0, -5.5), pair(&device, -4.0, -5.0));
        let swapped = |p: &PairLogps| PairLogps {
            chosen: p.rejected.clone(),
            rejected: p.chosen.clone(),
        };
        let margin =
            |p: &PairLogps, r: &PairLogps| dpo_rewards(p, r, 0.1).log_ratio().into_scalar::<f32>();
        assert_eq!(
            margin(&policy, &reference),
            -margin(&swapped(&policy), &swapped(&reference))
        );
    }

    #[test]
    fn finite_at_extreme_margins_and_zero_weight_has_no_gradient() {
        for h in [1e4, -1e4, 1e8, -1e8] {
            let device = Device::flex().autodiff();
            let chosen = Tensor::<1>::from_floats([h], &device).require_grad();
            let policy = PairLogps {
                chosen: chosen.clone(),
                rejected: Tensor::zeros([1], &device),
            };
            let reference = pair(&device, 0.0, 0.0);
            for weight in [1.0, 0.0] {
                let loss = dpo(
                    &policy,
                    &reference,
                    Tensor::from_floats([weight], &device),
                    0.1,
                );
                let gradient: f32 = chosen
                    .grad(&loss.backward())
                    .expect("tracked")
                    .into_scalar();
                assert!(loss.into_scalar::<f32>().is_finite() && gradient.is_finite());
                assert!(weight > 0.0 || gradient == 0.0);
            }
        }
    }
}
