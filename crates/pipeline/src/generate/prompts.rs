//! What is to be answered.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

pub use rarebit_data::Prompt;
use rarebit_data::SourceOptions;

use crate::error::{Context as _, Result};

/// Prompts of a text file with one on each line, or of any file that `rarebit prepare` reads: its
/// rows may hold nothing but prompts.
///
/// # Errors
/// When the file cannot be read, or a row has no prompt.
pub fn read_prompts(path: &Path, options: &SourceOptions) -> Result<Vec<Prompt>> {
    let file = File::open(path)
        .with_context(|| format!("cannot read the prompts in {}", path.display()))?;
    if path.extension().is_some_and(|it| it == "txt") {
        return text_lines(path, file);
    }
    Ok(rarebit_data::read_prompts(path, options)?)
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
