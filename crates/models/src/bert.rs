//! The BERT encoder (Devlin et al., arXiv 1810.04805) and RoBERTa, which differs only in where it
//! counts positions from (Liu et al., arXiv 1907.11692).
//!
//! Fields are named after the keys of a Hugging Face checkpoint. Checked against transformers'
//! `BertModel` through sentence-transformers.

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Int, Tensor, activation, module};
use serde::Deserialize;

use crate::config_file;
use crate::error::ModelError;
use crate::linear::Linear;
use crate::safetensors_file::TensorFile;
use crate::weights::Weights;

/// `BertConfig` of transformers, as far as inference reads it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BertConfig {
    /// Which of the family it is.
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
    pub hidden_act: BertActivation,
    /// Number of position embeddings.
    pub max_position_embeddings: usize,
    /// Number of segment embeddings; a single text uses the first.
    pub type_vocab_size: usize,
    /// Added to the variance in every norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Fills batches.
    #[serde(default)]
    pub pad_token_id: u32,
    /// How positions enter: only `absolute` is known.
    #[serde(default)]
    pub position_embedding_type: Option<String>,
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

/// Members of the family whose encoders are the same but for the positions.
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

/// Activations that checkpoints of the family name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BertActivation {
    /// `x Φ(x)`, exact.
    Gelu,
    /// The tanh approximation of GELU.
    GeluNew,
    /// Another name of the tanh approximation.
    GeluPytorchTanh,
    /// `max(x, 0)`
    Relu,
}

impl BertConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// When there is none, or it describes another architecture, or a value that no encoder has.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        let json = |source| ModelError::Json {
            path: path.clone(),
            source,
        };
        let model_type = value.get("model_type").and_then(|kind| kind.as_str());
        if !matches!(
            model_type,
            Some("bert" | "roberta" | "xlm-roberta" | "camembert")
        ) {
            let what = match model_type {
                Some(other) => format!("the architecture `{other}` as a sentence embedder"),
                None => "no architecture (`model_type` is absent)".to_owned(),
            };
            return Err(ModelError::Unsupported { path, what });
        }
        let config: Self = serde_json::from_value(value).map_err(json)?;
        config.check(&path)?;
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
                format!("{positions} leaves no position"),
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

    /// The position of a text's first token.
    fn first_position(&self) -> usize {
        match self.model_type {
            BertFamily::Bert => 0,
            _ => self.pad_token_id as usize + 1,
        }
    }

    /// The longest sequence for which there are positions.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings
            .saturating_sub(self.first_position())
    }
}

/// Reads a norm; checkpoints older than transformers 1.0 call its parameters gamma and beta.
fn layer_norm(
    weights: &Weights<'_>,
    name: &str,
    config: &BertConfig,
) -> Result<LayerNorm, ModelError> {
    let old = weights.file.contains(&format!("{name}.gamma"));
    let (scale, shift) = if old {
        ("gamma", "beta")
    } else {
        ("weight", "bias")
    };
    let hidden = config.hidden_size;
    let norm = LayerNormConfig::new(hidden).with_epsilon(config.layer_norm_eps);
    let mut norm = norm.init(weights.device);
    norm.gamma = weights.param(&format!("{name}.{scale}"), [hidden])?;
    norm.beta = Some(weights.param(&format!("{name}.{shift}"), [hidden])?);
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
    first_position: usize,
}

impl BertEmbeddings {
    fn load(weights: &Weights<'_>, name: &str, config: &BertConfig) -> Result<Self, ModelError> {
        let table = |part: &str, rows| {
            weights.param(&format!("{name}.{part}.weight"), [rows, config.hidden_size])
        };
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_position_embeddings)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            layer_norm: layer_norm(weights, &format!("{name}.LayerNorm"), config)?,
            first_position: config.first_position(),
        })
    }

    fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, seq] = input_ids.dims();
        let words = module::embedding(self.word_embeddings.val(), input_ids); // [batch, seq, hidden]
        let positions = self
            .position_embeddings
            .val()
            .narrow(0, self.first_position, seq);
        let segment = self.token_type_embeddings.val().narrow(0, 0, 1);
        self.layer_norm
            .forward(words + (positions + segment).unsqueeze())
    }
}

/// Attention of every token to every other.
#[derive(Module, Debug)]
pub struct BertAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: BertOutput,
    n_heads: usize,
}

impl BertAttention {
    fn load(weights: &Weights<'_>, name: &str, config: &BertConfig) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let linear = |part: &str| {
            Linear::load(
                weights,
                &format!("{name}.self.{part}"),
                [hidden, hidden],
                true,
            )
        };
        Ok(Self {
            query: linear("query")?,
            key: linear("key")?,
            value: linear("value")?,
            output: BertOutput::load(weights, &format!("{name}.output"), hidden, config)?,
            n_heads: config.num_attention_heads,
        })
    }

    /// `hidden` says which keys no query may see, `[batch, n_heads, seq, seq]`.
    fn forward(&self, x: Tensor<3>, hidden: Option<&Tensor<4, Bool>>) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let heads = |x: Tensor<3>| {
            x.reshape([batch, seq, self.n_heads, d_model / self.n_heads])
                .swap_dims(1, 2)
        }; // [batch, n_heads, seq, head_dim]
        let mixed = module::attention(
            heads(self.query.forward(x.clone())),
            heads(self.key.forward(x.clone())),
            heads(self.value.forward(x.clone())),
            hidden.cloned(),
            None,
            AttentionModuleOptions::default(),
        );
        self.output
            .forward(mixed.swap_dims(1, 2).reshape([batch, seq, d_model]), x)
    }
}

/// What ends both halves of a layer: `norm(x W + b + residual)`.
#[derive(Module, Debug)]
pub struct BertOutput {
    dense: Linear,
    layer_norm: LayerNorm,
}

impl BertOutput {
    fn load(
        weights: &Weights<'_>,
        name: &str,
        input: usize,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let shape = [config.hidden_size, input];
        Ok(Self {
            dense: Linear::load(weights, &format!("{name}.dense"), shape, true)?,
            layer_norm: layer_norm(weights, &format!("{name}.LayerNorm"), config)?,
        })
    }

    fn forward(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.layer_norm.forward(self.dense.forward(x) + residual)
    }
}

/// One layer: attention, then feed-forward, a norm behind each.
#[derive(Module, Debug)]
pub struct BertLayer {
    attention: BertAttention,
    intermediate: Linear,
    output: BertOutput,
    #[module(skip)]
    act: BertActivation,
}

impl BertLayer {
    fn load(weights: &Weights<'_>, name: &str, config: &BertConfig) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let dense = format!("{name}.intermediate.dense");
        Ok(Self {
            attention: BertAttention::load(weights, &format!("{name}.attention"), config)?,
            intermediate: Linear::load(weights, &dense, [inner, hidden], true)?,
            output: BertOutput::load(weights, &format!("{name}.output"), inner, config)?,
            act: config.hidden_act,
        })
    }

    fn forward(&self, x: Tensor<3>, hidden: Option<&Tensor<4, Bool>>) -> Tensor<3> {
        let x = self.attention.forward(x, hidden);
        let inner = self.intermediate.forward(x.clone()); // [batch, seq, intermediate]
        let inner = match self.act {
            BertActivation::Gelu => activation::gelu(inner),
            BertActivation::GeluNew | BertActivation::GeluPytorchTanh => {
                activation::gelu_approximate(inner)
            }
            BertActivation::Relu => activation::relu(inner),
        };
        self.output.forward(inner, x)
    }
}

/// The encoder without its pooler, which no sentence embedder reads.
#[derive(Module, Debug)]
pub struct BertModel {
    embeddings: BertEmbeddings,
    layer: Vec<BertLayer>,
    n_heads: usize,
}

impl BertModel {
    /// Builds the encoder from the weights of a checkpoint, whether its keys start with `bert.`
    /// (or `roberta.`) or not. Weights that the encoder does not have are left alone.
    ///
    /// # Errors
    /// When a weight is missing or has another shape.
    pub fn load(
        file: &TensorFile,
        config: &BertConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let weights = Weights { file, device };
        let prefix = ["", "bert.", "roberta."]
            .into_iter()
            .find(|prefix| file.contains(&format!("{prefix}embeddings.word_embeddings.weight")))
            .unwrap_or("");
        let layer = |i| BertLayer::load(&weights, &format!("{prefix}encoder.layer.{i}"), config);
        Ok(Self {
            embeddings: BertEmbeddings::load(&weights, &format!("{prefix}embeddings"), config)?,
            layer: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<Result<_, _>>()?,
            n_heads: config.num_attention_heads,
        })
    }

    /// The last layer's hidden states. Sequences are padded on the right; `attention_mask` is true
    /// where there is a token, and absent where nothing is padded.
    ///
    /// # Shapes
    /// - `input_ids`, `attention_mask`: `[batch, seq]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, seq] = input_ids.dims();
        let hidden = attention_mask.map(|mask| {
            let padding = mask.bool_not().reshape([batch, 1, 1, seq]);
            padding.expand([batch, self.n_heads, seq, seq])
        });
        let x = self.embeddings.forward(input_ids);
        self.layer
            .iter()
            .fold(x, |x, layer| layer.forward(x, hidden.as_ref()))
    }
}
