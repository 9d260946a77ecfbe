//! Perplexity of completions.

use rarebit_models::causal_lm::CausalLm;

use crate::batch::{by_length, read_logps};
use crate::error::TrainError;
use crate::example::{Completion, Example, Sequence};

/// Perplexity of each completion given its prompt, `exp(-1/|y| log p(y | x))`; 1 for an empty
/// completion. The model should be one without autodiff: no graph is needed.
///
/// # Errors
/// When the device fails.
pub fn perplexities(
    model: &CausalLm,
    sequences: Vec<Sequence>,
    batch_size: usize,
    pad: u32,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<f64>, TrainError> {
    let examples: Vec<Example> = sequences.into_iter().map(unweighted).collect();
    let lengths: Vec<usize> = examples.iter().map(Example::length).collect();
    let mut perplexities = vec![0.0; examples.len()];
    let mut done = 0;
    for places in by_length(&lengths, batch_size) {
        let batch: Vec<&Example> = places.iter().map(|&i| &examples[i]).collect();
        let [means, _] = read_logps(model, &batch, pad, |it| it.mean_logps)?;
        for (place, mean) in places.iter().zip(means) {
            perplexities[*place] = f64::from(-mean).exp();
        }
        done += places.len();
        progress(done, examples.len());
    }
    Ok(perplexities)
}

fn unweighted(sequence: Sequence) -> Example {
    Example::Completion(Completion {
        id: String::new(),
        weight: 1.0,
        sequence,
    })
}
