//! What differs between devices.

use burn::tensor::Device;

/// Whether a batch is best computed in parts, one per core: yes on the CPU, where Burn runs
/// everything but matmul on one core; no on a GPU, which needs whole batches to be busy.
pub fn splits_batches(device: &Device) -> bool {
    *device == Device::flex()
}
