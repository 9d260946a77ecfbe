//! Parts of a batch for the cores of a CPU.
//!
//! How a batch is split depends on the batch and the model alone, and results are taken in the
//! order of the parts: a run takes the same steps on any number of cores.

use burn::tensor::Device;
use rarebit_models::splits_batches;

use crate::task::Sample;

/// Tokens per part, about: a layer's activations for them stay in a core's cache.
const SMALL_PART: usize = 256;

/// The same where each part's gradients exceed a cache: computing them must outweigh writing and
/// adding them up.
const LARGE_PART: usize = 1024;

/// Gradients that fit a core's cache.
const FEW_GRADIENTS: usize = 8_000_000;

/// Parts of a batch at most: each holds its own gradients until they are added up.
const MAX_PARTS: usize = 8;

/// Tokens per part where each part leaves `gradients` gradients.
pub(crate) fn part_tokens(gradients: usize) -> usize {
    match gradients {
        ..=FEW_GRADIENTS => SMALL_PART,
        _ => LARGE_PART,
    }
}

/// Splits a batch into parts of neighbouring items with about `part_tokens` tokens each. Off the
/// CPU the batch stays whole.
pub(crate) fn parts<'a, S: Sample>(
    batch: &'a [S],
    part_tokens: usize,
    device: &Device,
) -> Vec<&'a [S]> {
    if !splits_batches(device) {
        return vec![batch];
    }
    let tokens: usize = batch.iter().map(Sample::tokens).sum();
    let parts = tokens.div_ceil(part_tokens).clamp(1, MAX_PARTS);
    batch.chunks(batch.len().div_ceil(parts).max(1)).collect()
}
