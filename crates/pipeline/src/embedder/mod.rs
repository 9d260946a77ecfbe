//! From an embedder's name to the embedder.

pub mod cache;
mod vectors;

use std::path::Path;

use burn::tensor::Device;
use rarebit_deviation::{EmbedError, Embedder, embed};
use rarebit_models::sentence_transformer::{EmbedOptions, LongTexts, SentenceTransformer};
use rarebit_models::splits_batches;
use rarebit_parallel::map_by_length;

use crate::embedder::cache::CachedEmbedder;
use crate::error::{Context as _, Result, bail};
use crate::session::Session;
use vectors::Vectors;

/// Opens `builtin:lexical`, `builtin:style`, `vectors:FILE`, or a sentence-transformers model by its
/// name. Vectors of the latter are kept in the session's cache.
///
/// A folder or id may be followed by settings: `org/name,task=separation,truncate-dim=256`.
///
/// # Errors
/// When there is no such embedder or its folder cannot be read, or a setting is not known.
pub fn open_embedder(
    name: &str,
    long_texts: LongTexts,
    session: &Session,
) -> Result<Box<dyn Embedder>> {
    if let Some(builtin) = embed::builtin(name) {
        return Ok(builtin);
    }
    if let Some(file) = vectors_file(name) {
        return Ok(Box::new(Vectors::read(Path::new(file))?));
    }
    if name.starts_with("builtin:") {
        bail!("no such embedder (the built-in ones are builtin:lexical and builtin:style): {name}");
    }
    let (model, options) = settings(name, long_texts)?;
    let folder = session.models.folder(model)?;
    let embedder = SentenceTransformer::open(&folder, &label(model), &options, &session.device)
        .with_context(|| format!("cannot open the embedder {name}"))?;
    let embedder = OnDevice {
        embedder,
        device: session.device.clone(),
    };
    Ok(Box::new(CachedEmbedder::new(
        embedder,
        &session.embedding_cache(),
        session.events.clone(),
    )))
}

/// An embedder on as much of its device as it can use.
struct OnDevice {
    embedder: SentenceTransformer,
    device: Device,
}

impl Embedder for OnDevice {
    fn id(&self) -> &str {
        self.embedder.id()
    }

    fn dims(&self) -> usize {
        self.embedder.dims()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let embed = |embedder: &&SentenceTransformer, texts: &[&&str]| {
            let texts: Vec<&str> = texts.iter().map(|text| **text).collect();
            embedder.embed(&texts)
        };
        let length = |text: &&str| text.len();
        map_by_length(
            splits_batches(&self.device),
            &self.embedder,
            texts,
            length,
            embed,
        )
    }
}

/// The file of an embedder called `vectors:FILE`.
pub(crate) fn vectors_file(name: &str) -> Option<&Path> {
    name.strip_prefix(vectors::PREFIX).map(Path::new)
}

/// Parts a model's name from the settings behind it. A folder may have commas in its name.
fn settings(name: &str, long_texts: LongTexts) -> Result<(&str, EmbedOptions)> {
    let mut options = EmbedOptions {
        long_texts,
        ..EmbedOptions::default()
    };
    if Path::new(name).is_dir() {
        return Ok((name, options));
    }
    let mut parts = name.split(',');
    let model = parts.next().unwrap_or_default();
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if value.is_empty() {
            bail!("a setting of an embedder is key=value, not `{part}`: {name}");
        }
        match key.replace('_', "-").as_str() {
            "prompt-name" => options.prompt_name = Some(value.to_owned()),
            "task" => options.task = Some(value.to_owned()),
            "truncate-dim" => {
                let dims = value.parse().ok();
                let dims = dims.with_context(|| format!("truncate-dim is a number: {name}"))?;
                options.truncate_dim = Some(dims);
            }
            _ => bail!(
                "no setting `{key}` of an embedder (prompt-name, task and truncate-dim are): {name}"
            ),
        }
    }
    Ok((model, options))
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

    fn session() -> Session {
        Session::cpu(std::env::temp_dir())
    }

    fn error(name: &str) -> String {
        let opened = open_embedder(name, LongTexts::Truncate, &session());
        opened.err().map(|error| error.chain()).unwrap_or_default()
    }

    #[test]
    fn built_in_embedders_open_and_others_say_what_is_wrong() {
        for name in ["builtin:lexical", "builtin:style"] {
            assert!(open_embedder(name, LongTexts::Truncate, &session()).is_ok());
        }
        assert!(error("builtin:semantic").contains("builtin:lexical and builtin:style"));
        let empty = tempfile::tempdir().unwrap();
        let error = error(&empty.path().display().to_string());
        assert!(error.contains("no config.json in"), "{error}");
    }

    #[test]
    fn settings_follow_the_name() {
        let (model, options) = settings(
            "org/name@main,task=text-matching,prompt_name=query,truncate-dim=8",
            LongTexts::MeanOfChunks,
        )
        .unwrap();
        assert_eq!(model, "org/name@main");
        let expected = EmbedOptions {
            long_texts: LongTexts::MeanOfChunks,
            prompt_name: Some("query".to_owned()),
            task: Some("text-matching".to_owned()),
            truncate_dim: Some(8),
        };
        assert_eq!(options, expected);
        assert!(error("org/name,dims=8").contains("no setting `dims`"));
        assert!(error("org/name,task").contains("key=value, not `task`"));
        assert!(error("org/name,truncate-dim=many").contains("truncate-dim is a number"));

        let folder = tempfile::tempdir().unwrap();
        let commas = folder.path().join("a,task=b");
        std::fs::create_dir(&commas).unwrap();
        let name = commas.display().to_string();
        let (model, options) = settings(&name, LongTexts::Truncate).unwrap();
        assert_eq!((model, options), (name.as_str(), EmbedOptions::default()));
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
