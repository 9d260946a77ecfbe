//! The LLaMA architecture (Touvron et al., arXiv 2302.13971; grouped-query attention as in Llama 2):
//! pre-norm decoder, RMSNorm, rotary positions, SwiGLU.
//!
//! Fields are named after the keys of a Hugging Face checkpoint. Checked against transformers'
//! `LlamaForCausalLM`, hidden states and logits.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor, activation, module::embedding};

use crate::error::ModelError;
use crate::kv_cache::{KvCache, LayerCache};
use crate::linear::Linear;
use crate::rope::Rotation;
use crate::weights::{NamedTensors, Weights};

mod causal_lm;
mod config;

pub use causal_lm::LlamaForCausalLm;
pub use config::LlamaConfig;

pub use crate::config_file::CONFIG;

/// `x / √(mean(x²) + ε) · weight` over the last dimension.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[hidden]`
    weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    fn load(
        weights: &Weights<'_>,
        name: &str,
        hidden: usize,
        eps: f64,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: weights.param(&format!("{name}.weight"), [hidden])?,
            eps,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let scale = (x.clone().square().mean_dim(2) + self.eps).sqrt().recip();
        x * scale * self.weight.val().unsqueeze()
    }

    fn collect(&self, name: &str, into: &mut NamedTensors) {
        into.push((format!("{name}.weight"), self.weight.val().into_data()));
    }
}

/// Grouped-query attention with rotary positions.
#[derive(Module, Debug)]
pub struct LlamaAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
}

impl LlamaAttention {
    fn load(weights: &Weights<'_>, name: &str, config: &LlamaConfig) -> Result<Self, ModelError> {
        let (hidden, head_dim) = (config.hidden_size, config.head_dim());
        let (q, kv) = (
            config.num_attention_heads * head_dim,
            config.kv_heads() * head_dim,
        );
        let linear = |part: &str, shape| {
            Linear::load(
                weights,
                &format!("{name}.{part}"),
                shape,
                config.attention_bias,
            )
        };
        Ok(Self {
            q_proj: linear("q_proj", [q, hidden])?,
            k_proj: linear("k_proj", [kv, hidden])?,
            v_proj: linear("v_proj", [kv, hidden])?,
            o_proj: linear("o_proj", [hidden, q])?,
            n_heads: config.num_attention_heads,
            n_kv_heads: config.kv_heads(),
            head_dim,
        })
    }

    fn forward(
        &self,
        x: Tensor<3>,
        context: &Context,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<3> {
        let [batch, seq, _] = x.dims();
        let heads = |x: Tensor<3>, n| x.reshape([batch, seq, n, self.head_dim]).swap_dims(1, 2); // [batch, n, seq, head_dim]
        let query = context
            .rotation
            .apply(heads(self.q_proj.forward(x.clone()), self.n_heads));
        let key = context
            .rotation
            .apply(heads(self.k_proj.forward(x.clone()), self.n_kv_heads));
        let value = heads(self.v_proj.forward(x), self.n_kv_heads);
        let (key, value) = match cache {
            Some((cache, past)) => cache.append(past, key, value),
            None => (key, value),
        };
        let [_, _, total, _] = key.dims();

        // The query heads of one group share a key head, so they are its rows: no key is repeated.
        let group = self.n_heads / self.n_kv_heads;
        let query = query.reshape([batch, self.n_kv_heads, group * seq, self.head_dim]);
        let scores = query.matmul(key.transpose()) / (self.head_dim as f64).sqrt();
        let scores = scores.reshape([batch, self.n_heads, seq, total]);
        let scores = match &context.hidden {
            Some(hidden) => scores.mask_fill(
                hidden.clone().expand([batch, self.n_heads, seq, total]),
                f32::MIN,
            ),
            None => scores,
        };
        let attention =
            activation::softmax(scores, 3).reshape([batch, self.n_kv_heads, group * seq, total]);
        let mixed = attention
            .matmul(value)
            .reshape([batch, self.n_heads, seq, self.head_dim]);
        self.o_proj.forward(mixed.swap_dims(1, 2).reshape([
            batch,
            seq,
            self.n_heads * self.head_dim,
        ]))
    }
}

/// The SwiGLU feed-forward layer.
#[derive(Module, Debug)]
pub struct LlamaMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl LlamaMlp {
    fn load(weights: &Weights<'_>, name: &str, config: &LlamaConfig) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |part: &str, shape| {
            Linear::load(weights, &format!("{name}.{part}"), shape, config.mlp_bias)
        };
        Ok(Self {
            gate_proj: linear("gate_proj", [inner, hidden])?,
            up_proj: linear("up_proj", [inner, hidden])?,
            down_proj: linear("down_proj", [hidden, inner])?,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = activation::silu(self.gate_proj.forward(x.clone()));
        self.down_proj.forward(gate * self.up_proj.forward(x))
    }
}

/// One block: attention and feed-forward, each behind a norm and beside the residual stream.
#[derive(Module, Debug)]
pub struct LlamaDecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: LlamaAttention,
    post_attention_layernorm: RmsNorm,
    mlp: LlamaMlp,
}

impl LlamaDecoderLayer {
    fn load(weights: &Weights<'_>, name: &str, config: &LlamaConfig) -> Result<Self, ModelError> {
        let norm = |part: &str| {
            RmsNorm::load(
                weights,
                &format!("{name}.{part}"),
                config.hidden_size,
                config.rms_norm_eps,
            )
        };
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            self_attn: LlamaAttention::load(weights, &format!("{name}.self_attn"), config)?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            mlp: LlamaMlp::load(weights, &format!("{name}.mlp"), config)?,
        })
    }

    fn forward(
        &self,
        x: Tensor<3>,
        context: &Context,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<3> {
        let x = x.clone()
            + self
                .self_attn
                .forward(self.input_layernorm.forward(x), context, cache);
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
    }
}

/// What every layer of one forward pass shares.
struct Context {
    rotation: Rotation,
    /// Which keys a query must not see, `[batch or 1, 1, seq, total]`; none while a single token
    /// follows an unpadded past.
    hidden: Option<Tensor<4, Bool>>,
}

/// The decoder without a head: what every LLaMA checkpoint holds under `model.`.
#[derive(Module, Debug)]
pub struct LlamaModel {
    /// `[vocab, hidden]`
    embed_tokens: Param<Tensor<2>>,
    layers: Vec<LlamaDecoderLayer>,
    norm: RmsNorm,
    #[module(skip)]
    config: LlamaConfig,
}

impl LlamaModel {
    pub(crate) fn load(weights: &Weights<'_>, config: LlamaConfig) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let layers = (0..config.num_hidden_layers)
            .map(|i| LlamaDecoderLayer::load(weights, &format!("model.layers.{i}"), &config))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            embed_tokens: weights
                .param("model.embed_tokens.weight", [config.vocab_size, hidden])?,
            layers,
            norm: RmsNorm::load(weights, "model.norm", hidden, config.rms_norm_eps)?,
            config,
        })
    }

    /// The settings it was built from.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.embed_tokens.val().device()
    }

    /// An empty cache for this many sequences of up to `capacity` tokens.
    pub fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        let shape = [
            batch,
            self.config.kv_heads(),
            capacity,
            self.config.head_dim(),
        ];
        KvCache::new(self.layers.len(), shape, &self.device())
    }

    /// The last hidden states, after the final norm.
    ///
    /// Sequences padded on the right need no mask: no token looks ahead. Those padded on the left
    /// pass `attention_mask`; positions are counted from the row's first place either way, since
    /// rotary attention sees only their differences.
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

    /// The embedding's output, each block's, and the final norm's: what transformers returns as
    /// `hidden_states`, but for its last entry, which there is the final norm's in place of the
    /// last block's.
    pub fn hidden_states(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
    ) -> Vec<Tensor<3>> {
        let mut states = Vec::new();
        let last = self.run(input_ids, attention_mask, None, &mut |state| {
            states.push(state.clone())
        });
        states.push(last);
        states
    }

    fn run(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        mut cache: Option<&mut KvCache>,
        visit: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let [_, seq] = input_ids.dims();
        let past = cache.as_ref().map_or(0, |cache| cache.length);
        let context = self.context(past, seq, attention_mask);
        let mut x = embedding(self.embed_tokens.val(), input_ids); // [batch, seq, hidden]
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

    fn context(&self, past: usize, seq: usize, attention_mask: Option<Tensor<2, Bool>>) -> Context {
        let device = self.device();
        let config = &self.config;
        let rotation = Rotation::new(
            past,
            seq,
            config.head_dim(),
            config.rope_theta,
            config.rope_scaling.as_ref(),
            &device,
        );
        let total = past + seq;
        let future = (seq > 1).then(|| {
            Tensor::<2, Bool>::tril_mask([seq, total], past as i64, &device).unsqueeze::<4>()
        });
        let padding = attention_mask.map(|mask| {
            let [batch, total] = mask.dims();
            mask.bool_not().reshape([batch, 1, 1, total])
        });
        let hidden = match (future, padding) {
            (Some(future), Some(padding)) => {
                let [batch, ..] = padding.dims();
                let shape = [batch, 1, seq, total];
                Some(future.expand(shape).bool_or(padding.expand(shape)))
            }
            (future, padding) => future.or(padding),
        };
        Context { rotation, hidden }
    }

    /// Calls `f` with the name and the layer of every linear layer but the head.
    pub(crate) fn for_each_linear(&mut self, f: &mut dyn FnMut(&str, &mut Linear)) {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let (attn, mlp) = (&mut layer.self_attn, &mut layer.mlp);
            for (part, linear) in [
                ("self_attn.q_proj", &mut attn.q_proj),
                ("self_attn.k_proj", &mut attn.k_proj),
                ("self_attn.v_proj", &mut attn.v_proj),
                ("self_attn.o_proj", &mut attn.o_proj),
                ("mlp.gate_proj", &mut mlp.gate_proj),
                ("mlp.up_proj", &mut mlp.up_proj),
                ("mlp.down_proj", &mut mlp.down_proj),
            ] {
                f(&format!("model.layers.{i}.{part}"), linear);
            }
        }
    }

    /// The decoder's parameters under Hugging Face's names and in its layout.
    pub(crate) fn named_tensors(&self) -> NamedTensors {
        let mut tensors = vec![(
            "model.embed_tokens.weight".to_owned(),
            self.embed_tokens.val().into_data(),
        )];
        for (i, layer) in self.layers.iter().enumerate() {
            let name = |part: &str| format!("model.layers.{i}.{part}");
            layer
                .input_layernorm
                .collect(&name("input_layernorm"), &mut tensors);
            layer
                .post_attention_layernorm
                .collect(&name("post_attention_layernorm"), &mut tensors);
            let (attn, mlp) = (&layer.self_attn, &layer.mlp);
            attn.q_proj.collect(&name("self_attn.q_proj"), &mut tensors);
            attn.k_proj.collect(&name("self_attn.k_proj"), &mut tensors);
            attn.v_proj.collect(&name("self_attn.v_proj"), &mut tensors);
            attn.o_proj.collect(&name("self_attn.o_proj"), &mut tensors);
            mlp.gate_proj.collect(&name("mlp.gate_proj"), &mut tensors);
            mlp.up_proj.collect(&name("mlp.up_proj"), &mut tensors);
            mlp.down_proj.collect(&name("mlp.down_proj"), &mut tensors);
        }
        self.norm.collect("model.norm", &mut tensors);
        tensors
    }
}
