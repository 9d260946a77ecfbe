//! The configuration of a decoder.

use crate::activation::Activation;
use crate::rope::RopeConfig;

/// The settings of a rotary decoder of any family: see [`super::families`].
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// The family, as config.json names it.
    pub model_type: String,
    /// Number of token embeddings.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Whether the head shares the embedding's weight (`tie_word_embeddings`).
    pub tie_word_embeddings: bool,
    /// The feed-forward layer's activation.
    pub hidden_act: Activation,
    /// Whether the projections to queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has one.
    pub o_bias: bool,
    /// Whether the feed-forward's linear layers have one.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalized, per head.
    pub qk_norm: bool,
    /// Whether projections are fused into `qkv_proj` and `gate_up_proj`.
    pub fused: bool,
    /// Whether the outputs of attention and feed-forward are normalized as well.
    pub sandwich_norms: bool,
    /// Whether norms store their weight minus 1.
    pub norms_from_one: bool,
    /// Factor of the embeddings.
    pub embedding_scale: Option<f64>,
    /// Attention scores are divided by the square root of this; usually the head dimension.
    pub query_pre_attn_scalar: f64,
    /// Soft cap of the attention scores, `c tanh(x / c)`.
    pub attn_logit_softcapping: Option<f64>,
    /// Soft cap of the logits.
    pub final_logit_softcapping: Option<f64>,
    /// Window of sliding-window attention in tokens, the query included.
    pub sliding_window: Option<usize>,
    /// The rotary settings that layers refer to.
    pub ropes: Vec<RopeConfig>,
    /// The layers, from the first to the last.
    pub layers: Vec<LayerKind>,
}

/// The kind of a layer's attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKind {
    /// Whether attention is limited to `sliding_window` tokens.
    pub sliding: bool,
    /// Index of the rotary settings in [`DecoderConfig::ropes`]; `None` without positions.
    pub rope: Option<usize>,
}
