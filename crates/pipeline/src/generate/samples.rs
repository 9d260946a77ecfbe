//! The rows that are written.

use std::io::Write;
use std::path::Path;

use rarebit_data::Text;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Result;
use crate::output;

/// A row of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The prompt's id.
    pub prompt_id: String,
    /// The prompt.
    pub prompt: Text,
    /// The number of the response among those to its prompt, from 0.
    pub sample: usize,
    /// The text.
    pub response: String,
    /// What the model says the response's probability is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probability: Option<f64>,
    /// Tokens of the response; absent where one answer held several responses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens: Option<u64>,
    /// `stop`, `length`, or a provider's `refusal`, `content_filter` and the like.
    pub finish_reason: String,
}

/// How a file of responses is laid out.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// {prompt_id, prompt, sample, response, tokens, finish_reason}, a response per line
    #[default]
    Rows,
    /// NoveltyBench's generations.jsonl: {id, prompt, model, generations}, a prompt per line
    Noveltybench,
}

/// Writes rows, in the order of prompts and samples, into their place.
pub(super) fn write_samples(
    samples: &[Sample],
    layout: Layout,
    model: &str,
    path: &Path,
) -> Result<()> {
    output::write_atomically(path, |file| {
        match layout {
            Layout::Rows => {
                for sample in samples {
                    serde_json::to_writer(&mut *file, sample)?;
                    file.write_all(b"\n")?;
                }
            }
            Layout::Noveltybench => {
                for group in samples.chunk_by(|a, b| a.prompt_id == b.prompt_id) {
                    let generations: Vec<&str> = group.iter().map(|it| &*it.response).collect();
                    let row = json!({
                        "id": group[0].prompt_id,
                        "prompt": group[0].prompt,
                        "model": model,
                        "generations": generations,
                    });
                    writeln!(file, "{row}")?;
                }
            }
        }
        Ok(())
    })
}
