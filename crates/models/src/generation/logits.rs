use serde::{Deserialize, Serialize};

/// Processing of a row of logits before sampling, with transformers' semantics and order:
/// repetition penalty, temperature, top-k, top-p, min-p.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogitsProcessors {
    /// Divides positive and multiplies negative logits of tokens in the prompt or completion; 1
    /// disables it.
    pub repetition_penalty: f32,
    /// Divides the logits.
    pub temperature: f32,
    /// Keeps the k most likely tokens, including ties; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of most likely tokens whose probabilities add up to this; 1 keeps
    /// all.
    pub top_p: f32,
    /// Keeps tokens whose probability is at least this fraction of the highest; 0 keeps all.
    pub min_p: f32,
}

impl Default for LogitsProcessors {
    /// Leaves the model's distribution unchanged.
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
        }
    }
}

impl LogitsProcessors {
    /// An error message for the first invalid setting.
    pub fn problem(&self) -> Option<String> {
        // Beyond these, a logit divided by both is not finite, and nothing can be sampled.
        let (least, most) = (1e-15, 1e15);
        let factor = |name: &str, value: f32| {
            (!(least..=most).contains(&value))
                .then(|| format!("{name} is {value}; it must be from {least:e} to {most:e}"))
        };
        let share = |name: &str, value: f32| {
            (!(0.0..=1.0).contains(&value))
                .then(|| format!("{name} is {value}; it must be between 0 and 1"))
        };
        factor("temperature", self.temperature)
            .or_else(|| factor("repetition_penalty", self.repetition_penalty))
            .or_else(|| share("top_p", self.top_p))
            .or_else(|| share("min_p", self.min_p))
    }

    /// Processes the logits of the next token; excluded tokens get `-∞`.
    ///
    /// `tokens` is the prompt and the completion so far, without padding (transformers penalizes
    /// the padding token too).
    pub fn apply(&self, logits: &mut [f32], tokens: &[u32]) {
        self.penalise(logits, tokens);
        if self.temperature != 1.0 {
            logits
                .iter_mut()
                .for_each(|logit| *logit /= self.temperature);
        }
        self.keep_top_k(logits);
        self.keep_top_p(logits);
        self.keep_min_p(logits);
    }

    fn penalise(&self, logits: &mut [f32], tokens: &[u32]) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        let mut seen: Vec<u32> = tokens.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for token in seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit < 0.0 {
                    *logit * self.repetition_penalty
                } else {
                    *logit / self.repetition_penalty
                };
            }
        }
    }

    fn keep_top_k(&self, logits: &mut [f32]) {
        if self.top_k == 0 || self.top_k >= logits.len() {
            return;
        }
        let mut sorted = logits.to_vec();
        let (_, &mut last, _) =
            sorted.select_nth_unstable_by(self.top_k - 1, |a, b| b.total_cmp(a));
        logits
            .iter_mut()
            .filter(|logit| **logit < last)
            .for_each(|logit| *logit = f32::NEG_INFINITY);
    }

    fn keep_top_p(&self, logits: &mut [f32]) {
        if self.top_p >= 1.0 {
            return;
        }
        let probabilities = softmax(logits);
        let mut order: Vec<usize> = (0..logits.len())
            .filter(|&i| logits[i] > f32::NEG_INFINITY)
            .collect();
        // transformers sorts ascending and drops from the low end while the sum stays within 1 - p;
        // among ties, the higher id ranks higher; the most likely token is always kept.
        order.sort_by(|&a, &b| logits[a].total_cmp(&logits[b]).then(a.cmp(&b)));
        order.pop();
        let mut below = 0.0;
        for i in order {
            below += probabilities[i];
            if below > 1.0 - self.top_p {
                break;
            }
            logits[i] = f32::NEG_INFINITY;
        }
    }

    fn keep_min_p(&self, logits: &mut [f32]) {
        if self.min_p <= 0.0 {
            return;
        }
        let probabilities = softmax(logits);
        let floor = self.min_p * probabilities.iter().copied().fold(0.0, f32::max);
        for (logit, probability) in logits.iter_mut().zip(probabilities) {
            if probability < floor {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// Probabilities of logits; excluded ones get 0.
pub(super) fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.iter_mut().for_each(|value| *value /= sum);
    exponentials
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_either_end_of_the_range_logits_stay_numbers() {
        for (temperature, repetition_penalty) in
            [(1e-15, 1e-15), (1e-15, 1e15), (1e15, 1e-15), (1e15, 1e15)]
        {
            let processors = LogitsProcessors {
                temperature,
                repetition_penalty,
                ..LogitsProcessors::default()
            };
            assert_eq!(processors.problem(), None);
            let mut logits = [-900.0, 0.0, 900.0];
            processors.apply(&mut logits, &[0, 2]);
            assert!(
                softmax(&logits).iter().all(|it| it.is_finite()),
                "{logits:?}"
            );
        }
        for temperature in [0.0, 1e-38, 1e38, -1.0, f32::NAN, f32::INFINITY] {
            let processors = LogitsProcessors {
                temperature,
                ..LogitsProcessors::default()
            };
            let problem = processors.problem().unwrap();
            assert!(problem.contains("from 1e-15 to 1e15"), "{problem}");
        }
    }
}
