//! Reading `config.json` of any architecture.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ModelError;
use crate::files;

/// File of a model's settings.
pub const CONFIG: &str = "config.json";

/// The settings of a model folder, and the path of their file.
pub(crate) fn read(folder: &Path) -> Result<(PathBuf, Value), ModelError> {
    let path = folder.join(CONFIG);
    if !files::is_file(&path) {
        let (folder, file) = (folder.to_owned(), CONFIG.to_owned());
        return Err(ModelError::MissingFile { folder, file });
    }
    let value = crate::tokenizer::read_json(&path)?;
    if let Some(quantization) = value.get("quantization_config").filter(|it| !it.is_null()) {
        let method = quantization.get("quant_method").and_then(Value::as_str);
        let method = method.map_or_else(String::new, |method| format!(" by `{method}`"));
        let what = format!(
            "weights quantized{method} (`quantization_config`): use a version of the model in float16, bfloat16 or float32"
        );
        return Err(ModelError::Unsupported { path, what });
    }
    Ok((path, value))
}

/// Settings from parsed JSON. An error names the key of a value of the wrong type.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, value: &Value) -> Result<T, ModelError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        // A missing key has no path; the message itself names it.
        let has_place = error.path().iter().len() > 0;
        let place = error.path().to_string();
        match has_place {
            true => wrong(path, &place, error.into_inner().to_string()),
            false => ModelError::Json {
                path: path.to_owned(),
                source: error.into_inner(),
            },
        }
    })
}

/// An error for an invalid setting.
pub(crate) fn wrong(path: &Path, key: &str, reason: String) -> ModelError {
    let (path, key) = (path.to_owned(), key.to_owned());
    ModelError::Setting { path, key, reason }
}

/// Rejects a switch whose value is not the one implemented here.
pub(crate) fn check_switch(
    path: &Path,
    value: &Value,
    key: &str,
    computed: bool,
) -> Result<(), ModelError> {
    match value.get(key).and_then(Value::as_bool) {
        Some(set) if set != computed => Err(ModelError::Unsupported {
            path: path.to_owned(),
            what: format!("`{key}`: {set}"),
        }),
        _ => Ok(()),
    }
}

/// Limits far above any real model. Below them, sizes can be multiplied and layers allocated before
/// the weights are checked.
const LARGEST: usize = 1 << 24;
const MOST_LAYERS: usize = 1 << 12;

/// Rejects sizes that are 0 or larger than any model's.
pub(crate) fn check_sizes(path: &Path, sizes: &[(&str, usize)]) -> Result<(), ModelError> {
    for &(key, size) in sizes {
        let most = match key {
            "num_hidden_layers" | "n_layer" => MOST_LAYERS,
            _ => LARGEST,
        };
        if size == 0 {
            return Err(wrong(path, key, "is 0".to_owned()));
        }
        if size > most {
            return Err(wrong(path, key, format!("is {size}, more than {most}")));
        }
    }
    Ok(())
}
