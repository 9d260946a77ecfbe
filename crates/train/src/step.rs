//! One optimizer step: micro-batches forward and backward, clip, update, read what happened.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use rarebit_core::PairLogps;
use rarebit_models::causal_lm::CausalLm;

use crate::batch::Batch;
use crate::clip::clip_grad_norm;
use crate::error::TrainError;
use crate::example::Example;
use crate::objective::Objective;
use crate::placed::Placed;

/// Settings of AdamW, under transformers' names and with its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the gradients' mean.
    pub adam_beta1: f32,
    /// Decay of the gradients' square.
    pub adam_beta2: f32,
    /// Added to the denominator.
    pub adam_epsilon: f32,
    /// Decoupled decay of matrices; norms and biases are not decayed, as in transformers.
    pub weight_decay: f32,
}

/// An example and the reference policy's log-probabilities of its completions.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The example.
    pub example: &'a Example,
    /// Of chosen and rejected, summed; needed by DPO.
    pub reference: Option<[f32; 2]>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Mean over the examples (over the completion tokens in supervised fine-tuning).
    pub loss: f64,
    /// Joint norm of the gradients before clipping.
    pub grad_norm: f64,
    /// Means over the examples, under TRL's names.
    pub metrics: BTreeMap<&'static str, f64>,
    /// Tokens that went through the model, padding left out.
    pub tokens: usize,
}

/// The policy and its optimizer.
pub struct Learner {
    /// The policy, on an autodiff device.
    pub model: CausalLm,
    pub(crate) optimizer: ModuleOptimizer,
    objective: Objective,
    max_grad_norm: Option<f64>,
    pad: u32,
}

impl Learner {
    /// A learner with a fresh optimizer.
    pub fn new(
        model: CausalLm,
        objective: Objective,
        adam: AdamW,
        max_grad_norm: Option<f64>,
        pad: u32,
    ) -> Self {
        let with_decay = |weight_decay| {
            AdamWConfig::new()
                .with_beta_1(adam.adam_beta1)
                .with_beta_2(adam.adam_beta2)
                .with_epsilon(adam.adam_epsilon)
                .with_weight_decay(weight_decay)
                .build()
        };
        let device = model.device().without_autodiff();
        let placed = |optimizer| Placed {
            optimizer,
            device: device.clone(),
        };
        // Of the groups that a parameter is in, the last one counts.
        let mut optimizer = ModuleOptimizer::from(with_decay(adam.weight_decay)).with_group(
            ParamGroup::all(),
            placed(with_decay(adam.weight_decay)),
            None,
        );
        if adam.weight_decay != 0.0 {
            optimizer = optimizer.with_group(vectors(&model), placed(with_decay(0.0)), None);
        }
        Self {
            model,
            optimizer,
            objective,
            max_grad_norm,
            pad,
        }
    }

    /// The device that batches go to.
    pub fn device(&self) -> Device {
        self.model.device()
    }

    /// Takes one step on the mean loss of all micro-batches together.
    ///
    /// # Errors
    /// When the device fails.
    pub fn step(
        &mut self,
        micro_batches: &[Vec<Item<'_>>],
        learning_rate: f64,
    ) -> Result<StepReport, TrainError> {
        let device = self.device();
        let share = 1.0 / self.normaliser(micro_batches);
        let mut gradients = GradientsAccumulator::new();
        let mut tally = Tally::default();
        for items in micro_batches {
            let loss = tally.add(self.objective, &self.model, items, self.pad, &device)? * share;
            gradients.accumulate(
                &self.model,
                GradientsParams::from_grads(loss.backward(), &self.model),
            );
        }
        let mut gradients = gradients.grads();
        let norm = clip_grad_norm(&self.model, &mut gradients, self.max_grad_norm);
        self.model = self
            .optimizer
            .step(learning_rate, self.model.clone(), gradients);
        tally.report(share, norm)
    }

    /// The loss and metrics of examples, without learning from them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &self,
        micro_batches: &[Vec<Item<'_>>],
        mut done: impl FnMut(usize),
    ) -> Result<StepReport, TrainError> {
        let model = self.model.valid();
        let device = model.device();
        let mut tally = Tally::default();
        for items in micro_batches {
            tally.add(self.objective, &model, items, self.pad, &device)?;
            tally.settle(None)?;
            done(items.len());
        }
        tally.report(1.0 / self.normaliser(micro_batches), None)
    }

    /// What the summed losses are divided by: the examples, or their completion tokens.
    fn normaliser(&self, micro_batches: &[Vec<Item<'_>>]) -> f64 {
        let items = micro_batches.iter().flatten();
        let count = match self.objective.is_pairwise() {
            true => items.count(),
            false => items.map(|item| item.example.completion_tokens()).sum(),
        };
        count.max(1) as f64
    }
}

/// Sums of a step's micro-batches, kept on the device until the step is over.
#[derive(Default)]
struct Tally {
    names: Vec<&'static str>,
    pending: Vec<Tensor<1>>,
    sums: Vec<f64>,
    examples: usize,
    tokens: usize,
}

impl Tally {
    /// Runs a micro-batch and returns its summed loss, `[1]`.
    fn add(
        &mut self,
        objective: Objective,
        model: &CausalLm,
        items: &[Item<'_>],
        pad: u32,
        device: &Device,
    ) -> Result<Tensor<1>, TrainError> {
        let examples: Vec<&Example> = items.iter().map(|item| item.example).collect();
        let batch = Batch::new(&examples, pad, device);
        let reference = reference(items, device);
        let completions = batch.completion_logps(model);
        let weight = match objective.is_weighted() {
            true => batch.weight.clone(),
            false => batch.weight.ones_like(),
        };
        let losses = objective.losses(&completions, reference.as_ref(), weight)?;
        let loss = losses.per_example.sum();

        self.names = std::iter::once("loss")
            .chain(losses.sums.iter().map(|(name, _)| *name))
            .chain(std::iter::once("weight"))
            .collect();
        let mut sums = vec![loss.clone().detach()];
        sums.extend(losses.sums.into_iter().map(|(_, sum)| sum));
        sums.push(batch.weight.sum());
        self.pending.push(Tensor::cat(
            sums.into_iter().map(Tensor::without_autodiff).collect(),
            0,
        ));
        self.examples += items.len();
        self.tokens += examples
            .iter()
            .map(|example| example.tokens())
            .sum::<usize>();
        Ok(loss)
    }

    /// Reads what is pending, and `extra` with it: the one wait for the device.
    fn settle(&mut self, extra: Option<Tensor<1>>) -> Result<Option<f64>, TrainError> {
        let has_extra = extra.is_some();
        let mut parts = std::mem::take(&mut self.pending);
        parts.extend(extra.map(Tensor::without_autodiff));
        if parts.is_empty() {
            return Ok(None);
        }
        let mut values = read(Tensor::cat(parts, 0))?;
        let extra = if has_extra {
            values.pop().map(f64::from)
        } else {
            None
        };
        self.sums.resize(self.names.len(), 0.0);
        for row in values.chunks(self.names.len()) {
            self.sums
                .iter_mut()
                .zip(row)
                .for_each(|(sum, &value)| *sum += f64::from(value));
        }
        Ok(extra)
    }

    fn report(
        mut self,
        loss_share: f64,
        norm: Option<Tensor<1>>,
    ) -> Result<StepReport, TrainError> {
        let grad_norm = self.settle(norm)?.unwrap_or(0.0);
        let examples = self.examples.max(1) as f64;
        let mut metrics: BTreeMap<&'static str, f64> = self
            .names
            .iter()
            .copied()
            .zip(&self.sums)
            .map(|(name, sum)| (name, sum / examples))
            .collect();
        metrics.remove("loss");
        let loss = self.sums.first().copied().unwrap_or(0.0) * loss_share;
        Ok(StepReport {
            loss,
            grad_norm,
            metrics,
            tokens: self.tokens,
        })
    }
}

pub(crate) fn read(tensor: Tensor<1>) -> Result<Vec<f32>, TrainError> {
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|error| TrainError::Device {
            reason: error.to_string(),
        })
}

/// Reference log-probabilities of a micro-batch, if its items carry them.
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

/// The parameters of rank 1: norms and biases.
fn vectors(model: &CausalLm) -> ParamGroup {
    struct Collect(Vec<ParamId>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 {
                self.0.push(param.id);
            }
        }
    }
    let mut collect = Collect(Vec::new());
    model.visit(&mut collect);
    ParamGroup::from_ids(collect.0)
}
