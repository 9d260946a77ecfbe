//! Adapters that peft trained (`adapters.py`), on every kind of base and with every setting that is
//! read: the logits are peft's, what is written is peft's, and a merged model is the same model.

use burn::tensor::{Bool, Device, Int, Tensor};
use rarebit_models::ModelError;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::{
    ADAPTER_CONFIG, ADAPTER_MODEL, Adaptable, LoraConfig, TargetModules, read_adapter_config,
};
use rarebit_models::safetensors_file::{Precision, TensorFile, save};
use rarebit_models::sequence_classifier::SequenceClassifier;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixture::{self, TOLERANCE, Tensors, assert_close, path, values};

/// The folder of the adapters, and that of a base each.
const LANGUAGE_MODELS: [(&str, &str); 9] = [
    ("pattern", "losses/policy"),
    ("all", "losses/policy"),
    ("blocks", "losses/policy"),
    ("conv1d", "adapters/gpt2"),
    ("tied_both", "adapters/tied"),
    ("tied_kept", "adapters/tied"),
    ("tied_embedding", "adapters/tied"),
    ("tied_head", "adapters/tied"),
    ("tied_gpt2", "adapters/gpt2"),
];

fn adapter(case: &str) -> std::path::PathBuf {
    path("adapters").join(case)
}

fn adapted(case: &str, base: &str, device: &Device) -> CausalLm {
    let base = CausalLm::load(&path(base), device).expect("a base");
    let (model, _) = base.with_adapter(&adapter(case)).expect("it fits");
    model
}

fn reward(device: &Device) -> SequenceClassifier {
    let base = path("losses/policy");
    let (model, _) =
        SequenceClassifier::load_with_adapter(&base, &adapter("reward"), device).expect("it fits");
    model
}

fn ids(case: &str, device: &Device) -> Tensor<2, Int> {
    let tensors = Tensors::read(&path("adapters/logits.safetensors"));
    tensors.i64(&format!("{case}.input_ids")).ids(device)
}

fn expected(case: &str) -> Vec<f32> {
    let tensors = Tensors::read(&path("adapters/logits.safetensors"));
    tensors.f32(&format!("{case}.logits")).values
}

fn logits(model: &CausalLm, case: &str) -> Vec<f32> {
    let hidden = model.forward(ids(case, &model.device()), None, None);
    let [rows, seq, width] = hidden.dims();
    values(model.logits(hidden.reshape([rows * seq, width])))
}

fn rewards(model: &SequenceClassifier, device: &Device) -> Vec<f32> {
    let ids = ids("reward", device);
    let mask = Tensor::<2, Bool>::full(ids.dims(), true, device);
    values(model.logits(ids, mask))
}

#[test]
fn an_adapted_model_computes_what_peft_computes() {
    let device = Device::flex();
    for (case, base) in LANGUAGE_MODELS {
        let model = adapted(case, base, &device);
        assert_close(case, &logits(&model, case), &expected(case), TOLERANCE);
        let merged = model.merge_lora();
        let what = format!("{case}, merged");
        assert_close(&what, &logits(&merged, case), &expected(case), TOLERANCE);
    }
    let model = reward(&device);
    let found = rewards(&model, &device);
    assert_close("reward", &found, &expected("reward"), TOLERANCE);
    let merged = rewards(&model.merge_lora(), &device);
    assert_close("reward, merged", &merged, &expected("reward"), TOLERANCE);
}

/// The tensors are the same to the bit, under the same names; the settings say the same where peft
/// and rarebit both say something.
#[test]
fn a_saved_adapter_is_pefts_folder() {
    let device = Device::flex();
    for (case, base) in LANGUAGE_MODELS {
        let saved = saved(&adapted(case, base, &device));
        compare(case, &saved);
        let again = CausalLm::load(&path(base), &device).expect("a base");
        let (again, _) = again.with_adapter(saved.path()).expect("read back");
        let model = adapted(case, base, &device);
        assert_eq!(logits(&again, case), logits(&model, case), "{case}");
    }
    compare("reward", &saved(&reward(&device)));
}

fn saved<M: Adaptable>(model: &M) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    model
        .save_adapter(folder.path(), "base", Precision::F32)
        .expect("written");
    folder
}

fn compare(case: &str, saved: &TempDir) {
    let (ours, theirs) = (
        Tensors::read(&saved.path().join(ADAPTER_MODEL)),
        Tensors::read(&adapter(case).join(ADAPTER_MODEL)),
    );
    assert_eq!(ours.names(), theirs.names(), "{case}");
    for name in theirs.names() {
        assert_eq!(ours.f32(&name), theirs.f32(&name), "{case}: {name}");
    }
    let settings = std::fs::read(saved.path().join(ADAPTER_CONFIG)).expect("settings");
    let settings: serde_json::Map<String, Value> = serde_json::from_slice(&settings).expect("JSON");
    let theirs: Value = fixture::json(&format!("adapters/{case}/{ADAPTER_CONFIG}"));
    for (key, value) in settings {
        // peft writes a lone pattern as such.
        let same = value == theirs[&key] || value == json!([theirs[&key]]);
        assert!(same, "{case}: {key}: {value}");
    }
}

#[test]
fn what_is_trained_whole_has_a_gradient_and_the_rest_has_none() {
    let device = Device::flex().autodiff();
    for (case, base) in LANGUAGE_MODELS {
        let model = adapted(case, base, &device);
        let trained = model.trained_tensors();
        let file = TensorFile::open(adapter(case).join(ADAPTER_MODEL)).expect("an adapter");
        let mut names: Vec<String> = trained
            .iter()
            .map(|(name, _)| format!("base_model.model.{name}"))
            .collect();
        // One weight under two names in the file.
        names.extend((case == "tied_kept").then(|| "base_model.model.lm_head.weight".to_owned()));
        names.sort();
        assert_eq!(names, file.names().collect::<Vec<_>>(), "{case}");

        let hidden = model.forward(ids(case, &device), None, None);
        let [rows, seq, width] = hidden.dims();
        let loss = model.logits(hidden.reshape([rows * seq, width])).square();
        let gradients = burn::optim::GradientsParams::from_grads(loss.mean().backward(), &model);
        assert_eq!(gradients.len(), trained.len(), "{case}");
    }
}

/// A checkpoint of a run holds what is trained, and gives it back under the same parameter ids.
#[test]
fn trained_tensors_are_read_back() {
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("state.safetensors");
    for (case, base) in LANGUAGE_MODELS {
        let model = adapted(case, base, &device);
        let trained = model.trained_tensors();
        save(&file, &trained, Precision::F32, &Default::default()).expect("written");
        let fresh = CausalLm::load(&path(base), &device).expect("a base");
        let config = read_adapter_config(&adapter(case)).expect("settings");
        let fresh = fresh.with_lora(&config).expect("it fits");
        let (before, plain) = (parameter_ids(&fresh), logits(&fresh, case));
        assert_ne!(plain, logits(&model, case), "{case}");
        let state = TensorFile::open(&file).expect("read");
        let restored = fresh.with_trained_tensors(&state).expect("fits");
        assert_eq!(logits(&restored, case), logits(&model, case), "{case}");
        assert_eq!(parameter_ids(&restored), before, "{case}");
    }
}

/// GPT-2's own checkpoints put nothing before their keys; a run's do.
#[test]
fn a_whole_model_is_read_back_under_the_ids_it_had() {
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = TensorFile::open(path("adapters/gpt2")).expect("weights");
    let bare: Vec<_> = file
        .names()
        .map(|name| {
            let bare = name.strip_prefix("transformer.").unwrap_or(name);
            (bare.to_owned(), file.data(name).expect("values"))
        })
        .collect();
    let write = |name: &str, tensors: &[(String, _)]| {
        let none = Default::default();
        save(&folder.path().join(name), tensors, Precision::F32, &none).expect("written");
    };
    write("model.safetensors", &bare);
    let config = "config.json";
    std::fs::copy(
        path("adapters/gpt2").join(config),
        folder.path().join(config),
    )
    .expect("copied");
    let model = CausalLm::load(folder.path(), &device).expect("a model");
    let same = CausalLm::load(&path("adapters/gpt2"), &device).expect("a model");
    assert_eq!(logits(&model, "conv1d"), logits(&same, "conv1d"));

    write("state.safetensors", &model.trained_tensors());
    let state = TensorFile::open(folder.path().join("state.safetensors")).expect("read");
    let again = model.clone().with_trained_tensors(&state).expect("fits");
    assert_eq!(parameter_ids(&again), parameter_ids(&model));
    assert_eq!(logits(&again, "conv1d"), logits(&model, "conv1d"));
}

fn parameter_ids(model: &CausalLm) -> Vec<burn::module::ParamId> {
    struct Collect(Vec<burn::module::ParamId>);
    impl burn::module::ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    let mut collect = Collect(Vec::new());
    burn::module::Module::visit(model, &mut collect);
    collect.0
}

/// peft's rules for names: `targets` mean these layers of the block 0, of all of the model's two.
#[test]
fn layers_are_chosen_as_peft_chooses_them() {
    let names =
        |names: &[&str]| TargetModules::Names(names.iter().map(|n| (*n).to_owned()).collect());
    let word = |word: &str| TargetModules::Word(word.to_owned());
    let all = LoraConfig {
        r: 1,
        ..LoraConfig::default()
    };
    let device = Device::flex();
    let base = CausalLm::load(&path("losses/policy"), &device).expect("a base");
    for (config, expected) in [
        (all.clone(), 14),
        (
            LoraConfig {
                target_modules: word("All-Linear"),
                ..all.clone()
            },
            14,
        ),
        (
            LoraConfig {
                target_modules: names(&["q_proj", "lm_head"]),
                ..all.clone()
            },
            3,
        ),
        (
            LoraConfig {
                target_modules: names(&["proj"]),
                ..all.clone()
            },
            0,
        ),
        (
            LoraConfig {
                target_modules: names(&["mlp.down_proj"]),
                ..all.clone()
            },
            2,
        ),
        (
            LoraConfig {
                target_modules: names(&["model.layers.1.mlp.down_proj"]),
                ..all.clone()
            },
            1,
        ),
        (
            LoraConfig {
                target_modules: word("q_proj"),
                ..all.clone()
            },
            0,
        ),
        (
            LoraConfig {
                target_modules: word(r".*\.q_proj"),
                ..all.clone()
            },
            2,
        ),
        (
            LoraConfig {
                target_modules: word(r".*(q_proj|head)"),
                ..all.clone()
            },
            3,
        ),
        (
            LoraConfig {
                target_modules: word(r"(?!.*mlp)model\.layers.*proj"),
                ..all.clone()
            },
            8,
        ),
        (
            LoraConfig {
                exclude_modules: Some(names(&["mlp.up_proj", "o_proj"])),
                ..all.clone()
            },
            10,
        ),
        (
            LoraConfig {
                exclude_modules: Some(word(r".*\.0\..*")),
                ..all.clone()
            },
            7,
        ),
        (
            LoraConfig {
                target_modules: names(&["q_proj", "model.layers.0.mlp.up_proj"]),
                layers_to_transform: Some(vec![1]),
                ..all.clone()
            },
            2,
        ),
        (
            LoraConfig {
                target_modules: names(&["q_proj"]),
                layers_to_transform: Some(vec![0, 1]),
                layers_pattern: Some(vec!["h".to_owned()]),
                ..all.clone()
            },
            0,
        ),
        (
            LoraConfig {
                target_modules: names(&["q_proj", "lm_head"]),
                modules_to_save: Some(vec!["lm_head".to_owned()]),
                ..all.clone()
            },
            2,
        ),
    ] {
        let found = base.clone().with_lora(&config);
        let adapters = found.map(|model| {
            let trained = model.trained_tensors();
            trained
                .iter()
                .filter(|(name, _)| name.contains("lora_A"))
                .count()
        });
        match adapters {
            Ok(found) => assert_eq!(found, expected, "{config:?}"),
            Err(error) => {
                assert_eq!(expected, 0, "{config:?}: {error}");
                assert!(error.to_string().contains("no layer matches"), "{error}");
            }
        }
    }
}

#[test]
fn settings_that_mean_nothing_here_are_named() {
    let device = Device::flex();
    let untied = CausalLm::load(&path("losses/policy"), &device).expect("a base");
    let all = LoraConfig::default();
    let word = |word: &str| TargetModules::Word(word.to_owned());
    let saves = |module: &str| Some(vec![module.to_owned()]);
    let pattern = |value: Value| serde_json::Map::from_iter([("q_proj".to_owned(), value)]);
    for (model, config, parts) in [
        (
            &untied,
            LoraConfig {
                r: 0,
                ..all.clone()
            },
            &["`r`", "must be at least 1"][..],
        ),
        (
            &untied,
            LoraConfig {
                target_modules: word("(q_proj"),
                ..all.clone()
            },
            &[
                "`target_modules`",
                "(q_proj",
                "not a valid regular expression",
            ],
        ),
        (
            &untied,
            LoraConfig {
                target_modules: word(".*"),
                ..all.clone()
            },
            &["an adapter of the embeddings", "model.embed_tokens"],
        ),
        (
            &untied,
            LoraConfig {
                rank_pattern: pattern(json!(0)),
                ..all.clone()
            },
            &["`rank_pattern`", "0 is not a valid rank"],
        ),
        (
            &untied,
            LoraConfig {
                alpha_pattern: pattern(json!("high")),
                ..all.clone()
            },
            &["`alpha_pattern`", "`q_proj` is \"high\""],
        ),
        (
            &untied,
            LoraConfig {
                modules_to_save: saves("norm"),
                ..all.clone()
            },
            &[
                "`modules_to_save`",
                "`norm` cannot be trained in full",
                "embed_tokens",
                "lm_head",
            ],
        ),
    ] {
        let error = model
            .clone()
            .with_lora(&config)
            .expect_err("refused")
            .to_string();
        for part in parts {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
}

/// A copy of an adapter's folder with some settings changed.
fn spoilt(case: &str, changes: Value) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings: Value = fixture::json(&format!("adapters/{case}/{ADAPTER_CONFIG}"));
    for (key, value) in changes.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    std::fs::write(folder.path().join(ADAPTER_CONFIG), settings.to_string()).expect("written");
    std::fs::copy(
        adapter(case).join(ADAPTER_MODEL),
        folder.path().join(ADAPTER_MODEL),
    )
    .expect("copied");
    folder
}

#[test]
fn adapters_of_other_kinds_are_named() {
    for (changes, part) in [
        (json!({"peft_type": "LOHA"}), "`peft_type`: \"LOHA\""),
        (json!({"use_dora": true}), "`use_dora`: true"),
        (json!({"lora_bias": true}), "`lora_bias`: true"),
        (json!({"bias": "all"}), "`bias`: \"all\""),
        (
            json!({"init_lora_weights": "pissa"}),
            "`init_lora_weights`: \"pissa\"",
        ),
        (
            json!({"trainable_token_indices": [1]}),
            "`trainable_token_indices`: [1]",
        ),
        (
            json!({"layer_replication": [[0, 2]]}),
            "`layer_replication`",
        ),
        (
            json!({"a_setting_of_tomorrow": 3}),
            "`a_setting_of_tomorrow`: 3",
        ),
    ] {
        let error = read_adapter_config(spoilt("all", changes).path()).expect_err("refused");
        assert!(matches!(error, ModelError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = read_adapter_config(spoilt("all", json!({"target_modules": null})).path());
    assert!(
        error
            .expect_err("refused")
            .to_string()
            .contains("no layers are named")
    );
    for changes in [
        json!({"init_lora_weights": "gaussian"}),
        json!({"layers_to_transform": 1, "layers_pattern": []}),
        json!({"rank_pattern": null, "a_setting_of_tomorrow": false}),
    ] {
        read_adapter_config(spoilt("all", changes).path()).expect("settings");
    }
}

#[test]
fn an_adapter_that_does_not_fit_its_settings_is_refused() {
    let device = Device::flex();
    for (changes, parts) in [
        // A layer more than the file has, one less, another rank, and no module beside the adapter.
        (
            json!({"layers_to_transform": null}),
            &["no tensor", "layers.0"][..],
        ),
        (
            json!({"target_modules": ["q_proj"]}),
            &["gate_proj", "no such parameter"],
        ),
        (json!({"r": 5}), &["shape [2, 16], not [5, 16]"]),
        (
            json!({"modules_to_save": ["lm_head"]}),
            &["no tensor", "base_model.model.lm_head.weight"],
        ),
    ] {
        let base = CausalLm::load(&path("losses/policy"), &device).expect("a base");
        let folder = spoilt("blocks", changes);
        let error = base
            .with_adapter(folder.path())
            .expect_err("refused")
            .to_string();
        for part in parts {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
    // A classifier's adapter on a language model.
    let base = CausalLm::load(&path("losses/policy"), &device).expect("a base");
    let error = base.with_adapter(&adapter("reward")).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("`classifier` cannot be trained in full"),
        "{error}"
    );
}

/// The embedding and the head of a tied model part only where one of them is trained, and start
/// equal.
#[test]
fn a_new_adapter_unties_what_it_trains_unless_it_ensures_the_tie() {
    let device = Device::flex();
    let tied = CausalLm::load(&path("adapters/tied"), &device).expect("a base");
    let before = logits(&tied, "tied_both");
    let modules = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    for (saved, ensure_weight_tying, trained) in [
        (&["v_proj"][..], false, &[][..]),
        (&["embed_tokens"], false, &["model.embed_tokens.weight"]),
        (&["lm_head"], false, &["lm_head.weight"]),
        (
            &["lm_head", "embed_tokens"],
            false,
            &["model.embed_tokens.weight", "lm_head.weight"],
        ),
        (&["lm_head"], true, &["model.embed_tokens.weight"]),
        (
            &["lm_head", "embed_tokens"],
            true,
            &["model.embed_tokens.weight"],
        ),
    ] {
        let config = LoraConfig {
            target_modules: TargetModules::Names(vec!["q_proj".to_owned()]),
            modules_to_save: modules(saved),
            ensure_weight_tying,
            ..LoraConfig::default()
        };
        let model = tied.clone().with_lora(&config).expect("it fits");
        assert_eq!(logits(&model, "tied_both"), before, "{config:?}");
        let tensors = model.trained_tensors();
        let names: Vec<&str> = tensors
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !name.contains("layers"))
            .collect();
        assert_eq!(names, trained, "{config:?}");
    }
}

#[test]
fn one_weight_under_two_names_is_one_weight() {
    let device = Device::flex();
    let base = || CausalLm::load(&path("adapters/tied"), &device).expect("a base");
    // Without the setting, the two equal weights are read as two.
    let folder = spoilt(
        "tied_kept",
        json!({"ensure_weight_tying": false, "modules_to_save": ["embed_tokens", "lm_head"]}),
    );
    let (model, _) = base().with_adapter(folder.path()).expect("it fits");
    assert_eq!(model.trained_tensors().len(), 4);
    assert_close(
        "tied_kept",
        &logits(&model, "tied_kept"),
        &expected("tied_kept"),
        TOLERANCE,
    );
    // With it, two unequal weights contradict it.
    let folder = spoilt("tied_both", json!({"ensure_weight_tying": true}));
    let error = base()
        .with_adapter(folder.path())
        .expect_err("refused")
        .to_string();
    for part in ["lm_head.weight", "differs from", "`ensure_weight_tying`"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}
