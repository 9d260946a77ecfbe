//! The decoders behind one interface, for the heads on top of them.

use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor};
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::config_file;
use crate::decoder::{Decoder, DecoderConfig, families::FAMILIES};
use crate::error::ModelError;
use crate::gpt2::{Gpt2Config, Gpt2Model};
use crate::kv_cache::KvCache;
use crate::linear::Linear;
use crate::parameters::NamedValues;
use crate::rope::RopeScaling;
use crate::safetensors_file::TensorFile;
use crate::tunable::TunableLayer;

/// The value of `model_type` that [`Gpt2Model`] computes.
const GPT2: &str = "gpt2";

/// The settings of a decoder of any architecture.
#[derive(Debug, Clone, PartialEq)]
pub enum BackboneConfig {
    /// Llama and its descendants.
    Decoder(DecoderConfig),
    /// GPT-2.
    Gpt2(Gpt2Config),
}

impl BackboneConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// As [`Self::from_json`], and if the file does not exist.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        Self::from_json(&path, &value)
    }

    /// The settings in a parsed `config.json`; `path` is for error messages.
    ///
    /// # Errors
    /// If it describes an unknown architecture, or has a value that the architecture does not
    /// support.
    pub fn from_json(path: &Path, value: &Value) -> Result<Self, ModelError> {
        let unsupported = |what: String| {
            Err(ModelError::Unsupported {
                path: path.to_owned(),
                what,
            })
        };
        match value.get("model_type").and_then(Value::as_str) {
            Some(GPT2) => Gpt2Config::from_json(path, value).map(Self::Gpt2),
            Some(family) if FAMILIES.contains(&family) => {
                DecoderConfig::from_json(path, value).map(Self::Decoder)
            }
            Some(other) => unsupported(format!(
                "the architecture `{other}` (known: {}, {GPT2})",
                FAMILIES.join(", ")
            )),
            None => unsupported("no architecture (`model_type` is absent)".to_owned()),
        }
    }

    /// The architecture, as config.json names it.
    pub fn model_type(&self) -> &str {
        match self {
            Self::Decoder(config) => &config.model_type,
            Self::Gpt2(_) => GPT2,
        }
    }

    /// Number of token embeddings.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Decoder(config) => config.vocab_size,
            Self::Gpt2(config) => config.vocab_size,
        }
    }

    /// Width of the residual stream.
    pub fn hidden_size(&self) -> usize {
        match self {
            Self::Decoder(config) => config.hidden_size,
            Self::Gpt2(config) => config.n_embd,
        }
    }

    /// Longest sequence.
    pub fn max_position_embeddings(&self) -> usize {
        match self {
            Self::Decoder(config) => config.max_position_embeddings,
            Self::Gpt2(config) => config.n_positions,
        }
    }

    /// The longest sequence to which LongRoPE applies its factors for short contexts.
    pub fn short_context(&self) -> Option<usize> {
        match self {
            Self::Decoder(config) => config.ropes.iter().find_map(|rope| match &rope.scaling {
                RopeScaling::LongRope(long) => Some(long.original_max_position_embeddings as usize),
                _ => None,
            }),
            Self::Gpt2(_) => None,
        }
    }

    /// Whether the head shares the embedding's weight (`tie_word_embeddings`).
    pub fn tie_word_embeddings(&self) -> bool {
        match self {
            Self::Decoder(config) => config.tie_word_embeddings,
            Self::Gpt2(config) => config.tie_word_embeddings,
        }
    }

    /// Soft cap of the logits, `c tanh(x / c)`.
    pub fn final_logit_softcapping(&self) -> Option<f64> {
        match self {
            Self::Decoder(config) => config.final_logit_softcapping,
            Self::Gpt2(_) => None,
        }
    }

    /// Prefix of the backbone's keys in a checkpoint with a head.
    fn prefix(&self) -> &'static str {
        match self {
            Self::Decoder(_) => "model.",
            Self::Gpt2(_) => "transformer.",
        }
    }

    /// Prefix of the backbone's keys in this file.
    pub(crate) fn prefix_in(&self, file: &TensorFile) -> &'static str {
        match file.contains(self.embedding()) {
            true => "",
            false => self.prefix(),
        }
    }

    /// The key of the token embeddings.
    pub(crate) fn embedding(&self) -> &'static str {
        match self {
            Self::Decoder(_) => "embed_tokens.weight",
            Self::Gpt2(_) => "wte.weight",
        }
    }
}

/// A decoder without a head.
#[derive(Module, Debug)]
pub(crate) enum Backbone {
    Decoder(Decoder),
    Gpt2(Gpt2Model),
}

impl Backbone {
    /// Reads the backbone, whether the file's keys start with its prefix or not.
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        config: BackboneConfig,
    ) -> Result<Self, ModelError> {
        let prefix = config.prefix_in(checkpoint.file);
        Ok(match config {
            BackboneConfig::Decoder(config) => {
                Self::Decoder(Decoder::load(checkpoint, prefix, config)?)
            }
            BackboneConfig::Gpt2(config) => {
                Self::Gpt2(Gpt2Model::load(checkpoint, prefix, config)?)
            }
        })
    }

    pub(crate) fn device(&self) -> Device {
        self.embedding().val().device()
    }

    /// Calls `f` with the full name of every tunable layer and the layer, even if the file omits
    /// the prefix.
    pub(crate) fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>)) {
        match self {
            Self::Decoder(decoder) => {
                f(
                    "model.embed_tokens",
                    TunableLayer::Embedding(&mut decoder.embed_tokens),
                );
            }
            Self::Gpt2(gpt2) => f("transformer.wte", TunableLayer::Embedding(&mut gpt2.wte)),
        }
        self.for_each_linear(&mut |name, linear| f(name, TunableLayer::Linear(linear)));
    }

    /// The token embeddings, `[vocab, hidden]`.
    pub(crate) fn embedding(&self) -> &Param<Tensor<2>> {
        match self {
            Self::Decoder(decoder) => &decoder.embed_tokens,
            Self::Gpt2(gpt2) => &gpt2.wte,
        }
    }

    pub(crate) fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        match self {
            Self::Decoder(decoder) => decoder.new_cache(batch, capacity),
            Self::Gpt2(gpt2) => gpt2.new_cache(batch, capacity),
        }
    }

    /// The last hidden states, after the final norm. `visit` receives the output of the embedding
    /// and of each block.
    ///
    /// # Shapes
    /// As [`Decoder::forward`].
    pub(crate) fn run(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        cache: Option<&mut KvCache>,
        visit: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        match self {
            Self::Decoder(decoder) => decoder.run(input_ids, attention_mask, cache, visit),
            Self::Gpt2(gpt2) => gpt2.run(input_ids, attention_mask, cache, visit),
        }
    }

    fn for_each_linear(&mut self, f: &mut dyn FnMut(&str, &mut Linear)) {
        match self {
            Self::Decoder(decoder) => decoder.for_each_linear("model.", f),
            Self::Gpt2(gpt2) => gpt2.for_each_linear("transformer.", f),
        }
    }

    /// The parameters under Hugging Face's names and in its layout.
    pub(crate) fn collect(&self, into: &mut NamedValues) {
        match self {
            Self::Decoder(decoder) => decoder.collect("model.", into),
            Self::Gpt2(gpt2) => gpt2.collect("transformer.", into),
        }
    }
}
