//! The settings of a LLaMA.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config_file;
use crate::error::ModelError;
use crate::rope::Llama3Scaling;

/// `LlamaConfig` of transformers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlamaConfig {
    /// Number of token embeddings.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; as many as query heads when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    #[serde(skip)]
    pub rope_scaling: Option<Llama3Scaling>,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Whether the head is the embedding's transpose.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Whether the attention's linear layers have a bias.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the feed-forward's linear layers have a bias.
    #[serde(default)]
    pub mlp_bias: bool,
}

fn default_theta() -> f64 {
    10_000.0
}

impl LlamaConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// When there is none, or it describes another architecture, or a value that no LLaMA has.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        let json = |source| ModelError::Json {
            path: path.clone(),
            source,
        };
        let unsupported = |what: String| {
            Err(ModelError::Unsupported {
                path: path.clone(),
                what,
            })
        };

        match value.get("model_type").and_then(|kind| kind.as_str()) {
            Some("llama") => {}
            Some(other) => return unsupported(format!("the architecture `{other}`")),
            None => return unsupported("no architecture (`model_type` is absent)".to_owned()),
        }
        if let Some(act) = value
            .get("hidden_act")
            .and_then(|act| act.as_str())
            .filter(|act| *act != "silu")
        {
            return unsupported(format!("the activation `{act}`"));
        }
        // transformers 5 gathers the rotary settings under `rope_parameters`.
        let rope = ["rope_parameters", "rope_scaling"]
            .iter()
            .find_map(|key| value.get(key))
            .filter(|rope| !rope.is_null());
        let mut config: Self = serde_json::from_value(value.clone()).map_err(json)?;
        if let Some(rope) = rope {
            if let Some(theta) = rope.get("rope_theta").and_then(|theta| theta.as_f64()) {
                config.rope_theta = theta;
            }
            match rope
                .get("rope_type")
                .or(rope.get("type"))
                .and_then(|kind| kind.as_str())
            {
                None | Some("default") => {}
                Some("llama3") => {
                    config.rope_scaling = Some(serde_json::from_value(rope.clone()).map_err(json)?)
                }
                Some(other) => return unsupported(format!("the rope type `{other}`")),
            }
        }
        config.check(&path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ModelError> {
        let wrong = |key: &str, reason| Err(config_file::wrong(path, key, reason));
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        config_file::check_sizes(path, &sizes)?;
        if !self.num_attention_heads.is_multiple_of(self.kv_heads()) {
            return wrong(
                "num_key_value_heads",
                format!(
                    "{} does not divide num_attention_heads {}",
                    self.kv_heads(),
                    self.num_attention_heads
                ),
            );
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return wrong(
                "num_attention_heads",
                format!(
                    "{} does not divide hidden_size {}",
                    self.num_attention_heads, self.hidden_size
                ),
            );
        }
        if !self.head_dim().is_multiple_of(2) {
            return wrong(
                "head_dim",
                format!("{} is odd, rotary positions need pairs", self.head_dim()),
            );
        }
        Ok(())
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// Number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }
}
