//! Keys and values of the tokens that a decoder has read.

use burn::tensor::{Device, Tensor};

/// One layer's share: room for the whole sequence is set aside once.
#[derive(Debug)]
pub(crate) struct LayerCache {
    /// `[batch, kv_heads, capacity, head_dim]`
    keys: Tensor<4>,
    /// `[batch, kv_heads, capacity, head_dim]`
    values: Tensor<4>,
}

impl LayerCache {
    /// Appends the new tokens' keys and values and returns all so far:
    /// `[batch, kv_heads, past + new, head_dim]`.
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

    /// How many tokens have been read.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Keeps only the sequences at these places of the batch: those that are still being written.
    pub fn keep(&mut self, rows: &[usize], device: &Device) {
        let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let rows = Tensor::<1, burn::tensor::Int>::from_ints(rows.as_slice(), device);
        for layer in &mut self.layers {
            layer.keys.inplace(|all| all.select(0, rows.clone()));
            layer.values.inplace(|all| all.select(0, rows.clone()));
        }
    }
}
