//! Normalisation layers.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::Tensor;

use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::parameters::{NamedValues, Values};

/// `x / √(mean(x²) + ε) · weight` over the last dimension (Zhang and Sennrich, arXiv 1910.07467).
#[derive(Module, Debug)]
pub(crate) struct RmsNorm {
    /// `[width]`
    weight: Param<Tensor<1>>,
    eps: f64,
    /// Gemma stores the weight minus 1.
    from_one: bool,
}

impl RmsNorm {
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        width: usize,
        eps: f64,
        from_one: bool,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: checkpoint.param(&format!("{name}.weight"), [width])?,
            eps,
            from_one,
        })
    }

    /// # Shapes
    /// `[.., width]` in and out
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let scale = (x.clone().square().mean_dim(D - 1) + self.eps)
            .sqrt()
            .recip();
        let weight = match self.from_one {
            true => self.weight.val() + 1.0,
            false => self.weight.val(),
        };
        x * scale * weight.unsqueeze()
    }

    pub(crate) fn collect(&self, name: &str, into: &mut NamedValues) {
        into.push((format!("{name}.weight"), Values::of(self.weight.val())));
    }
}

/// Loads a layer norm of that width.
pub(crate) fn layer_norm(
    checkpoint: &Checkpoint<'_>,
    name: &str,
    width: usize,
    eps: f64,
    bias: bool,
) -> Result<LayerNorm, ModelError> {
    let mut norm = LayerNormConfig::new(width)
        .with_epsilon(eps)
        .with_bias(bias)
        .init(checkpoint.device);
    norm.gamma = checkpoint.param(&format!("{name}.weight"), [width])?;
    if bias {
        norm.beta = Some(checkpoint.param(&format!("{name}.bias"), [width])?);
    }
    Ok(norm)
}

/// A layer norm's parameters in the checkpoint's layout.
pub(crate) fn collect_layer_norm(norm: &LayerNorm, name: &str, into: &mut NamedValues) {
    into.push((format!("{name}.weight"), Values::of(norm.gamma.val())));
    if let Some(beta) = &norm.beta {
        into.push((format!("{name}.bias"), Values::of(beta.val())));
    }
}
