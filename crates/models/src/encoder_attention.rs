//! Bidirectional attention and padding masks, shared by the encoders.

use std::path::Path;

use burn::module::Module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, module};

use crate::config_file;
use crate::error::ModelError;
use crate::linear::Linear;
use crate::rope::Rotation;

/// Self-attention with a fused projection and rotary positions.
#[derive(Module, Debug)]
pub(crate) struct RotaryAttention {
    /// Queries, keys and values, concatenated.
    wqkv: Linear,
    wo: Linear,
    n_heads: usize,
}

impl RotaryAttention {
    pub(crate) fn new(wqkv: Linear, wo: Linear, n_heads: usize) -> Self {
        Self { wqkv, wo, n_heads }
    }

    /// # Shapes
    /// - `x` and output: `[batch, seq, hidden]`
    /// - `unseen`: true where a key is masked out, `[batch, n_heads, seq, seq]`
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        rotation: &Rotation,
        unseen: Option<&Tensor<4, Bool>>,
    ) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let qkv = self.wqkv.forward(x); // [batch, seq, 3 * d_model]
        let part = |i: usize| {
            qkv.clone()
                .narrow(2, i * d_model, d_model)
                .reshape([batch, seq, self.n_heads, d_model / self.n_heads])
                .swap_dims(1, 2)
        }; // [batch, n_heads, seq, head_dim]
        let mixed = module::attention(
            rotation.apply(part(0)),
            rotation.apply(part(1)),
            part(2),
            unseen.cloned(),
            None,
            AttentionModuleOptions::default(),
        );
        self.wo
            .forward(mixed.swap_dims(1, 2).reshape([batch, seq, d_model]))
    }
}

/// The mask of padding for every head and query, `[batch, n_heads, seq, seq]`, true where a key is
/// masked out. `attention_mask` is `[batch, seq]`, true for tokens.
pub(crate) fn unseen_padding(attention_mask: Tensor<2, Bool>, n_heads: usize) -> Tensor<4, Bool> {
    let [batch, seq] = attention_mask.dims();
    attention_mask
        .bool_not()
        .reshape([batch, 1, 1, seq])
        .expand([batch, n_heads, seq, seq])
}

/// Rejects an odd head dimension, which rotary positions cannot pair.
pub(crate) fn check_heads(path: &Path, hidden: usize, heads: usize) -> Result<(), ModelError> {
    if hidden.is_multiple_of(2 * heads) {
        return Ok(());
    }
    let reason =
        format!("{heads} does not divide hidden_size {hidden} into heads of an even dimension");
    Err(config_file::wrong(path, "num_attention_heads", reason))
}
