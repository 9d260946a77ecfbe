//! What is evaluated: the responses of one system, by prompt.

use std::collections::{BTreeMap, HashMap};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::EvalError;
use crate::evaluation::Response;

/// One row of a file of samples: one response to one prompt.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SampleRow {
    /// The id that matches the prompt between systems.
    pub prompt_id: String,
    /// The prompt.
    pub prompt: String,
    /// The number of this sample among those of the prompt.
    #[serde(default)]
    pub sample: u32,
    /// The response.
    pub response: String,
    /// Its quality, if it was judged.
    #[serde(default)]
    pub score: Option<f64>,
}

/// One prompt and the responses of one system to it.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSamples {
    /// The id that matches the prompt between systems.
    pub prompt_id: String,
    /// The prompt.
    pub prompt: String,
    /// The responses, in order of sampling.
    pub responses: Vec<Response>,
}

/// All samples of one system.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSamples {
    /// The system's name.
    pub name: String,
    /// The file the samples came from, for the record.
    pub file: String,
    /// The prompts, in the order in which they are shown.
    pub prompts: Vec<PromptSamples>,
    /// How many responses were left out because they are not an answer, by reason.
    pub unanswered: BTreeMap<String, usize>,
}

impl SystemSamples {
    /// Groups rows by prompt: prompts in the order of their first row, responses by sample number.
    ///
    /// # Errors
    /// When two rows of one id have different prompts.
    pub fn from_rows(
        name: &str,
        file: &str,
        rows: impl IntoIterator<Item = SampleRow>,
    ) -> Result<Self, EvalError> {
        let mut prompts: Vec<PromptSamples> = Vec::new();
        let mut numbers: Vec<Vec<u32>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let place = *places.entry(row.prompt_id.clone()).or_insert_with(|| {
                prompts.push(PromptSamples {
                    prompt_id: row.prompt_id.clone(),
                    prompt: row.prompt.clone(),
                    responses: Vec::new(),
                });
                numbers.push(Vec::new());
                prompts.len() - 1
            });
            let prompt = &mut prompts[place];
            if prompt.prompt != row.prompt {
                return Err(EvalError::PromptText {
                    system: name.to_owned(),
                    prompt_id: row.prompt_id,
                });
            }
            // After all samples with the same or a lower number, so that a file without numbers keeps
            // its order.
            let at = numbers[place].partition_point(|&number| number <= row.sample);
            numbers[place].insert(at, row.sample);
            prompt.responses.insert(
                at,
                Response {
                    text: row.response,
                    score: row.score,
                },
            );
        }
        Ok(Self {
            name: name.to_owned(),
            file: file.to_owned(),
            prompts,
            unanswered: BTreeMap::new(),
        })
    }

    /// Keeps `responses` of each prompt, drawn without replacement and in their order, and drops
    /// prompts that have fewer. This makes metrics that grow with the number of responses (Vendi
    /// score, distinct responses, self-BLEU) comparable. The draw depends only on the seed and the
    /// prompt's id.
    pub fn draw(&mut self, responses: usize, seed: u64) {
        self.prompts
            .retain(|prompt| prompt.responses.len() >= responses);
        for prompt in &mut self.prompts {
            let mut hasher = Sha256::new();
            hasher.update(seed.to_le_bytes());
            hasher.update(prompt.prompt_id.as_bytes());
            let mut rng = ChaCha8Rng::from_seed(hasher.finalize().into());
            while prompt.responses.len() > responses {
                // Drawn as u32, so that 32-bit machines draw the same ones.
                let last = u32::try_from(prompt.responses.len()).unwrap_or(u32::MAX);
                prompt.responses.remove(rng.random_range(0..last) as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> SampleRow {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn rows_are_grouped_by_prompt_and_ordered_by_sample() {
        let samples = SystemSamples::from_rows(
            "dpo",
            "dpo.jsonl",
            [
                row(r#"{"prompt_id":"b","prompt":"B","sample":1,"response":"b1","tokens":3}"#),
                row(r#"{"prompt_id":"a","prompt":"A","response":"a0","score":0.5}"#),
                row(r#"{"prompt_id":"b","prompt":"B","sample":0,"response":"b0","score":null}"#),
                row(r#"{"prompt_id":"a","prompt":"A","response":"a1"}"#),
            ],
        )
        .unwrap();
        let texts = |i: usize| -> Vec<&str> {
            samples.prompts[i]
                .responses
                .iter()
                .map(|r| r.text.as_str())
                .collect()
        };
        assert_eq!(samples.prompts[0].prompt_id, "b");
        assert_eq!(texts(0), ["b0", "b1"]);
        assert_eq!(texts(1), ["a0", "a1"]);
        assert_eq!(samples.prompts[1].responses[0].score, Some(0.5));
    }

    #[test]
    fn as_many_of_each_prompt_are_drawn_and_shorter_ones_left_out() {
        let rows = (0..10).map(|sample| SampleRow {
            prompt_id: if sample < 8 { "long" } else { "short" }.to_owned(),
            prompt: String::new(),
            sample,
            response: sample.to_string(),
            score: None,
        });
        let all = SystemSamples::from_rows("people", "f", rows).unwrap();
        let drawn = |seed| {
            let mut samples = all.clone();
            samples.draw(3, seed);
            assert_eq!(samples.prompts.len(), 1);
            let responses = samples.prompts.remove(0).responses;
            responses.into_iter().map(|it| it.text).collect::<Vec<_>>()
        };
        assert_eq!((drawn(1).len(), drawn(1)), (3, drawn(1)));
        assert!(drawn(1).is_sorted());
        assert!((2..9).any(|seed| drawn(seed) != drawn(1)));
    }

    #[test]
    fn one_id_is_one_prompt() {
        let rows = [
            row(r#"{"prompt_id":"a","prompt":"A","response":"x"}"#),
            row(r#"{"prompt_id":"a","prompt":"B","response":"y"}"#),
        ];
        let error = SystemSamples::from_rows("dpo", "f", rows).unwrap_err();
        assert!(matches!(error, EvalError::PromptText { prompt_id, .. } if prompt_id == "a"));
    }
}
