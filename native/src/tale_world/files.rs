//! Tales as files: with their votes, and as the oracle reads them.

use std::io::Write;
use std::path::Path;

use rarebit_data::{SourceOptions, read_samples};
use rarebit_pipeline::output;
use rarebit_tales::{Plot, Prompt, Reading, Voice, World, read};
use serde_json::{Value, json};

/// Writes prompts with their tales and votes: `{prompt_id, prompt, responses: [{text, score}]}`.
pub(crate) fn write_groups(
    world: &World,
    prompts: &[Prompt],
    responses: usize,
    path: &Path,
) -> anyhow::Result<()> {
    Ok(output::write_atomically(path, |file| {
        for prompt in prompts {
            let tales = world.responses(prompt, responses, &mut world.rng(prompt));
            let tales: Vec<Value> = tales
                .iter()
                .map(|tale| json!({"text": tale.text, "score": tale.votes}))
                .collect();
            writeln!(
                file,
                "{}",
                json!({"prompt_id": prompt.id, "prompt": prompt.text, "responses": tales})
            )?;
        }
        Ok(())
    })?)
}

/// The oracle's readings of each prompt's responses, in the file's order.
pub(crate) fn readings(path: &Path) -> anyhow::Result<Vec<(rarebit_data::Group, Vec<Reading>)>> {
    read_samples(path, &SourceOptions::default())?
        .map(|group| {
            let group = group?;
            let readings = group
                .responses
                .iter()
                .map(|response| read(&group.prompt.flat(), &response.text))
                .collect();
            Ok((group, readings))
        })
        .collect()
}

/// Writes responses with the oracle's quality as their score.
pub(crate) fn write_judged(
    judged: &[(rarebit_data::Group, Vec<Reading>)],
    path: &Path,
) -> anyhow::Result<()> {
    Ok(output::write_atomically(path, |file| {
        for (group, readings) in judged {
            for (response, reading) in group.responses.iter().zip(readings) {
                let row = json!({
                    "prompt_id": group.id,
                    "prompt": group.prompt,
                    "sample": response.id,
                    "response": response.text,
                    "score": reading.quality,
                    "plot": reading.plot.map(Plot::as_str),
                    "voice": reading.voice.map(Voice::as_str),
                });
                writeln!(file, "{row}")?;
            }
        }
        Ok(())
    })?)
}
