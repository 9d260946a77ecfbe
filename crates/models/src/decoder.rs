//! The rotary decoder: pre-norm blocks of attention with rotary positions and a gated feed-forward
//! layer (Touvron et al., arXiv 2302.13971, and its descendants).
//!
//! Llama, Mistral, Qwen2, Qwen3, SmolLM, Gemma 2 and 3 and Phi-3 share this computation and differ
//! in settings, which [`families`] reads. Fields are named after the keys of a Hugging Face
//! checkpoint. Hidden states, logits and gradients are tested against transformers for every
//! family.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor, module::embedding};

use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::kv_cache::KvCache;
use crate::linear::Linear;
use crate::norm::RmsNorm;
use crate::parameters::{NamedValues, Values};

mod attention;
mod config;
mod context;
pub mod families;
mod layer;
mod mask;

pub use config::{DecoderConfig, LayerKind};

pub(crate) use attention::soft_cap;
use context::Context;
use layer::DecoderLayer;
pub(crate) use mask::causal_mask;

/// The decoder without a head: what a checkpoint holds under `model.`.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[vocab, hidden]`
    pub(crate) embed_tokens: Param<Tensor<2>>,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    #[module(skip)]
    config: DecoderConfig,
}

impl Decoder {
    /// `prefix` is the prefix of the keys in the file: `model.`, or empty if the decoder was saved
    /// without a head.
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        prefix: &str,
        config: DecoderConfig,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let layers = (0..config.layers.len())
            .map(|i| DecoderLayer::load(checkpoint, &format!("{prefix}layers.{i}"), &config, i))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            embed_tokens: checkpoint.param(
                &format!("{prefix}embed_tokens.weight"),
                [config.vocab_size, hidden],
            )?,
            layers,
            norm: RmsNorm::load(
                checkpoint,
                &format!("{prefix}norm"),
                hidden,
                config.rms_norm_eps,
                config.norms_from_one,
            )?,
            config,
        })
    }

    /// The configuration that it was built from.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.embed_tokens.val().device()
    }

    /// An empty cache for this many sequences of up to `capacity` tokens.
    pub fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        let (heads, head_dim) = (self.config.num_key_value_heads, self.config.head_dim);
        let shape = [batch, heads, capacity, head_dim];
        KvCache::new(self.layers.len(), shape, &self.device())
    }

    /// The last hidden states, after the final norm.
    ///
    /// Sequences padded on the right need no mask, since attention is causal; those padded on the
    /// left need `attention_mask`. Positions always count from the start of the row, padding
    /// included: rotary attention depends only on their differences.
    ///
    /// # Shapes
    /// - `input_ids`: `[batch, seq]`
    /// - `attention_mask`: `[batch, past + seq]`, true where there is a token
    /// - output: `[batch, seq, hidden]`
    pub fn forward(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        self.run(input_ids, attention_mask, cache, &mut |_| {})
    }

    /// [`Self::forward`]; `visit` receives the output of the embedding and of each block.
    pub(crate) fn run(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        mut cache: Option<&mut KvCache>,
        visit: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let [_, seq] = input_ids.dims();
        let past = cache.as_ref().map_or(0, |cache| cache.length);
        let context = Context::new(&self.config, past, seq, attention_mask, &self.device());
        let mut x = embedding(self.embed_tokens.val(), input_ids); // [batch, seq, hidden]
        if let Some(scale) = self.config.embedding_scale {
            x = x * scale;
        }
        visit(&x);
        for (i, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_mut().map(|cache| (&mut cache.layers[i], past));
            x = layer.forward(x, &context, cache);
            visit(&x);
        }
        if let Some(cache) = cache {
            cache.length = past + seq;
        }
        self.norm.forward(x)
    }

    /// Calls `f` with the name of every linear layer and the layer.
    pub(crate) fn for_each_linear(&mut self, prefix: &str, f: &mut dyn FnMut(&str, &mut Linear)) {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            layer.for_each_linear(&format!("{prefix}layers.{i}"), f);
        }
    }

    /// The decoder's parameters under Hugging Face's names and in its layout.
    pub(crate) fn collect(&self, prefix: &str, into: &mut NamedValues) {
        into.push((
            format!("{prefix}embed_tokens.weight"),
            Values::of(self.embed_tokens.val()),
        ));
        for (i, layer) in self.layers.iter().enumerate() {
            layer.collect(&format!("{prefix}layers.{i}"), into);
        }
        self.norm.collect(&format!("{prefix}norm"), into);
    }
}
