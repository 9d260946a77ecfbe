//! Weights on disk: safetensors files, single or sharded, read tensor by tensor and written whole.
//!
//! A file is not held in memory: opening it reads and checks the header, and each tensor is read
//! when asked for. The header is checked by the safetensors crate (offsets contiguous, sizes equal
//! to shape times dtype), and its sum against the file's length, so a truncated file is told at
//! opening and never half way.

mod read;
mod write;

pub use read::TensorFile;
pub use write::{Precision, save};

/// Name of the only weight file of a small model.
pub const SINGLE: &str = "model.safetensors";
/// Name of the map from tensors to the weight files of a sharded model.
pub const INDEX: &str = "model.safetensors.index.json";

/// Length of the field in front of the header.
const LENGTH_FIELD: u64 = 8;
/// The safetensors format's own cap, against files that claim a giant header.
const MAX_HEADER: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::error::ModelError;

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
    fn hostile_headers_are_refused() {
        let file = |header: &str, data: usize| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.resize(bytes.len() + data, 0);
            TensorFile::from_bytes("hostile", bytes)
        };
        assert!(
            file(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4
            )
            .is_ok()
        );
        for (header, data) in [
            (
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                5,
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
                4,
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
                8,
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
                4,
            ),
            (
                r#"{"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,4]}}"#,
                4,
            ),
            (r#"["a"]"#, 0),
            ("", 0),
        ] {
            let error = file(header, data).unwrap_err();
            assert!(
                matches!(error, ModelError::DamagedWeights { .. }),
                "{header}: {error}"
            );
        }
        for length in [u64::MAX, MAX_HEADER + 1, 9] {
            let error = TensorFile::from_bytes("hostile", length.to_le_bytes()).unwrap_err();
            assert!(
                matches!(error, ModelError::DamagedWeights { .. }),
                "{length}: {error}"
            );
        }
        let whole = file(
            r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#,
            8,
        )
        .unwrap();
        assert!(matches!(
            whole.data("a").unwrap_err(),
            ModelError::Dtype { .. }
        ));
    }
}
