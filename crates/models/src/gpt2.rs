//! GPT-2 (Radford et al., 2019): learned positions, layer norms, linear layers stored `[in, out]`.
//!
//! Fields are named after the keys of a Hugging Face checkpoint. Hidden states, logits and
//! gradients are tested against transformers' `GPT2Model`.

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::{Bool, Device, Int, Tensor, activation, module::embedding};
use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::checkpoint::Checkpoint;
use crate::config_file::{self, check_sizes, wrong};
use crate::decoder::causal_mask;
use crate::error::ModelError;
use crate::kv_cache::{KvCache, LayerCache};
use crate::linear::Linear;
use crate::norm::{collect_layer_norm, layer_norm};
use crate::parameters::{NamedValues, Values};

/// transformers' `GPT2Config`. Dropout is not applied; TRL's preference trainers disable it too.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Gpt2Config {
    /// Number of token embeddings.
    pub vocab_size: usize,
    /// Number of position embeddings.
    pub n_positions: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Number of heads.
    pub n_head: usize,
    /// Width of the feed-forward layer; four times `n_embd` when absent.
    pub n_inner: Option<usize>,
    /// The feed-forward layer's activation.
    #[serde(default = "gelu_new")]
    pub activation_function: Activation,
    /// Added to the variance in every norm.
    #[serde(default = "layer_norm_epsilon")]
    pub layer_norm_epsilon: f64,
    /// Whether attention scores are divided by the square root of the head dimension.
    #[serde(default = "yes")]
    pub scale_attn_weights: bool,
    /// Whether attention scores are also divided by the layer's number, counted from 1.
    #[serde(default)]
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether the head shares the embedding's weight.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
}

fn gelu_new() -> Activation {
    Activation::GeluTanh
}

fn layer_norm_epsilon() -> f64 {
    1e-5
}

fn yes() -> bool {
    true
}

impl Gpt2Config {
    /// The settings in a parsed `config.json`; `path` is for error messages.
    ///
    /// # Errors
    /// If a key is missing or has an invalid value.
    pub fn from_json(path: &Path, value: &Value) -> Result<Self, ModelError> {
        config_file::check_switch(path, value, "is_causal", true)?;
        config_file::check_switch(path, value, "add_cross_attention", false)?;
        let config: Self = config_file::parse(path, value)?;
        let sizes = [
            ("vocab_size", config.vocab_size),
            ("n_positions", config.n_positions),
            ("n_embd", config.n_embd),
            ("n_layer", config.n_layer),
            ("n_head", config.n_head),
            ("n_inner", config.inner()),
        ];
        check_sizes(path, &sizes)?;
        if !config.n_embd.is_multiple_of(config.n_head) {
            let reason = format!("{} does not divide n_embd {}", config.n_head, config.n_embd);
            return Err(wrong(path, "n_head", reason));
        }
        Ok(config)
    }

    fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }
}

/// GPT-2 without a head: what a checkpoint holds under `transformer.`.
#[derive(Module, Debug)]
pub struct Gpt2Model {
    /// `[vocab, n_embd]`
    pub(crate) wte: Param<Tensor<2>>,
    /// `[n_positions, n_embd]`
    wpe: Param<Tensor<2>>,
    h: Vec<Block>,
    ln_f: LayerNorm,
    #[module(skip)]
    config: Gpt2Config,
}

impl Gpt2Model {
    /// `prefix` is the prefix of the keys in the file: `transformer.`, or empty as in the first
    /// checkpoints.
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        prefix: &str,
        config: Gpt2Config,
    ) -> Result<Self, ModelError> {
        let width = config.n_embd;
        let table =
            |name: &str, rows| checkpoint.param(&format!("{prefix}{name}.weight"), [rows, width]);
        Ok(Self {
            wte: table("wte", config.vocab_size)?,
            wpe: table("wpe", config.n_positions)?,
            h: (0..config.n_layer)
                .map(|i| Block::load(checkpoint, &format!("{prefix}h.{i}"), &config, i))
                .collect::<Result<_, _>>()?,
            ln_f: layer_norm(
                checkpoint,
                &format!("{prefix}ln_f"),
                width,
                config.layer_norm_epsilon,
                true,
            )?,
            config,
        })
    }

    /// The configuration that it was built from.
    pub fn config(&self) -> &Gpt2Config {
        &self.config
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.wte.val().device()
    }

    /// An empty cache for this many sequences of up to `capacity` tokens.
    pub fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        let (heads, width) = (self.config.n_head, self.config.n_embd);
        let shape = [batch, heads, capacity, width / heads];
        KvCache::new(self.h.len(), shape, &self.device())
    }

    /// The last hidden states. `visit` receives the output of the embedding and of each block.
    ///
    /// Positions count the tokens of a row without padding, as in transformers' `generate`.
    ///
    /// # Shapes
    /// As [`crate::decoder::Decoder::forward`].
    pub(crate) fn run(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        mut cache: Option<&mut KvCache>,
        visit: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let [_, seq] = input_ids.dims();
        let device = self.device();
        let past = cache.as_ref().map_or(0, |cache| cache.length);
        let positions = match &attention_mask {
            Some(mask) => (mask.clone().int().cumsum(1) - 1)
                .clamp_min(0)
                .narrow(1, past, seq),
            None => Tensor::<1, Int>::arange(past as i64..(past + seq) as i64, &device).unsqueeze(),
        };
        let mask = causal_mask(past, seq, None, attention_mask, &device);
        let mut x = embedding(self.wte.val(), input_ids) + embedding(self.wpe.val(), positions); // [batch, seq, n_embd]
        visit(&x);
        for (i, block) in self.h.iter().enumerate() {
            let cache = cache.as_mut().map(|cache| (&mut cache.layers[i], past));
            x = block.forward(x, mask.as_ref(), cache);
            visit(&x);
        }
        if let Some(cache) = cache {
            cache.length = past + seq;
        }
        self.ln_f.forward(x)
    }

    /// Calls `f` with the name of every linear layer and the layer.
    pub(crate) fn for_each_linear(&mut self, prefix: &str, f: &mut dyn FnMut(&str, &mut Linear)) {
        for (i, block) in self.h.iter_mut().enumerate() {
            for (part, linear) in [
                ("attn.c_attn", &mut block.attn.c_attn),
                ("attn.c_proj", &mut block.attn.c_proj),
                ("mlp.c_fc", &mut block.mlp.c_fc),
                ("mlp.c_proj", &mut block.mlp.c_proj),
            ] {
                f(&format!("{prefix}h.{i}.{part}"), linear);
            }
        }
    }

    /// The model's parameters under Hugging Face's names and in its layout.
    pub(crate) fn collect(&self, prefix: &str, into: &mut NamedValues) {
        for (name, table) in [("wte", &self.wte), ("wpe", &self.wpe)] {
            into.push((format!("{prefix}{name}.weight"), Values::of(table.val())));
        }
        for (i, block) in self.h.iter().enumerate() {
            let name = |part: &str| format!("{prefix}h.{i}.{part}");
            collect_layer_norm(&block.ln_1, &name("ln_1"), into);
            block.attn.c_attn.collect(&name("attn.c_attn"), into);
            block.attn.c_proj.collect(&name("attn.c_proj"), into);
            collect_layer_norm(&block.ln_2, &name("ln_2"), into);
            block.mlp.c_fc.collect(&name("mlp.c_fc"), into);
            block.mlp.c_proj.collect(&name("mlp.c_proj"), into);
        }
        collect_layer_norm(&self.ln_f, &format!("{prefix}ln_f"), into);
    }
}

/// A pre-norm block: attention and feed-forward with residual connections.
#[derive(Module, Debug)]
struct Block {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &Gpt2Config,
        layer: usize,
    ) -> Result<Self, ModelError> {
        let norm = |part: &str| {
            layer_norm(
                checkpoint,
                &format!("{name}.{part}"),
                config.n_embd,
                config.layer_norm_epsilon,
                true,
            )
        };
        let linear =
            |part: &str, shape| Linear::load_conv1d(checkpoint, &format!("{name}.{part}"), shape);
        let (width, inner) = (config.n_embd, config.inner());
        let mut divisor = match config.scale_attn_weights {
            true => ((width / config.n_head) as f64).sqrt(),
            false => 1.0,
        };
        if config.scale_attn_by_inverse_layer_idx {
            divisor *= (layer + 1) as f64;
        }
        Ok(Self {
            ln_1: norm("ln_1")?,
            attn: Attention {
                c_attn: linear("attn.c_attn", [width, 3 * width])?,
                c_proj: linear("attn.c_proj", [width, width])?,
                n_head: config.n_head,
                divisor,
            },
            ln_2: norm("ln_2")?,
            mlp: Mlp {
                c_fc: linear("mlp.c_fc", [width, inner])?,
                c_proj: linear("mlp.c_proj", [inner, width])?,
                activation: config.activation_function,
            },
        })
    }

    fn forward(
        &self,
        x: Tensor<3>,
        mask: Option<&Tensor<4, Bool>>,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.ln_1.forward(x), mask, cache);
        x.clone() + self.mlp.forward(self.ln_2.forward(x))
    }
}

#[derive(Module, Debug)]
struct Attention {
    /// Queries, keys and values, concatenated.
    c_attn: Linear,
    c_proj: Linear,
    n_head: usize,
    /// Divisor of the attention scores.
    divisor: f64,
}

impl Attention {
    fn forward(
        &self,
        x: Tensor<3>,
        mask: Option<&Tensor<4, Bool>>,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<3> {
        let [batch, seq, width] = x.dims();
        let all = self.c_attn.forward(x);
        let part = |i: usize| {
            all.clone()
                .narrow(2, i * width, width)
                .reshape([batch, seq, self.n_head, width / self.n_head])
                .swap_dims(1, 2)
        }; // [batch, n_head, seq, head_dim]
        let (query, key, value) = (part(0), part(1), part(2));
        let (key, value) = match cache {
            Some((cache, past)) => cache.append(past, key, value),
            None => (key, value),
        };
        let scores = query.matmul(key.transpose()) / self.divisor; // [batch, n_head, seq, total]
        let scores = match mask {
            Some(mask) => {
                let shape = scores.dims();
                scores.mask_fill(mask.clone().expand(shape), f32::MIN)
            }
            None => scores,
        };
        let mixed = activation::softmax(scores, 3).matmul(value);
        self.c_proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, seq, width]))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.c_proj
            .forward(self.activation.forward(self.c_fc.forward(x)))
    }
}
