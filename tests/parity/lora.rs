//! Adapters against peft (`train.py` writes the folder `train/adapter`).

use burn::module::Module;
use burn::tensor::Device;
use rarebit_models::ModelError;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::{
    ADAPTER_CONFIG, ADAPTER_MODEL, Adaptable, LoraConfig, TargetModules, read_adapter_config,
};
use rarebit_models::safetensors_file::{Precision, TensorFile, save};
use rarebit_train::{Batch, Example};
use serde_json::Value;

use super::fixture::{TOLERANCE, Tensors, assert_close, json, path, values};
use super::pairs::{PAD, examples, model};

const ADAPTER: &str = "train/adapter";

fn adapted(device: &Device) -> (CausalLm, LoraConfig) {
    model("policy", device)
        .with_adapter(&path(ADAPTER))
        .expect("an adapter that fits")
}

/// Log-probabilities of the first four pairs, chosen ones first.
fn logps(model: &CausalLm) -> Vec<f32> {
    let examples = examples();
    let batch: Vec<&Example> = examples.iter().take(4).collect();
    values(
        Batch::new(&batch, PAD, &model.device())
            .completion_logps(model)
            .logps,
    )
}

fn logits(model: &CausalLm) -> Vec<f32> {
    let examples = examples();
    let batch = Batch::new(&examples.iter().collect::<Vec<_>>(), PAD, &model.device());
    let [rows, seq] = batch.input_ids.dims();
    let hidden = model.forward(batch.input_ids, None, None);
    values(model.logits(hidden.reshape([rows * seq, model.config().hidden_size()])))
}

#[test]
fn settings_are_read_as_peft_writes_them() {
    let config = read_adapter_config(&path(ADAPTER)).expect("settings");
    assert_eq!((config.r, config.lora_alpha), (4, 8.0));
    assert_eq!(
        config.target_modules,
        TargetModules::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()])
    );
}

/// The first step of the recorded LoRA runs logs the means of exactly these.
#[test]
fn an_adapted_model_computes_what_peft_computes() {
    let runs: Value = json("train/runs.json");
    let run = runs["runs"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|run| run["train"] == "lora")
        .expect("a LoRA run");
    let found = logps(&adapted(&Device::flex()).0);
    for (key, side) in [
        ("chosen_logps", &found[..4]),
        ("rejected_logps", &found[4..]),
    ] {
        let expected = run[key][0].as_f64().expect("a number") as f32;
        assert_close(
            key,
            &[side.iter().sum::<f32>() / 4.0],
            &[expected],
            TOLERANCE,
        );
    }
    let plain = logps(&model("policy", &Device::flex()));
    assert!(
        found.iter().zip(plain).any(|(a, b)| (a - b).abs() > 0.1),
        "the adapter does something"
    );
}

#[test]
fn a_saved_adapter_is_pefts_file() {
    let (model, config) = adapted(&Device::flex());
    let folder = tempfile::tempdir().expect("a temporary folder");
    model
        .save_adapter(folder.path(), "policy", Precision::F32)
        .expect("written");

    let (ours, theirs) = (
        Tensors::read(&folder.path().join(ADAPTER_MODEL)),
        Tensors::read(&path(ADAPTER).join(ADAPTER_MODEL)),
    );
    assert_eq!(ours.names(), theirs.names());
    for name in theirs.names() {
        assert_eq!(ours.f32(&name), theirs.f32(&name), "{name}");
    }
    let settings = std::fs::read(folder.path().join(ADAPTER_CONFIG)).expect("settings");
    let settings: serde_json::Map<String, Value> = serde_json::from_slice(&settings).expect("JSON");
    let pefts: Value = json("train/adapter/adapter_config.json");
    for (key, value) in settings {
        let same = match (value.as_f64(), pefts[&key].as_f64()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => value == pefts[&key],
        };
        assert!(same, "{key}: {value} in place of {}", pefts[&key]);
    }

    let again = super::pairs::model("policy", &Device::flex())
        .with_adapter(folder.path())
        .expect("read back");
    assert_eq!(again.1, config);
    assert_eq!(logits(&again.0), logits(&model));
}

/// One product more is rounded: W + s·AB in place of xW + s·(xA)B.
#[test]
fn merging_changes_nothing_but_rounding() {
    let (model, _) = adapted(&Device::flex());
    let expected = logits(&model);
    let merged = model.merge_lora();
    assert_close("merged", &logits(&merged), &expected, TOLERANCE);
    assert_eq!(
        merged.trained_tensors().len(),
        merged.named_tensors().len(),
        "a merged model is a plain one: all of it can be trained"
    );
}

/// `lora_dropout`, as `attach` leaves it among frozen layers; how much is dropped is tested beside
/// the layer.
#[test]
fn an_adapters_dropout_is_drawn_in_training_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in [ADAPTER_CONFIG, ADAPTER_MODEL] {
        let from = path(ADAPTER).join(name);
        std::fs::copy(from, folder.path().join(name)).expect("copied");
    }
    let settings = folder.path().join(ADAPTER_CONFIG);
    let text = std::fs::read_to_string(&settings).expect("settings");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["lora_dropout"] = 0.5.into();
    std::fs::write(&settings, config.to_string()).expect("written");

    let load = |device: &Device| {
        let (model, config) = model("policy", device)
            .with_adapter(folder.path())
            .expect("an adapter that fits");
        assert_eq!(config.lora_dropout, 0.5);
        model
    };
    let expected = logits(&adapted(&Device::flex()).0);
    assert_eq!(logits(&load(&Device::flex())), expected);
    let training = load(&Device::flex().autodiff());
    let first = logits(&training);
    assert_ne!(first, expected);
    assert_ne!(first, logits(&training));
}

#[test]
fn a_fresh_adapter_changes_nothing_and_is_all_that_is_trained() {
    let device = Device::flex().autodiff();
    let plain = model("policy", &device);
    let expected = logits(&plain);
    for (targets, layers) in [
        (
            TargetModules::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]),
            2,
        ),
        (TargetModules::Word("all-linear".to_owned()), 7),
    ] {
        let config = LoraConfig {
            r: 3,
            lora_alpha: 6.0,
            target_modules: targets,
            ..LoraConfig::default()
        };
        let model = plain
            .clone()
            .with_lora(&config)
            .expect("layers of these names");
        assert_eq!(logits(&model), expected, "B is 0");
        let trained = model.trained_tensors();
        assert_eq!(trained.len(), 2 * 2 * layers);
        for (name, data) in &trained {
            let values: Vec<f32> = data.try_to_vec().expect("f32");
            assert_eq!(
                values.iter().all(|value| *value == 0.0),
                name.contains("lora_B"),
                "{name}"
            );
            // Kaiming uniform with a = √5: A is within ±1/√in.
            let bound = 1.0 / (data.shape()[1] as f32).sqrt();
            assert!(
                !name.contains("lora_A") || values.iter().all(|value| value.abs() <= bound),
                "{name}"
            );
        }

        let examples = examples();
        let batch = Batch::new(&examples.iter().collect::<Vec<_>>(), PAD, &device);
        let loss = batch.completion_logps(&model).logps.sum();
        let gradients = burn::optim::GradientsParams::from_grads(loss.backward(), &model);
        assert_eq!(
            gradients.len(),
            trained.len(),
            "a frozen weight has no gradient"
        );
    }
    assert_eq!(
        plain.num_params(),
        plain
            .named_tensors()
            .iter()
            .map(|(_, data)| data.num_elements())
            .sum::<usize>()
    );
}

#[test]
fn trained_tensors_are_read_back() {
    let device = Device::flex();
    let (model, config) = adapted(&device);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("state.safetensors");
    for model in [model, super::pairs::model("policy", &device)] {
        let (precision, none) = (Precision::F32, std::collections::BTreeMap::new());
        save(&file, &model.trained_tensors(), precision, &none).expect("written");
        let state = TensorFile::open(&file).expect("read");
        let blank = super::pairs::model("reference", &device);
        let base = super::pairs::model("policy", &device);
        let restored = match model.trained_tensors().len() == model.named_tensors().len() {
            true => blank.with_trained_tensors(&state),
            false => base
                .with_lora(&config)
                .and_then(|model| model.with_trained_tensors(&state)),
        };
        assert_eq!(logits(&restored.expect("fits")), logits(&model));
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let device = Device::flex();
    // The adapter is for hidden size 16.
    let wider = CausalLm::load(&path("llama"), &device).expect("a model folder");
    assert!(matches!(
        wider.with_adapter(&path(ADAPTER)),
        Err(ModelError::Shape { .. })
    ));

    let config = LoraConfig {
        r: 2,
        lora_alpha: 4.0,
        target_modules: TargetModules::Names(vec!["query".to_owned()]),
        ..LoraConfig::default()
    };
    assert!(matches!(
        model("policy", &device).with_lora(&config),
        Err(ModelError::Setting { .. })
    ));
    assert!(
        model("policy", &device)
            .with_adapter(&path("llama"))
            .is_err(),
        "no adapter there"
    );
}
