//! Examples side by side, padded as little as possible.

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

/// How many batches' worth of examples are sorted by length together.
const BUCKET: usize = 16;

/// A micro-batch on a device: all chosen sequences, then all rejected ones, padded on the right.
///
/// Padding needs no mask: a decoder does not look ahead, and only the positions listed here are
/// read.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[rows, seq]`
    pub input_ids: Tensor<2, Int>,
    /// Places in the flattened `[rows · seq]` whose next token is a label, `[tokens]`.
    pub positions: Tensor<1, Int>,
    /// Those next tokens, `[tokens]`.
    pub labels: Tensor<1, Int>,
    /// Which row a label belongs to, 0 or 1, `[rows, tokens]`.
    pub membership: Tensor<2>,
    /// Which chosen row a label belongs to, its prompt included, 0 or 1, `[examples, tokens]`; only
    /// where prompts are laid out.
    pub sequences: Option<Tensor<2>>,
    /// One weight per example, `[examples]`.
    pub weight: Tensor<1>,
    /// 1 where the example's label says desirable, `[examples]`.
    pub desirable: Tensor<1>,
}

/// What a model says about a batch.
#[derive(Debug, Clone)]
pub struct BatchLogps {
    /// Of the completions.
    pub completions: CompletionLogps,
    /// Mean log-probability of each chosen row's tokens, its prompt included, `[examples]`; only where
    /// prompts are laid out.
    pub sequences: Option<Tensor<1>>,
}

impl Batch {
    /// Lays out examples; `pad` fills the rows.
    pub fn new(examples: &[&Example], pad: u32, device: &Device) -> Self {
        Self::lay_out(examples, pad, device, false)
    }

    /// The same, with the prompts of chosen rows as labels, too.
    pub fn with_prompts(examples: &[&Example], pad: u32, device: &Device) -> Self {
        Self::lay_out(examples, pad, device, true)
    }

    fn lay_out(examples: &[&Example], pad: u32, device: &Device, prompts: bool) -> Self {
        let rows: Vec<&Sequence> = examples
            .iter()
            .map(|example| &example.chosen)
            .chain(
                examples
                    .iter()
                    .filter_map(|example| example.rejected.as_ref()),
            )
            .collect();
        let seq = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        let mut input_ids = Vec::with_capacity(rows.len() * seq);
        let (mut positions, mut labels, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            input_ids.extend(row.ids.iter().map(|&id| i64::from(id)));
            input_ids.extend(std::iter::repeat_n(i64::from(pad), seq - row.ids.len()));
            let mut label = |place: usize, is_completion: bool| {
                positions.push((i * seq + place - 1) as i64);
                labels.push(i64::from(row.ids[place]));
                owners.push((i, is_completion));
            };
            if prompts && i < examples.len() {
                let is_completion = |place| row.labels.iter().any(|span| span.contains(&place));
                (1..row.ids.len()).for_each(|place| label(place, is_completion(place)));
            } else {
                row.places().for_each(|place| label(place, true));
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
            labels: ints(labels),
            membership: belonging(rows.len(), &|is_completion| is_completion),
            sequences: prompts.then(|| belonging(examples.len(), &|_| true)),
            weight: of_each(&|example| example.weight),
            desirable: of_each(&|example| f32::from(u8::from(example.label == Some(true)))),
        }
    }

    /// Log-probabilities of the batch's completions under a model.
    pub fn completion_logps(&self, model: &CausalLm) -> CompletionLogps {
        self.logps(model).completions
    }

    /// What a model says about the batch.
    ///
    /// The head sees only the positions that have a label: padding never meets the vocabulary, nor
    /// do prompts that are not laid out.
    pub fn logps(&self, model: &CausalLm) -> BatchLogps {
        let hidden = model.forward(self.input_ids.clone(), None, None);
        let [rows, seq, width] = hidden.dims();
        let hidden = hidden
            .reshape([rows * seq, width])
            .select(0, self.positions.clone()); // [tokens, hidden]
        let token_logps = token_logps(model.logits(hidden), self.labels.clone());
        BatchLogps {
            sequences: self.sequences.as_ref().map(|sequences| {
                CompletionLogps::new(token_logps.clone(), sequences.clone()).mean_logps
            }),
            completions: CompletionLogps::new(token_logps, self.membership.clone()),
        }
    }
}

/// A number of each completion of a batch, the chosen ones and the rejected ones, read from the
/// device.
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
        let rejected = values.split_off(part.len());
        Ok::<_, TrainError>([values, rejected])
    };
    let mut read = [Vec::new(), Vec::new()];
    run_jobs(model.clone(), parts, look, |of_part: [Vec<f32>; 2]| {
        read.iter_mut()
            .zip(of_part)
            .for_each(|(read, part)| read.extend(part));
    })?;
    Ok(read)
}

/// The batches of one epoch as places in `lengths`, in the order they are trained on.
///
/// Examples are shuffled, then sorted by length within stretches of a few batches, so that rows of
/// one batch are about equally long; then the batches are shuffled. It depends on nothing but the
/// arguments: a resumed run finds its place again.
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
    for stretch in order.chunks_mut(batch_size * BUCKET) {
        stretch.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut rng);
    batches
}

/// Batches for reading only: longest first, so that a lack of memory shows at once.
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
    fn rows_of_a_batch_are_about_equally_long() {
        let lengths: Vec<usize> = (0..640).map(|i| (i * 37) % 100 + 1).collect();
        let padded: usize = epoch_batches(&lengths, 8, 1, 0)
            .iter()
            .map(|batch| batch.len() * batch.iter().map(|&i| lengths[i]).max().expect("not empty"))
            .sum();
        let real: usize = lengths.iter().sum();
        assert!(
            (padded as f64) < 1.2 * real as f64,
            "{padded} places for {real} tokens"
        );
    }
}
