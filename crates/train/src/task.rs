//! A training task as the loop sees it: a model, items to learn from, a loss over micro-batches.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use rarebit_models::lora::Adaptable;

use crate::error::TrainError;

/// A training task: all that the loop, the optimizer and the run folder know of what is trained.
pub trait Task: Sync {
    /// The model that is trained.
    type Model: Adaptable;
    /// One item to learn from, with everything that its loss needs.
    type Item<'a>: Sample;

    /// The losses of a micro-batch.
    ///
    /// # Errors
    /// When an item lacks something that the loss needs.
    fn losses(
        &self,
        model: &Self::Model,
        items: &[Self::Item<'_>],
        device: &Device,
    ) -> Result<Losses, TrainError>;

    /// An item's share of the divisor of a step's summed losses. With the default of 1 the loss is
    /// the mean over items.
    fn share(&self, _item: &Self::Item<'_>) -> usize {
        1
    }

    /// Whether an item's loss does not depend on the rest of its micro-batch, so that the batch may
    /// be computed in parts.
    fn is_separable(&self) -> bool {
        true
    }

    /// Turns the means of [`Losses::sums`] over items into the metrics that are logged, in place.
    /// By default they are logged as they are.
    fn finish_metrics(&self, _means: &mut BTreeMap<String, f64>) {}
}

/// What batching and error messages need to know of an item.
pub trait Sample: Copy + Send + Sync {
    /// Identifies the row it was read from; named when training fails on it.
    fn id(&self) -> &str;

    /// The length to which a batch pads it at least.
    fn length(&self) -> usize;

    /// Tokens that go through the model, padding excluded.
    fn tokens(&self) -> usize;
}

/// The losses of a micro-batch and its metrics.
#[derive(Debug)]
pub struct Losses {
    /// `[items]`
    pub per_example: Tensor<1>,
    /// Sums over the items, each `[1]`, under TRL's metric names.
    pub sums: Vec<(&'static str, Tensor<1>)>,
}
