//! A decoder that predicts the next token.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::backbone::{Backbone, BackboneConfig};
use crate::checkpoint::Checkpoint;
use crate::decoder::soft_cap;
use crate::error::ModelError;
use crate::kv_cache::KvCache;
use crate::linear::Linear;
use crate::lora::LoraConfig;
use crate::parameters::{NamedTensors, NamedValues, param};
use crate::safetensors_file::{Precision, TensorFile, save_model};
use crate::tunable::{TunableLayer, TunableModel};

/// A decoder with its language-modelling head: transformers' `AutoModelForCausalLM`.
#[derive(Module, Debug)]
pub struct CausalLm {
    pub(crate) backbone: Backbone,
    /// `None` if the head shares the embedding's weight.
    lm_head: Option<Linear>,
    #[module(skip)]
    config: BackboneConfig,
    #[module(skip)]
    adapter: Option<LoraConfig>,
}

impl CausalLm {
    /// Loads a Hugging Face folder onto a device. On an autodiff device its parameters are
    /// trainable.
    ///
    /// # Errors
    /// If `config.json` or the weights are missing, damaged or inconsistent, or the architecture is
    /// not supported.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = BackboneConfig::read(folder)?;
        let file = TensorFile::open(folder)?;
        Self::from_tensors(&file, config, device)
    }

    /// Builds the model from tensors under Hugging Face's names.
    ///
    /// # Errors
    /// If a tensor is missing, unexpected, or has a different shape than the configuration says.
    pub fn from_tensors(
        file: &TensorFile,
        config: BackboneConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let checkpoint = Checkpoint { file, device };
        let lm_head = if config.tie_word_embeddings() && !holds_another_head(file, &config)? {
            None
        } else {
            let shape = [config.vocab_size(), config.hidden_size()];
            Some(Linear::load(&checkpoint, "lm_head", shape, false)?)
        };
        let backbone = Backbone::load(&checkpoint, config.clone())?;
        file.check_all_read(config.model_type(), |_| false)?;
        Ok(Self {
            backbone,
            lm_head,
            config,
            adapter: None,
        })
    }

    /// The configuration that it was built from.
    pub fn config(&self) -> &BackboneConfig {
        &self.config
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.backbone.device()
    }

    /// An empty cache for this many sequences of up to `capacity` tokens.
    pub fn new_cache(&self, batch: usize, capacity: usize) -> KvCache {
        self.backbone.new_cache(batch, capacity)
    }

    /// The decoder's last hidden states, after the final norm.
    ///
    /// Sequences padded on the right need no mask, since attention is causal; those padded on the
    /// left need `attention_mask`. Rotary attention depends only on relative positions; learned
    /// positions count the tokens of a row without padding.
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
        self.backbone
            .run(input_ids, attention_mask, cache, &mut |_| {})
    }

    /// The output of the embedding, of each block and of the final norm. transformers'
    /// `hidden_states` leaves out the last block's output.
    pub fn hidden_states(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
    ) -> Vec<Tensor<3>> {
        let mut states = Vec::new();
        let last = self
            .backbone
            .run(input_ids, attention_mask, None, &mut |state| {
                states.push(state.clone())
            });
        states.push(last);
        states
    }

    /// Logits of hidden states. Select the positions you need first: the vocabulary is large.
    ///
    /// # Shapes
    /// `[tokens, hidden]` to `[tokens, vocab]`
    pub fn logits(&self, hidden_states: Tensor<2>) -> Tensor<2> {
        let logits = match &self.lm_head {
            Some(head) => head.forward(hidden_states.unsqueeze::<3>()).squeeze_dim(0),
            None => hidden_states.matmul(self.backbone.embedding().val().transpose()),
        };
        match self.config.final_logit_softcapping() {
            Some(cap) => soft_cap(logits, cap),
            None => logits,
        }
    }

    /// The model's parameters under Hugging Face's names and in its layout.
    pub fn named_tensors(&self) -> NamedTensors {
        TunableModel::named_tensors(self)
    }

    /// Writes the weights into a folder as a single file.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn save_weights(&self, folder: &Path, precision: Precision) -> Result<(), ModelError> {
        save_model(folder, &self.named_values(), precision, u64::MAX)
    }
}

/// Whether a file holds a head that differs from the embedding although its configuration ties the
/// two. Like transformers since version 5, rarebit then uses the head in the file.
fn holds_another_head(file: &TensorFile, config: &BackboneConfig) -> Result<bool, ModelError> {
    let head = "lm_head.weight";
    if !file.contains(head) {
        return Ok(false);
    }
    let embedding = format!("{}{}", config.prefix_in(file), config.embedding());
    Ok(!file.are_equal(head, &embedding)?)
}

impl TunableModel for CausalLm {
    const TASK_TYPE: &'static str = "CAUSAL_LM";
    const TRAINED_IN_FULL: &'static [&'static str] = &[];

    fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>)) {
        self.backbone.for_each_tunable(f);
        if let Some(head) = &mut self.lm_head {
            f("lm_head", TunableLayer::Head(head));
        }
    }

    fn is_tied(&self) -> bool {
        self.lm_head.is_none()
    }

    fn untie(&mut self) {
        if self.lm_head.is_none() {
            let weight = self.backbone.embedding().val().transpose().detach();
            self.lm_head = Some(Linear::new(param("lm_head.weight", weight), None));
        }
    }

    fn num_labels(&self) -> Option<usize> {
        None
    }

    fn pad_token_id(&self) -> Option<i64> {
        None
    }

    fn adapter(&self) -> Option<&LoraConfig> {
        self.adapter.as_ref()
    }

    fn set_adapter(&mut self, adapter: Option<LoraConfig>) {
        self.adapter = adapter;
    }

    fn device(&self) -> Device {
        self.backbone.device()
    }

    fn named_values(&self) -> NamedValues {
        let mut tensors = Vec::new();
        self.backbone.collect(&mut tensors);
        if let Some(head) = &self.lm_head {
            head.collect("lm_head", &mut tensors);
        }
        tensors
    }

    fn reload(&self, file: &TensorFile) -> Result<Self, ModelError> {
        Self::from_tensors(file, self.config.clone(), &self.device())
    }
}
