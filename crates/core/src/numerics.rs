//! Logarithms and exponentials for losses, finite where the naive form is not.

use burn::tensor::{Tensor, activation};

/// `log σ(x)`, finite for every finite `x`, with gradient `σ(-x)` everywhere (also at 0, where a
/// DPO run starts).
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::log_sigmoid(x)
}

/// `log(1 - exp(m))` for log-probabilities `m < 0`.
///
/// Computed without cancellation at either end, as `1 - exp(m) = tanh(-m/2) · (1 + exp(m))`. A
/// log-probability of 0 (a model that is certain) is clamped to `-f32::EPSILON`, so that the result
/// and its gradient stay finite.
pub fn log1mexp<const D: usize>(m: Tensor<D>) -> Tensor<D> {
    let m = m.clamp_max(-f32::EPSILON);
    (m.clone() * -0.5).tanh().log() + m.exp().log1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn value_and_gradient(f: impl Fn(Tensor<1>) -> Tensor<1>, x: f32) -> (f32, f32) {
        let x = Tensor::<1>::from_floats([x], &Device::flex().autodiff()).require_grad();
        let y = f(x.clone());
        let gradient = x.grad(&y.backward()).expect("x is tracked");
        (y.into_scalar(), gradient.into_scalar())
    }

    #[test]
    fn log_sigmoid_is_exact_at_zero_and_finite_at_extremes() {
        for (x, value, gradient) in [
            (0.0, -(2f32.ln()), 0.5),
            (3.0, -0.048_587_35, 0.047_425_873),
            (-3.0, -3.048_587_4, 0.952_574_13),
            (1e4, 0.0, 0.0),
            (-1e4, -1e4, 1.0),
        ] {
            let (y, g) = value_and_gradient(log_sigmoid, x);
            assert!(
                (y - value).abs() <= 1e-6 * value.abs().max(1.0),
                "log σ({x}) = {y}"
            );
            assert!((g - gradient).abs() < 1e-6, "gradient at {x} is {g}");
        }
    }

    #[test]
    fn log1mexp_agrees_with_f64_over_sixteen_decades() {
        for exponent in -60..16 {
            let m = -(10f64.powf(f64::from(exponent) / 10.0)) as f32;
            let exact = (-(f64::from(m).exp_m1())).ln();
            let slope = -f64::from(m).exp() / -(f64::from(m).exp_m1());
            let (y, g) = value_and_gradient(log1mexp, m);
            assert!(
                (f64::from(y) - exact).abs() < 2e-6 * exact.abs().max(1.0),
                "m {m}: {y} against {exact}"
            );
            assert!(
                (f64::from(g) - slope).abs() < 1e-4 * slope.abs().max(1.0),
                "m {m}: slope {g} against {slope}"
            );
        }
        for m in [0.0, -1e-30, -1e4] {
            let (y, g) = value_and_gradient(log1mexp, m);
            assert!(y.is_finite() && g.is_finite(), "m {m}: {y}, {g}");
        }
    }
}
