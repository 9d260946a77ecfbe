//! One optimizer step: forward and backward over micro-batches, clipping, update, metrics.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rarebit_models::lora::Adaptable;
use rarebit_parallel::{run_jobs_on, worker_threads};

use crate::clip::clip_grad_norm;
use crate::error::TrainError;
use crate::pinned_optimizer::PinnedOptimizer;
use crate::split::{part_tokens, parts};
use crate::task::{Sample, Task};

/// Settings of AdamW, under transformers' names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// β₁, the decay of the first moment.
    pub adam_beta1: f32,
    /// β₂, the decay of the second moment.
    pub adam_beta2: f32,
    /// ε, added to the denominator.
    pub adam_epsilon: f32,
    /// Decoupled weight decay of matrices; norms and biases are not decayed, as in transformers.
    pub weight_decay: f32,
}

/// Loss and metrics of a step or an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Mean over the examples (over the completion tokens in supervised fine-tuning).
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Means over the examples, under TRL's names.
    pub metrics: BTreeMap<&'static str, f64>,
    /// Tokens that went through the model, padding excluded.
    pub tokens: usize,
}

/// A model, its task and its optimizer.
pub struct Learner<T: Task> {
    /// The model, on an autodiff device.
    pub model: T::Model,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) task: T,
    max_grad_norm: Option<f64>,
    /// Approximate number of tokens per part of a batch on the CPU.
    part_tokens: usize,
}

impl<T: Task> Learner<T> {
    /// A learner with a fresh optimizer.
    pub fn new(model: T::Model, task: T, adam: AdamW, max_grad_norm: Option<f64>) -> Self {
        let with_decay = |weight_decay| {
            AdamWConfig::new()
                .with_beta_1(adam.adam_beta1)
                .with_beta_2(adam.adam_beta2)
                .with_epsilon(adam.adam_epsilon)
                .with_weight_decay(weight_decay)
                .build()
        };
        let device = device_of(&model).without_autodiff();
        let pinned = |optimizer| PinnedOptimizer {
            optimizer,
            device: device.clone(),
        };
        // The last group that holds a parameter applies to it.
        let mut optimizer = ModuleOptimizer::from(with_decay(adam.weight_decay)).with_group(
            ParamGroup::all(),
            pinned(with_decay(adam.weight_decay)),
            None,
        );
        if adam.weight_decay != 0.0 {
            optimizer = optimizer.with_group(vectors(&model), pinned(with_decay(0.0)), None);
        }
        Self {
            part_tokens: part_tokens(trainable(&model)),
            model,
            optimizer,
            task,
            max_grad_norm,
        }
    }

    /// The device of the model and its batches.
    pub fn device(&self) -> Device {
        device_of(&self.model)
    }

    /// Takes one step on the mean loss over all micro-batches.
    ///
    /// # Errors
    /// When the device fails or an item does not fit the task.
    pub fn step(
        &mut self,
        micro_batches: &[Vec<T::Item<'_>>],
        learning_rate: f64,
    ) -> Result<StepReport, TrainError> {
        let (task, device) = (&self.task, self.device());
        let share = 1.0 / self.normaliser(micro_batches);
        let mut gradients = GradientsAccumulator::new();
        let mut tally = Tally::default();
        for items in micro_batches {
            let learn = |model: &T::Model, part: &[T::Item<'_>]| {
                let (loss, part_sums) = PartSums::of(task, model, part, &device)?;
                let gradients = (loss * share).backward();
                Ok((part_sums, GradientsParams::from_grads(gradients, model)))
            };
            self.in_parts(&self.model, items, learn, |(part_sums, of_part)| {
                tally.add(part_sums);
                gradients.accumulate(&self.model, of_part);
            })?;
        }
        let mut gradients = gradients.grads();
        let norm = clip_grad_norm(&self.model, &mut gradients, self.max_grad_norm);
        self.model = self
            .optimizer
            .step(learning_rate, self.model.clone(), gradients);
        tally.report(share, norm)
    }

    /// Loss and metrics over micro-batches, without training; `done` is called with the number of
    /// items in each.
    ///
    /// # Errors
    /// When the device fails or an item does not fit the task.
    pub fn evaluate(
        &self,
        micro_batches: &[Vec<T::Item<'_>>],
        mut done: impl FnMut(usize),
    ) -> Result<StepReport, TrainError> {
        let (task, model) = (&self.task, self.model.valid());
        let device = device_of(&model);
        let mut tally = Tally::default();
        for items in micro_batches {
            let look = |model: &T::Model, part: &[T::Item<'_>]| {
                Ok(PartSums::of(task, model, part, &device)?.1)
            };
            self.in_parts(&model, items, look, |part_sums| {
                tally.add(part_sums);
            })?;
            tally.settle(None)?;
            done(items.len());
        }
        tally.report(1.0 / self.normaliser(micro_batches), None)
    }

    /// Computes a micro-batch in parts, on the CPU with a worker thread per core.
    fn in_parts<'b, 'i, R: Send>(
        &self,
        model: &T::Model,
        items: &'b [T::Item<'i>],
        work: impl Fn(&T::Model, &'b [T::Item<'i>]) -> Result<R, TrainError> + Sync,
        take: impl FnMut(R),
    ) -> Result<(), TrainError> {
        let device = device_of(model);
        let parts = match self.task.is_separable() {
            true => parts(items, self.part_tokens, &device),
            false => vec![items],
        };
        let models = match worker_threads(parts.len()) {
            // Dropout draws from one generator: in sequence, the draws are always the same.
            2.. if model.draws() => vec![model.clone()],
            // Autodiff graphs that share a leaf block each other: each thread gets its own leaves.
            threads @ 2.. => (0..threads).map(|_| model.clone().fork(&device)).collect(),
            _ => vec![model.clone()],
        };
        run_jobs_on(models, parts, work, take)
    }

    /// The divisor of the summed losses.
    fn normaliser(&self, micro_batches: &[Vec<T::Item<'_>>]) -> f64 {
        let items = micro_batches.iter().flatten();
        let count: usize = items.map(|item| self.task.share(item)).sum();
        count.max(1) as f64
    }
}

/// Sums over a part of a micro-batch, still on the device.
struct PartSums {
    names: Vec<&'static str>,
    /// `[names]`
    sums: Tensor<1>,
    examples: usize,
    tokens: usize,
}

impl PartSums {
    /// The summed loss with its graph, `[1]`, and all sums without.
    fn of<T: Task>(
        task: &T,
        model: &T::Model,
        items: &[T::Item<'_>],
        device: &Device,
    ) -> Result<(Tensor<1>, Self), TrainError> {
        let losses = task.losses(model, items, device)?;
        let loss = losses.per_example.sum();
        let names = losses.sums.iter().map(|(name, _)| *name);
        let names = std::iter::once("loss").chain(names).collect();
        let mut sums = vec![loss.clone().detach()];
        sums.extend(losses.sums.into_iter().map(|(_, sum)| sum));
        let part_sums = Self {
            names,
            sums: Tensor::cat(sums.into_iter().map(Tensor::without_autodiff).collect(), 0),
            examples: items.len(),
            tokens: items.iter().map(Sample::tokens).sum(),
        };
        Ok((loss, part_sums))
    }
}

/// Sums over a step's micro-batches, kept on the device until the step is complete.
#[derive(Default)]
struct Tally {
    names: Vec<&'static str>,
    pending: Vec<Tensor<1>>,
    sums: Vec<f64>,
    examples: usize,
    tokens: usize,
}

impl Tally {
    fn add(&mut self, part: PartSums) {
        self.names = part.names;
        self.pending.push(part.sums);
        self.examples += part.examples;
        self.tokens += part.tokens;
    }

    /// Reads the pending sums and `extra` with them: the only synchronisation with the device.
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

/// The device of a model. For an associated type, only a bound brings the method into scope.
fn device_of<M: Adaptable>(model: &M) -> Device {
    model.device()
}

/// Number of trainable parameters.
fn trainable<M: Module>(model: &M) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.shape().num_elements();
            }
        }
    }
    let mut count = Count(0);
    model.visit(&mut count);
    count.0
}

/// The parameters of rank 1: norms and biases.
fn vectors<M: Module>(model: &M) -> ParamGroup {
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
