//! Folders: tensors as they were written, and the configuration as transformers 5 and the hub spell it.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, TensorData};
use rarebit_models::CONFIG;
use rarebit_models::safetensors_file::{Precision, SINGLE, TensorFile, save};
use tempfile::TempDir;

use super::fixture::{Variant, load, sides};
use super::logits::of_batch;

/// The file beside `config.json` that spells it as the hub does.
const HUB_CONFIG: &str = "config.hub.json";

/// What old checkpoints hold beside parameters: GPT-2's causal mask, Llama 2's frequencies.
const BUFFERS: [(&str, &str); 2] = [
    ("transformer.h.0.ln_1.weight", "transformer.h.0.attn.bias"),
    (
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
    ),
];

pub(super) fn compare(variant: &Variant, device: &Device) -> f32 {
    let (name, folder) = (&variant.name, variant.folder());
    let file = TensorFile::open(&folder).expect("weights");
    let model = variant.model(device);
    let found: BTreeMap<String, TensorData> = model.named_tensors().into_iter().collect();
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, file.names().collect::<Vec<_>>(), "{name}");
    for (key, data) in &found {
        assert_eq!(*data, file.data(key).expect("a tensor"), "{name}: {key}");
    }

    let io = variant.tensors("io.safetensors");
    let batches = sides(&io, "");
    let logits = |folder: &Path| {
        let model = load(folder, device);
        batches.each_ref().map(|batch| of_batch(&model, batch))
    };
    let expected = logits(&folder);
    let tensors: Vec<_> = found.into_iter().collect();
    let as_on_the_hub = folder_of(&folder.join(HUB_CONFIG), &tensors);
    assert_eq!(logits(as_on_the_hub.path()), expected, "{name}: hub");
    let old = folder_of(&folder.join(HUB_CONFIG), &as_of_old(tensors));
    assert_eq!(logits(old.path()), expected, "{name}: old checkpoint");
    0.0
}

/// The tensors of a checkpoint of old: without the prefix that a head brings, where the family's
/// first one had none, and with the buffers that its modules held.
fn as_of_old(mut tensors: Vec<(String, TensorData)>) -> Vec<(String, TensorData)> {
    for (neighbour, buffer) in BUFFERS {
        if tensors.iter().any(|(name, _)| name == neighbour) {
            tensors.push((buffer.to_owned(), TensorData::new(vec![1f32; 4], [2, 2])));
        }
    }
    let without = |name: String| {
        let gpt2 = name.strip_prefix("transformer.").map(str::to_owned);
        gpt2.unwrap_or(name)
    };
    let tensors = tensors.into_iter();
    tensors.map(|(name, data)| (without(name), data)).collect()
}

/// A model folder of that configuration and those tensors.
pub(super) fn folder_of(config: &Path, tensors: &[(String, TensorData)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(config, folder.path().join(CONFIG)).expect("a configuration");
    let weights = folder.path().join(SINGLE);
    save(&weights, tensors, Precision::F32, &BTreeMap::new()).expect("weights are written");
    folder
}
