use burn::tensor::{Tensor, assert_shape};

use crate::logps::PairLogps;
use crate::numerics::log_sigmoid;

/// Simple preference optimisation, which needs no reference:
///
/// `-w · log σ( β · (m_w - m_l) - γ )`,  `m` the mean log-probability of a completion's tokens
///
/// Meng et al., arXiv 2405.14734, eq. 6; TRL: CPO's `simpo` with `cpo_alpha` 0, where γ is
/// `simpo_gamma`.
///
/// # Shapes
/// - `mean_logps`: log-probabilities averaged over completion tokens, `[batch]`
/// - `weight`: `[batch]`
/// - output: `[batch]`
pub fn simpo(mean_logps: &PairLogps, weight: Tensor<1>, beta: f32, gamma: f32) -> Tensor<1> {
    let [batch] = mean_logps.chosen.dims();
    assert_shape!(weight, [batch]);
    -log_sigmoid(mean_logps.log_ratio() * beta - gamma) * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value(chosen: f32, rejected: f32, weight: f32, gamma: f32) -> f32 {
        let device = Device::flex();
        let one = |value: f32| Tensor::from_floats([value], &device);
        let logps = PairLogps {
            chosen: one(chosen),
            rejected: one(rejected),
        };
        simpo(&logps, one(weight), 2.0, gamma).into_scalar()
    }

    #[test]
    fn equal_completions_fall_short_of_the_target_margin() {
        for weight in [0.0, 0.5, 1.0, 2.5] {
            // 2 · 0.25 - 0.5 = 0.
            let found = value(-1.0, -1.25, weight, 0.5);
            assert!((found - weight * 2f32.ln()).abs() < 1e-6, "{found}");
        }
        // The value of DPO at the same margin: 2 · 0.4 - 0.5 = 0.3.
        assert!((value(-1.0, -1.4, 1.0, 0.5) - 0.554_355).abs() < 1e-6);
        assert!(value(-1.0, -1.0, 1.0, 0.5) > value(-1.0, -1.0, 1.0, 0.0));
        for margin in [1e8, -1e8] {
            assert!(value(margin, 0.0, 1.0, 0.5).is_finite());
        }
    }
}
