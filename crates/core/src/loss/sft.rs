use burn::tensor::{Tensor, assert_shape};

/// Supervised fine-tuning: the negative log-likelihood of each completion, `-w · log π(y)`.
///
/// Divided by the number of completion tokens in the whole (accumulated) batch, this is the token
/// mean that transformers and TRL report.
///
/// # Shapes
/// - `logps`: log-probabilities summed over completion tokens, `[batch]`
/// - `weight`: `[batch]`
/// - output: `[batch]`
pub fn sft(logps: Tensor<1>, weight: Tensor<1>) -> Tensor<1> {
    let [batch] = logps.dims();
    assert_shape!(weight, [batch]);
    -logps * weight
}
