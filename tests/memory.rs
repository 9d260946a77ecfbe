//! What is held in memory while a model is read, and while an adapter is trained.
//!
//! Allocations of the calling thread are counted, so that tests beside these are not. A file's mapped
//! pages are none.

use std::path::Path;

use allocation_counter::{AllocationInfo, measure};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::decoder::DecoderConfig;
use rarebit_models::init::random_llama;
use rarebit_models::lora::{Adaptable, LoraConfig};
use rarebit_models::safetensors_file::{Precision, save_model};
use rarebit_models::{CONFIG, NamedTensors};
use serde_json::{Value, json};
use tempfile::TempDir;

const VOCAB: usize = 2000;
const HIDDEN: usize = 128;
/// Names, handles and the header's JSON.
const REST: usize = 120_000;

fn config(tied: bool) -> Value {
    json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN, "intermediate_size": 512,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
        "max_position_embeddings": 64, "tie_word_embeddings": tied,
    })
}

/// The weights of a random model of six megabytes, and how many bytes they are in f32.
fn weights(config: &Value) -> (NamedTensors, usize) {
    let config = DecoderConfig::from_json(Path::new(CONFIG), config).expect("settings");
    let tensors = random_llama(&config, 1);
    let numbers: usize = tensors.iter().map(|(_, data)| data.num_elements()).sum();
    (tensors, 4 * numbers)
}

fn folder(config: &Value, tensors: &NamedTensors, precision: Precision, shard: u64) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(CONFIG), config.to_string()).expect("written");
    save_model(folder.path(), tensors, precision, shard).expect("written");
    folder
}

/// The model, and what loading it took.
fn loaded(folder: &Path, device: &Device) -> (CausalLm, AllocationInfo) {
    let mut model = None;
    let info = measure(|| model = Some(CausalLm::load(folder, device).expect("a model")));
    (model.expect("loaded"), info)
}

/// Whatever the file's precision, its number of shards and its head.
#[test]
fn loading_holds_the_model_and_at_most_one_tensor_more() {
    let largest = 4 * VOCAB * HIDDEN;
    for (tied, precision, shard) in [
        (false, Precision::F32, u64::MAX),
        (false, Precision::Bf16, 600_000),
        (true, Precision::F16, u64::MAX),
        (true, Precision::F32, u64::MAX),
    ] {
        let config = config(tied);
        let (mut tensors, bytes) = weights(&config);
        if tied {
            // A head that says again what the embedding says is looked at and not kept.
            tensors.push(("lm_head.weight".to_owned(), tensors[0].1.clone()));
        }
        let folder = folder(&config, &tensors, precision, shard);
        let (model, info) = loaded(folder.path(), &Device::flex());
        let (held, most) = (info.bytes_current as usize, info.bytes_max as usize);
        println!("{precision:?}, tied {tied}: {bytes} bytes, {held} held, {most} at most");
        assert!((bytes..bytes + REST).contains(&held), "{held} of {bytes}");
        assert!(most <= bytes + largest + REST, "{most} of {bytes}");
        drop(model);
    }
}

/// In whatever precision, in one file or in several: a tensor is copied when its turn has come.
#[test]
fn saving_copies_one_tensor_at_a_time() {
    let largest = 4 * VOCAB * HIDDEN;
    let config = config(false);
    let (tensors, bytes) = weights(&config);
    let source = folder(&config, &tensors, Precision::F32, u64::MAX);
    let (model, _) = loaded(source.path(), &Device::flex());
    for (precision, shard) in [
        (Precision::F32, u64::MAX),
        (Precision::F32, 600_000),
        (Precision::F16, u64::MAX),
        (Precision::Bf16, 600_000),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let info = measure(|| {
            save_model(folder.path(), &model.trained_values(), precision, shard).expect("written");
        });
        let most = info.bytes_max as usize;
        println!("{precision:?}, shards of {shard}: {most} at most for {bytes}");
        // A linear layer's weight is turned into one more.
        assert!(most <= 2 * largest + REST, "{most} of {bytes}");
    }
}

/// What a backward pass took, its gradients kept.
fn backward(model: &CausalLm) -> AllocationInfo {
    let device = model.device();
    let ids = TensorData::new((1..9i64).collect(), [1, 8]);
    let ids = Tensor::<2, Int>::from_data(ids, &device);
    let mut kept = None;
    measure(|| {
        let hidden = model.forward(ids, None, None).squeeze_dim(0);
        let loss = model.logits(hidden).square().mean();
        kept = Some(GradientsParams::from_grads(loss.backward(), model));
    })
}

/// A frozen weight has no gradient, and no memory is set aside for one, not even while the others'
/// are computed: beside the activations, an adapter's training holds the adapter's gradients.
#[test]
fn frozen_weights_take_no_gradient_memory() {
    let config = config(false);
    let (tensors, bytes) = weights(&config);
    let folder = folder(&config, &tensors, Precision::F32, u64::MAX);
    let full = CausalLm::load(folder.path(), &Device::flex().autodiff()).expect("a model");
    let lora = LoraConfig {
        r: 2,
        ..LoraConfig::default()
    };
    let adapted = full.clone().with_lora(&lora).expect("linear layers");
    let trained = adapted.trained_tensors();
    let adapter = 4 * trained
        .iter()
        .map(|(_, data)| data.num_elements())
        .sum::<usize>();

    let (full, adapted) = (backward(&full), backward(&adapted));
    let held = |info: &AllocationInfo| (info.bytes_current as usize, info.bytes_max as usize);
    let ((full_kept, full_most), (kept, most)) = (held(&full), held(&adapted));
    println!(
        "{bytes} bytes of weights: {full_kept} kept, {full_most} at most; \
         {adapter} of an adapter: {kept} kept, {most} at most"
    );
    assert!(full_kept >= bytes, "every weight has its gradient");
    assert!(kept < adapter + REST, "{kept} kept for {adapter}");
    assert!(
        full_most - most > bytes * 9 / 10,
        "{most} at most of {full_most}"
    );
    assert!(most < bytes / 4, "{most} at most for {bytes}");
}
