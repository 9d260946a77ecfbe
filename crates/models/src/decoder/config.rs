//! What a decoder is made of.

use crate::activation::Activation;
use crate::rope::RopeConfig;

/// A rotary decoder's settings, whichever family wrote them: see [`super::families`].
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
    /// Whether the head is the embedding's transpose.
    pub tie_word_embeddings: bool,
    /// The feed-forward layer's activation.
    pub hidden_act: Activation,
    /// Whether the projections to queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has one.
    pub o_bias: bool,
    /// Whether the feed-forward's linear layers have one.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalised, head by head.
    pub qk_norm: bool,
    /// Whether `qkv_proj` and `gate_up_proj` stand for their parts.
    pub fused: bool,
    /// Whether attention and feed-forward have a norm behind them too, before the residual stream.
    pub sandwich_norms: bool,
    /// Whether norms store how far their weight is from 1.
    pub norms_from_one: bool,
    /// Factor of the embeddings.
    pub embedding_scale: Option<f64>,
    /// What attention's scores are divided by the root of; the width of a head for most.
    pub query_pre_attn_scalar: f64,
    /// Bound of the attention's scores, `c tanh(x / c)`.
    pub attn_logit_softcapping: Option<f64>,
    /// Bound of the head's logits.
    pub final_logit_softcapping: Option<f64>,
    /// How many tokens back a layer with a window sees, itself counted.
    pub sliding_window: Option<usize>,
    /// The rotations that layers refer to.
    pub ropes: Vec<RopeConfig>,
    /// The layers, from the first to the last.
    pub layers: Vec<LayerKind>,
}

/// How one layer's attention differs from the others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKind {
    /// Whether it sees `sliding_window` tokens only.
    pub sliding: bool,
    /// Its rotation's place in [`DecoderConfig::ropes`]; none where positions do not enter.
    pub rope: Option<usize>,
}
