//! Which embedders measure deviation.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::embedder::vectors_file;

/// The embedders of both kinds of deviation.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Embedders")]
pub struct EmbedderSettings {
    /// Embedder of meaning: a sentence-transformers folder, a Hugging Face id, builtin:lexical,
    /// vectors:FILE with {text, embedding} on each line, or, for `prepare` and `deviation`, none. A
    /// folder or id may be followed by settings: ,prompt-name=NAME ,task=NAME ,truncate-dim=N
    #[arg(
        long,
        value_name = "EMBEDDER",
        default_value = "sentence-transformers/all-MiniLM-L6-v2"
    )]
    pub semantic: String,
    /// Embedder of style: builtin:style, a sentence-transformers folder, a Hugging Face id,
    /// vectors:FILE, or, for `prepare` and `deviation`, none
    #[arg(long, value_name = "EMBEDDER", default_value = "builtin:style")]
    pub style: String,
}

impl EmbedderSettings {
    /// The files of vectors among them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let names = [&self.semantic, &self.style].into_iter();
        names.filter_map(|name| vectors_file(name))
    }
}

impl Default for EmbedderSettings {
    fn default() -> Self {
        rarebit_train::defaults()
    }
}
