use burn::tensor::{Tensor, assert_shape};

/// Regression: the distance of each prediction from its target, `|x - y|`, as torch's `L1Loss`
/// before its mean. The paper's reward model learns it (arXiv 2503.17126).
///
/// # Shapes
/// - `prediction`, `target`: `[batch]`
/// - output: `[batch]`
pub fn l1(prediction: Tensor<1>, target: Tensor<1>) -> Tensor<1> {
    let [batch] = prediction.dims();
    assert_shape!(target, [batch]);
    (prediction - target).abs()
}
