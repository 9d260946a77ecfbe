//! From a model's name to its folder: a local path, or an id on the Hugging Face hub.

use std::env;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use rarebit_models::chat::ADDITIONAL_TEMPLATES;
use rarebit_models::jina_v3::TASK_FOLDERS;
use rarebit_models::lora::{ADAPTER_CONFIG, ADAPTER_MODEL};

use rarebit_pipeline::{ModelSource, PipelineError};

use crate::progress;

/// Attempts after the first, for connections that break.
const RETRIES: usize = 3;

/// The folder of a model: an existing path wins, else `org/name` or `org/name@revision` is looked
/// up on the Hugging Face hub and kept in its usual cache.
///
/// Only settings, tokenizer and safetensors are fetched, never a pickle: those can run code.
///
/// # Errors
/// When the name is neither, or the model cannot be had; the message says what would help.
fn resolve_model(name: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    if path.exists() {
        bail!("a model is a folder with config.json and safetensors, not a file: {name}");
    }
    let Some(id) = HubId::parse(name) else {
        bail!("neither a folder nor an id on the Hugging Face hub (org/name[@revision]): {name}");
    };
    Hub::from_env()?.folder(&id)
}

/// Models on disk and on the Hugging Face hub.
pub(crate) struct HubOrFolder;

impl ModelSource for HubOrFolder {
    fn folder(&self, name: &str) -> rarebit_pipeline::Result<PathBuf> {
        resolve_model(name).map_err(|error| PipelineError::Caller(error.into_boxed_dyn_error()))
    }
}

/// A model on the hub.
#[derive(Debug, Clone, PartialEq)]
struct HubId {
    model: String,
    revision: String,
}

impl HubId {
    /// `org/name[@revision]`; names that look like paths are none.
    fn parse(text: &str) -> Option<Self> {
        let (model, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (org, name) = model.split_once('/')?;
        let plain = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
                && !part.contains("..")
        };
        let known = plain(org) && plain(name) && revision.split('/').all(plain);
        known.then(|| Self {
            model: model.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The repository at a revision, or at the commit that the revision points to.
    fn at(&self, revision: &str) -> Repo {
        Repo::with_revision(self.model.clone(), RepoType::Model, revision.to_owned())
    }
}

/// Where models come from and where they are kept.
struct Hub {
    endpoint: String,
    cache: Cache,
    token: Option<String>,
    offline: bool,
}

impl Hub {
    /// Reads the variables that huggingface_hub reads: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME,
    /// HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
    fn from_env() -> anyhow::Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let home = match (set("HF_HOME"), set("XDG_CACHE_HOME"), env::home_dir()) {
            (Some(home), _, _) => PathBuf::from(home),
            (None, Some(cache), _) => PathBuf::from(cache).join("huggingface"),
            (None, None, Some(user)) => user.join(".cache/huggingface"),
            (None, None, None) => bail!("no home folder to keep models in: set HF_HOME"),
        };
        let token = set("HF_TOKEN").and_then(|token| token.into_string().ok());
        let offline = set("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "true", "yes", "on"]
                .iter()
                .any(|yes| value.eq_ignore_ascii_case(yes))
        });
        Ok(Self {
            endpoint: set("HF_ENDPOINT")
                .and_then(|endpoint| endpoint.into_string().ok())
                .unwrap_or_else(|| "https://huggingface.co".to_owned()),
            token: token.or_else(|| Cache::new(home.join("hub")).token()),
            cache: Cache::new(set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from)),
            offline,
        })
    }

    /// Asks the hub which commit the revision is and fetches what is not in the cache. Without the
    /// hub, what the cache holds must do.
    fn folder(&self, id: &HubId) -> anyhow::Result<PathBuf> {
        if self.offline {
            return self.cached(id).with_context(|| {
                format!(
                    "HF_HUB_OFFLINE is set and {} is not whole in {}: unset it for one run, or give \
                     the path of a folder",
                    id.model,
                    self.cache.path().display()
                )
            });
        }
        match self.fetch(id) {
            Ok(folder) => Ok(folder),
            Err(error) => match self.cached(id) {
                Some(folder) => {
                    tracing::warn!("{error:#}; using the copy in {}", folder.display());
                    Ok(folder)
                }
                None => Err(error),
            },
        }
    }

    fn fetch(&self, id: &HubId) -> anyhow::Result<PathBuf> {
        let failed = |error: ApiError| {
            let remedy = remedy(&error.to_string());
            anyhow::Error::new(error).context(format!(
                "cannot get {} from {}: {remedy}",
                id.model, self.endpoint
            ))
        };
        let api = ApiBuilder::from_cache(self.cache.clone())
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_retries(RETRIES)
            .build()
            .map_err(failed)?;
        let info = api.repo(id.at(&id.revision)).info().map_err(failed)?;
        let names = info
            .siblings
            .iter()
            .map(|sibling| sibling.rfilename.as_str());
        let files = wanted(names);
        if !files.iter().any(|file| file.ends_with(".safetensors")) {
            bail!(
                "{} has no safetensors, and other weights are not read since they can run code: \
                 convert them, or name a revision that has them ({}@revision)",
                id.model,
                id.model
            );
        }

        // All files of one commit: a push in between must not mix two versions.
        let commit = api.repo(id.at(&info.sha));
        let cached = self.cache.repo(id.at(&info.sha));
        let snapshot = cached.pointer_path(&info.sha);
        for file in files.iter().filter(|file| !snapshot.join(file).exists()) {
            download(&commit, file).map_err(failed)?;
        }
        // Last, so that a revision found in the cache without the hub is a whole one.
        self.cache
            .repo(id.at(&id.revision))
            .create_ref(&info.sha)
            .with_context(|| format!("cannot write to {}", self.cache.path().display()))?;
        Ok(snapshot)
    }

    /// The cached snapshot of a revision or commit, if it has settings, tokenizer and weights.
    fn cached(&self, id: &HubId) -> Option<PathBuf> {
        let repo = self.cache.repo(id.at(&id.revision));
        let named = repo
            .get("config.json")
            .or_else(|| repo.get("modules.json"))
            .or_else(|| repo.get("adapter_config.json"));
        let snapshot = match named {
            Some(file) => file.parent()?.to_owned(),
            None => repo.pointer_path(&id.revision),
        };
        is_whole(&snapshot).then_some(snapshot)
    }
}

fn download(repo: &ApiRepo, file: &str) -> Result<PathBuf, ApiError> {
    repo.download_with_progress(file, Download { progress: None })
}

/// Shows a download as every other long work is shown.
struct Download {
    progress: Option<progress::Progress>,
}

impl hf_hub::api::Progress for Download {
    fn init(&mut self, size: usize, file: &str) {
        self.progress = Some(progress::bytes(size as u64, file));
    }

    fn update(&mut self, size: usize) {
        if let Some(progress) = &self.progress {
            progress.inc(size as u64);
        }
    }

    fn finish(&mut self) {
        self.progress = None;
    }
}

/// What a person can do about an answer of the hub.
fn remedy(error: &str) -> &'static str {
    let says = |code: &str| error.contains(code);
    if says("401") || says("403") {
        "no such model, or it is private or gated; accept its terms on its page and set HF_TOKEN"
    } else if says("404") {
        "no such model or revision"
    } else if says("Lock acquisition") {
        "another process is downloading it; wait for that one"
    } else {
        "check the connection, or set HF_HUB_OFFLINE=1 to use what is cached, or give the path of \
         a folder"
    }
}

/// The files of a repository that a model is read from.
fn wanted<'a>(files: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut files: Vec<&str> = files.filter(|file| is_wanted(file)).collect();
    if files.contains(&"model.safetensors") {
        files.retain(|file| !is_shard(file) && *file != "model.safetensors.index.json");
    }
    files
}

/// Settings, tokenizer, template and weights, at the top or in a module's folder (`1_Pooling`), and
/// the adapters of jina-embeddings-v3.
fn is_wanted(file: &str) -> bool {
    let name = match file.split_once('/') {
        None => file,
        Some((task, ADAPTER_CONFIG | ADAPTER_MODEL)) if TASK_FOLDERS.contains(&task) => {
            return true;
        }
        Some((ADDITIONAL_TEMPLATES, name)) => {
            return name.ends_with(".jinja") && !name.contains(['/', '\\']);
        }
        Some((module, name)) => {
            let numbered = module.starts_with(|c: char| c.is_ascii_digit()) && module.contains('_');
            if !numbered || module.contains("..") {
                return false;
            }
            name
        }
    };
    let plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let settings = [
        "adapter_config.json",
        "adapter_model.safetensors",
        "added_tokens.json",
        "config.json",
        "config_sentence_transformers.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors",
        "model.safetensors.index.json",
        "modules.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "chat_template.jinja",
        "chat_template.json",
    ];
    let sentence = name.starts_with("sentence_") && name.ends_with("_config.json");
    plain && !name.contains(['/', '\\']) && (settings.contains(&name) || sentence || is_shard(name))
}

/// `model-00001-of-00002.safetensors`
fn is_shard(name: &str) -> bool {
    let numbers = name
        .strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"));
    numbers
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(number, of)| {
            [number, of]
                .iter()
                .all(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
        })
}

/// Whether a snapshot has all that a model is read from. A cache may be partial: another program
/// fetched only what it needed, or was killed.
fn is_whole(snapshot: &Path) -> bool {
    let has = |file: &str| snapshot.join(file).is_file();
    let index = std::fs::read(snapshot.join("model.safetensors.index.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let shards = index.is_some_and(|index| {
        let map = index.get("weight_map").and_then(|map| map.as_object());
        map.is_some_and(|map| {
            map.values().all(|file| {
                file.as_str()
                    .is_some_and(|file| is_shard(file) && has(file))
            })
        })
    });
    // An adapter's base is another model, with a tokenizer of its own.
    if has("adapter_config.json") {
        return has("adapter_model.safetensors");
    }
    let modules = !has("modules.json") || has("1_Pooling/config.json");
    has("config.json") && has("tokenizer.json") && modules && (has("model.safetensors") || shards)
}

#[cfg(test)]
mod tests;
