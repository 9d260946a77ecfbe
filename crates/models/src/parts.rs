//! The parts of a model that fine-tuning can change one by one, by their names.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::error::ModelError;
use crate::linear::Linear;
use crate::lora::LoraConfig;
use crate::safetensors_file::TensorFile;
use crate::weights::{NamedTensors, NamedValues, read_all};

/// A part of a model, to be changed in place.
pub enum Part<'a> {
    /// A linear layer of the decoder.
    Linear(&'a mut Linear),
    /// The linear layer on top of it.
    Head(&'a mut Linear),
    /// The token embeddings, `[vocab, hidden]`.
    Embedding(&'a mut Param<Tensor<2>>),
}

/// A decoder with a head, seen as its parts: what adapters and checkpoints need to know of it.
pub trait Parts: Module + Sized {
    /// What peft calls a model with such a head.
    const TASK_TYPE: &'static str;
    /// Modules that peft trains whole beside every adapter of such a model.
    const TRAINED_WHOLE: &'static [&'static str];

    /// Calls `f` with the name and the part, for every part.
    fn for_each_part(&mut self, f: &mut dyn FnMut(&str, Part<'_>));

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
