//! A LLaMA that predicts the next token.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};

use super::{LlamaConfig, LlamaModel};
use crate::error::ModelError;
use crate::kv_cache::KvCache;
use crate::linear::Linear;
use crate::lora::format_metadata;
use crate::safetensors_file::{Precision, SINGLE, TensorFile, save};
use crate::weights::{NamedTensors, Weights};

/// A LLaMA with its language-modelling head.
#[derive(Module, Debug)]
pub struct LlamaForCausalLm {
    pub(crate) model: LlamaModel,
    /// Absent when the head is the embedding's transpose.
    lm_head: Option<Linear>,
}

impl LlamaForCausalLm {
    /// Reads a Hugging Face folder onto a device. On an autodiff device its parameters are trained.
    ///
    /// # Errors
    /// When `config.json` or the weights are missing, damaged or do not fit each other.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = LlamaConfig::read(folder)?;
        let file = TensorFile::open(folder)?;
        Self::from_tensors(&file, config, device)
    }

    /// Builds the model from tensors under Hugging Face's names.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape than the configuration says.
    pub fn from_tensors(
        file: &TensorFile,
        config: LlamaConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let weights = Weights { file, device };
        let lm_head = if config.tie_word_embeddings {
            None
        } else {
            let shape = [config.vocab_size, config.hidden_size];
            Some(Linear::load(&weights, "lm_head", shape, false)?)
        };
        Ok(Self {
            model: LlamaModel::load(&weights, config)?,
            lm_head,
        })
    }

    /// The settings it was built from.
    pub fn config(&self) -> &LlamaConfig {
        self.model.config()
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.model.device()
    }

    /// An empty cache for this many sequences of up to `capacity` tokens.
    pub fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        self.model.new_cache(batch, capacity)
    }

    /// The decoder's last hidden states: [`LlamaModel::forward`].
    pub fn forward(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        self.model.forward(input_ids, attention_mask, cache)
    }

    /// The decoder's hidden states, layer by layer: [`LlamaModel::hidden_states`].
    pub fn hidden_states(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
    ) -> Vec<Tensor<3>> {
        self.model.hidden_states(input_ids, attention_mask)
    }

    /// Logits of hidden states: pick the positions that matter first, the vocabulary is wide.
    ///
    /// # Shapes
    /// `[tokens, hidden]` to `[tokens, vocab]`
    pub fn logits(&self, hidden_states: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden_states.unsqueeze::<3>()).squeeze_dim(0),
            None => hidden_states.matmul(self.model.embed_tokens.val().transpose()),
        }
    }

    /// The model's parameters under Hugging Face's names and in its layout.
    pub fn named_tensors(&self) -> NamedTensors {
        let mut tensors = self.model.named_tensors();
        if let Some(head) = &self.lm_head {
            head.collect("lm_head", &mut tensors);
        }
        tensors
    }

    /// Writes the weights as `model.safetensors` into a folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save_weights(&self, folder: &Path, precision: Precision) -> Result<(), ModelError> {
        save(
            &folder.join(SINGLE),
            &self.named_tensors(),
            precision,
            &format_metadata(),
        )
    }
}
