//! A block of the decoder.

use burn::module::Module;
use burn::tensor::Tensor;

use super::DecoderConfig;
use super::attention::Attention;
use super::context::Context;
use crate::activation::Activation;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::kv_cache::LayerCache;
use crate::linear::Linear;
use crate::norm::RmsNorm;
use crate::parameters::NamedValues;

/// A pre-norm block: attention and feed-forward with residual connections.
#[derive(Module, Debug)]
pub(super) struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    /// Before the feed-forward layer, or after attention in families with norms before and after
    /// both sublayers.
    post_attention_layernorm: RmsNorm,
    pre_feedforward_layernorm: Option<RmsNorm>,
    mlp: Mlp,
    post_feedforward_layernorm: Option<RmsNorm>,
}

impl DecoderLayer {
    pub(super) fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &DecoderConfig,
        layer: usize,
    ) -> Result<Self, ModelError> {
        let norm = |part: &str| {
            RmsNorm::load(
                checkpoint,
                &format!("{name}.{part}"),
                config.hidden_size,
                config.rms_norm_eps,
                config.norms_from_one,
            )
        };
        let sandwich = |part: &str| match config.sandwich_norms {
            true => norm(part).map(Some),
            false => Ok(None),
        };
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            self_attn: Attention::load(checkpoint, &format!("{name}.self_attn"), config, layer)?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            pre_feedforward_layernorm: sandwich("pre_feedforward_layernorm")?,
            mlp: Mlp::load(checkpoint, &format!("{name}.mlp"), config)?,
            post_feedforward_layernorm: sandwich("post_feedforward_layernorm")?,
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
        let attended =
            self.self_attn
                .forward(self.input_layernorm.forward(x.clone()), context, cache);
        match (
            &self.pre_feedforward_layernorm,
            &self.post_feedforward_layernorm,
        ) {
            (Some(before), Some(behind)) => {
                let x = x + self.post_attention_layernorm.forward(attended);
                x.clone() + behind.forward(self.mlp.forward(before.forward(x)))
            }
            _ => {
                let x = x + attended;
                x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
            }
        }
    }

    pub(super) fn for_each_linear(&mut self, name: &str, f: &mut dyn FnMut(&str, &mut Linear)) {
        self.self_attn
            .for_each_linear(&format!("{name}.self_attn"), f);
        self.mlp.for_each_linear(&format!("{name}.mlp"), f);
    }

    pub(super) fn collect(&self, name: &str, into: &mut NamedValues) {
        let mut norm = |part: &str, norm: &RmsNorm| norm.collect(&format!("{name}.{part}"), into);
        norm("input_layernorm", &self.input_layernorm);
        norm("post_attention_layernorm", &self.post_attention_layernorm);
        if let Some(before) = &self.pre_feedforward_layernorm {
            norm("pre_feedforward_layernorm", before);
        }
        if let Some(behind) = &self.post_feedforward_layernorm {
            norm("post_feedforward_layernorm", behind);
        }
        self.self_attn.collect(&format!("{name}.self_attn"), into);
        self.mlp.collect(&format!("{name}.mlp"), into);
    }
}

/// The gated feed-forward layer (Shazeer, arXiv 2002.05202): `(act(x G) ⊙ x U) D`.
#[derive(Module, Debug)]
struct Mlp {
    gate: Gate,
    down_proj: Linear,
    #[module(skip)]
    hidden_act: Activation,
}

#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "handles of tensors: one value per layer, never moved"
)]
enum Gate {
    Separate(SeparateGate),
    /// `gate_up_proj`: both concatenated.
    Fused(Linear),
}

#[derive(Module, Debug)]
struct SeparateGate {
    gate_proj: Linear,
    up_proj: Linear,
}

impl Mlp {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &DecoderConfig,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |part: &str, shape| {
            Linear::load(
                checkpoint,
                &format!("{name}.{part}"),
                shape,
                config.mlp_bias,
            )
        };
        let gate = if config.fused {
            Gate::Fused(linear("gate_up_proj", [2 * inner, hidden])?)
        } else {
            Gate::Separate(SeparateGate {
                gate_proj: linear("gate_proj", [inner, hidden])?,
                up_proj: linear("up_proj", [inner, hidden])?,
            })
        };
        Ok(Self {
            gate,
            down_proj: linear("down_proj", [hidden, inner])?,
            hidden_act: config.hidden_act,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (gate, up) = match &self.gate {
            Gate::Separate(parts) => (parts.gate_proj.forward(x.clone()), parts.up_proj.forward(x)),
            Gate::Fused(gate_up_proj) => {
                let both = gate_up_proj.forward(x);
                let inner = both.dims()[2] / 2;
                (
                    both.clone().narrow(2, 0, inner),
                    both.narrow(2, inner, inner),
                )
            }
        };
        self.down_proj.forward(self.hidden_act.forward(gate) * up)
    }

    fn for_each_linear(&mut self, name: &str, f: &mut dyn FnMut(&str, &mut Linear)) {
        match &mut self.gate {
            Gate::Separate(parts) => {
                f(&format!("{name}.gate_proj"), &mut parts.gate_proj);
                f(&format!("{name}.up_proj"), &mut parts.up_proj);
            }
            Gate::Fused(gate_up_proj) => f(&format!("{name}.gate_up_proj"), gate_up_proj),
        }
        f(&format!("{name}.down_proj"), &mut self.down_proj);
    }

    fn collect(&self, name: &str, into: &mut NamedValues) {
        match &self.gate {
            Gate::Separate(parts) => {
                parts.gate_proj.collect(&format!("{name}.gate_proj"), into);
                parts.up_proj.collect(&format!("{name}.up_proj"), into);
            }
            Gate::Fused(gate_up_proj) => {
                gate_up_proj.collect(&format!("{name}.gate_up_proj"), into)
            }
        }
        self.down_proj.collect(&format!("{name}.down_proj"), into);
    }
}
