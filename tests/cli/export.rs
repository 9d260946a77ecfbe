//! `rarebit export`: a trained adapter merged, copied, in every precision and in shards, read back
//! and compared with what it came from.
//!
//! With RAREBIT_EXPORTS set to a folder, what is written stays there for `tests/parity/export.py`,
//! which loads it with peft and transformers and compares it with rarebit's own logits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::Adaptable;
use rarebit_models::safetensors_file::{INDEX, Precision, SINGLE, TensorFile, save};
use rarebit_models::sequence_classifier::SequenceClassifier;
use serde_json::Value;

use super::sandbox::{Sandbox, assert_holds, policy};

/// Known to every model here.
const IDS: [i64; 8] = [1, 34, 7, 23, 39, 17, 14, 5];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}

fn ids() -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(IDS.to_vec(), [1, 8]), &Device::flex())
}

/// The logits of the model in a folder; of an adapter, on this base.
fn logits(base: &Path, adapter: Option<&Path>) -> Vec<f32> {
    let mut model = CausalLm::load(base, &Device::flex()).expect("a model");
    if let Some(adapter) = adapter {
        (model, _) = model.with_adapter(adapter).expect("an adapter that fits");
    }
    let hidden = model.forward(ids(), None, None);
    let logits = model.logits(hidden.squeeze_dim(0));
    logits.into_data().try_to_vec().expect("f32")
}

fn rewards(model: &SequenceClassifier) -> Vec<f32> {
    let mask = Tensor::<2, Bool>::full([1, 8], true, &Device::flex());
    let logits = model.logits(ids(), mask);
    logits.into_data().try_to_vec().expect("f32")
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs() / b.abs().max(1.0))
        .fold(0.0, f32::max);
    assert!(worst <= tolerance, "off by {worst:.1e}");
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// Keeps a folder and the logits it should have for the check in Python, under a family's name.
fn keep(sandbox: &Sandbox, family: &str, folder: &str, base: Option<&Path>, logits: &[f32]) {
    let Some(kept) = std::env::var_os("RAREBIT_EXPORTS").map(PathBuf::from) else {
        return;
    };
    let kept = kept.join(family);
    let to = kept.join(folder);
    fs::create_dir_all(&to).expect("a folder");
    for entry in fs::read_dir(sandbox.path(folder))
        .expect("a folder")
        .flatten()
    {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    let tensors = [(
        "logits".to_owned(),
        TensorData::new(logits.to_vec(), [logits.len()]),
    )];
    let base = base.map_or(String::new(), |base| base.display().to_string());
    let metadata = BTreeMap::from([
        ("base".to_owned(), base),
        ("ids".to_owned(), format!("{IDS:?}")),
    ]);
    let path = kept.join(format!("{folder}.logits"));
    save(&path, &tensors, Precision::F32, &metadata).expect("written");
}

/// An adapter with a head trained whole, trained by the program itself.
fn train_adapter(sandbox: &Sandbox) {
    sandbox.write_pairs("pairs.jsonl", 8, 3);
    sandbox.succeeds(&format!(
        "train --objective ddpo --model-name-or-path {} --train-file pairs.jsonl --output-dir run \
         --max-steps 4 --learning-rate 2e-2 --lora-r 4 --lora-alpha 6 --use-rslora \
         --lora-target-modules .*\\.(q|k|down)_proj --lora-modules-to-save lm_head",
        policy()
    ));
}

#[test]
fn a_trained_adapter_is_merged_in_every_precision() {
    let sandbox = Sandbox::new();
    train_adapter(&sandbox);
    let (base, adapter) = (PathBuf::from(policy()), sandbox.path("run/model"));
    let settings = json(adapter.join("adapter_config.json"));
    assert_eq!(settings["target_modules"], r".*\.(q|k|down)_proj");
    assert_eq!(settings["modules_to_save"], serde_json::json!(["lm_head"]));
    let expected = logits(&base, Some(&adapter));
    let plain = logits(&base, None);
    assert!(
        expected
            .iter()
            .zip(&plain)
            .any(|(a, b)| (a - b).abs() > 0.1),
        "training did something"
    );
    keep(&sandbox, "llama", "run/model", Some(&base), &expected);

    for (dtype, tolerance) in [("float32", 1e-4), ("bfloat16", 0.2), ("float16", 0.02)] {
        let folder = format!("merged-{dtype}");
        sandbox.succeeds(&format!(
            "export run/model --merge --dtype {dtype} --output {folder}"
        ));
        let merged = sandbox.path(&folder);
        let found = logits(&merged, None);
        assert_near(&found, &expected, tolerance);
        let config = json(merged.join("config.json"));
        assert_eq!(config["dtype"], dtype);
        for file in [
            "tokenizer.json",
            "tokenizer_config.json",
            "generation_config.json",
        ] {
            assert_eq!(
                fs::read(merged.join(file)).ok(),
                fs::read(base.join(file)).ok(),
                "{file}"
            );
        }
        assert!(!merged.join("adapter_config.json").exists());
        assert_eq!(
            TensorFile::open(&merged).expect("weights").metadata()["format"],
            "pt"
        );
        keep(&sandbox, "llama", &folder, None, &found);
    }

    sandbox.succeeds("export run/model --merge --max-shard-size 20KB --output sharded");
    let sharded = sandbox.path("sharded");
    assert_near(&logits(&sharded, None), &expected, 1e-4);
    assert!(!sharded.join(SINGLE).exists());
    let index = json(sharded.join(INDEX));
    for shard in index["weight_map"].as_object().into_iter().flatten() {
        let file = sharded.join(shard.1.as_str().expect("a name"));
        assert!(
            fs::metadata(&file).expect("a shard").len() < 21_000,
            "{shard:?}"
        );
    }
    keep(&sandbox, "llama", "sharded", None, &expected);
    // Another export in its place leaves no shard behind.
    sandbox.succeeds("export run/model --merge --output sharded");
    assert!(sharded.join(SINGLE).exists() && !sharded.join(INDEX).exists());
}

/// A tiny model of a family, its tokenizer beside it.
fn copy_family(sandbox: &Sandbox, family: &str, to: &str) {
    let root = fixture("families");
    for file in ["config.json", "model.safetensors"] {
        let content = fs::read(root.join(family).join(file)).expect("the fixture");
        sandbox.write(&format!("{to}/{file}"), content);
    }
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        let content = fs::read(root.join(file)).expect("the fixture");
        sandbox.write(&format!("{to}/{file}"), content);
    }
}

/// Every family is trained by the program, as it is and by an adapter; folded in, the adapter says
/// the same. `export.py` shows the folders to transformers and peft.
#[test]
fn every_familys_adapter_is_merged() {
    let pairs: Vec<Value> = json(fixture("families/pairs.json"))
        .as_array()
        .expect("a list")
        .clone();
    let rows: Vec<String> = pairs
        .iter()
        .map(|pair| {
            let text = |key: &str| pair[key].as_str().expect("text").replace("<eos>", "");
            let [prompt, chosen, rejected] = ["prompt", "chosen", "rejected"].map(text);
            serde_json::json!({
                "prompt": prompt, "chosen": chosen, "rejected": rejected, "weight": pair["weight"],
            })
            .to_string()
        })
        .collect();
    for family in [
        "llama31",
        "mistral",
        "qwen2_window",
        "qwen3",
        "smollm3",
        "gemma2",
        "gemma3",
        "gpt2",
        "phi4_mini",
    ] {
        let sandbox = Sandbox::new();
        let base = fixture("families").join(family);
        copy_family(&sandbox, family, "base");
        sandbox.write("pairs.jsonl", rows.join("\n"));
        let train = |run: &str, more: &str| {
            sandbox.succeeds(&format!(
                "train --objective ddpo --model-name-or-path base --train-file pairs.jsonl \
                 --output-dir {run} --max-steps 2 --learning-rate 2e-2 {more}"
            ));
        };
        train("lora", "--use-peft --lora-r 2 --lora-alpha 8");
        let adapter = sandbox.path("lora/model");
        let expected = logits(&base, Some(&adapter));
        let moved = (expected.iter().zip(logits(&base, None))).any(|(a, b)| (a - b).abs() > 0.1);
        assert!(moved, "{family}: training did something");
        keep(&sandbox, family, "lora/model", Some(&base), &expected);
        sandbox.succeeds("export lora/model --merge --output merged");
        assert_near(&logits(&sandbox.path("merged"), None), &expected, 1e-4);
        keep(&sandbox, family, "merged", None, &expected);

        train("full", "");
        let trained = logits(&sandbox.path("full/model"), None);
        keep(&sandbox, family, "full/model", None, &trained);
    }
}

#[test]
fn an_adapter_is_copied_without_its_base() {
    let sandbox = Sandbox::new();
    train_adapter(&sandbox);
    let base = PathBuf::from(policy());
    let expected = logits(&base, Some(&sandbox.path("run/model")));
    sandbox.succeeds("export run/model --adapter --output copy");
    let copy = sandbox.path("copy");
    assert_eq!(logits(&base, Some(&copy)), expected);
    assert_eq!(
        fs::read(copy.join("adapter_config.json")).expect("settings"),
        fs::read(sandbox.path("run/model/adapter_config.json")).expect("settings")
    );
    assert!(copy.join("tokenizer.json").exists() && !copy.join("config.json").exists());
    sandbox.succeeds("export run/model --adapter --dtype float16 --output half");
    let half = sandbox.path("half");
    let found = logits(&base, Some(&half));
    assert_near(&found, &expected, 0.02);
    keep(&sandbox, "llama", "half", Some(&base), &found);
    let bytes = |folder: &Path| {
        fs::metadata(folder.join("adapter_model.safetensors"))
            .expect("weights")
            .len()
    };
    assert!(bytes(&half) < bytes(&copy) * 3 / 4);

    // What rarebit does not compute can still be copied.
    let mut settings = json(copy.join("adapter_config.json"));
    settings["use_dora"] = true.into();
    sandbox.write("copy/adapter_config.json", settings.to_string());
    sandbox.succeeds("export copy --adapter --output again");
    assert_eq!(
        json(sandbox.path("again/adapter_config.json"))["use_dora"],
        true
    );
    let error = sandbox.refused(1, "export copy --merge --output merged");
    assert_holds(&error, &["copy/adapter_config.json", "`use_dora`: true"]);
}

#[test]
fn a_classifiers_adapter_makes_a_classifier() {
    let sandbox = Sandbox::new();
    let base = PathBuf::from(policy());
    let adapter = fixture("adapters/reward");
    for entry in fs::read_dir(&adapter).expect("the fixture").flatten() {
        let content = fs::read(entry.path()).expect("a file");
        sandbox.write(
            &format!("reward/{}", entry.file_name().to_string_lossy()),
            content,
        );
    }
    let mut settings = json(adapter.join("adapter_config.json"));
    settings["base_model_name_or_path"] = base.display().to_string().into();
    sandbox.write("reward/adapter_config.json", settings.to_string());
    let (model, _) = SequenceClassifier::load_with_adapter(&base, &adapter, &Device::flex())
        .expect("a reward model");
    let expected = rewards(&model);
    keep(&sandbox, "llama", "reward", Some(&base), &expected);

    sandbox.succeeds("export reward --merge --output merged");
    let merged = sandbox.path("merged");
    let found = SequenceClassifier::load_reward(&merged, &Device::flex()).expect("a reward model");
    assert_near(&rewards(&found), &expected, 1e-4);
    let config = json(merged.join("config.json"));
    assert_eq!(config["architectures"][0], "LlamaForSequenceClassification");
    assert_eq!(
        config["id2label"].as_object().map(|labels| labels.len()),
        Some(1)
    );
    let names: Vec<String> = TensorFile::open(&merged)
        .expect("weights")
        .names()
        .map(str::to_owned)
        .collect();
    assert!(names.iter().any(|name| name == "score.weight"));
    assert!(!names.iter().any(|name| name == "lm_head.weight"));
    keep(&sandbox, "llama", "merged", None, &expected);

    // A classifier is exported as one, and judges whether it is whole or an adapter.
    sandbox.succeeds("export merged --dtype bfloat16 --output half");
    assert!(
        TensorFile::open(sandbox.path("half"))
            .expect("weights")
            .contains("score.weight")
    );
    sandbox.write_groups("rows.jsonl");
    let judge = |model: &str| {
        sandbox.succeeds(&format!(
            "evaluate rows.jsonl --resamples 20 --semantic builtin:lexical --reward-model {model} --output {model}.json"
        ));
        let evaluation = json(sandbox.path(&format!("{model}.json")));
        evaluation["systems"][0]["metrics"]["quality"]["mean"]
            .as_f64()
            .expect("a reward") as f32
    };
    assert_near(&[judge("merged")], &[judge("reward")], 1e-4);
}

#[test]
fn what_export_is_asked_must_make_sense() {
    let sandbox = Sandbox::new();
    let policy = policy();
    for (arguments, parts) in [
        (
            format!("{policy} --merge"),
            &["is a whole model", "no adapter to merge"][..],
        ),
        (
            format!("{policy} --adapter"),
            &["is a whole model", "no adapter to copy"],
        ),
    ] {
        let error = sandbox.refused(1, &format!("export {arguments} --output out"));
        assert_holds(&error, parts);
    }
    for (arguments, part) in [
        ("--merge --adapter", "--adapter"),
        ("--max-shard-size 5XB", "`5XB` is not a size"),
        ("--max-shard-size 0", "`0` is not a size"),
        ("--dtype int8", "'int8'"),
    ] {
        let error = sandbox.refused(2, &format!("export {policy} {arguments} --output out"));
        assert_holds(&error, &[part]);
    }
    train_adapter(&sandbox);
    let error = sandbox.refused(1, "export run/model --output out");
    assert_holds(&error, &["run/model is an adapter", "--merge", "--adapter"]);

    // A value that float16 does not have is named, and nothing is left behind.
    sandbox.copy_policy("large");
    let path = sandbox.path("large/model.safetensors");
    let file = TensorFile::open(&path).expect("weights");
    let mut tensors: Vec<_> = file
        .names()
        .map(|name| (name.to_owned(), file.data(name).expect("values")))
        .collect();
    let (name, data) = &mut tensors[3];
    let name = name.clone();
    data.as_mut_slice::<f32>().expect("f32")[1] = 1e5;
    save(&path, &tensors, Precision::F32, &file.metadata()).expect("written");
    let error = sandbox.refused(1, "export large --dtype float16 --output out");
    assert_holds(&error, &[&name, "100000, too large for float16", "out"]);
    sandbox.succeeds("export large --dtype bfloat16 --output out");
}
