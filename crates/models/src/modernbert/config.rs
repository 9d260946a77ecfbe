//! ModernBERT's `config.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::config_file;
use crate::encoder_attention::check_heads;
use crate::error::ModelError;
use crate::rope::{RopeConfig, RopeScaling};

/// transformers' `ModernBertConfig`, as far as inference needs it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModernBertConfig {
    /// Number of token embeddings.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer; its input projection is twice as wide.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// Activation of the gate.
    #[serde(default = "gelu")]
    pub hidden_activation: Activation,
    /// Longest training sequence; rotary positions have no limit.
    pub max_position_embeddings: usize,
    /// Added to the variance in every norm.
    #[serde(default = "default_eps")]
    pub norm_eps: f64,
    /// Whether the norms have a bias.
    #[serde(default)]
    pub norm_bias: bool,
    /// Whether the attention's linear layers have one.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the feed-forward layers have one.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Id of the padding token.
    #[serde(default)]
    pub pad_token_id: Option<u32>,
    /// The kind of attention of each layer.
    #[serde(default)]
    pub layer_types: Option<Vec<LayerType>>,
    /// Without `layer_types`, every n-th layer has global attention, starting with the first.
    #[serde(default = "default_period")]
    pub global_attn_every_n_layers: usize,
    /// Width of the window, centred on the token.
    #[serde(default = "default_window")]
    pub local_attention: usize,
    /// The rotary settings of both kinds of layers.
    #[serde(default)]
    rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    rope_scaling: Option<Value>,
    #[serde(default)]
    global_rope_theta: Option<f64>,
    #[serde(default)]
    local_rope_theta: Option<f64>,
}

/// A layer's kind of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    /// Global attention.
    FullAttention,
    /// Sliding-window attention.
    SlidingAttention,
}

/// The rotary settings as transformers 5 writes them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct RopeParameters {
    full_attention: Option<RopeParameter>,
    sliding_attention: Option<RopeParameter>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct RopeParameter {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

fn gelu() -> Activation {
    Activation::Gelu
}

fn default_eps() -> f64 {
    1e-5
}

fn default_period() -> usize {
    3
}

fn default_window() -> usize {
    128
}

impl ModernBertConfig {
    /// The settings in a parsed `config.json`; `path` is for error messages.
    pub(crate) fn from_json(path: &Path, value: &Value) -> Result<Self, ModelError> {
        let config: Self = config_file::parse(path, value)?;
        let wrong = |key: &str, reason| Err(config_file::wrong(path, key, reason));
        config_file::check_sizes(
            path,
            &[
                ("vocab_size", config.vocab_size),
                ("hidden_size", config.hidden_size),
                ("intermediate_size", config.intermediate_size),
                ("num_attention_heads", config.num_attention_heads),
                ("max_position_embeddings", config.max_position_embeddings),
                (
                    "global_attn_every_n_layers",
                    config.global_attn_every_n_layers,
                ),
            ],
        )?;
        check_heads(path, config.hidden_size, config.num_attention_heads)?;
        if let Some(types) = &config.layer_types
            && types.len() != config.num_hidden_layers
        {
            let (types, layers) = (types.len(), config.num_hidden_layers);
            return wrong(
                "layer_types",
                format!("{types} entries for {layers} layers"),
            );
        }
        if let Some(kind) = config.rope_type() {
            return Err(ModelError::Unsupported {
                path: path.to_owned(),
                what: format!("the rotary scaling `{kind}` in ModernBERT"),
            });
        }
        Ok(config)
    }

    /// An unsupported rotary scaling.
    fn rope_type(&self) -> Option<String> {
        let new = self.rope_parameters.clone().unwrap_or_default();
        let types = [new.full_attention, new.sliding_attention].map(|one| one?.rope_type);
        let scaling = self.rope_scaling.as_ref().map(Value::to_string);
        let strange = types.into_iter().flatten().find(|kind| kind != "default");
        strange.or(scaling)
    }

    /// What each layer's attention sees.
    pub(super) fn layer_type(&self, layer: usize) -> LayerType {
        match &self.layer_types {
            Some(types) => types[layer],
            None if layer.is_multiple_of(self.global_attn_every_n_layers) => {
                LayerType::FullAttention
            }
            None => LayerType::SlidingAttention,
        }
    }

    pub(super) fn rope(&self, kind: LayerType) -> RopeConfig {
        let new = self.rope_parameters.clone().unwrap_or_default();
        let (new, old, default) = match kind {
            LayerType::FullAttention => (new.full_attention, self.global_rope_theta, 160_000.0),
            LayerType::SlidingAttention => (new.sliding_attention, self.local_rope_theta, 10_000.0),
        };
        let theta = new.and_then(|new| new.rope_theta).or(old);
        RopeConfig {
            theta: theta.unwrap_or(default),
            dims: self.hidden_size / self.num_attention_heads,
            scaling: RopeScaling::Default,
        }
    }
}
