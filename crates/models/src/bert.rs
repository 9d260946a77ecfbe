//! The BERT encoder (Devlin et al., arXiv 1810.04805) and RoBERTa, which differs only in the
//! position of the first token (Liu et al., arXiv 1907.11692).
//!
//! Fields are named after the keys of a Hugging Face checkpoint. The hidden states of every block
//! are tested against transformers' `BertModel`, `RobertaModel` and `XLMRobertaModel`.

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Int, Tensor, module};
use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::checkpoint::Checkpoint;
use crate::config_file;
use crate::encoder_attention::unseen_padding;
use crate::error::ModelError;
use crate::linear::Linear;

/// transformers' `BertConfig`, as far as inference needs it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BertConfig {
    /// The member of the family.
    pub model_type: BertFamily,
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
    /// Number of position embeddings.
    pub max_position_embeddings: usize,
    /// Number of segment embeddings; a single text uses the first.
    pub type_vocab_size: usize,
    /// Added to the variance in every norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Id of the padding token.
    #[serde(default)]
    pub pad_token_id: u32,
    /// Kind of position embedding; only `absolute` is supported.
    #[serde(default)]
    pub position_embedding_type: Option<String>,
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

/// Models whose encoders differ only in their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BertFamily {
    /// Positions count from 0.
    Bert,
    /// Positions count from the padding id plus 1.
    Roberta,
    /// As RoBERTa, in many languages.
    XlmRoberta,
    /// As RoBERTa, in French.
    Camembert,
}

impl BertConfig {
    /// The settings in a parsed `config.json`; `path` is for error messages.
    pub(crate) fn from_json(path: &Path, value: &Value) -> Result<Self, ModelError> {
        config_file::check_switch(path, value, "is_decoder", false)?;
        let config: Self = config_file::parse(path, value)?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ModelError> {
        let wrong = |key: &str, reason| Err(config_file::wrong(path, key, reason));
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", self.type_vocab_size),
        ];
        config_file::check_sizes(path, &sizes)?;
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (heads, hidden) = (self.num_attention_heads, self.hidden_size);
            return wrong(
                "num_attention_heads",
                format!("{heads} does not divide hidden_size {hidden}"),
            );
        }
        if self.max_tokens() == 0 {
            let positions = self.max_position_embeddings;
            return wrong(
                "max_position_embeddings",
                format!("{positions} leaves no room for a position"),
            );
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(other) => Err(ModelError::Unsupported {
                path: path.to_owned(),
                what: format!("the position embedding `{other}`"),
            }),
        }
    }

    /// The padding token that gets no position and after which positions start, if there is one.
    fn padding(&self) -> Option<u32> {
        (self.model_type != BertFamily::Bert).then_some(self.pad_token_id)
    }

    /// The longest sequence with a position for every token.
    pub fn max_tokens(&self) -> usize {
        let first = self.padding().map_or(0, |padding| padding as usize + 1);
        self.max_position_embeddings.saturating_sub(first)
    }
}

/// Loads a norm. Checkpoints older than transformers 1.0 call its parameters gamma and beta.
fn layer_norm(
    checkpoint: &Checkpoint<'_>,
    name: &str,
    config: &BertConfig,
) -> Result<LayerNorm, ModelError> {
    let old = checkpoint.file.contains(&format!("{name}.gamma"));
    let (scale, shift) = if old {
        ("gamma", "beta")
    } else {
        ("weight", "bias")
    };
    let hidden = config.hidden_size;
    let norm = LayerNormConfig::new(hidden).with_epsilon(config.layer_norm_eps);
    let mut norm = norm.init(checkpoint.device);
    norm.gamma = checkpoint.param(&format!("{name}.{scale}"), [hidden])?;
    norm.beta = Some(checkpoint.param(&format!("{name}.{shift}"), [hidden])?);
    Ok(norm)
}

/// Token, position and segment, summed and normalised.
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    /// `[vocab, hidden]`
    word_embeddings: Param<Tensor<2>>,
    /// `[positions, hidden]`
    position_embeddings: Param<Tensor<2>>,
    /// `[segments, hidden]`
    token_type_embeddings: Param<Tensor<2>>,
    layer_norm: LayerNorm,
    /// RoBERTa's padding token, which has no position.
    padding: Option<u32>,
}

impl BertEmbeddings {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let table = |part: &str, rows| {
            checkpoint.param(&format!("{name}.{part}.weight"), [rows, config.hidden_size])
        };
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_position_embeddings)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            layer_norm: layer_norm(checkpoint, &format!("{name}.LayerNorm"), config)?,
            padding: config.padding(),
        })
    }

    fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, seq] = input_ids.dims();
        let table = self.position_embeddings.val();
        let positions = match self.padding {
            None => table.narrow(0, 0, seq).unsqueeze(), // [1, seq, hidden]
            Some(padding) => {
                let token = input_ids.clone().not_equal_elem(padding).int();
                let places = token.clone().cumsum(1) * token + i64::from(padding);
                module::embedding(table, places) // [batch, seq, hidden]
            }
        };
        let segment = self.token_type_embeddings.val().narrow(0, 0, 1);
        let words = module::embedding(self.word_embeddings.val(), input_ids); // [batch, seq, hidden]
        self.layer_norm
            .forward(words + positions + segment.unsqueeze())
    }
}

/// Bidirectional self-attention.
#[derive(Module, Debug)]
pub struct BertAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: BertOutput,
    n_heads: usize,
}

impl BertAttention {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let linear = |part: &str| {
            Linear::load(
                checkpoint,
                &format!("{name}.self.{part}"),
                [hidden, hidden],
                true,
            )
        };
        Ok(Self {
            query: linear("query")?,
            key: linear("key")?,
            value: linear("value")?,
            output: BertOutput::load(checkpoint, &format!("{name}.output"), hidden, config)?,
            n_heads: config.num_attention_heads,
        })
    }

    /// `unseen` is true where a key is masked out, `[batch, n_heads, seq, seq]`.
    fn forward(&self, x: Tensor<3>, unseen: Option<&Tensor<4, Bool>>) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let heads = |x: Tensor<3>| {
            x.reshape([batch, seq, self.n_heads, d_model / self.n_heads])
                .swap_dims(1, 2)
        }; // [batch, n_heads, seq, head_dim]
        let mixed = module::attention(
            heads(self.query.forward(x.clone())),
            heads(self.key.forward(x.clone())),
            heads(self.value.forward(x.clone())),
            unseen.cloned(),
            None,
            AttentionModuleOptions::default(),
        );
        self.output
            .forward(mixed.swap_dims(1, 2).reshape([batch, seq, d_model]), x)
    }
}

/// The end of each sublayer: `norm(x W + b + residual)`.
#[derive(Module, Debug)]
pub struct BertOutput {
    dense: Linear,
    layer_norm: LayerNorm,
}

impl BertOutput {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        input: usize,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let shape = [config.hidden_size, input];
        Ok(Self {
            dense: Linear::load(checkpoint, &format!("{name}.dense"), shape, true)?,
            layer_norm: layer_norm(checkpoint, &format!("{name}.LayerNorm"), config)?,
        })
    }

    fn forward(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.layer_norm.forward(self.dense.forward(x) + residual)
    }
}

/// One layer: attention, then feed-forward, each followed by a norm.
#[derive(Module, Debug)]
pub struct BertLayer {
    attention: BertAttention,
    intermediate: Linear,
    output: BertOutput,
    #[module(skip)]
    act: Activation,
}

impl BertLayer {
    fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let dense = format!("{name}.intermediate.dense");
        Ok(Self {
            attention: BertAttention::load(checkpoint, &format!("{name}.attention"), config)?,
            intermediate: Linear::load(checkpoint, &dense, [inner, hidden], true)?,
            output: BertOutput::load(checkpoint, &format!("{name}.output"), inner, config)?,
            act: config.hidden_act,
        })
    }

    fn forward(&self, x: Tensor<3>, unseen: Option<&Tensor<4, Bool>>) -> Tensor<3> {
        let x = self.attention.forward(x, unseen);
        let inner = self.intermediate.forward(x.clone()); // [batch, seq, intermediate]
        let inner = self.act.forward(inner);
        self.output.forward(inner, x)
    }
}

/// The encoder without its pooler, which sentence embedders do not use.
#[derive(Module, Debug)]
pub struct BertModel {
    embeddings: BertEmbeddings,
    layer: Vec<BertLayer>,
    n_heads: usize,
}

impl BertModel {
    /// Builds the encoder from a checkpoint; the prefix `bert.` (or `roberta.`) of its keys is
    /// optional. Other tensors are ignored.
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let word_embeddings = "embeddings.word_embeddings.weight";
        let prefix = ["", "bert.", "roberta."]
            .into_iter()
            .find(|prefix| {
                checkpoint
                    .file
                    .contains(&format!("{prefix}{word_embeddings}"))
            })
            .unwrap_or("");
        let layer = |i| BertLayer::load(checkpoint, &format!("{prefix}encoder.layer.{i}"), config);
        Ok(Self {
            embeddings: BertEmbeddings::load(checkpoint, &format!("{prefix}embeddings"), config)?,
            layer: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<Result<_, _>>()?,
            n_heads: config.num_attention_heads,
        })
    }

    /// The last layer's hidden states. `visit` receives the output of the embedding and of each
    /// block. Sequences are padded on the right.
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
        let unseen = attention_mask.map(|mask| unseen_padding(mask, self.n_heads));
        let mut x = self.embeddings.forward(input_ids);
        visit(&x);
        for layer in &self.layer {
            x = layer.forward(x, unseen.as_ref());
            visit(&x);
        }
        x
    }
}
