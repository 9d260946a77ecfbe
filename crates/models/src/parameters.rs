//! Named parameters: their ids, and their values on the way to a file.

use std::borrow::Cow;
use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use crate::safetensors_file::Stored;

/// A trainable parameter whose id follows from its name.
pub(crate) fn param<const D: usize>(name: &str, value: Tensor<D>) -> Param<Tensor<D>> {
    let mut param = Param::from_tensor(value);
    param.id = param_id(name);
    param
}

/// Another value for a parameter that keeps its id.
pub(crate) fn replaced<const D: usize>(
    old: &Param<Tensor<D>>,
    value: Tensor<D>,
) -> Param<Tensor<D>> {
    let mut param = Param::from_tensor(value);
    param.id = old.id;
    param
}

/// A module whose parameters take the ids of another one's, which is built alike.
///
/// Its weights may come from a file that names them otherwise: GPT-2's first checkpoints leave out
/// what newer ones put before every key.
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

/// The id of the parameter of that checkpoint key.
pub fn param_id(name: &str) -> ParamId {
    let hash = blake3::hash(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    ParamId::from(u64::from_le_bytes(first))
}

/// Names and values of a module's parameters in the layout of its checkpoint.
pub type NamedTensors = Vec<(String, TensorData)>;

/// The same, each still where the model has it.
pub type NamedValues = Vec<(String, Values)>;

/// A parameter's values, copied from the device when they are asked for and not before: who writes
/// a model tensor by tensor holds one copy of a tensor, not of the model.
pub struct Values {
    shape: Vec<usize>,
    read: Box<dyn Fn() -> TensorData>,
}

impl Values {
    /// A handle of a tensor.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            read: Box::new(move || tensor.clone().into_data()),
        }
    }

    /// Copies them.
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

/// All of them, copied.
pub(crate) fn read_all(values: &NamedValues) -> NamedTensors {
    let tensors = values.iter();
    tensors
        .map(|(name, of)| (name.clone(), of.read()))
        .collect()
}
