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
use crate::parameters::{NamedTensors, NamedValues};
use crate::safetensors_file::{Precision, TensorFile, save_model};
use crate::tunable::{TunableLayer, TunableModel};

/// A decoder with its language-modelling head: transformers' `AutoModelForCausalLM`.
#[derive(Module, Debug)]
pub struct CausalLm {
    pub(crate) backbone: Backbone,
    /// Absent when the head is the embedding's transpose.
    lm_head: Option<Linear>,
    #[module(skip)]
    config: BackboneConfig,
    #[module(skip)]
    adapter: Option<LoraConfig>,
}

impl CausalLm {
    /// Reads a Hugging Face folder onto a device. On an autodiff device its parameters are trained.
    ///
    /// # Errors
    /// When `config.json` or the weights are missing, damaged or do not fit each other, or the
    /// architecture is not known.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = BackboneConfig::read(folder)?;
        let file = TensorFile::open(folder)?;
        Self::from_tensors(&file, config, device)
    }

    /// Builds the model from tensors under Hugging Face's names.
    ///
    /// # Errors
    /// When a tensor is missing, left over, or of another shape than the configuration says.
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

    /// The settings it was built from.
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
    /// Sequences padded on the right need no mask: no token looks ahead. Those padded on the left
    /// pass `attention_mask`. Rotary attention sees only the differences of positions; learned
    /// positions count a row's tokens, padding left out.
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

    /// The embedding's output, each block's, and the final norm's: what transformers returns as
    /// `hidden_states`, but for its last entry, which there is the final norm's in place of the
    /// last block's.
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

    /// Logits of hidden states: pick the positions that matter first, the vocabulary is wide.
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

    /// Writes the weights as one file into a folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save_weights(&self, folder: &Path, precision: Precision) -> Result<(), ModelError> {
        save_model(folder, &self.named_values(), precision, u64::MAX)
    }
}

/// Whether a file holds a head that is not the embedding although its settings say that both are one
/// weight: like transformers since version 5, rarebit then believes the file.
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
    const TRAINED_WHOLE: &'static [&'static str] = &[];

    fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>)) {
        self.backbone.for_each_tunable(f);
        if let Some(head) = &mut self.lm_head {
            f("lm_head", TunableLayer::Head(head));
        }
    }

    fn is_tied(&self) -> bool {
        self.lm_head.is_none()
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
