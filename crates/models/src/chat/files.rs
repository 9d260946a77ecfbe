//! The files of a model folder's chat templates, as in transformers.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ModelError;
use crate::files;
use crate::tokenizer::{TOKENIZER_CONFIG, read_json};

/// Name of the template that is used by default.
pub(crate) const DEFAULT: &str = "default";
/// File of the default template in folders that do not keep it in `tokenizer_config.json`.
const TEMPLATE: &str = "chat_template.jinja";
/// Folder of additional templates, named after their files.
pub const ADDITIONAL_TEMPLATES: &str = "additional_chat_templates";

/// A template and its name.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) source: String,
    /// The file that contains it.
    pub(crate) path: PathBuf,
}

/// The templates of a folder: those in files of their own, or else those in the tokenizer's
/// settings, which are a string or a list of names and strings.
pub(crate) fn read(folder: &Path) -> Result<Vec<Named>, ModelError> {
    let files = read_files(folder)?;
    if !files.is_empty() {
        return Ok(files);
    }
    let path = folder.join(TOKENIZER_CONFIG);
    let settings = read_json(&path)?;
    let named = |name: &str, source: &str| Named {
        name: name.to_owned(),
        source: source.to_owned(),
        path: path.clone(),
    };
    match settings.get("chat_template") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(source)) => Ok(vec![named(DEFAULT, source)]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|entry| {
                let text = |key: &str| entry.get(key).and_then(Value::as_str);
                match (text("name"), text("template")) {
                    (Some(name), Some(source)) => Ok(named(name, source)),
                    _ => Err(unreadable(&path)),
                }
            })
            .collect(),
        Some(_) => Err(unreadable(&path)),
    }
}

fn unreadable(path: &Path) -> ModelError {
    let reason = "is neither a string nor a list of {name, template}".to_owned();
    ModelError::chat_template(path, reason)
}

fn read_files(folder: &Path) -> Result<Vec<Named>, ModelError> {
    let mut paths = Vec::new();
    let default = folder.join(TEMPLATE);
    if files::is_file(&default) {
        paths.push((DEFAULT.to_owned(), default));
    }
    let further = folder.join(ADDITIONAL_TEMPLATES);
    if files::is_dir(&further) {
        let failed = |source| ModelError::Read {
            path: further.clone(),
            source,
        };
        let mut found = Vec::new();
        for path in files::list(&further).map_err(failed)? {
            let is_template = path.extension().is_some_and(|end| end == "jinja");
            if let Some(name) = path.file_stem().filter(|_| is_template) {
                found.push((name.to_string_lossy().into_owned(), path));
            }
        }
        found.sort();
        paths.extend(found);
    }
    paths
        .into_iter()
        .map(|(name, path)| match files::read_to_string(&path) {
            Ok(source) => Ok(Named { name, source, path }),
            Err(source) => Err(ModelError::Read { path, source }),
        })
        .collect()
}
