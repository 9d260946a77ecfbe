use burn::tensor::{Tensor, assert_shape};

use super::margin::{Betas, margin};
use crate::logps::PairLogps;

/// Identity preference optimisation:
///
/// `w · (h - 1/(2β))²`,  `h = (log π_w - log π_l) - (log ref_w - log ref_l)`
///
/// Azar et al., arXiv 2310.12036, eq. 17, where β is called τ; TRL: `ipo`. Unlike DPO's, the
/// loss has its minimum at a finite margin, so it stops pulling pairs apart.
///
/// # Shapes
/// - `policy`, `reference`: log-probabilities *averaged* over completion tokens, `[batch]`
/// - `weight`: `[batch]`
/// - output: `[batch]`
///
/// # Departures
/// The paper has summed log-probabilities. Its authors averaged them, as they confirmed to TRL,
/// whose form this is.
pub fn ipo(
    policy: &PairLogps,
    reference: &PairLogps,
    weight: Tensor<1>,
    betas: impl Into<Betas>,
) -> Tensor<1> {
    let [batch] = policy.chosen.dims();
    assert_shape!(weight, [batch]);
    let betas = betas.into();
    let h = margin(policy, reference, betas) / betas.reference;
    (h - 1.0 / (2.0 * betas.reference)).square() * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value(policy: (f32, f32), reference: (f32, f32), weight: f32, beta: f32) -> f32 {
        let device = Device::flex();
        let one = |value: f32| Tensor::from_floats([value], &device);
        let pair = |(chosen, rejected)| PairLogps {
            chosen: one(chosen),
            rejected: one(rejected),
        };
        ipo(&pair(policy), &pair(reference), one(weight), beta).into_scalar()
    }

    #[test]
    fn it_is_a_parabola_around_its_target_margin() {
        assert!(value((-1.0, -6.0), (-2.0, -2.0), 1.0, 0.1).abs() < 1e-6);
        assert!((value((-2.0, -2.0), (-3.0, -3.0), 1.0, 0.1) - 25.0).abs() < 1e-4);
        assert!((value((-1.0, -8.0), (-2.0, -2.0), 1.0, 0.1) - 4.0).abs() < 1e-5);
        // A margin that is too wide costs as much as one that is too narrow by the same amount.
        assert!((value((-1.0, -4.0), (-2.0, -2.0), 1.0, 0.1) - 4.0).abs() < 1e-5);
        assert!((value((-1.0, -8.0), (-2.0, -2.0), 1.6, 0.1) - 6.4).abs() < 1e-5);
        assert_eq!(value((-1.0, -8.0), (-2.0, -2.0), 0.0, 0.1), 0.0);
    }
}
