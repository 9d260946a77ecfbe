//! `cargo xtask cycles`: files of a crate that import each other, directly or through others.
//!
//! A file is a node. It imports another if a path in its code, in a `use` or in an expression, leads
//! to an item that the other defines; a re-export leads on to the file that it names. Re-exporting is
//! no import by itself, only if the file uses the name as well. Tests are left out.
//!
//! Names that come from a glob import or out of a macro are not followed.

mod graph;
mod source;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Result, root};
use graph::circles;
use source::Crate;

/// Prints the circles of every crate; an error if there is one.
pub(crate) fn cycles() -> Result {
    let mut found = 0;
    for folder in crates(&root())? {
        let name = folder
            .strip_prefix(root())
            .unwrap_or(&folder)
            .display()
            .to_string();
        let sources = sources(&folder.join("src"))?;
        for entry in ["lib.rs", "main.rs"] {
            let Some(krate) = Crate::read(&sources, Path::new(entry)) else {
                continue;
            };
            for circle in circles(&krate.imports()) {
                found += 1;
                show(&format!(
                    "{name}: {} files import each other",
                    circle.files.len()
                ));
                for import in &circle.imports {
                    let (from, to) = (import.from.display(), import.to.display());
                    show(&format!(
                        "  src/{from}:{} imports src/{to} ({})",
                        import.line, import.path
                    ));
                }
            }
        }
    }
    match found {
        0 => {
            show("No file imports itself through others.");
            Ok(())
        }
        1 => Err("1 import circle".to_owned()),
        _ => Err(format!("{found} import circles")),
    }
}

/// The folders of the workspace's crates.
fn crates(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = ["native", "web", "web/models", "xtask"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    folders.extend(entries(&root.join("crates"))?);
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}

/// The Rust files of a folder and of those in it, by their paths inside of it.
fn sources(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in entries(&next)? {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let inside = path.strip_prefix(folder).unwrap_or(&path).to_owned();
                sources.insert(inside, text);
            }
        }
    }
    Ok(sources)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| format!("cannot list {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}

/// A line of the result.
#[expect(clippy::print_stdout, reason = "the circles are the task's output")]
fn show(line: &str) {
    println!("{line}");
}
