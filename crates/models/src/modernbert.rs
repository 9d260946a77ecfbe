//! The ModernBERT encoder (Warner et al., arXiv 2412.13663): pre-norm, rotary positions, gated
//! feed-forward layers, and alternating global and sliding-window attention.
//!
//! Fields are named after the keys of a Hugging Face checkpoint. The hidden states of every block
//! are tested against transformers' `ModernBertModel`.

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::{Bool, Int, Tensor, module};

use crate::activation::Activation;
use crate::checkpoint::Checkpoint;
use crate::encoder_attention::{RotaryAttention, unseen_padding};
use crate::error::ModelError;
use crate::linear::Linear;
use crate::norm::layer_norm;
use crate::rope::Rotation;

mod config;

pub use config::{LayerType, ModernBertConfig};

/// Loads a layer norm.
fn norm(
    checkpoint: &Checkpoint<'_>,
    name: &str,
    config: &ModernBertConfig,
) -> Result<LayerNorm, ModelError> {
    layer_norm(
        checkpoint,
        name,
        config.hidden_size,
        config.norm_eps,
        config.norm_bias,
    )
}

/// The gated feed-forward layer: `(act(a) · b) Wo`, where `a` and `b` are the halves of `x Wi`.
#[derive(Module, Debug)]
struct ModernBertMlp {
    wi: Linear,
    wo: Linear,
    #[module(skip)]
    act: Activation,
}

impl ModernBertMlp {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let both = self.wi.forward(x); // [batch, seq, 2 * intermediate]
        let half = both.dims()[2] / 2;
        let input = self.act.forward(both.clone().narrow(2, 0, half));
        self.wo.forward(input * both.narrow(2, half, half))
    }
}

/// A pre-norm layer: attention and feed-forward with residual connections.
#[derive(Module, Debug)]
struct ModernBertEncoderLayer {
    /// `None` in the first layer, whose input is already normalized.
    attn_norm: Option<LayerNorm>,
    attn: RotaryAttention,
    mlp_norm: LayerNorm,
    mlp: ModernBertMlp,
    #[module(skip)]
    attention_type: LayerType,
}

impl ModernBertEncoderLayer {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &ModernBertConfig,
        layer: usize,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |part: &str, shape, bias| {
            Linear::load(checkpoint, &format!("{name}.{part}"), shape, bias)
        };
        let norm = |part: &str| norm(checkpoint, &format!("{name}.{part}"), config);
        Ok(Self {
            attn_norm: match layer {
                0 => None,
                _ => Some(norm("attn_norm")?),
            },
            attn: RotaryAttention::new(
                linear("attn.Wqkv", [3 * hidden, hidden], config.attention_bias)?,
                linear("attn.Wo", [hidden, hidden], config.attention_bias)?,
                config.num_attention_heads,
            ),
            mlp_norm: norm("mlp_norm")?,
            mlp: ModernBertMlp {
                wi: linear("mlp.Wi", [2 * inner, hidden], config.mlp_bias)?,
                wo: linear("mlp.Wo", [hidden, inner], config.mlp_bias)?,
                act: config.hidden_activation,
            },
            attention_type: config.layer_type(layer),
        })
    }

    fn forward(&self, x: Tensor<3>, context: &Context) -> Tensor<3> {
        let (rotation, unseen) = match self.attention_type {
            LayerType::FullAttention => &context.full,
            LayerType::SlidingAttention => &context.sliding,
        };
        let input = match &self.attn_norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let x = x + self.attn.forward(input, rotation, unseen.as_ref());
        x.clone() + self.mlp.forward(self.mlp_norm.forward(x))
    }
}

/// Rotations and masks of one forward pass, for either kind of layer; masks are true where a key is
/// masked out.
struct Context {
    full: (Rotation, Option<Tensor<4, Bool>>),
    sliding: (Rotation, Option<Tensor<4, Bool>>),
}

/// The encoder without a head.
#[derive(Module, Debug)]
pub struct ModernBertModel {
    /// `[vocab, hidden]`
    tok_embeddings: Param<Tensor<2>>,
    norm: LayerNorm,
    layers: Vec<ModernBertEncoderLayer>,
    final_norm: LayerNorm,
    #[module(skip)]
    config: ModernBertConfig,
}

impl ModernBertModel {
    /// Builds the encoder from a checkpoint; the prefix `model.` of its keys is optional. Other
    /// tensors are ignored.
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        config: &ModernBertConfig,
    ) -> Result<Self, ModelError> {
        let embedding = "embeddings.tok_embeddings.weight";
        let prefix = match checkpoint.file.contains(&format!("model.{embedding}")) {
            true => "model.",
            false => "",
        };
        let layer =
            |i| ModernBertEncoderLayer::load(checkpoint, &format!("{prefix}layers.{i}"), config, i);
        let table = [config.vocab_size, config.hidden_size];
        Ok(Self {
            tok_embeddings: checkpoint.param(&format!("{prefix}{embedding}"), table)?,
            norm: norm(checkpoint, &format!("{prefix}embeddings.norm"), config)?,
            layers: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<Result<_, _>>()?,
            final_norm: norm(checkpoint, &format!("{prefix}final_norm"), config)?,
            config: config.clone(),
        })
    }

    /// The last hidden states, after the final norm. `visit` receives the output of the embedding
    /// and of each block.
    ///
    /// # Shapes
    /// - `input_ids`, `attention_mask` (true where there is a token): `[batch, seq]`
    /// - output: `[batch, seq, hidden]`
    pub(crate) fn run(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        visit: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let [_, seq] = input_ids.dims();
        let context = self.context(seq, attention_mask);
        let words = module::embedding(self.tok_embeddings.val(), input_ids); // [batch, seq, hidden]
        let mut x = self.norm.forward(words);
        visit(&x);
        for layer in &self.layers {
            x = layer.forward(x, &context);
            visit(&x);
        }
        self.final_norm.forward(x)
    }

    fn context(&self, seq: usize, attention_mask: Option<Tensor<2, Bool>>) -> Context {
        let device = self.tok_embeddings.val().device();
        let rotation = |kind| Rotation::new(0, seq, &self.config.rope(kind), &device);
        let heads = self.config.num_attention_heads;
        let window = self.config.local_attention / 2;
        let far = (seq > window + 1).then(|| {
            let shape = [seq, seq];
            let after = Tensor::<2, Bool>::tril_mask(shape, window as i64, &device);
            after.bool_or(Tensor::triu_mask(shape, -(window as i64), &device))
        });
        let sliding = match (far, &attention_mask) {
            (None, mask) => mask.clone().map(|mask| unseen_padding(mask, heads)),
            (Some(far), None) => Some(far.unsqueeze::<4>().expand([1, heads, seq, seq])),
            (Some(far), Some(mask)) => {
                let [batch, _] = mask.dims();
                let shape = [batch, 1, seq, seq];
                let unseen = unseen_padding(mask.clone(), 1)
                    .bool_or(far.unsqueeze::<4>().expand(shape))
                    // A padding token whose whole window is padding would attend to nothing and
                    // become NaN, which the next layer would spread. It attends to everything
                    // instead; its output is masked.
                    .bool_and(mask.clone().reshape([batch, 1, seq, 1]).expand(shape));
                Some(unseen.expand([batch, heads, seq, seq]))
            }
        };
        Context {
            full: (
                rotation(LayerType::FullAttention),
                attention_mask.map(|mask| unseen_padding(mask, heads)),
            ),
            sliding: (rotation(LayerType::SlidingAttention), sliding),
        }
    }
}
