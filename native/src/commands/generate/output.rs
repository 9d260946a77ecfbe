//! The rows that are written.

use std::io::Write;
use std::path::Path;

use rarebit_data::Text;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::output;

/// A row of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) prompt_id: String,
    pub(crate) prompt: Text,
    pub(crate) sample: usize,
    pub(crate) response: String,
    /// What the model says the response's probability is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) probability: Option<f64>,
    /// Absent where one answer held several responses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) tokens: Option<u64>,
    /// `stop`, `length`, or a provider's `refusal`, `content_filter` and the like.
    pub(crate) finish_reason: String,
}

/// How a file of responses is laid out.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
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
) -> anyhow::Result<()> {
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
