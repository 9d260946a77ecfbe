//! What a run learns, as the loop sees it: a model, things to learn from, a loss over micro-batches.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use rarebit_models::lora::Adaptable;

use crate::error::TrainError;

/// What a run learns. The loop, the optimizer and the run folder know no more of it.
pub trait Task: Sync {
    /// What is trained.
    type Model: Adaptable;
    /// One thing to learn from, with whatever its loss compares it with.
    type Item<'a>: Sample;

    /// The losses of a micro-batch.
    ///
    /// # Errors
    /// When an item lacks what the loss compares with.
    fn losses(
        &self,
        model: &Self::Model,
        items: &[Self::Item<'_>],
        device: &Device,
    ) -> Result<Losses, TrainError>;

    /// An item's share of what the summed losses of a step are divided by. The loss is the mean
    /// over the items unless a task says otherwise.
    fn share(&self, _item: &Self::Item<'_>) -> usize {
        1
    }

    /// Whether an item's loss does not depend on the rest of its micro-batch, so that the batch may be
    /// computed in parts.
    fn is_separable(&self) -> bool {
        true
    }

    /// Turns the means of [`Losses::sums`] over items into the metrics that are logged, in place. By
    /// default they are logged as they are.
    fn finish_metrics(&self, _means: &mut BTreeMap<String, f64>) {}
}

/// One thing to learn from, as the order of batches and the messages need to know it.
pub trait Sample: Copy + Send + Sync {
    /// Leads back to the row it comes from; named when training fails on it.
    fn id(&self) -> &str;

    /// What a batch that holds it is padded to.
    fn length(&self) -> usize;

    /// Tokens that go through the model.
    fn tokens(&self) -> usize;
}

/// The losses of a micro-batch and what is worth logging of it.
#[derive(Debug)]
pub struct Losses {
    /// `[items]`
    pub per_example: Tensor<1>,
    /// Sums over the items, each `[1]`, under TRL's metric names.
    pub sums: Vec<(&'static str, Tensor<1>)>,
}
