use burn::tensor::{Tensor, activation::sigmoid, assert_shape};

/// KTO's hyperparameters, under TRL's names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KtoSettings {
    /// β, how quickly the value of a gain saturates.
    pub beta: f32,
    /// λ_D, the weight of desirable completions.
    pub desirable_weight: f32,
    /// λ_U, the weight of undesirable ones.
    pub undesirable_weight: f32,
}

/// Kahneman-Tversky optimisation, on labelled completions instead of pairs:
///
/// `w · λ_D · (1 - σ( β · (h - z) ))` where desirable, `w · λ_U · (1 - σ( β · (z - h) ))` where not,
/// `h = log π - log ref`
///
/// Ethayarajh et al., arXiv 2402.01306, eq. 7; TRL: `kto`.
///
/// # Shapes
/// - `log_ratio`: `h`, of log-probabilities summed over completion tokens, `[batch]`
/// - `kl`: `z`, the reference point, which [`kl_estimate`] gives, `[1]`
/// - `desirable`: 1 where the completion is desirable, else 0, `[batch]`
/// - `weight`: `[batch]`
/// - output: `[batch]`
///
/// # Departures
/// `λ - λ σ(x)` in the paper is written `λ (1 - σ(x))` here, as in TRL; the two are equal.
pub fn kto(
    log_ratio: Tensor<1>,
    kl: Tensor<1>,
    desirable: Tensor<1>,
    weight: Tensor<1>,
    settings: KtoSettings,
) -> Tensor<1> {
    let [batch] = log_ratio.dims();
    assert_shape!(desirable, [batch]);
    assert_shape!(weight, [batch]);
    let sign = desirable.clone() * 2.0 - 1.0;
    let (good, bad) = (settings.desirable_weight, settings.undesirable_weight);
    let lambda = desirable * (good - bad) + bad;
    // 1 - σ(x) = σ(-x), which does not cancel where σ(x) is close to 1.
    sigmoid((kl - log_ratio) * sign * settings.beta) * lambda * weight
}

/// The reference point of [`kto`]: the KL divergence of the policy from the reference, estimated as
/// in TRL from completions of other prompts, `max(0, mean(log π - log ref))`.
///
/// No gradient may flow through it: the caller detaches it.
///
/// # Shapes
/// - `log_ratio`: `log π - log ref` of each prompt with a completion of another prompt, `[batch]`
/// - output: `[1]`
pub fn kl_estimate(log_ratio: Tensor<1>) -> Tensor<1> {
    log_ratio.mean().clamp_min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    const SETTINGS: KtoSettings = KtoSettings {
        beta: 0.1,
        desirable_weight: 1.0,
        undesirable_weight: 1.0,
    };

    fn value(h: f32, kl: f32, desirable: f32, weight: f32, settings: KtoSettings) -> f32 {
        let device = Device::flex();
        let one = |value: f32| Tensor::from_floats([value], &device);
        kto(one(h), one(kl), one(desirable), one(weight), settings).into_scalar()
    }

    #[test]
    fn at_the_reference_point_it_is_half_the_weights() {
        let settings = KtoSettings {
            desirable_weight: 1.2,
            undesirable_weight: 0.8,
            ..SETTINGS
        };
        for weight in [0.0, 1.0, 2.5] {
            for (desirable, lambda) in [(1.0, 1.2), (0.0, 0.8)] {
                let found = value(4.0, 4.0, desirable, weight, settings);
                assert!((found - weight * lambda / 2.0).abs() < 1e-6, "{found}");
            }
        }
    }

    #[test]
    fn gains_and_losses_mirror_each_other_and_saturate() {
        // 1 - σ(0.3).
        assert!((value(5.0, 2.0, 1.0, 1.0, SETTINGS) - 0.425_557).abs() < 1e-6);
        assert!((value(-1.0, 2.0, 0.0, 1.0, SETTINGS) - 0.425_557).abs() < 1e-6);
        for (desirable, good, bad) in [(1.0, 1e8, -1e8), (0.0, -1e8, 1e8)] {
            assert_eq!(value(good, 0.0, desirable, 1.0, SETTINGS), 0.0);
            assert_eq!(value(bad, 0.0, desirable, 1.0, SETTINGS), 1.0);
        }
    }

    #[test]
    fn the_estimate_is_a_mean_and_never_below_zero() {
        let device = Device::flex();
        let estimate = |values: [f32; 3]| -> f32 {
            kl_estimate(Tensor::from_floats(values, &device)).into_scalar()
        };
        assert_eq!(estimate([1.0, 3.0, -1.0]), 1.0);
        assert_eq!(estimate([1.0, -3.0, -1.0]), 0.0);
    }
}
