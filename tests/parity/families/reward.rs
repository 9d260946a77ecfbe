//! Classifiers: the decoder with `score.weight` in the place of its head.

use burn::tensor::{Device, TensorData};
use rarebit_models::CONFIG;
use rarebit_models::sequence_classifier::SequenceClassifier;
use tempfile::TempDir;

use super::super::fixture::{Array, TOLERANCE, assert_close, values};
use super::fixture::{Variant, sides};
use super::load::folder_of;

pub(super) fn compare(variant: &Variant, device: &Device) -> f32 {
    let io = variant.tensors("io.safetensors");
    let scores = variant.tensors("reward.safetensors");
    let mut worst = 0f32;
    for labels in variant.expected.reward_config.keys() {
        let folder = folder(variant, labels, scores.f32(&format!("score.{labels}")));
        let model = SequenceClassifier::load(folder.path(), device).expect("a classifier");
        assert_eq!(model.num_labels().to_string(), *labels, "{}", variant.name);
        let expected = scores.f32(&format!("logits.{labels}")).values;
        for batch in sides(&io, "") {
            let what = format!("{}, {}: {labels} labels", variant.name, batch.side);
            let (ids, mask) = (batch.ids.ids(device), batch.mask.mask(device));
            let found = values(model.logits(ids.clone(), mask.clone()));
            worst = worst.max(assert_close(&what, &found, &expected, TOLERANCE));
            if labels == "1" {
                assert_eq!(values(model.forward(ids, mask)), found, "{what}");
            }
        }
    }
    worst
}

/// The folder that transformers would write: `families.py` asserts its keys.
fn folder(variant: &Variant, labels: &str, score: Array<f32>) -> TempDir {
    let decoder = variant.model(&Device::flex()).named_tensors().into_iter();
    let mut tensors: Vec<_> = decoder
        .filter(|(name, _)| !name.starts_with("lm_head"))
        .collect();
    let score = TensorData::new(score.values, score.shape);
    tensors.push(("score.weight".to_owned(), score));
    let folder = folder_of(&variant.folder().join(CONFIG), &tensors);
    let config = variant.expected.reward_config[labels].to_string();
    std::fs::write(folder.path().join(CONFIG), config).expect("config.json");
    folder
}
