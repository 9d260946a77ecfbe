//! Adapters: what they compute, merged and not, and ten steps of training them.

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::{
    ADAPTER_MODEL, Adaptable, LoraConfig, TargetModules, read_adapter_config,
};
use rarebit_models::safetensors_file::Precision;

use super::super::fixture::{TOLERANCE, Tensors, assert_close};
use super::fixture::{Variant, sides};
use super::logits::of_batch;
use super::steps::{self, Kind};

pub(super) fn compare(variant: &Variant, device: &Device) -> f32 {
    let worst = logits(variant, device);
    all_linear_layers_are_pefts(variant, device);
    a_saved_adapter_is_pefts_file(variant, device);
    let error = steps::compare(variant, Kind::Lora, device, &mut |objective, model| {
        if objective == "ddpo" {
            trained_parameters(variant, model);
        }
    });
    worst.max(error)
}

/// Logits under the adapter, and of the model that it is folded into.
pub(super) fn logits(variant: &Variant, device: &Device) -> f32 {
    let io = variant.tensors("io.safetensors");
    let adapted = variant.adapted(device);
    let merged = adapted.clone().merge_lora();
    let mut worst = 0f32;
    for (key, model) in [("adapter.logits", &adapted), ("merged.logits", &merged)] {
        for batch in sides(&io, "") {
            let what = format!("{}, {}: {key}", variant.name, batch.side);
            let expected = io.f32(key).values;
            let error = assert_close(&what, &of_batch(model, &batch), &expected, TOLERANCE);
            worst = worst.max(error);
        }
    }
    worst
}

/// `all-linear` takes the layers that it takes in peft.
fn all_linear_layers_are_pefts(variant: &Variant, device: &Device) {
    let config = LoraConfig {
        target_modules: TargetModules::Word("all-linear".to_owned()),
        ..read_adapter_config(&variant.adapter()).expect("settings")
    };
    let fresh = variant.model(device).with_lora(&config);
    let fresh = fresh.expect("linear layers").trained_tensors();
    let mut names: Vec<String> = (fresh.into_iter())
        .map(|(name, _)| format!("base_model.model.{name}"))
        .collect();
    names.sort();
    let pefts = Tensors::read(&variant.adapter().join(ADAPTER_MODEL));
    assert_eq!(names, pefts.names(), "{}", variant.name);
}

fn a_saved_adapter_is_pefts_file(variant: &Variant, device: &Device) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = variant.adapted(device);
    model
        .save_adapter(folder.path(), &variant.name, Precision::F32)
        .expect("written");
    let read = |folder: &std::path::Path| Tensors::read(&folder.join(ADAPTER_MODEL));
    let (ours, theirs) = (read(folder.path()), read(&variant.adapter()));
    assert_eq!(ours.names(), theirs.names(), "{}", variant.name);
    for name in theirs.names() {
        assert_eq!(ours.f32(&name), theirs.f32(&name), "{name}");
    }
}

/// Ten steps of 1e-3 move a parameter by up to 1e-2.
fn trained_parameters(variant: &Variant, model: &CausalLm) {
    let expected = variant.tensors("trained.safetensors");
    let (mut found, mut wanted) = (Vec::new(), Vec::new());
    for (name, data) in model.trained_tensors() {
        found.extend(data.try_to_vec::<f32>().expect("f32"));
        wanted.extend(
            expected
                .f32(&format!("lora.base_model.model.{name}"))
                .values,
        );
    }
    let what = format!("{}: adapter after ten steps of DDPO", variant.name);
    assert_close(&what, &found, &wanted, TOLERANCE);
}
