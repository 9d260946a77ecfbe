//! Files with a flipped bit or a lost end: an error or a result, but never a crash.

use std::fs;
use std::path::Path;

use super::sandbox::Sandbox;

/// Places all over a file.
const PLACES: usize = 20;

/// Versions of a file with one byte changed, and with its end cut off.
fn damaged(whole: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    let place = |step: usize| (whole.len() - 1) * step / (PLACES - 1);
    let flipped = (0..PLACES).map(move |step| {
        let mut content = whole.to_vec();
        content[place(step)] ^= 1 << (step % 8);
        (format!("byte {}", place(step)), content)
    });
    let cut = (0..PLACES).step_by(4).map(move |step| {
        let length = place(step);
        (format!("first {length} bytes"), whole[..length].to_vec())
    });
    flipped.chain(cut)
}

/// Asserts that the command fails or succeeds in the proper way on every damaged version of a file.
fn survives(sandbox: &Sandbox, file: &str, arguments: &str) {
    let whole = fs::read(sandbox.path(file)).expect("a whole file");
    for (what, content) in damaged(&whole) {
        sandbox.write(file, content);
        let output = sandbox
            .rarebit(arguments)
            .output()
            .expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 1)),
            "{file}, {what}: {code:?}\n{error}"
        );
        assert!(!error.contains("panicked"), "{file}, {what}: {error}");
    }
}

#[test]
fn damaged_parquet_is_an_error() {
    let sandbox = Sandbox::new();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/cases");
    for name in ["duck_flat.parquet", "binary.parquet", "fp.parquet"] {
        let whole = fs::read(cases.join(name)).expect("a fixture");
        sandbox.write(name, whole);
        survives(
            &sandbox,
            name,
            &format!("deviation {name} --semantic builtin:lexical --output out.jsonl"),
        );
    }
}

#[test]
fn damaged_tables_of_prepare_are_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    sandbox.succeeds("prepare rows.jsonl --semantic builtin:lexical --compression none");
    survives(
        &sandbox,
        "prepared/train/groups.parquet",
        "evaluate prepared/train/groups.parquet --semantic builtin:lexical --resamples 10",
    );
}

#[test]
fn a_damaged_tokenizer_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.copy_policy("model");
    survives(
        &sandbox,
        "model/tokenizer.json",
        "generate model --prompt Once --max-new-tokens 4 -n 1",
    );
}
