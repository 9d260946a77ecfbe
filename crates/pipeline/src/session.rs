//! What a run needs from its caller.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use rarebit_train::Stop;

use crate::error::{Result, bail};
use crate::event::Events;

/// Finds the folder of a model by its name.
pub trait ModelSource: Send + Sync {
    /// The folder with `config.json` (or `adapter_config.json`) and safetensors.
    ///
    /// # Errors
    /// When there is no such model; the message says what would help.
    fn folder(&self, name: &str) -> Result<PathBuf>;
}

/// A source in which a model's name is the path of its folder: nothing is ever downloaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalFolders;

impl ModelSource for LocalFolders {
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(name);
        if !path.is_dir() {
            bail!("{name} is not a folder");
        }
        Ok(path.to_owned())
    }
}

/// What a run needs from its caller: where to compute, where to find models, where to keep what can
/// be computed again, and whom to tell about progress.
#[derive(Clone)]
pub struct Session {
    /// What computes, without autodiff.
    pub device: Device,
    /// Finds models by name.
    pub models: Arc<dyn ModelSource>,
    /// Where embeddings and reference log-probabilities are kept between runs.
    pub cache_dir: PathBuf,
    /// Hears what happens.
    pub events: Events,
    /// Ends training after a step and generation after a batch, with what is done kept.
    pub stop: Stop,
}

impl Session {
    /// A session on the CPU that finds models by path, keeps its cache in `cache_dir` and tells
    /// nobody.
    pub fn cpu(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            device: Device::flex(),
            models: Arc::new(LocalFolders),
            cache_dir: cache_dir.into(),
            events: Events::default(),
            stop: Stop::default(),
        }
    }

    /// Where reference log-probabilities are kept. Another backend, or another version of this
    /// program, may compute other last digits, so each has its own.
    pub(crate) fn reference_cache(&self) -> PathBuf {
        let backend = match self.device == Device::flex() {
            true => "cpu",
            false => "gpu",
        };
        self.cache_dir
            .join("reference-logps")
            .join(format!("{}-{backend}", env!("CARGO_PKG_VERSION")))
    }

    /// Where embeddings are kept.
    pub(crate) fn embedding_cache(&self) -> PathBuf {
        self.cache_dir.join("embeddings")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("device", &self.device)
            .field("cache_dir", &self.cache_dir)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_folders_are_named_by_their_path() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert_eq!(LocalFolders.folder(name).unwrap(), folder.path());
        let absent = LocalFolders.folder("org/name").unwrap_err().to_string();
        assert_eq!(absent, "org/name is not a folder");
    }
}
