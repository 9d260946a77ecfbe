//! The tools that a build needs: found, or installed under `target/tools`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::shell::{Result, output, report, root, run};

const TARGET: &str = "wasm32-unknown-unknown";

/// Adds the standard library for WebAssembly if it is absent.
pub(crate) fn wasm_target() -> Result {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if PathBuf::from(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .is_dir()
    {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", TARGET]))
}

/// The program `wasm-bindgen` of exactly the version that `Cargo.lock` has for the crate: the two
/// share a format that changes with every version.
pub(crate) fn wasm_bindgen() -> Result<PathBuf> {
    let version = locked_version("wasm-bindgen")?;
    let on_path = PathBuf::from("wasm-bindgen");
    let tools = root().join("target/tools");
    let own = tools.join("bin/wasm-bindgen");
    for program in [&own, &on_path] {
        let found = output(Command::new(program).arg("--version"));
        if found.is_ok_and(|found| found.split_whitespace().nth(1) == Some(&version)) {
            return Ok(program.clone());
        }
    }
    report(&format!(
        "Installing wasm-bindgen {version} into target/tools"
    ));
    // It also has a test runner that fetches over TLS; that is left out.
    let mut install = Command::new("cargo");
    install.args(["install", "wasm-bindgen-cli", "--version", &version]);
    install.args(["--no-default-features", "--bin", "wasm-bindgen", "--root"]);
    run(install.arg(&tools))?;
    Ok(own)
}

fn locked_version(package: &str) -> Result<String> {
    let path = root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = lock.lines();
    let name = format!("name = \"{package}\"");
    lines
        .find(|line| *line == name)
        .and_then(|_| {
            lines
                .next()?
                .strip_prefix("version = \"")?
                .strip_suffix('"')
        })
        .map(str::to_owned)
        .ok_or_else(|| format!("{} has no package {package}", path.display()))
}

/// Installs what `web/package-lock.json` lists, unless it is there already.
pub(crate) fn node_modules() -> Result {
    let web = root().join("web");
    // npm writes this file last.
    let changed = |name: &str| fs::metadata(web.join(name)).and_then(|m| m.modified());
    let installed = changed("node_modules/.package-lock.json");
    if let (Ok(installed), Ok(wanted)) = (installed, changed("package-lock.json"))
        && installed >= wanted
    {
        return Ok(());
    }
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(web))
}
