use burn::tensor::{Tensor, activation::relu, assert_shape};

use super::margin::{Betas, margin};
use crate::logps::PairLogps;

/// The hinge loss of sequence likelihood calibration (SLiC) on DPO's margin:
///
/// `w · max(0, 1 - β · h)`,  `h = (log π_w - log π_l) - (log ref_w - log ref_l)`
///
/// Zhao et al., arXiv 2305.10425, with likelihoods relative to the reference as in Liu et al.,
/// arXiv 2309.06657 (`hinge-norm`); TRL: `hinge`. A pair with a margin of 1 or more has no
/// gradient.
///
/// # Shapes
/// - `policy`, `reference`: log-probabilities summed over completion tokens, `[batch]`
/// - `weight`: `[batch]`
/// - output: `[batch]`
pub fn hinge(
    policy: &PairLogps,
    reference: &PairLogps,
    weight: Tensor<1>,
    betas: impl Into<Betas>,
) -> Tensor<1> {
    let [batch] = policy.chosen.dims();
    assert_shape!(weight, [batch]);
    relu(-margin(policy, reference, betas.into()) + 1.0) * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value_and_gradient(h: f32, weight: f32) -> (f32, f32) {
        let device = Device::flex().autodiff();
        let chosen = Tensor::<1>::from_floats([h], &device).require_grad();
        let zero = || Tensor::zeros([1], &device);
        let policy = PairLogps {
            chosen: chosen.clone(),
            rejected: zero(),
        };
        let reference = PairLogps {
            chosen: zero(),
            rejected: zero(),
        };
        let weight = Tensor::from_floats([weight], &device);
        let loss = hinge(&policy, &reference, weight, 0.1);
        let gradient = chosen.grad(&loss.backward()).expect("tracked");
        (loss.into_scalar(), gradient.into_scalar())
    }

    #[test]
    fn it_falls_linearly_to_zero() {
        let expected = [
            (0.0, 1.0, -0.1),
            (3.0, 0.7, -0.1),
            (-20.0, 3.0, -0.1),
            (11.0, 0.0, 0.0),
            (1e8, 0.0, 0.0),
        ];
        for (h, value, slope) in expected {
            for weight in [0.0, 1.0, 1.6] {
                let (found, gradient) = value_and_gradient(h, weight);
                assert!((found - weight * value).abs() < 1e-6, "{h}: {found}");
                assert!((gradient - weight * slope).abs() < 1e-7, "{h}: {gradient}");
            }
        }
    }
}
