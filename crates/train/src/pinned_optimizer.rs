//! An optimizer that loads its state onto a given device.

use burn::optim::{AdamW, DynOptimizer, DynState, LearningRate, StateSink, StateSource};
use burn::tensor::Device;
use burn::tensor::kind::BridgeTensor;

/// AdamW whose state is loaded onto `device` when it is read from a checkpoint.
///
/// Burn 0.22 loads it onto the default device first, which is a GPU: a run on the CPU would
/// initialise one, and fail where there is none.
pub(crate) struct PinnedOptimizer {
    pub(crate) optimizer: AdamW,
    pub(crate) device: Device,
}

impl DynOptimizer for PinnedOptimizer {
    fn step_dyn(
        &self,
        rank: usize,
        lr: LearningRate,
        tensor: BridgeTensor,
        grad: BridgeTensor,
        state: Option<DynState>,
    ) -> (BridgeTensor, Option<DynState>) {
        self.optimizer.step_dyn(rank, lr, tensor, grad, state)
    }

    fn to_device_dyn(&self, state: DynState, device: &Device) -> DynState {
        self.optimizer.to_device_dyn(state, device)
    }

    fn state_flatten(&self, prefix: &str, state: &DynState, out: &mut StateSink) {
        self.optimizer.state_flatten(prefix, state, out);
    }

    fn state_unflatten(
        &self,
        rank: usize,
        prefix: &str,
        src: &mut StateSource,
        _default: &Device,
    ) -> Option<DynState> {
        self.optimizer
            .state_unflatten(rank, prefix, src, &self.device)
    }
}
