//! Grouped-query attention with rotary positions.

use burn::module::Module;
use burn::tensor::{Bool, Tensor, activation};

use super::DecoderConfig;
use super::context::Context;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::kv_cache::LayerCache;
use crate::linear::Linear;
use crate::norm::RmsNorm;
use crate::parameters::NamedValues;
use crate::rope::Rotation;

/// Attention (Vaswani et al., arXiv 1706.03762) whose query heads share key heads in groups
/// (Ainslie et al., arXiv 2305.13245).
#[derive(Module, Debug)]
pub(crate) struct Attention {
    projections: Projections,
    o_proj: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    /// Divisor of the attention scores.
    divisor: f64,
    attn_logit_softcapping: Option<f64>,
    #[module(skip)]
    sliding: bool,
    #[module(skip)]
    rope: Option<usize>,
}

/// Projections to queries, keys and values.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "handles of tensors: one value per layer, never moved"
)]
enum Projections {
    Separate(Separate),
    /// `qkv_proj`: all three concatenated.
    Fused(Linear),
}

#[derive(Module, Debug)]
struct Separate {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
}

impl Attention {
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &DecoderConfig,
        layer: usize,
    ) -> Result<Self, ModelError> {
        let (hidden, head_dim) = (config.hidden_size, config.head_dim);
        let q = config.num_attention_heads * head_dim;
        let kv = config.num_key_value_heads * head_dim;
        let linear = |part: &str, shape, bias| {
            Linear::load(checkpoint, &format!("{name}.{part}"), shape, bias)
        };
        let projections = if config.fused {
            Projections::Fused(linear("qkv_proj", [q + 2 * kv, hidden], config.qkv_bias)?)
        } else {
            Projections::Separate(Separate {
                q_proj: linear("q_proj", [q, hidden], config.qkv_bias)?,
                k_proj: linear("k_proj", [kv, hidden], config.qkv_bias)?,
                v_proj: linear("v_proj", [kv, hidden], config.qkv_bias)?,
            })
        };
        let norm = |part: &str| match config.qk_norm {
            true => RmsNorm::load(
                checkpoint,
                &format!("{name}.{part}"),
                head_dim,
                config.rms_norm_eps,
                config.norms_from_one,
            )
            .map(Some),
            false => Ok(None),
        };
        let kind = config.layers[layer];
        Ok(Self {
            projections,
            o_proj: linear("o_proj", [hidden, q], config.o_bias)?,
            q_norm: norm("q_norm")?,
            k_norm: norm("k_norm")?,
            n_heads: config.num_attention_heads,
            n_kv_heads: config.num_key_value_heads,
            head_dim,
            divisor: config.query_pre_attn_scalar.sqrt(),
            attn_logit_softcapping: config.attn_logit_softcapping,
            sliding: kind.sliding,
            rope: kind.rope,
        })
    }

    /// # Shapes
    /// `[batch, seq, hidden]` in and out
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        context: &Context,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<3> {
        let [batch, seq, _] = x.dims();
        let (query, key, value) = self.project(x);
        let rotation = self.rope.map(|rope| &context.rotations[rope]);
        let query = place(query, self.q_norm.as_ref(), rotation);
        let key = place(key, self.k_norm.as_ref(), rotation);
        let (key, value) = match cache {
            Some((cache, past)) => cache.append(past, key, value),
            None => (key, value),
        };
        let mask = match self.sliding {
            true => &context.sliding_window_mask,
            false => &context.causal_mask,
        };
        let mixed = self.mix(query, key, value, mask.as_ref()); // [batch, n_heads, seq, head_dim]
        let width = self.n_heads * self.head_dim;
        self.o_proj
            .forward(mixed.swap_dims(1, 2).reshape([batch, seq, width]))
    }

    /// Queries `[batch, n_heads, seq, head_dim]`, keys and values `[batch, n_kv_heads, seq, head_dim]`.
    fn project(&self, x: Tensor<3>) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        let [batch, seq, _] = x.dims();
        let heads =
            |x: Tensor<3>, n: usize| x.reshape([batch, seq, n, self.head_dim]).swap_dims(1, 2);
        let (query, key, value) = match &self.projections {
            Projections::Separate(parts) => (
                parts.q_proj.forward(x.clone()),
                parts.k_proj.forward(x.clone()),
                parts.v_proj.forward(x),
            ),
            Projections::Fused(qkv_proj) => {
                let all = qkv_proj.forward(x);
                let (q, kv) = (
                    self.n_heads * self.head_dim,
                    self.n_kv_heads * self.head_dim,
                );
                (
                    all.clone().narrow(2, 0, q),
                    all.clone().narrow(2, q, kv),
                    all.narrow(2, q + kv, kv),
                )
            }
        };
        (
            heads(query, self.n_heads),
            heads(key, self.n_kv_heads),
            heads(value, self.n_kv_heads),
        )
    }

    /// `softmax(q kᵀ / divisor) v`, `[batch, n_heads, seq, head_dim]`.
    fn mix(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        mask: Option<&Tensor<4, Bool>>,
    ) -> Tensor<4> {
        let [batch, _, seq, _] = query.dims();
        let [_, _, total, _] = key.dims();
        // The query heads of a group become rows of their key head, so that no key is repeated.
        let rows = self.n_heads / self.n_kv_heads * seq;
        let query = query.reshape([batch, self.n_kv_heads, rows, self.head_dim]);
        let scores = query.matmul(key.transpose()) / self.divisor;
        let scores = match self.attn_logit_softcapping {
            Some(cap) => soft_cap(scores, cap),
            None => scores,
        };
        let scores = scores.reshape([batch, self.n_heads, seq, total]);
        let scores = match mask {
            Some(mask) => {
                let shape = [batch, self.n_heads, seq, total];
                scores.mask_fill(mask.clone().expand(shape), f32::MIN)
            }
            None => scores,
        };
        activation::softmax(scores, 3)
            .reshape([batch, self.n_kv_heads, rows, total])
            .matmul(value)
            .reshape([batch, self.n_heads, seq, self.head_dim])
    }

    pub(crate) fn for_each_linear(&mut self, name: &str, f: &mut dyn FnMut(&str, &mut Linear)) {
        match &mut self.projections {
            Projections::Separate(parts) => {
                f(&format!("{name}.q_proj"), &mut parts.q_proj);
                f(&format!("{name}.k_proj"), &mut parts.k_proj);
                f(&format!("{name}.v_proj"), &mut parts.v_proj);
            }
            Projections::Fused(qkv_proj) => f(&format!("{name}.qkv_proj"), qkv_proj),
        }
        f(&format!("{name}.o_proj"), &mut self.o_proj);
    }

    pub(crate) fn collect(&self, name: &str, into: &mut NamedValues) {
        match &self.projections {
            Projections::Separate(parts) => {
                parts.q_proj.collect(&format!("{name}.q_proj"), into);
                parts.k_proj.collect(&format!("{name}.k_proj"), into);
                parts.v_proj.collect(&format!("{name}.v_proj"), into);
            }
            Projections::Fused(qkv_proj) => qkv_proj.collect(&format!("{name}.qkv_proj"), into),
        }
        self.o_proj.collect(&format!("{name}.o_proj"), into);
        for (part, norm) in [("q_norm", &self.q_norm), ("k_norm", &self.k_norm)] {
            if let Some(norm) = norm {
                norm.collect(&format!("{name}.{part}"), into);
            }
        }
    }
}

/// Queries or keys with norm and rotary positions applied, `[batch, heads, seq, head_dim]`.
fn place(x: Tensor<4>, norm: Option<&RmsNorm>, rotation: Option<&Rotation>) -> Tensor<4> {
    let x = match norm {
        Some(norm) => norm.forward(x),
        None => x,
    };
    match rotation {
        Some(rotation) => rotation.apply(x),
        None => x,
    }
}

/// `c tanh(x / c)`: values between -c and c (Gemma Team, arXiv 2408.00118).
pub(crate) fn soft_cap<const D: usize>(x: Tensor<D>, cap: f64) -> Tensor<D> {
    (x / cap).tanh() * cap
}
