//! The layers of a model that fine-tuning can change individually, addressed by name.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::error::ModelError;
use crate::linear::Linear;
use crate::lora::LoraConfig;
use crate::parameters::{NamedTensors, NamedValues, read_all};
use crate::safetensors_file::TensorFile;

/// A layer that can be changed in place.
pub enum TunableLayer<'a> {
    /// A linear layer of the decoder.
    Linear(&'a mut Linear),
    /// The linear layer on top of it.
    Head(&'a mut Linear),
    /// The token embeddings, `[vocab, hidden]`.
    Embedding(&'a mut Param<Tensor<2>>),
}

/// A decoder with a head, as adapters and checkpoints see it: named layers and named parameters.
pub trait TunableModel: Module + Sized {
    /// What peft calls a model with such a head.
    const TASK_TYPE: &'static str;
    /// Modules that peft trains whole beside every adapter of such a model.
    const TRAINED_WHOLE: &'static [&'static str];

    /// Calls `f` with the name of every tunable layer and the layer.
    fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>));

    /// Whether the embedding is the head's weight as well.
    fn is_tied(&self) -> bool;

    /// The number of labels of a head that gives labels.
    fn num_labels(&self) -> Option<usize>;

    /// The token that such a head takes for padding wherever it stands.
    fn pad_token_id(&self) -> Option<i64>;

    /// The device it lives on.
    fn device(&self) -> Device;

    /// The settings of the adapter that it carries.
    fn adapter(&self) -> Option<&LoraConfig>;

    /// Notes which adapter it carries.
    fn set_adapter(&mut self, adapter: Option<LoraConfig>);

    /// Its parameters, adapters aside, under Hugging Face's names and in its layout.
    fn named_values(&self) -> NamedValues;

    /// The same, copied.
    fn named_tensors(&self) -> NamedTensors {
        read_all(&self.named_values())
    }

    /// The same model with all parameters read from a file.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    fn reload(&self, file: &TensorFile) -> Result<Self, ModelError>;
}
