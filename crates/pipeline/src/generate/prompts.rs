//! What is to be answered.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::{Context as _, Result};
use rarebit_data::{SourceOptions, Text, read_samples};
use serde_json::Value;

/// A prompt and the id that leads back to where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its id in the source, or its place.
    pub id: String,
    /// What is asked.
    pub text: Text,
}

/// Columns that hold responses: a file with one of them is more than a list of prompts.
const RESPONSES: [&str; 6] = [
    "response",
    "responses",
    "completion",
    "chosen",
    "generations",
    "messages",
];

/// Prompts of a JSONL file with a `prompt` on each line, of a text file with one on each line, or of
/// any file of responses.
///
/// # Errors
/// When the file cannot be read, or a line holds no prompt.
pub fn read_prompts(path: &Path) -> Result<Vec<Prompt>> {
    let file = File::open(path)
        .with_context(|| format!("cannot read the prompts in {}", path.display()))?;
    if path.extension().is_some_and(|it| it == "txt") {
        return text_lines(path, file);
    }
    let mut first = String::new();
    // A file that is not text is not a list of prompts; the reader of responses says what it is.
    let is_list = BufReader::new(&file).read_line(&mut first).is_ok()
        && serde_json::from_str::<Value>(&first).is_ok_and(|row| {
            row.get("prompt").is_some() && RESPONSES.iter().all(|name| row.get(name).is_none())
        });
    if !is_list {
        let groups = read_samples(path, &SourceOptions::default())?;
        return groups
            .map(|group| {
                Ok(group.map(|group| Prompt {
                    id: group.id,
                    text: group.prompt,
                })?)
            })
            .collect();
    }
    let mut prompts = Vec::new();
    for (number, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let row: Value = serde_json::from_str(&line).with_context(place)?;
        let text: Text = row
            .get("prompt")
            .and_then(|prompt| serde_json::from_value(prompt.clone()).ok())
            .filter(|prompt| *prompt != Text::Chat(Vec::new()))
            .with_context(|| format!("{}: no text or messages in `prompt`", place()))?;
        let id = ["prompt_id", "id"].iter().find_map(|key| row.get(key));
        let id = id.map_or_else(
            || (number + 1).to_string(),
            |id| id.as_str().map_or_else(|| id.to_string(), str::to_owned),
        );
        prompts.push(Prompt { id, text });
    }
    Ok(prompts)
}

fn text_lines(path: &Path, file: File) -> Result<Vec<Prompt>> {
    let mut prompts = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("{}, line {}", path.display(), number + 1))?;
        let text = line.trim().trim_start_matches('\u{feff}');
        if !text.is_empty() {
            prompts.push(Prompt {
                id: (number + 1).to_string(),
                text: text.into(),
            });
        }
    }
    Ok(prompts)
}
