//! Sentence embedders against sentence-transformers, and what they say of folders that are wrong.
//!
//! `tests/fixtures/bert` is a tiny random encoder with the vectors that sentence-transformers gives
//! it; `tests/fixtures/minilm` holds the vectors of the real all-MiniLM-L6-v2, whose folder the
//! environment variable `RAREBIT_MINILM` names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use rarebit_deviation::Embedder;
use rarebit_models::ModelError;
use rarebit_models::safetensors_file::{Precision, SINGLE, TensorFile, save};
use rarebit_models::sentence_transformer::{EmbedOptions, LongTexts, SentenceTransformer};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn texts(expected: &Value) -> Vec<String> {
    serde_json::from_value(expected["texts"].clone()).unwrap()
}

/// A copy of the tiny model to change.
fn copy_of_tiny() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("1_Pooling")).unwrap();
    for file in [
        "config.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "1_Pooling/config.json",
    ] {
        fs::copy(fixtures().join("bert").join(file), copy.path().join(file)).unwrap();
    }
    copy
}

/// Sets keys of a JSON file; a null value removes the key.
fn set(path: PathBuf, changes: Value) {
    let mut value = read_json(&path);
    for (key, change) in changes.as_object().unwrap() {
        match change {
            Value::Null => value.as_object_mut().unwrap().remove(key),
            change => value
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), change.clone()),
        };
    }
    fs::write(path, value.to_string()).unwrap();
}

/// Writes the tiny model's weights anew, each under the name and with the values that `f` gives.
fn rewrite(
    folder: &Path,
    precision: Precision,
    f: impl Fn(&str, TensorData) -> Option<(String, TensorData)>,
) {
    let weights = TensorFile::open(fixtures().join("bert")).unwrap();
    let tensors: Vec<_> = weights
        .names()
        .filter_map(|name| f(name, weights.data(name).unwrap()))
        .collect();
    save(&folder.join(SINGLE), &tensors, precision, &BTreeMap::new()).unwrap();
}

fn open(folder: &Path) -> Result<SentenceTransformer, ModelError> {
    open_with(folder, EmbedOptions::default())
}

fn open_with(folder: &Path, options: EmbedOptions) -> Result<SentenceTransformer, ModelError> {
    SentenceTransformer::open(folder, "tiny", &options, &Device::flex())
}

fn embed(model: &SentenceTransformer, texts: &[String]) -> Vec<Vec<f32>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    model.embed(&texts).unwrap()
}

/// The rows of a tensor, scaled to length 1.
fn unit_rows(data: &TensorData) -> Vec<Vec<f32>> {
    let values = data.try_to_vec::<f32>().unwrap();
    let width = data.shape()[1];
    values
        .chunks(width)
        .map(|row| {
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter().map(|v| v / length).collect()
        })
        .collect()
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        for (j, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!(
                (a - b).abs() < tolerance,
                "row {i}, component {j}: {a} is not {b}"
            );
        }
    }
}

fn tiny_expected() -> (Vec<String>, Vec<Vec<f32>>) {
    let folder = fixtures().join("bert");
    let expected = TensorFile::open(folder.join("expected.safetensors")).unwrap();
    (
        texts(&read_json(&folder.join("expected.json"))),
        unit_rows(&expected.data("mean.normalized").unwrap()),
    )
}

#[test]
fn every_pooling_gives_what_sentence_transformers_gives() {
    let folder = fixtures().join("bert");
    let expected = TensorFile::open(folder.join("expected.safetensors")).unwrap();
    let settings = read_json(&folder.join("expected.json"));
    let copy = copy_of_tiny();
    for (kind, config) in settings["pooling"].as_object().unwrap() {
        fs::write(
            copy.path().join("1_Pooling/config.json"),
            config.to_string(),
        )
        .unwrap();
        let name = match kind.as_str() {
            "cls+mean" => "cls+mean.normalized".to_owned(),
            kind => format!("{kind}.raw"),
        };
        let found = embed(&open(copy.path()).unwrap(), &texts(&settings));
        // f32 through two layers on both sides.
        assert_close(&found, &unit_rows(&expected.data(&name).unwrap()), 1e-5);
    }
}

#[test]
fn the_real_minilm_gives_what_sentence_transformers_gives() {
    let Some(folder) = std::env::var_os("RAREBIT_MINILM") else {
        eprintln!("skipped: RAREBIT_MINILM does not name the folder of all-MiniLM-L6-v2");
        return;
    };
    let expected = read_json(&fixtures().join("minilm/expected.json"));
    let model = open(Path::new(&folder)).unwrap();
    let rows: Vec<Vec<f32>> = serde_json::from_value(expected["embeddings"].clone()).unwrap();
    assert_close(&embed(&model, &texts(&expected)), &rows, 1e-4);
}

#[test]
fn company_in_a_batch_changes_nothing() {
    let (texts, expected) = tiny_expected();
    let model = open(&fixtures().join("bert")).unwrap();
    for (text, row) in texts.iter().zip(expected) {
        assert_close(&embed(&model, std::slice::from_ref(text)), &[row], 1e-5);
    }
    assert!(embed(&model, &[]).is_empty());
}

#[test]
fn prefixed_keys_old_norm_names_and_poolers_are_read() {
    let copy = copy_of_tiny();
    let (texts, expected) = tiny_expected();
    rewrite(copy.path(), Precision::F32, |name, data| {
        let name = name
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta");
        Some((format!("bert.{name}"), data))
    });
    assert_close(&embed(&open(copy.path()).unwrap(), &texts), &expected, 1e-5);
}

#[test]
fn half_precision_files_are_read() {
    let copy = copy_of_tiny();
    let (texts, expected) = tiny_expected();
    // The weights lose digits: 11 bits and 8 bits, over two layers.
    for (precision, tolerance) in [(Precision::F16, 5e-3), (Precision::Bf16, 5e-2)] {
        rewrite(copy.path(), precision, |name, data| {
            Some((name.to_owned(), data))
        });
        assert_close(
            &embed(&open(copy.path()).unwrap(), &texts),
            &expected,
            tolerance,
        );
    }
}

#[test]
fn sharded_weights_are_read() {
    let copy = copy_of_tiny();
    let (texts, expected) = tiny_expected();
    let weights = TensorFile::open(copy.path()).unwrap();
    let mut shards = [Vec::new(), Vec::new()];
    let mut weight_map = serde_json::Map::new();
    for (i, name) in weights.names().enumerate() {
        shards[i % 2].push((name.to_owned(), weights.data(name).unwrap()));
        weight_map.insert(
            name.to_owned(),
            json!(format!("model-{}.safetensors", i % 2)),
        );
    }
    for (i, shard) in shards.iter().enumerate() {
        let path = copy.path().join(format!("model-{i}.safetensors"));
        save(&path, shard, Precision::F32, &BTreeMap::new()).unwrap();
    }
    fs::remove_file(copy.path().join(SINGLE)).unwrap();
    let index = copy.path().join("model.safetensors.index.json");
    fs::write(&index, json!({ "weight_map": weight_map }).to_string()).unwrap();
    assert_close(&embed(&open(copy.path()).unwrap(), &texts), &expected, 1e-5);

    for file in ["../elsewhere.safetensors", "/etc/passwd", "..", ""] {
        let (name, _) = weight_map.iter().next().unwrap();
        fs::write(
            &index,
            json!({ "weight_map": { name.as_str(): file } }).to_string(),
        )
        .unwrap();
        let error = open(copy.path()).unwrap_err().to_string();
        assert!(error.contains("not a file name in this folder"), "{error}");
    }
}

#[test]
fn roberta_is_bert_with_later_positions() {
    let copy = copy_of_tiny();
    let (texts, expected) = tiny_expected();
    set(
        copy.path().join("config.json"),
        json!({"model_type": "roberta", "max_position_embeddings": 33}),
    );
    rewrite(copy.path(), Precision::F32, |name, data| {
        if !name.contains("position_embeddings") {
            return Some((format!("roberta.{name}"), data));
        }
        // The padding id is 0, so the first token takes the second row.
        let mut values = vec![7.0; 32];
        values.extend(data.try_to_vec::<f32>().unwrap());
        Some((format!("roberta.{name}"), TensorData::new(values, [33, 32])))
    });
    assert_close(&embed(&open(copy.path()).unwrap(), &texts), &expected, 1e-5);
}

#[test]
fn a_bare_encoder_is_pooled_by_the_mean() {
    let copy = copy_of_tiny();
    let (texts, expected) = tiny_expected();
    fs::remove_file(copy.path().join("modules.json")).unwrap();
    fs::remove_dir_all(copy.path().join("1_Pooling")).unwrap();
    assert_close(&embed(&open(copy.path()).unwrap(), &texts), &expected, 1e-5);
}

#[test]
fn long_texts_are_cut_or_averaged() {
    let folder = fixtures().join("bert");
    let (texts, expected) = tiny_expected();
    let chunks = EmbedOptions {
        long_texts: LongTexts::MeanOfChunks,
        ..EmbedOptions::default()
    };
    let model = open_with(&folder, chunks).unwrap();
    assert_ne!(model.id(), open(&folder).unwrap().id());
    let long = [2, 7];
    for (i, row) in embed(&model, &texts).iter().enumerate() {
        let same = row
            .iter()
            .zip(&expected[i])
            .all(|(a, b)| (a - b).abs() < 1e-5);
        assert_eq!(same, !long.contains(&i), "text {i}");
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "row {i} has length {length}");
    }
}

#[test]
fn the_id_follows_from_the_files() {
    let copy = copy_of_tiny();
    let id = open(&fixtures().join("bert")).unwrap().id().to_owned();
    assert_eq!(
        open(copy.path()).unwrap().id(),
        id,
        "not from where they lie"
    );
    for (file, change) in [
        ("sentence_bert_config.json", json!({"max_seq_length": 15})),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode_cls_token": true}),
        ),
        ("config.json", json!({"layer_norm_eps": 1e-5})),
    ] {
        let copy = copy_of_tiny();
        set(copy.path().join(file), change);
        assert_ne!(open(copy.path()).unwrap().id(), id, "{file}");
    }
}

/// The message for a copy of the tiny model after a change.
fn error_after(change: impl Fn(&Path)) -> String {
    let copy = copy_of_tiny();
    change(copy.path());
    let error = open(copy.path()).unwrap_err();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn wrong_folders_are_told_by_name() {
    let remove =
        |file: &'static str| move |folder: &Path| fs::remove_file(folder.join(file)).unwrap();
    let change =
        |file: &'static str, to: Value| move |folder: &Path| set(folder.join(file), to.clone());
    let weights = |f: fn(&str, TensorData) -> Option<(String, TensorData)>| {
        move |folder: &Path| rewrite(folder, Precision::F32, f)
    };
    type Change = Box<dyn Fn(&Path)>;
    let cases: Vec<(Change, &[&str])> = vec![
        (
            Box::new(|folder| fs::remove_dir_all(folder).unwrap()),
            &["cannot read"],
        ),
        (Box::new(remove("config.json")), &["no config.json in"]),
        (
            Box::new(remove("tokenizer.json")),
            &["no tokenizer.json in"],
        ),
        (
            Box::new(remove("model.safetensors")),
            &["no model.safetensors in"],
        ),
        (
            Box::new(remove("1_Pooling/config.json")),
            &["cannot read", "1_Pooling"],
        ),
        (
            Box::new(|folder| fs::write(folder.join("config.json"), "{\"hidden").unwrap()),
            &["config.json", "line 1"],
        ),
        (
            Box::new(change("config.json", json!({"hidden_size": null}))),
            &["`hidden_size`"],
        ),
        (
            Box::new(change("config.json", json!({"model_type": "t5"}))),
            &["architecture `t5`"],
        ),
        (
            Box::new(change("config.json", json!({"hidden_act": "mish"}))),
            &["`mish`"],
        ),
        (
            Box::new(change("config.json", json!({"num_attention_heads": 5}))),
            &["num_attention_heads"],
        ),
        (
            Box::new(change("config.json", json!({"hidden_size": 0}))),
            &["`hidden_size`", "is 0"],
        ),
        (
            Box::new(change(
                "config.json",
                json!({"position_embedding_type": "relative_key"}),
            )),
            &["`relative_key`"],
        ),
        (
            Box::new(change("config.json", json!({"vocab_size": 60}))),
            &["word_embeddings.weight", "[103, 32]", "[60, 32]"],
        ),
        (
            Box::new(change("config.json", json!({"intermediate_size": 65}))),
            &["encoder.layer.0.intermediate.dense.bias", "[64]", "[65]"],
        ),
        (
            Box::new(change("config.json", json!({"num_hidden_layers": 3}))),
            &["no tensor `encoder.layer.2.attention.self.query.bias`"],
        ),
        (
            Box::new(weights(|name, data| {
                (name != "encoder.layer.1.output.dense.bias").then(|| (name.to_owned(), data))
            })),
            &[
                "no tensor `encoder.layer.1.output.dense.bias`",
                "model.safetensors",
            ],
        ),
        (
            Box::new(change(
                "1_Pooling/config.json",
                json!({"pooling_mode": "median"}),
            )),
            &["pooling mode `median`"],
        ),
        (
            Box::new(|folder| {
                let modules = json!([{"path": "", "type": "sentence_transformers.models.Transformer"},
                    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                    {"path": "2_LSTM", "type": "sentence_transformers.models.LSTM"}]);
                fs::write(folder.join("modules.json"), modules.to_string()).unwrap();
            }),
            &["sentence_transformers.models.LSTM", "modules.json"],
        ),
        (
            Box::new(|folder| {
                let modules = json!([{"path": "../other", "type": "Transformer"}]);
                fs::write(folder.join("modules.json"), modules.to_string()).unwrap();
            }),
            &["`../other`", "modules.json"],
        ),
    ];
    for (change, parts) in cases {
        let error = error_after(change);
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in `{error}`");
        }
    }
}

#[test]
fn a_token_without_an_embedding_matters_only_to_a_text_that_has_it() {
    let copy = copy_of_tiny();
    let path = copy.path().join("tokenizer.json");
    let mut tokenizer = read_json(&path);
    tokenizer["model"]["vocab"]["another"] = json!(103);
    fs::write(path, tokenizer.to_string()).unwrap();
    let embedder = open(copy.path()).unwrap();
    let (texts, expected) = tiny_expected();
    assert_close(&embed(&embedder, &texts), &expected, 1e-5);
    let error = embedder.embed(&["another"]).unwrap_err().to_string();
    for part in ["`another`", "id 103", "103 token embeddings"] {
        assert!(error.contains(part), "`{part}` is not in `{error}`");
    }
}

#[test]
fn truncated_weights_are_told_at_opening() {
    let whole = fs::read(fixtures().join("bert").join(SINGLE)).unwrap();
    for length in [0, 4, 8, 100, 5_000, whole.len() - 1] {
        let error = error_after(|folder| fs::write(folder.join(SINGLE), &whole[..length]).unwrap());
        assert!(
            error.contains("is not a whole safetensors file"),
            "{length} bytes: {error}"
        );
    }
}
