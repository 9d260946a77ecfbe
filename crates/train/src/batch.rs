//! Batches of examples with little padding, and the order of an epoch.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rarebit_core::{CompletionLogps, token_logps};
use rarebit_models::causal_lm::CausalLm;
use rarebit_parallel::run_jobs;

use crate::error::TrainError;
use crate::example::{Example, Sequence};
use crate::split::{part_tokens, parts};
use crate::step;

/// Batches per bucket of examples that are sorted by length together.
const BUCKET: usize = 16;

/// A micro-batch on a device: the first sequence of every example, then the second of every example
/// (see [`Example::sequences`]), padded on the right.
///
/// Padding needs no mask: a decoder never attends to later positions, and only the positions listed
/// here are read.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[rows, seq]`
    pub input_ids: Tensor<2, Int>,
    /// Positions in the flattened `[rows · seq]` whose next token is a target, `[tokens]`.
    pub positions: Tensor<1, Int>,
    /// The target tokens, `[tokens]`.
    pub targets: Tensor<1, Int>,
    /// 1 where a target belongs to a row's completion, else 0, `[rows, tokens]`.
    pub membership: Tensor<2>,
    /// 1 where a target belongs to an example's first row, its prompt included, else 0,
    /// `[examples, tokens]`; only with prompts.
    pub sequences: Option<Tensor<2>>,
    /// One weight per example, `[examples]`.
    pub weight: Tensor<1>,
    /// 1 where the example is labelled desirable, else 0, `[examples]`.
    pub desirable: Tensor<1>,
}

/// Log-probabilities of a batch under a model.
#[derive(Debug, Clone)]
pub struct BatchLogps {
    /// Of the completions.
    pub completions: CompletionLogps,
    /// Mean log-probability of the tokens of each example's first row, its prompt included,
    /// `[examples]`; only with prompts.
    pub sequences: Option<Tensor<1>>,
}

impl Batch {
    /// A batch of examples of one kind; `pad` fills the rows.
    pub fn new(examples: &[&Example], pad: u32, device: &Device) -> Self {
        Self::lay_out(examples, pad, device, false)
    }

    /// The same, with the prompt tokens of the first rows as targets, too.
    pub fn with_prompts(examples: &[&Example], pad: u32, device: &Device) -> Self {
        Self::lay_out(examples, pad, device, true)
    }

    fn lay_out(examples: &[&Example], pad: u32, device: &Device, prompts: bool) -> Self {
        let first = examples.iter().map(|example| example.first());
        let second = examples.iter().filter_map(|example| example.second());
        let rows: Vec<&Sequence> = first.chain(second).collect();
        let seq = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let mut input_ids = Vec::with_capacity(rows.len() * seq);
        let (mut positions, mut targets, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            input_ids.extend(row.ids.iter().map(|&id| i64::from(id)));
            input_ids.extend(std::iter::repeat_n(i64::from(pad), seq - row.ids.len()));
            let mut target = |position: usize, is_completion: bool| {
                positions.push((i * seq + position - 1) as i64);
                targets.push(i64::from(row.ids[position]));
                owners.push((i, is_completion));
            };
            if prompts && i < examples.len() {
                let is_completion =
                    |position| row.loss_spans.iter().any(|span| span.contains(&position));
                (1..row.ids.len()).for_each(|position| target(position, is_completion(position)));
            } else {
                row.target_positions()
                    .for_each(|position| target(position, true));
            }
        }
        let tokens = owners.len();
        let belonging = |rows: usize, counts: &dyn Fn(bool) -> bool| {
            let mut belonging = vec![0f32; rows * tokens];
            for (token, &(owner, is_completion)) in owners.iter().enumerate() {
                if owner < rows && counts(is_completion) {
                    belonging[owner * tokens + token] = 1.0;
                }
            }
            Tensor::from_data(TensorData::new(belonging, [rows, tokens]), device)
        };
        let ints = |values: Vec<i64>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        let of_each = |value: &dyn Fn(&Example) -> f32| {
            let values: Vec<f32> = examples.iter().map(|example| value(example)).collect();
            Tensor::from_data(TensorData::new(values, [examples.len()]), device)
        };
        Self {
            input_ids: Tensor::from_data(TensorData::new(input_ids, [rows.len(), seq]), device),
            positions: ints(positions),
            targets: ints(targets),
            membership: belonging(rows.len(), &|is_completion| is_completion),
            sequences: prompts.then(|| belonging(examples.len(), &|_| true)),
            weight: of_each(&|example| example.weight()),
            desirable: of_each(&|example| f32::from(u8::from(example.desirable() == Some(true)))),
        }
    }

    /// Log-probabilities of the batch's completions under a model.
    pub fn completion_logps(&self, model: &CausalLm) -> CompletionLogps {
        self.logps(model).completions
    }

    /// Log-probabilities of the batch under a model.
    ///
    /// The head computes logits only where a target is predicted, neither for padding nor, without
    /// [`Self::with_prompts`], for prompts.
    pub fn logps(&self, model: &CausalLm) -> BatchLogps {
        let hidden = model.forward(self.input_ids.clone(), None, None);
        let [rows, seq, width] = hidden.dims();
        let hidden = hidden
            .reshape([rows * seq, width])
            .select(0, self.positions.clone()); // [tokens, hidden]
        let token_logps = token_logps(model.logits(hidden), self.targets.clone());
        BatchLogps {
            sequences: self.sequences.as_ref().map(|sequences| {
                CompletionLogps::new(token_logps.clone(), sequences.clone()).mean_logps
            }),
            completions: CompletionLogps::new(token_logps, self.membership.clone()),
        }
    }
}

/// One number per completion, read from the device: of the first sequence of every example, then of
/// the second ones.
pub(crate) fn read_logps(
    model: &CausalLm,
    examples: &[&Example],
    pad: u32,
    which: impl Fn(CompletionLogps) -> Tensor<1> + Sync,
) -> Result<[Vec<f32>; 2], TrainError> {
    let device = model.device();
    let parts = parts(examples, part_tokens(0), &device);
    let look = |model: &CausalLm, part: &[&Example]| {
        let batch = Batch::new(part, pad, &device);
        let mut values = step::read(which(batch.completion_logps(model)))?;
        let second = values.split_off(part.len());
        Ok::<_, TrainError>([values, second])
    };
    let mut read = [Vec::new(), Vec::new()];
    run_jobs(model.clone(), parts, look, |of_part: [Vec<f32>; 2]| {
        read.iter_mut()
            .zip(of_part)
            .for_each(|(read, part)| read.extend(part));
    })?;
    Ok(read)
}

/// The batches of one epoch as indices into `lengths`, in training order.
///
/// Examples are shuffled, then sorted by length within buckets of a few batches, so that the rows
/// of a batch are similarly long; then the batches are shuffled. The order depends on the arguments
/// alone, so a resumed run finds its place again.
pub fn epoch_batches(
    lengths: &[usize],
    batch_size: usize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut rng);
    for bucket in order.chunks_mut(batch_size * BUCKET) {
        bucket.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut rng);
    batches
}

/// Batches for inference: longest first, so that running out of memory shows at once.
pub(crate) fn by_length(lengths: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    order
        .chunks(batch_size.max(1))
        .map(<[usize]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_every_example_once_and_is_the_same_each_time() {
        let lengths: Vec<usize> = (0..103).map(|i| (i * 37) % 50 + 1).collect();
        let batches = epoch_batches(&lengths, 4, 7, 2);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..103).collect::<Vec<_>>());
        assert_eq!(batches, epoch_batches(&lengths, 4, 7, 2));
        assert_ne!(batches, epoch_batches(&lengths, 4, 7, 3));
        assert_ne!(batches, epoch_batches(&lengths, 4, 8, 2));
    }

    #[test]
    fn rows_of_a_batch_are_similarly_long() {
        let lengths: Vec<usize> = (0..640).map(|i| (i * 37) % 100 + 1).collect();
        let padded: usize = epoch_batches(&lengths, 8, 1, 0)
            .iter()
            .map(|batch| batch.len() * batch.iter().map(|&i| lengths[i]).max().expect("not empty"))
            .sum();
        let real: usize = lengths.iter().sum();
        assert!(
            (padded as f64) < 1.2 * real as f64,
            "{padded} positions for {real} tokens"
        );
    }
}
