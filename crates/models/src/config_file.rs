//! `config.json`, whatever the architecture.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ModelError;

/// File of a model's settings.
pub const CONFIG: &str = "config.json";

/// The settings of a model folder and the file they stand in.
pub(crate) fn read(folder: &Path) -> Result<(PathBuf, Value), ModelError> {
    let path = folder.join(CONFIG);
    if !path.is_file() {
        let (folder, file) = (folder.to_owned(), CONFIG.to_owned());
        return Err(ModelError::MissingFile { folder, file });
    }
    let value = crate::tokenizer::read_json(&path)?;
    Ok((path, value))
}

/// A setting that no model can be built from.
pub(crate) fn wrong(path: &Path, key: &str, reason: String) -> ModelError {
    let (path, key) = (path.to_owned(), key.to_owned());
    ModelError::Setting { path, key, reason }
}

/// Refuses the first size that is 0.
pub(crate) fn check_sizes(path: &Path, sizes: &[(&str, usize)]) -> Result<(), ModelError> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some((key, _)) => Err(wrong(path, key, "is 0".to_owned())),
        None => Ok(()),
    }
}
