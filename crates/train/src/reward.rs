//! Training a reward model on texts with scores.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rarebit_core::loss;
use rarebit_models::lora::LoraConfig;
use rarebit_models::sequence_classifier::{SequenceClassifier, padded};

use crate::arguments::TrainingArguments;
use crate::checkpoint::{Checkpoints, fingerprint};
use crate::error::TrainError;
use crate::event::{Event, Outcome};
use crate::stop::Stop;
use crate::task::{Losses, Sample, Task};
use crate::trainer::{self, Plan, Segment};

/// A text and the score that the reward model should predict.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredExample {
    /// Identifies the row it was read from; named when training fails on it.
    pub id: String,
    /// Token ids of the prompt and the response.
    pub ids: Vec<u32>,
    /// The score on the scale of the reward model.
    pub score: f32,
}

impl Sample for &ScoredExample {
    fn id(&self) -> &str {
        &self.id
    }

    fn length(&self) -> usize {
        self.ids.len()
    }

    fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// Regression of scores: the mean of `|reward - score|` (arXiv 2503.17126, appendix on the reward
/// model).
#[derive(Debug, Clone, Copy)]
pub struct RewardTask;

impl Task for RewardTask {
    type Model = SequenceClassifier;
    type Item<'a> = &'a ScoredExample;

    fn losses(
        &self,
        model: &SequenceClassifier,
        items: &[&ScoredExample],
        device: &Device,
    ) -> Result<Losses, TrainError> {
        let rows: Vec<&[u32]> = items.iter().map(|item| item.ids.as_slice()).collect();
        let (input_ids, attention_mask) = padded(&rows, device);
        let rewards = model.forward(input_ids, attention_mask);
        let scores: Vec<f32> = items.iter().map(|item| item.score).collect();
        let scores = Tensor::from_data(TensorData::new(scores, [items.len()]), device);
        Ok(Losses {
            sums: vec![
                ("mean_reward", rewards.clone().detach().sum()),
                ("mean_score", scores.clone().sum()),
            ],
            per_example: loss::l1(rewards, scores),
        })
    }
}

/// The training run of a reward model.
pub struct RewardRun<'a> {
    /// The run folder.
    pub output_dir: &'a Path,
    /// Settings of the training loop.
    pub arguments: &'a TrainingArguments,
    /// Training data.
    pub train: &'a [ScoredExample],
    /// Evaluation data; may be empty.
    pub eval: &'a [ScoredExample],
    /// Identifies the initial model: a hash of its files, and the seed of a newly initialised head.
    pub start: String,
    /// The settings of the adapter to train, if any.
    pub adapter: Option<&'a LoraConfig>,
    /// Ends the run before its next step.
    pub stop: Stop,
}

impl RewardRun<'_> {
    /// Checks settings and data, and that checkpoints in the run folder belong to this run.
    ///
    /// # Errors
    /// When a check fails or a checkpoint cannot be read.
    pub fn check(&self) -> Result<(), TrainError> {
        trainer::check(self.arguments, self.train.len(), self.eval.len())?;
        Checkpoints::new(self.output_dir).check(&self.fingerprint())
    }

    fn fingerprint(&self) -> String {
        let mut data = Vec::new();
        for example in self.train.iter().chain(self.eval) {
            data.extend(example.score.to_le_bytes());
            data.extend((example.ids.len() as u64).to_le_bytes());
            data.extend(example.ids.iter().flat_map(|id| id.to_le_bytes()));
        }
        let arguments = self.arguments.affecting_results();
        fingerprint(&[
            self.start.as_bytes(),
            format!("reward {arguments:?}{:?}", self.adapter).as_bytes(),
            &data,
        ])
    }
}

/// Trains a reward model, resuming from the run folder's last checkpoint if there is one.
///
/// # Errors
/// As for [`crate::train`].
pub fn train_reward(
    model: SequenceClassifier,
    run: &RewardRun<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome<SequenceClassifier>, TrainError> {
    run.check()?;
    let plan = Plan {
        output_dir: run.output_dir,
        arguments: run.arguments,
        task: RewardTask,
        train: run.train.iter().collect(),
        eval: run.eval.iter().collect(),
        fingerprint: run.fingerprint(),
        segment: Segment::WHOLE,
        optimizer: None,
        stop: run.stop.clone(),
    };
    trainer::run(model, plan, on_event)
}
