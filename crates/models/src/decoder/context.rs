//! The inputs that the layers of a forward pass share.

use burn::tensor::{Bool, Device, Tensor};

use super::config::DecoderConfig;
use super::mask::causal_mask;
use crate::rope::Rotation;

/// Rotations and masks of one forward pass.
pub(super) struct Context {
    pub(super) rotations: Vec<Rotation>,
    /// Mask of layers with full attention, `[batch or 1, 1, seq, total]`, true where a key is masked
    /// out; `None` if no key is.
    pub(super) causal_mask: Option<Tensor<4, Bool>>,
    /// Mask of layers with sliding-window attention.
    pub(super) sliding_window_mask: Option<Tensor<4, Bool>>,
}

impl Context {
    /// The context of `seq` tokens after `past` others; `attention_mask` is `[batch, past + seq]`.
    pub(super) fn new(
        config: &DecoderConfig,
        past: usize,
        seq: usize,
        attention_mask: Option<Tensor<2, Bool>>,
        device: &Device,
    ) -> Self {
        let has = |sliding| config.layers.iter().any(|layer| layer.sliding == sliding);
        let mask = |window| causal_mask(past, seq, window, attention_mask.clone(), device);
        Self {
            rotations: config
                .ropes
                .iter()
                .map(|rope| Rotation::new(past, seq, rope, device))
                .collect(),
            causal_mask: has(false).then(|| mask(None)).flatten(),
            sliding_window_mask: has(true).then(|| mask(config.sliding_window)).flatten(),
        }
    }
}
