//! From an embedder's name to the embedder.

use std::path::Path;

use anyhow::{Context as _, bail};
use burn::tensor::Device;
use rarebit_deviation::{Embedder, embed};
use rarebit_models::sentence_transformer::{LongTexts, SentenceTransformer};

use crate::cache;
use crate::embedding_cache::CachedEmbedder;
use crate::hub::resolve_model;

/// The semantic embedder where none is named: small, permissive and good (Apache-2.0, 22 M
/// parameters).
pub(crate) const DEFAULT_SEMANTIC: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// Opens `builtin:lexical`, `builtin:style`, a sentence-transformers folder, or one on the
/// Hugging Face hub. Vectors of the latter two are kept in `cache_dir`, or in the user's cache.
///
/// # Errors
/// When there is no such embedder or its folder cannot be read.
pub(crate) fn open_embedder(
    name: &str,
    long_texts: LongTexts,
    device: &Device,
    cache_dir: Option<&Path>,
) -> anyhow::Result<Box<dyn Embedder>> {
    if let Some(builtin) = embed::builtin(name) {
        return Ok(builtin);
    }
    if name.starts_with("builtin:") {
        bail!("no such embedder (the built-in ones are builtin:lexical and builtin:style): {name}");
    }
    let folder = resolve_model(name)?;
    let embedder = SentenceTransformer::open(&folder, &label(name), long_texts, device)
        .with_context(|| format!("cannot open the embedder {name}"))?;
    let cache = cache::folder(cache_dir, "embeddings")?;
    Ok(Box::new(CachedEmbedder::new(embedder, &cache)))
}

/// What a person calls it: a hub id as it is, a folder by its own name.
fn label(name: &str) -> String {
    let path = Path::new(name);
    let canonical = path.canonicalize().ok();
    let folder = canonical.as_deref().and_then(Path::file_name);
    folder.map_or_else(
        || name.to_owned(),
        |folder| folder.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str) -> String {
        let opened = open_embedder(name, LongTexts::Truncate, &Device::flex(), None);
        opened
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default()
    }

    #[test]
    fn built_in_embedders_open_and_others_say_what_is_wrong() {
        let device = Device::flex();
        for name in ["builtin:lexical", "builtin:style"] {
            assert!(open_embedder(name, LongTexts::Truncate, &device, None).is_ok());
        }
        assert!(error("builtin:semantic").contains("builtin:lexical and builtin:style"));
        let empty = tempfile::tempdir().unwrap();
        let error = error(&empty.path().display().to_string());
        assert!(error.contains("no config.json in"), "{error}");
    }

    #[test]
    fn folders_are_labelled_by_their_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("tiny");
        std::fs::create_dir(&model).unwrap();
        assert_eq!(label(&format!("{}/.", model.display())), "tiny");
        assert_eq!(label("org/name@main"), "org/name@main");
    }
}
