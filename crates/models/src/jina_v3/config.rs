//! The settings of jina-embeddings-v3.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::config_file;
use crate::encoder_attention::check_heads;
use crate::error::ModelError;
use crate::rope::{RopeConfig, RopeScaling};

/// The settings of both published layouts: transformers' `JinaEmbeddingsV3Config`, and the
/// `XLMRobertaFlashConfig` of jinaai/xlm-roberta-flash-implementation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct JinaV3Config {
    /// Number of token embeddings.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of heads.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// The feed-forward layer's activation.
    pub hidden_act: Activation,
    /// Longest training sequence; rotary positions have no limit.
    pub max_position_embeddings: usize,
    /// Number of segment embeddings; a single text uses the first.
    pub type_vocab_size: usize,
    /// Added to the variance in every norm.
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f64,
    /// Id of the padding token.
    #[serde(default)]
    pub pad_token_id: Option<u32>,
    /// Default number of dimensions to keep.
    #[serde(default)]
    pub truncate_dim: Option<usize>,
    #[serde(default)]
    rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    rotary_emb_base: Option<f64>,
    /// The tasks of the adapters stacked in the checkpoint, in order.
    #[serde(default)]
    pub(super) lora_adaptations: Option<Vec<String>>,
    #[serde(default)]
    pub(super) lora_rank: Option<usize>,
    #[serde(default)]
    pub(super) lora_alpha: Option<f64>,
    /// Instructions that the model expects before the texts of a task.
    #[serde(default)]
    task_instructions: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

fn default_eps() -> f64 {
    1e-5
}

impl JinaV3Config {
    /// The settings in a parsed `config.json`; `path` is for error messages.
    pub(crate) fn from_json(path: &Path, value: &Value) -> Result<Self, ModelError> {
        let config: Self = config_file::parse(path, value)?;
        config_file::check_sizes(
            path,
            &[
                ("vocab_size", config.vocab_size),
                ("hidden_size", config.hidden_size),
                ("num_attention_heads", config.num_attention_heads),
                ("intermediate_size", config.intermediate_size),
                ("type_vocab_size", config.type_vocab_size),
                ("max_position_embeddings", config.max_position_embeddings),
                ("lora_rank", config.lora_rank.unwrap_or(1)),
            ],
        )?;
        check_heads(path, config.hidden_size, config.num_attention_heads)?;
        let kind = config.rope_parameters.as_ref();
        match kind.and_then(|parameters| parameters.rope_type.as_deref()) {
            None | Some("default") => Ok(config),
            Some(kind) => Err(ModelError::Unsupported {
                path: path.to_owned(),
                what: format!("the rotary scaling `{kind}` in jina-embeddings-v3"),
            }),
        }
    }

    /// The instruction before the texts of a task, if there is one.
    pub(crate) fn instruction(&self, task: &str) -> Option<&str> {
        let instruction = self.task_instructions.as_ref()?.get(task)?;
        Some(instruction.as_str()).filter(|text| !text.is_empty())
    }

    pub(super) fn rope(&self) -> RopeConfig {
        let new = self.rope_parameters.as_ref();
        let theta = new.and_then(|new| new.rope_theta).or(self.rotary_emb_base);
        RopeConfig {
            theta: theta.unwrap_or(20_000.0),
            dims: self.hidden_size / self.num_attention_heads,
            scaling: RopeScaling::Default,
        }
    }
}
