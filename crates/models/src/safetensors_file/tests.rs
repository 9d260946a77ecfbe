use std::collections::BTreeMap;

use burn::tensor::{Device, TensorData};

use super::*;

fn tensors() -> Vec<(String, TensorData)> {
    vec![
        (
            "second".to_owned(),
            TensorData::new(vec![1.0f32, -2.5, 0.0, 3.25], [2, 2]),
        ),
        ("first".to_owned(), TensorData::new(vec![0.5f32], [1])),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    ["format", "b", "a", "z"]
        .map(|key| (key.to_owned(), format!("of {key}")))
        .into()
}

#[test]
fn what_is_saved_is_read_back_here_and_by_the_safetensors_crate() {
    let folder = tempfile::tempdir().unwrap();
    for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
        let path = folder.path().join("model.safetensors");
        save(&path, &tensors(), precision, &metadata()).unwrap();
        let file = TensorFile::open(&path).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(file.metadata(), metadata());
        for (name, data) in tensors() {
            assert_eq!(
                file.data(&name).unwrap(),
                data,
                "these values are exact in 8 bits"
            );
        }
        let bytes = std::fs::read(&path).unwrap();
        let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(
            reference.tensor("second").unwrap().dtype(),
            precision.dtype()
        );
        assert_eq!(reference.tensor("second").unwrap().shape(), [2, 2]);
        let in_memory = TensorFile::from_bytes("embedded", bytes).unwrap();
        assert_eq!(
            in_memory.data("second").unwrap(),
            file.data("second").unwrap()
        );
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside"
    );
}

#[test]
fn the_same_tensors_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, tensors: &[(String, TensorData)]| {
        let path = folder.path().join(name);
        save(&path, tensors, Precision::F32, &metadata()).unwrap();
        std::fs::read(path).unwrap()
    };
    let reversed: Vec<_> = tensors().into_iter().rev().collect();
    assert_eq!(written("a", &tensors()), written("b", &reversed));
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &tensors(), Precision::F32, &metadata()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let large = [("huge".to_owned(), TensorData::new(vec![70_000.0f32], [1]))];
    let error = save(&path, &large, Precision::F16, &metadata())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`huge`") && error.contains("70000"),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside"
    );
    assert!(
        save(
            &folder.path().join("no/folder"),
            &large,
            Precision::F32,
            &metadata()
        )
        .is_err()
    );
}

#[test]
fn another_rank_or_shape_is_an_error_with_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &tensors(), Precision::F32, &metadata()).unwrap();
    let file = TensorFile::open(&path).unwrap();
    let device = Device::flex();
    assert_eq!(file.tensor::<2>("second", &device).unwrap().dims(), [2, 2]);
    let error = file.tensor::<1>("second", &device).unwrap_err().to_string();
    assert!(error.contains("[2, 2], not 1 dimensions"), "{error}");
    let error = file
        .tensor_of("second", [4, 1], &device)
        .unwrap_err()
        .to_string();
    assert!(error.contains("[2, 2], not [4, 1]"), "{error}");
    let error = file
        .tensor_of("third", [1], &device)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no tensor `third`"), "{error}");
}

#[test]
fn a_matrix_is_turned_as_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let values: Vec<f32> = (0..6).map(|i| i as f32 / 4.0).collect();
    let matrix = [("w".to_owned(), TensorData::new(values, [2, 3]))];
    for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
        save(&path, &matrix, precision, &metadata()).unwrap();
        let file = TensorFile::open(&path).unwrap();
        let turned = file.transposed_of("w", [2, 3], &Device::flex()).unwrap();
        assert_eq!(turned.dims(), [3, 2]);
        let turned: Vec<f32> = turned.into_data().try_to_vec().unwrap();
        assert_eq!(turned, [0.0, 0.75, 0.25, 1.0, 0.5, 1.25]);
    }
}

#[test]
fn what_nobody_read_is_told() {
    let names = [
        "model.w",
        "model.spare",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "transformer.h.0.attn.bias",
        "lm_head.weight",
        "mtp.w",
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = names.map(|name| (name.to_owned(), TensorData::new(vec![1.0f32], [1])));
    save(&path, &tensors, Precision::F32, &metadata()).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.unread().count(), names.len());
    assert!(file.contains("model.w") && file.shape("model.w").is_some());
    assert_eq!(file.unread().count(), names.len(), "a look is no reading");

    file.data("model.w").unwrap();
    assert!(!file.unread().any(|name| name == "model.w"));
    let error = file
        .check_all_read("llama", |_| false)
        .unwrap_err()
        .to_string();
    for part in [
        "model.safetensors",
        "`model.spare` and 1 more",
        "`llama`",
        "do not belong together",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = file.check_all_read("llama", |name| name.starts_with("mtp."));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`model.spare`, which"), "{error}");
    file.tensor::<1>("model.spare", &Device::flex()).unwrap();
    file.check_all_read("llama", |name| name.starts_with("mtp."))
        .unwrap();
}

#[test]
fn a_large_model_is_written_in_shards_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path(), &tensors(), Precision::Bf16, u64::MAX).unwrap();
    let whole = TensorFile::open(folder.path()).unwrap();
    assert_eq!(whole.metadata()["format"], "pt");
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 1);
    std::fs::remove_file(folder.path().join(SINGLE)).unwrap();

    save_model(folder.path(), &tensors(), Precision::Bf16, 8).unwrap();
    assert_eq!(files(), 3);
    let sharded = TensorFile::open(folder.path()).unwrap();
    assert_eq!(
        sharded
            .files()
            .map(|path| path.file_name().unwrap())
            .collect::<Vec<_>>(),
        [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors"
        ]
    );
    assert_eq!(sharded.metadata()["format"], "pt");
    for (name, data) in tensors() {
        assert_eq!(sharded.data(&name).unwrap(), data);
    }
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join(INDEX)).unwrap()).unwrap();
    let expected = serde_json::json!({
        "metadata": { "total_parameters": 5, "total_size": 10 },
        "weight_map": {
            "first": "model-00002-of-00002.safetensors",
            "second": "model-00001-of-00002.safetensors",
        },
    });
    assert_eq!(index, expected);
}

/// A file of 8-bit numbers and their scales, with whatever scales are given.
fn whole_numbers(scales: &[f32], shape: &str) -> TensorFile {
    let end = 6 + 4 * scales.len();
    let header = format!(
        r#"{{"w.weight": {{"dtype": "I8", "shape": [2, 3], "data_offsets": [0, 6]}},
            "w.weight_scale": {{"dtype": "F32", "shape": {shape}, "data_offsets": [6, {end}]}}}}"#
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([1_i8, -2, 127, -128, 0, 5].map(|number| number as u8));
    bytes.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
    TensorFile::from_bytes("int8.safetensors", bytes).unwrap()
}

#[test]
fn whole_numbers_with_a_scale_for_each_row_are_a_matrix() {
    let file = whole_numbers(&[0.5, 2.0], "[2, 1]");
    let weight = file.tensor_of::<2>("w.weight", [2, 3], &Device::flex());
    let values = weight.unwrap().try_into_vec_as::<f32>().unwrap();
    assert_eq!(values, [0.5, -1.0, 63.5, -256.0, 0.0, 10.0]);
    let turned = file.transposed_of("w.weight", [2, 3], &Device::flex());
    let values = turned.unwrap().try_into_vec_as::<f32>().unwrap();
    assert_eq!(values, [0.5, -256.0, -1.0, 0.0, 63.5, 10.0]);
    file.check_all_read("llama", |_| false).unwrap();

    let wrong = whole_numbers(&[0.5, 2.0, 1.0], "[3]");
    let error = wrong.data("w.weight").unwrap_err().to_string();
    assert!(
        error.contains("`w.weight_scale` has shape [3], not [2, 1]"),
        "{error}"
    );
}
