//! The key-value cache of a decoder.

use burn::tensor::{Device, Tensor};

/// The cache of one layer, allocated once for the whole sequence.
#[derive(Debug)]
pub(crate) struct LayerCache {
    /// `[batch, kv_heads, capacity, head_dim]`
    keys: Tensor<4>,
    /// `[batch, kv_heads, capacity, head_dim]`
    values: Tensor<4>,
}

impl LayerCache {
    /// Appends keys and values of new tokens and returns all of them, `[batch, kv_heads, past +
    /// new, head_dim]`.
    pub(crate) fn append(
        &mut self,
        past: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, new, head_dim] = keys.dims();
        let place = [0..batch, 0..heads, past..past + new, 0..head_dim];
        self.keys
            .inplace(|all| all.slice_assign(place.clone(), keys));
        self.values.inplace(|all| all.slice_assign(place, values));
        (
            self.keys.clone().narrow(2, 0, past + new),
            self.values.clone().narrow(2, 0, past + new),
        )
    }
}

/// The cache of a whole decoder.
#[derive(Debug)]
pub struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
    pub(crate) length: usize,
    capacity: usize,
}

impl KvCache {
    pub(crate) fn new(layers: usize, shape: [usize; 4], device: &Device) -> Self {
        let layer = || LayerCache {
            keys: Tensor::zeros(shape, device),
            values: Tensor::zeros(shape, device),
        };
        Self {
            layers: (0..layers).map(|_| layer()).collect(),
            length: 0,
            capacity: shape[2],
        }
    }

    /// Number of tokens in the cache.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Number of tokens that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Keeps only the sequences at these indices of the batch, in this order.
    pub fn keep(&mut self, rows: &[usize], device: &Device) {
        let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let rows = Tensor::<1, burn::tensor::Int>::from_ints(rows.as_slice(), device);
        for layer in &mut self.layers {
            layer.keys.inplace(|all| all.select(0, rows.clone()));
            layer.values.inplace(|all| all.select(0, rows.clone()));
        }
    }
}
