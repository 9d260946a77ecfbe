//! jina-embeddings-v3 (Sturua et al., arXiv 2409.10173): XLM-RoBERTa with rotary positions, and a
//! LoRA adapter per task for every linear layer and embedding.
//!
//! The adapter of one task is merged while loading. The hidden states of every block are tested
//! against transformers' `JinaEmbeddingsV3Model` and peft.

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::{Bool, Int, Tensor, module};

use crate::activation::Activation;
use crate::encoder_attention::{RotaryAttention, unseen_padding};
use crate::error::ModelError;
use crate::linear::Linear;
use crate::parameters::param;
use crate::rope::Rotation;

mod checkpoint;
mod config;
mod tasks;

pub(crate) use checkpoint::JinaCheckpoint;
use checkpoint::LowRank;
pub use config::JinaV3Config;
pub(crate) use tasks::Adapter;
pub use tasks::TASK_FOLDERS;

/// One layer: attention, then feed-forward, each followed by a norm.
#[derive(Module, Debug)]
struct JinaV3Layer {
    self_attn: RotaryAttention,
    post_attention_layernorm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    post_mlp_layernorm: LayerNorm,
    #[module(skip)]
    act: Activation,
}

impl JinaV3Layer {
    fn load(
        checkpoint: &JinaCheckpoint<'_>,
        i: usize,
        config: &JinaV3Config,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |part: &str, shape| checkpoint.linear(&format!("layers.{i}.{part}"), shape);
        let norm = |part: &str| {
            checkpoint.norm(&format!("layers.{i}.{part}"), hidden, config.layer_norm_eps)
        };
        Ok(Self {
            self_attn: RotaryAttention::new(
                checkpoint.qkv(&format!("layers.{i}"), hidden)?,
                linear("self_attn.o_proj", [hidden, hidden])?,
                config.num_attention_heads,
            ),
            post_attention_layernorm: norm("post_attention_layernorm")?,
            fc1: linear("mlp.fc1", [inner, hidden])?,
            fc2: linear("mlp.fc2", [hidden, inner])?,
            post_mlp_layernorm: norm("post_mlp_layernorm")?,
            act: config.hidden_act,
        })
    }

    fn forward(
        &self,
        x: Tensor<3>,
        rotation: &Rotation,
        unseen: Option<&Tensor<4, Bool>>,
    ) -> Tensor<3> {
        let mixed = self.self_attn.forward(x.clone(), rotation, unseen);
        let x = self.post_attention_layernorm.forward(x + mixed);
        let inner = self.act.forward(self.fc1.forward(x.clone())); // [batch, seq, intermediate]
        self.post_mlp_layernorm.forward(x + self.fc2.forward(inner))
    }
}

/// Token embeddings with an unmerged adapter: merging would need three copies of the table, which
/// is by far the largest weight.
#[derive(Module, Debug)]
struct WordEmbeddings {
    /// `[vocab, hidden]`
    weight: Param<Tensor<2>>,
    /// `[vocab, r]`
    lora_a: Option<Param<Tensor<2>>>,
    /// `[r, hidden]`, scaled
    lora_b: Option<Param<Tensor<2>>>,
}

impl WordEmbeddings {
    fn load(checkpoint: &JinaCheckpoint<'_>, config: &JinaV3Config) -> Result<Self, ModelError> {
        let name = "embeddings.word_embeddings";
        let shape = [config.vocab_size, config.hidden_size];
        let (lora_a, lora_b) = match checkpoint.embedding_adapter(name, shape)? {
            Some(LowRank { left, right }) => (
                Some(param(&format!("{name}.lora_A"), left)),
                Some(param(&format!("{name}.lora_B"), right)),
            ),
            None => (None, None),
        };
        Ok(Self {
            weight: param(name, checkpoint.base(name, shape)?),
            lora_a,
            lora_b,
        })
    }

    fn forward(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        let words = module::embedding(self.weight.val(), input_ids.clone()); // [batch, seq, hidden]
        let (Some(a), Some(b)) = (&self.lora_a, &self.lora_b) else {
            return words;
        };
        words + module::linear(module::embedding(a.val(), input_ids), b.val(), None)
    }
}

/// The encoder without its pooler, which sentence embedders do not use.
#[derive(Module, Debug)]
pub struct JinaV3Model {
    word_embeddings: WordEmbeddings,
    /// `[segments, hidden]`
    token_type_embeddings: Param<Tensor<2>>,
    layer_norm: LayerNorm,
    layers: Vec<JinaV3Layer>,
    #[module(skip)]
    config: JinaV3Config,
}

impl JinaV3Model {
    /// Builds the encoder from a checkpoint with its adapter, if it has one.
    pub(crate) fn load(
        checkpoint: &JinaCheckpoint<'_>,
        config: &JinaV3Config,
    ) -> Result<Self, ModelError> {
        let segments = [config.type_vocab_size, config.hidden_size];
        let name = "embeddings.token_type_embeddings";
        let model = Self {
            word_embeddings: WordEmbeddings::load(checkpoint, config)?,
            token_type_embeddings: param(name, checkpoint.adapted_embedding(name, segments)?),
            layer_norm: checkpoint.norm(
                "embeddings.LayerNorm",
                config.hidden_size,
                config.layer_norm_eps,
            )?,
            layers: (0..config.num_hidden_layers)
                .map(|i| JinaV3Layer::load(checkpoint, i, config))
                .collect::<Result<_, _>>()?,
            config: config.clone(),
        };
        checkpoint.refuse_strangers()?;
        Ok(model)
    }

    /// The last hidden states. `visit` receives the output of the embedding and of each block.
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
        let segment = self.token_type_embeddings.val().narrow(0, 0, 1);
        let rotation = Rotation::new(0, seq, &self.config.rope(), &segment.device());
        let heads = self.config.num_attention_heads;
        let unseen = attention_mask.map(|mask| unseen_padding(mask, heads));
        let words = self.word_embeddings.forward(input_ids); // [batch, seq, hidden]
        let mut x = self.layer_norm.forward(words + segment.unsqueeze());
        visit(&x);
        for layer in &self.layers {
            x = layer.forward(x, &rotation, unseen.as_ref());
            visit(&x);
        }
        x
    }
}
