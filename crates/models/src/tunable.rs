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
    /// The linear layer of the head.
    Head(&'a mut Linear),
    /// The token embeddings, `[vocab, hidden]`.
    Embedding(&'a mut Param<Tensor<2>>),
}

/// A decoder with a head, as adapters and checkpoints see it: named layers and named parameters.
pub trait TunableModel: Module + Sized {
    /// peft's `task_type` for a model with this head.
    const TASK_TYPE: &'static str;
    /// Modules that peft always trains in full for this task.
    const TRAINED_IN_FULL: &'static [&'static str];

    /// Calls `f` with the name of every tunable layer and the layer.
    fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>));

    /// Whether the head shares the embedding's weight.
    fn is_tied(&self) -> bool;

    /// Gives a head that shares the embedding's weight a copy of its own.
    fn untie(&mut self);

    /// Number of labels, for a classification head.
    fn num_labels(&self) -> Option<usize>;

    /// Id of the token that a classification head treats as padding.
    fn pad_token_id(&self) -> Option<i64>;

    /// The device it lives on.
    fn device(&self) -> Device;

    /// The settings of the model's adapter, if it has one.
    fn adapter(&self) -> Option<&LoraConfig>;

    /// Records the settings of the model's adapter.
    fn set_adapter(&mut self, adapter: Option<LoraConfig>);

    /// The parameters without adapters, under Hugging Face's names and in its layout.
    fn named_values(&self) -> NamedValues;

    /// [`Self::named_values`], copied from the device.
    fn named_tensors(&self) -> NamedTensors {
        read_all(&self.named_values())
    }

    /// The same model with all parameters loaded from a file.
    ///
    /// # Errors
    /// If a tensor is missing or has the wrong shape.
    fn reload(&self, file: &TensorFile) -> Result<Self, ModelError>;
}
