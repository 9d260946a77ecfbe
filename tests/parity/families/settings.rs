//! `config.json` with values that no model here has: each is named, and none ends in a panic.

use burn::tensor::{Device, Int, Tensor};
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::safetensors_file::TensorFile;
use rarebit_models::{BackboneConfig, CONFIG};
use serde_json::{Value, json};

use super::super::fixture::path;
use super::fixture::Variant;

/// What loading a variant says once its settings are changed so.
fn refusal(variant: &str, changes: &Value) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let original = path("families").join(variant);
    let weights = "model.safetensors";
    std::fs::copy(original.join(weights), folder.path().join(weights)).expect("copied");
    let mut config = read(&original.join(CONFIG));
    for (key, value) in changes.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    std::fs::write(folder.path().join(CONFIG), config.to_string()).expect("written");
    let Err(error) = CausalLm::load(folder.path(), &Device::flex()) else {
        panic!("{variant} is read with {changes}");
    };
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let told: Vec<String> = causes.map(ToString::to_string).collect();
    told.join(": ")
}

fn read(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn unknown_architectures_and_values_are_named() {
    let rope = |rope: Value| json!({ "rope_parameters": rope });
    for (variant, changes, parts) in [
        (
            "llama3",
            json!({"model_type": "llama4"}),
            &["the architecture `llama4`", "known: llama"][..],
        ),
        (
            "llama3",
            json!({"model_type": null}),
            &["`model_type` is absent"],
        ),
        (
            "llama3",
            json!({"hidden_act": "sine"}),
            &["the activation \"sine\""],
        ),
        (
            "llama3",
            json!({"hidden_size": "wide"}),
            &["`hidden_size`", "\"wide\""],
        ),
        ("llama3", json!({"vocab_size": -1}), &["`vocab_size`", "-1"]),
        (
            "llama3",
            json!({"vocab_size": null}),
            &["`vocab_size`", "null"],
        ),
        (
            "llama3",
            json!({"num_hidden_layers": 0}),
            &["`num_hidden_layers`", "is 0"],
        ),
        (
            "llama3",
            json!({"num_hidden_layers": 1_000_000_000_000u64}),
            &["`num_hidden_layers`", "1000000000000, more than"],
        ),
        (
            "llama3",
            json!({"intermediate_size": u64::MAX}),
            &["`intermediate_size`", "more than"],
        ),
        (
            "llama3",
            json!({"num_attention_heads": 3, "head_dim": null}),
            &["`num_attention_heads`", "3 does not divide"],
        ),
        (
            "llama3",
            json!({"num_key_value_heads": 3}),
            &["`num_key_value_heads`", "3 does not divide"],
        ),
        (
            "llama3",
            json!({"head_dim": 5}),
            &["`head_dim`", "need an even number"],
        ),
        (
            "llama3",
            json!({"is_causal": false}),
            &["`is_causal`: false"],
        ),
        (
            "llama3",
            json!({"quantization_config": {"quant_method": "gptq"}}),
            &["quantized by `gptq`", "`quantization_config`"],
        ),
        (
            "llama3",
            rope(json!({"rope_type": "dynamic", "factor": 2.0})),
            &["the rope type `dynamic`"],
        ),
        (
            "llama3",
            rope(json!({"rope_type": "linear"})),
            &["`rope_parameters`", "no `factor`"],
        ),
        (
            "llama31",
            rope(json!({"rope_type": "llama3", "factor": 8.0})),
            &["`rope_parameters`", "low_freq_factor"],
        ),
        (
            "qwen3",
            json!({"layer_types": ["full_attention", "chunked_attention"]}),
            &["the layer type `chunked_attention`"],
        ),
        (
            "qwen3",
            json!({"layer_types": ["full_attention"]}),
            &["`layer_types`", "1 of 2 layers"],
        ),
        (
            "smollm3",
            json!({"no_rope_layers": [1]}),
            &["`no_rope_layers`", "1 of 3 layers"],
        ),
        (
            "gemma3",
            json!({"use_bidirectional_attention": true}),
            &["`use_bidirectional_attention`: true"],
        ),
        (
            "gemma2",
            json!({"hidden_activation": "relu7"}),
            &["the activation \"relu7\""],
        ),
        (
            "phi3_long",
            rope(
                json!({"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0, 2.0]}),
            ),
            &["`short_factor`", "1 numbers, not 2"],
        ),
        (
            "phi4_mini",
            rope(json!({"partial_rotary_factor": 3.0})),
            &["`partial_rotary_factor`", "24 dimensions of 8"],
        ),
        (
            "gpt2",
            json!({"n_embd": 18}),
            &["`n_head`", "does not divide n_embd 18"],
        ),
        (
            "gpt2",
            json!({"n_embd": u64::MAX}),
            &["`n_embd`", "more than"],
        ),
        (
            "gpt2",
            json!({"activation_function": "sine"}),
            &["`activation_function`", "sine"],
        ),
        (
            "gpt2",
            json!({"add_cross_attention": true}),
            &["`add_cross_attention`: true"],
        ),
    ] {
        let error = refusal(variant, &changes);
        for part in parts {
            assert!(error.contains(part), "{variant}: {part} is not in {error}");
        }
        assert!(error.contains(CONFIG) && !error.contains('\n'), "{error}");
    }
}

/// Every setting of every family with values of every kind: the model is refused, or it computes.
#[test]
fn no_value_of_any_setting_ends_in_a_panic() {
    let strange = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1),
        json!(3),
        json!(1u64 << 40),
        json!(u64::MAX),
        json!(-1e300),
        json!(1e300),
        json!("x"),
        json!(true),
        json!([]),
        json!([1, 2]),
        json!({}),
        json!({"rope_type": "yarn", "factor": 0, "original_max_position_embeddings": -1}),
    ];
    let device = Device::flex();
    let ids = || Tensor::<2, Int>::from_data([[1, 5, 9]], &device);
    let (mut refused, mut computed, mut unmoved) = (0, 0, 0);
    for variant in Variant::all() {
        let file = TensorFile::open(variant.folder()).expect("weights");
        for spelling in [CONFIG, "config.hub.json"] {
            let path = variant.folder().join(spelling);
            let config = read(&path);
            let usual = BackboneConfig::from_json(&path, &config).expect("settings");
            for place in places(&config) {
                for value in &strange {
                    let mut changed = config.clone();
                    *changed.pointer_mut(&place).expect("a place") = value.clone();
                    let changed = BackboneConfig::from_json(&path, &changed);
                    if changed.as_ref().is_ok_and(|changed| *changed == usual) {
                        unmoved += 1;
                        continue;
                    }
                    let model =
                        changed.and_then(|config| CausalLm::from_tensors(&file, config, &device));
                    match model {
                        Err(error) => {
                            assert!(!error.to_string().contains('\n'), "{place}: {error}");
                            refused += 1;
                        }
                        Ok(model) => {
                            model.forward(ids(), None, None);
                            computed += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{refused} refused, {computed} computed, {unmoved} change nothing");
    assert!(refused > 1_000 && computed > 100 && unmoved > 100);
}

/// JSON pointers to every value of an object, those within objects and lists included.
fn places(value: &Value) -> Vec<String> {
    let below = |name: String, value: &Value| {
        let inner = places(value)
            .into_iter()
            .map(|place| format!("/{name}{place}"));
        std::iter::once(format!("/{name}"))
            .chain(inner)
            .collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| below(name.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(i, value)| below(i.to_string(), value))
            .collect(),
        _ => Vec::new(),
    }
}
