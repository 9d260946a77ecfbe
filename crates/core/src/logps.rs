//! From logits to the log-probabilities of completions.

use burn::tensor::{Int, Tensor, activation};

/// Log-probabilities of a pair's two completions, one value per pair: `[batch]` each.
///
/// Summed over the completion's tokens for DPO, averaged for ORPO.
#[derive(Debug, Clone)]
pub struct PairLogps {
    /// Of the preferred completion.
    pub chosen: Tensor<1>,
    /// Of the other completion.
    pub rejected: Tensor<1>,
}

impl PairLogps {
    /// `log p(chosen) - log p(rejected)`, `[batch]`.
    pub fn log_ratio(&self) -> Tensor<1> {
        self.chosen.clone() - self.rejected.clone()
    }
}

/// Log-probabilities of a batch of completions.
#[derive(Debug, Clone)]
pub struct CompletionLogps {
    /// Tokens of each completion, at least 1, `[batch]`.
    pub lengths: Tensor<1>,
    /// Sum over each completion's tokens, `[batch]`.
    pub logps: Tensor<1>,
    /// Mean over each completion's tokens, `[batch]`; 0 for a completion without tokens.
    pub mean_logps: Tensor<1>,
}

impl CompletionLogps {
    /// Gathers per-token log-probabilities into completions.
    ///
    /// # Shapes
    /// - `token_logps`: `[tokens]`, the completion tokens of the whole batch
    /// - `membership`: `[batch, tokens]`, 1 where the token belongs to the completion
    pub fn new(token_logps: Tensor<1>, membership: Tensor<2>) -> Self {
        let [batch, tokens] = membership.dims();
        let logps = membership
            .clone()
            .matmul(token_logps.reshape([tokens, 1]))
            .reshape([batch]);
        let lengths = membership.sum_dim(1).reshape([batch]).clamp_min(1.0);
        Self {
            mean_logps: logps.clone() / lengths.clone(),
            logps,
            lengths,
        }
    }

    /// Splits a batch of all chosen completions followed by all rejected ones. `mean` selects the
    /// averaged log-probabilities instead of the summed ones.
    pub fn pairs(&self, mean: bool) -> PairLogps {
        split(if mean { &self.mean_logps } else { &self.logps })
    }

    /// Divides summed log-probabilities of the same batch, such as the reference's, by the lengths
    /// of the completions.
    pub fn averaged(&self, summed: &PairLogps) -> PairLogps {
        let lengths = split(&self.lengths);
        PairLogps {
            chosen: summed.chosen.clone() / lengths.chosen,
            rejected: summed.rejected.clone() / lengths.rejected,
        }
    }
}

fn split(both: &Tensor<1>) -> PairLogps {
    let [batch] = both.dims();
    let pairs = batch / 2;
    PairLogps {
        chosen: both.clone().narrow(0, 0, pairs),
        rejected: both.clone().narrow(0, pairs, pairs),
    }
}

/// `log p(target)` at each position.
///
/// # Shapes
/// - `logits`: `[tokens, vocab]`
/// - `targets`: the token ids to predict, `[tokens]`
/// - output: `[tokens]`
pub fn token_logps(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [tokens, _vocab] = logits.dims();
    activation::log_softmax(logits, 1)
        .gather(1, targets.reshape([tokens, 1]))
        .reshape([tokens])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn uniform_logits_give_minus_ln_vocab() {
        let device = Device::flex();
        let logps = token_logps(
            Tensor::zeros([3, 7], &device),
            Tensor::from_ints([0, 3, 6], &device),
        );
        for value in logps.into_data().try_to_vec::<f32>().expect("f32") {
            assert!((value + 7f32.ln()).abs() < 1e-6);
        }
    }

    #[test]
    fn completions_are_summed_and_averaged_by_membership() {
        let device = Device::flex();
        let tokens = Tensor::from_floats([-1.0, -2.0, -4.0], &device);
        let membership =
            Tensor::from_floats([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], &device);
        let completions = CompletionLogps::new(tokens, membership);
        assert_eq!(
            completions
                .logps
                .into_data()
                .try_to_vec::<f32>()
                .expect("f32"),
            [-3.0, -4.0, 0.0]
        );
        assert_eq!(
            completions
                .mean_logps
                .into_data()
                .try_to_vec::<f32>()
                .expect("f32"),
            [-1.5, -4.0, 0.0]
        );
    }
}
