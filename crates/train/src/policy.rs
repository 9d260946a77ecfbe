//! Training a policy for an objective.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};
use rarebit_core::PairLogps;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::LoraConfig;

use crate::arguments::TrainingArguments;
use crate::batch::Batch;
use crate::checkpoint::{Checkpoints, fingerprint};
use crate::error::TrainError;
use crate::event::{Event, Outcome};
use crate::example::Example;
use crate::objective::{Inputs, Objective};
use crate::reference::{ReferenceCache, reference_logps};
use crate::stop::Stop;
use crate::task::{Losses, Sample, Task};
use crate::trainer::{self, Plan, Segment};

/// Training a policy for an objective.
#[derive(Debug, Clone, Copy)]
pub struct PolicyTask {
    /// The objective.
    pub objective: Objective,
    /// The padding token.
    pub pad: u32,
}

/// An example and the reference policy's log-probabilities of its completions.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The example.
    pub example: &'a Example,
    /// Summed log-probabilities of its two completions; needed if the objective has a reference.
    pub reference: Option<[f32; 2]>,
}

impl Sample for Item<'_> {
    fn id(&self) -> &str {
        self.example.id()
    }

    fn length(&self) -> usize {
        self.example.length()
    }

    fn tokens(&self) -> usize {
        self.example.tokens()
    }
}

impl Task for PolicyTask {
    type Model = CausalLm;
    type Item<'a> = Item<'a>;

    fn losses(
        &self,
        model: &CausalLm,
        items: &[Item<'_>],
        device: &Device,
    ) -> Result<Losses, TrainError> {
        let examples: Vec<&Example> = items.iter().map(|item| item.example).collect();
        self.objective.check(examples.iter().copied())?;
        let batch = match self.objective.reads_sequences() {
            true => Batch::with_prompts(&examples, self.pad, device),
            false => Batch::new(&examples, self.pad, device),
        };
        let reference = reference(items, device);
        let logps = batch.logps(model);
        let weight = match self.objective.is_weighted() {
            true => batch.weight.clone(),
            false => batch.weight.ones_like(),
        };
        let mut losses = self.objective.losses(Inputs {
            completions: &logps.completions,
            sequences: logps.sequences,
            reference: reference.as_ref(),
            desirable: batch.desirable,
            weight,
        })?;
        losses.sums.push(("weight", batch.weight.sum()));
        Ok(losses)
    }

    fn share(&self, item: &Item<'_>) -> usize {
        self.objective.share(item.example)
    }

    fn is_separable(&self) -> bool {
        // KTO estimates the KL divergence from the whole micro-batch.
        !matches!(self.objective, Objective::Kto { .. })
    }

    fn finish_metrics(&self, means: &mut BTreeMap<String, f64>) {
        self.objective.finish_metrics(means);
    }
}

/// Reference log-probabilities of a micro-batch, if all of its items have them.
fn reference(items: &[Item<'_>], device: &Device) -> Option<PairLogps> {
    let column = |which: usize| {
        let values: Vec<f32> = items
            .iter()
            .map(|item| item.reference.map(|both| both[which]))
            .collect::<Option<_>>()?;
        Some(Tensor::from_data(
            TensorData::new(values, [items.len()]),
            device,
        ))
    };
    Some(PairLogps {
        chosen: column(0)?,
        rejected: column(1)?,
    })
}

/// One round of online training: a run on responses that the policy itself wrote, continuing from
/// the round before it.
#[derive(Clone)]
pub struct Round {
    /// Its index, from 0.
    pub index: u64,
    /// The number of rounds. The learning rate schedule spans all of them, as if each had as many
    /// steps as this one.
    pub of: u64,
    /// Log-probabilities of the training pairs under the initial policy of the first round, in the
    /// order of the pairs; empty for an objective without reference.
    pub reference: Vec<[f32; 2]>,
}

/// The training run of a policy.
pub struct PolicyRun<'a> {
    /// The run folder.
    pub output_dir: &'a Path,
    /// Settings of the training loop.
    pub arguments: &'a TrainingArguments,
    /// The objective.
    pub objective: Objective,
    /// Training examples.
    pub train: &'a [Example],
    /// Evaluation examples; may be empty.
    pub eval: &'a [Example],
    /// The padding token.
    pub pad: u32,
    /// A hash of the initial policy's files.
    pub policy: String,
    /// The settings of the adapter to train, if any.
    pub adapter: Option<&'a LoraConfig>,
    /// Folder of the cache of reference log-probabilities, if they are cached.
    pub reference_cache: Option<PathBuf>,
    /// The round, in online training.
    pub round: Option<Round>,
    /// Ends the run before its next step.
    pub stop: Stop,
}

impl PolicyRun<'_> {
    /// Checks settings and data, and that checkpoints in the run folder belong to this run.
    ///
    /// # Errors
    /// When a check fails or a checkpoint cannot be read.
    pub fn check(&self) -> Result<(), TrainError> {
        trainer::check(self.arguments, self.train.len(), self.eval.len())?;
        self.objective.check(self.train.iter().chain(self.eval))?;
        if self.round.is_some() && !self.eval.is_empty() {
            return Err(TrainError::EvaluatedRound);
        }
        let is_weightless = self.train.iter().all(|example| example.weight() == 0.0);
        // A round of online training has the weights that the policy's own responses give it.
        if self.objective.is_weighted() && is_weightless && self.round.is_none() {
            return Err(TrainError::NoWeights);
        }
        Checkpoints::new(self.output_dir).check(&self.fingerprint())
    }

    /// A hash of everything that the results depend on.
    pub(crate) fn fingerprint(&self) -> String {
        let mut data = Vec::new();
        for example in self.train.iter().chain(self.eval) {
            data.extend(example.weight().to_le_bytes());
            data.extend(example.desirable().map(u8::from));
            for sequence in example.sequences() {
                for span in &sequence.loss_spans {
                    data.extend((span.start as u64).to_le_bytes());
                    data.extend((span.end as u64).to_le_bytes());
                }
                data.extend(sequence.ids.iter().flat_map(|id| id.to_le_bytes()));
            }
        }
        let arguments = self.arguments.affecting_results();
        let round = self.round.as_ref().map(|round| (round.index, round.of));
        fingerprint(&[
            self.policy.as_bytes(),
            format!(
                "{arguments:?}{:?}{:?}{round:?}",
                self.objective, self.adapter
            )
            .as_bytes(),
            &data,
        ])
    }

    fn reference(
        &self,
        model: &CausalLm,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<[Vec<[f32; 2]>; 2], TrainError> {
        if !self.objective.needs_reference() {
            return Ok([Vec::new(), Vec::new()]);
        }
        if let Some(round) = &self.round {
            return Ok([round.reference.clone(), Vec::new()]);
        }
        let cache = self.reference_cache.clone().map(|folder| ReferenceCache {
            folder,
            policy: self.policy.clone(),
        });
        let batch_size = self.arguments.per_device_eval_batch_size;
        let total = self.train.len() + self.eval.len();
        let mut compute = |examples: &[Example], before: usize| {
            reference_logps(
                model,
                examples,
                batch_size,
                self.pad,
                cache.as_ref(),
                &mut |done, _| {
                    on_event(Event::Reference {
                        done: before + done,
                        total,
                    });
                },
            )
        };
        Ok([
            compute(self.train, 0)?,
            compute(self.eval, self.train.len())?,
        ])
    }
}

/// Trains a policy, resuming from the run folder's last checkpoint if there is one.
///
/// On the CPU a killed and resumed run takes bit for bit the same steps as an uninterrupted one.
///
/// # Errors
/// When settings are out of range, there are no examples or they do not fit the objective, the run
/// folder belongs to another run or cannot be written, the device fails, the loss is not finite, or
/// the run is stopped.
pub fn train(
    model: CausalLm,
    run: &PolicyRun<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, TrainError> {
    train_on(model, None, run, on_event)
}

/// [`train`] with the optimizer state of an earlier run of the same policy.
///
/// # Errors
/// As for [`train`].
pub fn train_on(
    model: CausalLm,
    optimizer: Option<ModuleOptimizer>,
    run: &PolicyRun<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, TrainError> {
    run.check()?;
    // The reference is the initial policy, so its log-probs are computed before the first step.
    let [train, eval] = run.reference(&model, on_event)?;
    let plan = Plan {
        output_dir: run.output_dir,
        arguments: run.arguments,
        task: PolicyTask {
            objective: run.objective,
            pad: run.pad,
        },
        train: items(run.train, &train),
        eval: items(run.eval, &eval),
        fingerprint: run.fingerprint(),
        segment: run.round.as_ref().map_or(Segment::WHOLE, |round| Segment {
            index: round.index,
            of: round.of,
        }),
        optimizer,
        stop: run.stop.clone(),
    };
    trainer::run(model, plan, on_event)
}

/// Examples with their reference log-probabilities, where there are any.
fn items<'a>(examples: &'a [Example], references: &[[f32; 2]]) -> Vec<Item<'a>> {
    let item = |(i, example)| Item {
        example,
        reference: references.get(i).copied(),
    };
    examples.iter().enumerate().map(item).collect()
}
