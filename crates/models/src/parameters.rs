//! Named parameters: their ids, and their values for a file.

use std::borrow::Cow;
use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use crate::safetensors_file::Stored;

/// A trainable parameter whose id is derived from its name.
pub(crate) fn param<const D: usize>(name: &str, value: Tensor<D>) -> Param<Tensor<D>> {
    let mut param = Param::from_tensor(value);
    param.id = param_id(name);
    param
}

/// A parameter with a new value and the old id.
pub(crate) fn replaced<const D: usize>(
    old: &Param<Tensor<D>>,
    value: Tensor<D>,
) -> Param<Tensor<D>> {
    let mut param = Param::from_tensor(value);
    param.id = old.id;
    param
}

/// Gives a module's parameters the ids of another module of the same structure.
///
/// Its weights may come from a file with different names: GPT-2's first checkpoints lack the prefix
/// of newer ones.
pub(crate) fn with_ids_of<M: Module>(module: M, of: &M) -> M {
    struct Ids(VecDeque<ParamId>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push_back(param.id);
        }
    }
    impl ModuleMapper for Ids {
        fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if let Some(id) = self.0.pop_front() {
                param.id = id;
            }
            param
        }
    }
    let mut ids = Ids(VecDeque::new());
    of.visit(&mut ids);
    module.map(&mut ids)
}

/// The parameter id for a checkpoint key.
pub fn param_id(name: &str) -> ParamId {
    let hash = blake3::hash(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    ParamId::from(u64::from_le_bytes(first))
}

/// Names and values of a module's parameters in the layout of its checkpoint.
pub type NamedTensors = Vec<(String, TensorData)>;

/// Names and handles of a module's parameters, without copying the values.
pub type NamedValues = Vec<(String, Values)>;

/// A parameter's values, copied from the device on request. Writing a model tensor by tensor then
/// needs a copy of one tensor, not of the model.
pub struct Values {
    shape: Vec<usize>,
    read: Box<dyn Fn() -> TensorData>,
}

impl Values {
    /// A handle to a tensor.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            read: Box::new(move || tensor.clone().into_data()),
        }
    }

    /// Copies the values from the device.
    pub fn read(&self) -> TensorData {
        (self.read)()
    }
}

impl Stored for Values {
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn data(&self) -> Cow<'_, TensorData> {
        Cow::Owned(self.read())
    }
}

/// Copies all values from the device.
pub(crate) fn read_all(values: &NamedValues) -> NamedTensors {
    let tensors = values.iter();
    tensors
        .map(|(name, of)| (name.clone(), of.read()))
        .collect()
}
