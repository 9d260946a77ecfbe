//! Where what can be computed again is kept between runs.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder that was chosen, else `rarebit` in the user's folder for caches.
pub(crate) fn folder(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = chosen {
        return Ok(folder.to_owned());
    }
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let root = set("XDG_CACHE_HOME").or_else(|| {
        let home = env::home_dir();
        match env::consts::OS {
            "windows" => set("LOCALAPPDATA"),
            "macos" => home.map(|home| home.join("Library/Caches")),
            _ => home.map(|home| home.join(".cache")),
        }
    });
    let root = root.context("no home folder to keep a cache in: give --cache-dir")?;
    Ok(root.join("rarebit"))
}
