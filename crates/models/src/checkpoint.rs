//! A checkpoint's tensors as parameters of a module.

use burn::module::Param;
use burn::tensor::{Device, Tensor};

use crate::error::ModelError;
use crate::parameters::param;
use crate::safetensors_file::TensorFile;

/// Loads parameters from a tensor file onto a device.
///
/// A parameter's id is a hash of its checkpoint key, so that saved optimizer state can be matched
/// to parameters in another process.
pub(crate) struct Checkpoint<'a> {
    pub(crate) file: &'a TensorFile,
    pub(crate) device: &'a Device,
}

impl Checkpoint<'_> {
    /// The parameter stored under `name`, which must have this shape.
    pub(crate) fn param<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, ModelError> {
        Ok(param(name, self.file.tensor_of(name, shape, self.device)?))
    }

    /// A linear layer's weight, stored as `[out, in]` and used as `[in, out]`.
    pub(crate) fn transposed(
        &self,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Param<Tensor<2>>, ModelError> {
        Ok(param(
            name,
            self.file.transposed_of(name, shape, self.device)?,
        ))
    }
}
