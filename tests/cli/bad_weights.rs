//! Weights that cannot be used, as files on disk: one line that names the file and the place, exit
//! code 1, nothing written.

use std::fs;

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds};

const WEIGHTS: &str = "model/model.safetensors";
const INDEX: &str = "model/model.safetensors.index.json";

/// What `generate` says of the model folder.
fn refusal(sandbox: &Sandbox) -> String {
    let error = sandbox.refused(1, "generate model --prompt p --max-new-tokens 1");
    let lines: Vec<&str> = error.trim_end().lines().collect();
    assert!(
        matches!(lines[..], ["device: CPU, as asked", line] if line.starts_with("error: ")),
        "{error}"
    );
    error
}

/// The tiny policy's header, and the bytes behind it.
fn header(sandbox: &Sandbox) -> (Value, Vec<u8>) {
    let file = fs::read(sandbox.path(WEIGHTS)).expect("weights");
    let length = u64::from_le_bytes(file[..8].try_into().expect("8 bytes")) as usize;
    let header = serde_json::from_slice(&file[8..8 + length]).expect("JSON");
    (header, file[8 + length..].to_vec())
}

fn write(sandbox: &Sandbox, header: &Value, data: &[u8]) {
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    sandbox.write(WEIGHTS, [&length, header.as_bytes(), data].concat());
}

#[test]
fn a_truncated_file_is_told_at_once() {
    let sandbox = Sandbox::new();
    sandbox.copy_policy("model");
    let whole = fs::read(sandbox.path(WEIGHTS)).expect("weights");
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        sandbox.write(WEIGHTS, &whole[..length]);
        let error = refusal(&sandbox);
        assert_holds(&error, &[WEIGHTS, "not a whole safetensors file"]);
    }
}

#[test]
fn tensors_and_settings_that_do_not_belong_together_are_named() {
    let sandbox = Sandbox::new();
    sandbox.copy_policy("model");
    let (good, data) = header(&sandbox);
    let norm = "model.layers.1.input_layernorm.weight";

    let mut bad = good.clone();
    bad[norm]["shape"] = json!([4, 4]);
    write(&sandbox, &bad, &data);
    assert_holds(
        &refusal(&sandbox),
        &[norm, "shape [4, 4], not [16]", WEIGHTS],
    );

    let mut bad = good.clone();
    let fields = bad.as_object_mut().expect("an object");
    let tensor = fields.remove(norm).expect("the norm");
    fields.insert("model.layers.1.norm_of_another_name".to_owned(), tensor);
    write(&sandbox, &bad, &data);
    assert_holds(&refusal(&sandbox), &["no tensor", norm, WEIGHTS]);

    let mut bad = good.clone();
    for offset in bad[norm]["data_offsets"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        *offset = json!(offset.as_u64().expect("an offset") - 4);
    }
    write(&sandbox, &bad, &data);
    assert_holds(&refusal(&sandbox), &[WEIGHTS, "overlap"]);

    let mut bad = good.clone();
    bad[norm]["dtype"] = json!("I32");
    write(&sandbox, &bad, &data);
    assert_holds(&refusal(&sandbox), &[norm, "stored as I32", WEIGHTS]);
    write(&sandbox, &good, &data);
    sandbox.succeeds("generate model --prompt p --max-new-tokens 1");
}

#[test]
fn a_giant_header_is_not_read() {
    let sandbox = Sandbox::new();
    sandbox.copy_policy("model");
    sandbox.write(WEIGHTS, 100_000_001u64.to_le_bytes());
    let file = fs::OpenOptions::new()
        .write(true)
        .open(sandbox.path(WEIGHTS));
    file.and_then(|file| file.set_len(200_000_000))
        .expect("a sparse file");
    let error = sandbox
        .rarebit("generate model --prompt p")
        .output()
        .expect("the program runs");
    let error = String::from_utf8_lossy(&error.stderr).into_owned();
    assert_holds(
        &error,
        &[
            WEIGHTS,
            "claims a header of 100000001 bytes",
            "allows 100000000",
        ],
    );
}

#[test]
fn an_index_is_followed_in_its_folder_only() {
    let sandbox = Sandbox::new();
    sandbox.copy_policy("model");
    sandbox.copy_policy("elsewhere");
    let (good, _) = header(&sandbox);
    let names: Vec<String> = good
        .as_object()
        .expect("an object")
        .keys()
        .filter(|name| *name != "__metadata__")
        .cloned()
        .collect();
    let shard = "model-00001-of-00001.safetensors";
    fs::rename(sandbox.path(WEIGHTS), sandbox.path("model").join(shard)).expect("renamed");
    let index = |place: &str| {
        let map: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| (name.clone(), place.into()))
            .collect();
        sandbox.write(
            INDEX,
            json!({ "metadata": {}, "weight_map": map }).to_string(),
        );
    };
    index(shard);
    sandbox.succeeds("generate model --prompt p --max-new-tokens 1");

    let absolute = sandbox
        .path("elsewhere/model.safetensors")
        .display()
        .to_string();
    for place in ["../elsewhere/model.safetensors", &absolute] {
        index(place);
        assert_holds(
            &refusal(&sandbox),
            &[INDEX, place, "is not a file name in this folder"],
        );
    }
    index("model-00001-of-00002.safetensors");
    assert_holds(
        &refusal(&sandbox),
        &[
            INDEX,
            "model-00001-of-00002.safetensors is missing",
            "fetch",
        ],
    );
    sandbox.write(INDEX, "{");
    assert_holds(&refusal(&sandbox), &[INDEX, "EOF"]);
}
