use burn::tensor::{Tensor, assert_shape};

use crate::logps::PairLogps;
use crate::numerics::{log_sigmoid, log1mexp};

/// `log(p / (1 - p))` of a completion, `p = exp(m)` and `m` its mean token log-probability.
///
/// # Shapes
/// `[batch]` in and out.
pub fn log_odds(mean_logps: Tensor<1>) -> Tensor<1> {
    mean_logps.clone() - log1mexp(mean_logps)
}

/// Odds-ratio preference optimisation, weighted by the deviation of the chosen response (DORPO):
///
/// `w · [ NLL(y_w) - λ · log σ( logodds(y_w) - logodds(y_l) ) ]`
///
/// With `weight` 1 this is ORPO (Hong et al., arXiv 2403.07691, eq. 6); with deviation weights it
/// is DORPO as the paper prints it (Chung et al., arXiv 2503.17126).
///
/// # Shapes
/// - `mean_logps`: log-probabilities averaged over completion tokens, `[batch]`
/// - `nll`: of the chosen response per token, `[batch]`: over the completion, that is
///   `-mean_logps.chosen`, or over prompt and completion, as the reference code has it
/// - `weight`: `[batch]`
/// - output: `[batch]`
///
/// # Departures
/// None from the paper, which has the NLL of the completion.
pub fn orpo(mean_logps: &PairLogps, nll: Tensor<1>, weight: Tensor<1>, lambda: f32) -> Tensor<1> {
    let [batch] = mean_logps.chosen.dims();
    assert_shape!(weight, [batch]);
    let ratio = log_odds(mean_logps.chosen.clone()) - log_odds(mean_logps.rejected.clone());
    (nll - log_sigmoid(ratio) * lambda) * weight
}

/// DORPO as the authors' code computes it, with the weight inside the sigmoid:
///
/// `w · NLL(y_w) - λ · log σ( w · (logodds(y_w) - logodds(y_l)) )`
///
/// # Shapes
/// As [`orpo`].
///
/// # Departures
/// The authors' code multiplies the mean NLL of the micro-batch by the mean weight of the
/// micro-batch, so that weights leak between its examples; here each example keeps its own.
pub fn orpo_weight_inside(
    mean_logps: &PairLogps,
    nll: Tensor<1>,
    weight: Tensor<1>,
    lambda: f32,
) -> Tensor<1> {
    let [batch] = mean_logps.chosen.dims();
    assert_shape!(weight, [batch]);
    let ratio = log_odds(mean_logps.chosen.clone()) - log_odds(mean_logps.rejected.clone());
    nll * weight.clone() - log_sigmoid(ratio * weight) * lambda
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn pair(chosen: f32, rejected: f32) -> PairLogps {
        let device = Device::flex();
        PairLogps {
            chosen: Tensor::from_floats([chosen], &device),
            rejected: Tensor::from_floats([rejected], &device),
        }
    }

    fn one(value: f32) -> Tensor<1> {
        Tensor::from_floats([value], &Device::flex())
    }

    #[test]
    fn the_papers_vectors() {
        let logps = pair(-2.0, -2.4);
        let ratio: f32 =
            (log_odds(logps.chosen.clone()) - log_odds(logps.rejected.clone())).into_scalar();
        assert!((ratio - 0.450_314).abs() < 1e-5, "{ratio}");
        let nll = 2.0;
        let odds_term = |loss: Tensor<1>, w: f32| loss.into_scalar::<f32>() - w * nll;
        let paper = |w| odds_term(orpo(&logps, one(nll), one(w), 0.25), w);
        assert!((paper(1.0) - 0.123_282).abs() < 1e-5);
        assert!((paper(1.6) - 0.197_251).abs() < 1e-5);
        let inside = odds_term(orpo_weight_inside(&logps, one(nll), one(1.6), 0.25), 1.6);
        assert!((inside - 0.099_107).abs() < 1e-5);
    }

    #[test]
    fn both_forms_are_orpo_at_weight_one() {
        let logps = pair(-0.7, -3.1);
        let paper: f32 = orpo(&logps, one(0.9), one(1.0), 0.25).into_scalar();
        let code: f32 = orpo_weight_inside(&logps, one(0.9), one(1.0), 0.25).into_scalar();
        assert_eq!(paper, code);
    }

    #[test]
    fn finite_for_certain_and_for_hopeless_completions() {
        for (chosen, rejected) in [(0.0, -1e4), (-1e4, 0.0), (-1e-9, -1e-9), (-1e4, -1e4)] {
            let device = Device::flex().autodiff();
            let tracked = Tensor::<1>::from_floats([chosen], &device).require_grad();
            let logps = PairLogps {
                chosen: tracked.clone(),
                rejected: Tensor::from_floats([rejected], &device),
            };
            let loss = orpo(&logps, -tracked.clone(), Tensor::ones([1], &device), 0.25);
            let gradient: f32 = tracked
                .grad(&loss.backward())
                .expect("tracked")
                .into_scalar();
            assert!(
                loss.into_scalar::<f32>().is_finite() && gradient.is_finite(),
                "{chosen} {rejected}"
            );
        }
    }
}
