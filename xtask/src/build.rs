//! From crates and TypeScript to the page and the npm package.

use std::fs;
use std::process::Command;

use crate::shell::{Result, root, run};
use crate::tools;

/// A crate that becomes a WebAssembly module.
struct Module {
    package: &'static str,
    /// The library's name, as Cargo writes it.
    library: &'static str,
    /// The module's name in `web/dist/wasm`.
    name: &'static str,
    /// The passes of `wasm-opt`.
    optimise: &'static [&'static str],
}

const MODULES: &[Module] = &[
    Module {
        package: "rarebit-web",
        library: "rarebit_web",
        name: "score",
        optimise: &["-O3"],
    },
    Module {
        package: "rarebit-web-models",
        library: "rarebit_web_models",
        name: "models",
        // For 15 MB, -O1 takes two minutes and -Oz more than six.
        optimise: &[
            "--duplicate-function-elimination",
            "--remove-unused-module-elements",
            "--vacuum",
        ],
    },
];

/// What `wasm-opt` may use: what Rust's own target uses, and SIMD. With all that it knows it would
/// write modules that no browser of today reads.
const FEATURES: [&str; 9] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-call-indirect-overlong",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Builds everything into `web/dist`.
pub(crate) fn web() -> Result {
    tools::wasm_target()?;
    let bindgen = tools::wasm_bindgen()?;
    tools::node_modules()?;
    for module in MODULES {
        wasm(module, &bindgen)?;
    }
    run(Command::new("npm")
        .args(["run", "--silent", "build"])
        .current_dir(root().join("web")))
}

/// Cargo, wasm-bindgen, wasm-opt. What has not changed is left as it is.
fn wasm(module: &Module, bindgen: &std::path::Path) -> Result {
    let target = "wasm32-unknown-unknown";
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--profile", "web", "--target", target]);
    run(cargo
        .args(["--package", module.package])
        .current_dir(root()))?;
    let built = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into);
    let built = built
        .join(target)
        .join("web")
        .join(format!("{}.wasm", module.library));
    let folder = root().join("web/dist/wasm");
    let ready = folder.join(format!("{}_bg.wasm", module.name));
    let changed = |path| fs::metadata(path).and_then(|m: fs::Metadata| m.modified());
    if let (Ok(ready), Ok(built)) = (changed(&ready), changed(&built))
        && ready > built
    {
        return Ok(());
    }
    run(Command::new(bindgen)
        .args(["--remove-name-section", "--target", "web"])
        .args(["--out-name", module.name, "--out-dir"])
        .arg(&folder)
        .arg(&built))?;
    let mut optimise = Command::new(root().join("web/node_modules/.bin/wasm-opt"));
    optimise.args(FEATURES).args(module.optimise);
    run(optimise.arg(&ready).arg("-o").arg(&ready))
}
