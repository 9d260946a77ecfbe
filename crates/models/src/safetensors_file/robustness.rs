//! Invalid files: each is rejected with a message before any value is read.

use std::error::Error;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A file with that header and that many bytes of data.
fn bytes(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend((0..data).map(|i| i as u8));
    bytes
}

/// Two matrices, `a` `[2, 2]` and `b` `[3, 1]`, in f32.
fn whole() -> Vec<u8> {
    let header = json!({
        "a": { "dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16] },
        "b": { "dtype": "F32", "shape": [3, 1], "data_offsets": [16, 28] },
    });
    bytes(&header.to_string(), 28)
}

/// The message with its causes, as the command line shows it.
fn message(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut error = error.source();
    while let Some(cause) = error {
        text += &format!(": {cause}");
        error = cause.source();
    }
    text
}

/// The error for opening a folder with this file; opening the bytes must give the same one.
#[track_caller]
fn refusal(content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(SINGLE), content).unwrap();
    let error = message(&TensorFile::open(folder.path()).unwrap_err());
    assert!(error.contains(SINGLE), "{error}");
    let of_bytes = TensorFile::from_bytes(folder.path().join(SINGLE), content.to_vec());
    assert_eq!(message(&of_bytes.unwrap_err()), error);
    error
}

#[track_caller]
fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains('\n'), "one line:\n{text}");
}

#[test]
fn a_file_truncated_anywhere_is_refused() {
    let whole = whole();
    assert!(TensorFile::from_bytes("whole", whole.clone()).is_ok());
    for length in 0..whole.len() {
        let error = refusal(&whole[..length]);
        let reason = match length {
            0..8 => "fewer than the length field",
            _ if length < whole.len() - 28 => "its header ends at byte",
            _ => "its header describes",
        };
        assert_holds(&error, &["not a whole safetensors file", reason]);
    }
    let longer = [&whole[..], b"x"].concat();
    assert_holds(&refusal(&longer), &["its header describes"]);
}

#[test]
fn headers_that_do_not_add_up_are_refused() {
    let tensor = |dtype: &str, shape: Value, start: u64, end: u64| json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
    for (header, data, parts) in [
        (
            json!({ "a": tensor("F32", json!([2]), 0, 4) }),
            4,
            &[
                "tensor `a`",
                "[2]",
                "F32",
                "takes 8 bytes, but its range has 4",
            ][..],
        ),
        (
            json!({ "a": tensor("F32", json!([1]), 4, 0) }),
            4,
            &["tensor `a` ends at byte 0, before its start at 4"],
        ),
        (
            json!({ "a": tensor("F32", json!([2]), 0, 8), "b": tensor("F32", json!([2]), 4, 12) }),
            12,
            &["tensors `a` and `b` overlap"],
        ),
        (
            json!({ "a": tensor("F32", json!([1]), 0, 4), "b": tensor("F32", json!([1]), 0, 4) }),
            4,
            &["tensors `a` and `b` overlap"],
        ),
        (
            json!({ "a": tensor("F32", json!([1]), 0, 4), "b": tensor("F32", json!([1]), 8, 12) }),
            12,
            &[
                "from byte 4 to 8",
                "before tensor `b`",
                "belongs to no tensor",
            ],
        ),
        (
            json!({ "a": tensor("F32", json!([1]), 4, 8) }),
            8,
            &["from byte 0 to 4"],
        ),
        (
            json!({ "a": tensor("F32", json!([u64::MAX / 2, 4]), 0, 4) }),
            4,
            &["tensor `a`", "too large for any memory"],
        ),
        (
            json!({ "a": tensor("F32", json!([1u64 << 62]), 0, 4) }),
            4,
            &["tensor `a`", "too large for any memory"],
        ),
        (
            json!({ "a": tensor("F32", json!([1u64 << 40]), 0, 1 << 42) }),
            4,
            &["its header describes", "the file has"],
        ),
        (
            json!({ "a": tensor("F32", json!([-1]), 0, 4) }),
            4,
            &["invalid value", "-1"],
        ),
        (
            json!({ "a": tensor("Q4_K", json!([1]), 0, 4) }),
            4,
            &["unknown variant `Q4_K`"],
        ),
        (json!({ "a": { "dtype": "F32" } }), 0, &["missing field"]),
        (json!({ "a": 7 }), 0, &["invalid type"]),
        (json!(["a"]), 0, &["a map from names to tensors"]),
        (
            json!({ "__metadata__": { "format": 7 } }),
            0,
            &["invalid type"],
        ),
    ] {
        let error = refusal(&bytes(&header.to_string(), data));
        assert_holds(&error, &["not a whole safetensors file"]);
        assert_holds(&error, parts);
    }
}

#[test]
fn a_header_that_is_no_json_or_names_a_tensor_twice_is_refused() {
    let entry = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    for (header, part) in [
        (format!("{{{entry},{entry}}}"), "two entries are named `a`"),
        (
            r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(),
            "two entries are named `__metadata__`",
        ),
        (String::new(), "EOF"),
        ("{".to_owned(), "EOF"),
        (format!("{{{entry}}} {{}}"), "trailing characters"),
        (
            "[".repeat(100_000),
            "invalid type: sequence, expected a map",
        ),
        (
            format!(r#"{{"a":{}"#, "[".repeat(100_000)),
            "expected value",
        ),
    ] {
        assert_holds(&refusal(&bytes(&header, 4)), &[part]);
    }
    let mut bytes = bytes("{\"\u{e9}\":1}", 0);
    bytes[10] = 0xff;
    refusal(&bytes);
}

#[test]
fn a_header_of_a_hundred_megabytes_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SINGLE);
    for (claimed, length, part) in [
        (
            MAX_HEADER + 1,
            2 * MAX_HEADER,
            "claims a header of 100000001 bytes, the format allows 100000000",
        ),
        (
            u64::MAX,
            2 * MAX_HEADER,
            "claims a header of 18446744073709551615 bytes",
        ),
        (
            MAX_HEADER,
            MAX_HEADER,
            "its header ends at byte 100000008, but the file ends at byte 100000000",
        ),
        // As large as allowed, and all zeros.
        (MAX_HEADER, 2 * MAX_HEADER, "expected value"),
    ] {
        fs::write(&path, claimed.to_le_bytes()).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length).unwrap();
        assert_holds(
            &message(&TensorFile::open(folder.path()).unwrap_err()),
            &[part],
        );
    }
}

#[test]
fn a_tensor_that_is_not_as_it_is_wanted_is_named() {
    let file = TensorFile::from_bytes("weights", whole()).unwrap();
    let device = Device::flex();
    let refused = [
        (file.tensor_of("c", [1], &device).map(drop), "no tensor `c`"),
        (
            file.tensor_of("a", [4], &device).map(drop),
            "`a` has shape [2, 2], not [4]",
        ),
        (
            file.tensor_of("b", [1, 3], &device).map(drop),
            "`b` has shape [3, 1], not [1, 3]",
        ),
        (
            file.transposed_of("b", [1, 3], &device).map(drop),
            "`b` has shape [3, 1], not [1, 3]",
        ),
        (
            file.tensor::<1>("a", &device).map(drop),
            "`a` has shape [2, 2], not 1 dimensions",
        ),
    ];
    for (result, part) in refused {
        assert_holds(&message(&result.unwrap_err()), &[part, "weights"]);
    }
    let integers = json!({ "a": { "dtype": "I64", "shape": [1], "data_offsets": [0, 8] } });
    let file = TensorFile::from_bytes("weights", bytes(&integers.to_string(), 8)).unwrap();
    let error = message(&file.data("a").unwrap_err());
    assert_holds(
        &error,
        &[
            "`a` is stored as I64",
            "F64, F32, F16, BF16 and I8",
            "weights",
        ],
    );
}

/// A model of two shards: `a` in the first, `b` in the second.
fn sharded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, name) in ["a", "b"].into_iter().enumerate() {
        let header = json!({ name: { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } });
        let file = format!("model-{:05}-of-00002.safetensors", i + 1);
        fs::write(folder.path().join(file), bytes(&header.to_string(), 4)).unwrap();
    }
    write_index(
        folder.path(),
        &[
            ("a", "model-00001-of-00002.safetensors"),
            ("b", "model-00002-of-00002.safetensors"),
        ],
    );
    folder
}

fn write_index(folder: &Path, weight_map: &[(&str, &str)]) {
    let weight_map: serde_json::Map<String, Value> = weight_map
        .iter()
        .map(|&(name, file)| (name.to_owned(), file.into()))
        .collect();
    let index = json!({ "metadata": { "total_size": 8 }, "weight_map": weight_map });
    fs::write(folder.join(INDEX), index.to_string()).unwrap();
}

#[test]
fn an_index_reaches_nothing_outside_its_folder() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.safetensors");
    let header = json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } });
    fs::write(&secret, bytes(&header.to_string(), 4)).unwrap();
    let folder = outside.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    fs::copy(&secret, folder.join("sub/inner.safetensors")).unwrap();
    let absolute = secret.display().to_string();
    for place in [
        "../secret.safetensors",
        "sub/../../secret.safetensors",
        "sub/inner.safetensors",
        "./model.safetensors",
        "..",
        ".",
        "",
        "/",
        &absolute,
    ] {
        write_index(&folder, &[("a", place)]);
        let error = message(&TensorFile::open(&folder).unwrap_err());
        assert_holds(&error, &[INDEX, "`a`", "is not a file name in this folder"]);
    }
    write_index(&folder, &[("a", "sub")]);
    let error = message(&TensorFile::open(&folder).unwrap_err());
    assert_holds(&error, &["sub", "it is not a file"]);
    for place in ["nul\0l", "..\\secret.safetensors"] {
        write_index(&folder, &[("a", place)]);
        TensorFile::open(&folder).unwrap_err();
    }
}

#[test]
fn a_missing_shard_and_a_tensor_missing_from_its_shard_are_named() {
    let folder = sharded();
    assert!(TensorFile::open(folder.path()).is_ok());
    write_index(
        folder.path(),
        &[
            ("a", "model-00001-of-00002.safetensors"),
            ("c", "model-00002-of-00002.safetensors"),
        ],
    );
    let error = message(&TensorFile::open(folder.path()).unwrap_err());
    assert_holds(
        &error,
        &["no tensor `c`", "model-00002-of-00002.safetensors"],
    );

    let folder = sharded();
    fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let error = message(&TensorFile::open(folder.path()).unwrap_err());
    assert_holds(
        &error,
        &[
            "`b`",
            "model-00002-of-00002.safetensors is missing",
            "fetch",
        ],
    );

    let folder = sharded();
    let shard = folder.path().join("model-00002-of-00002.safetensors");
    let content = fs::read(&shard).unwrap();
    fs::write(&shard, &content[..content.len() - 1]).unwrap();
    let error = message(&TensorFile::open(folder.path()).unwrap_err());
    assert_holds(&error, &["model-00002-of-00002", "describes"]);

    for index in ["", "[]", "{}", r#"{"weight_map": {"a": 1}}"#] {
        fs::write(folder.path().join(INDEX), index).unwrap();
        let error = message(&TensorFile::open(folder.path()).unwrap_err());
        assert_holds(&error, &[INDEX, "is not valid"]);
    }
}

#[test]
fn an_index_is_no_hiding_place_for_tensors() {
    let folder = sharded();
    write_index(folder.path(), &[("a", "model-00001-of-00002.safetensors")]);
    let second = "model-00002-of-00002.safetensors";
    // Two tensors in the first file, one of which the index lists.
    fs::copy(folder.path().join(second), folder.path().join("spare")).unwrap();
    fs::write(
        folder.path().join("model-00001-of-00002.safetensors"),
        whole(),
    )
    .unwrap();
    let file = TensorFile::open(folder.path()).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b"]);

    // If two files contain a tensor, the index decides.
    write_index(
        folder.path(),
        &[("a", "model-00001-of-00002.safetensors"), ("b", second)],
    );
    let file = TensorFile::open(folder.path()).unwrap();
    assert_eq!(file.shape("b"), Some(&[1][..]));
}

#[cfg(unix)]
#[test]
fn links_are_followed_as_the_hubs_cache_needs_them() {
    let cache = tempfile::tempdir().unwrap();
    let snapshot = cache.path().join("snapshots/0123");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir(cache.path().join("blobs")).unwrap();
    let model = sharded();
    for entry in fs::read_dir(model.path()).unwrap().flatten() {
        let blob = Path::new("../../blobs").join(entry.file_name());
        fs::copy(
            entry.path(),
            cache.path().join("blobs").join(entry.file_name()),
        )
        .unwrap();
        std::os::unix::fs::symlink(blob, snapshot.join(entry.file_name())).unwrap();
    }
    let file = TensorFile::open(&snapshot).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b"]);
    fs::remove_file(cache.path().join("blobs/model-00001-of-00002.safetensors")).unwrap();
    let error = message(&TensorFile::open(&snapshot).unwrap_err());
    assert_holds(
        &error,
        &["model-00001-of-00002.safetensors is missing", "fetch"],
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.safetensors");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let error = message(&TensorFile::open(&pipe).unwrap_err());
    assert_holds(&error, &["pipe.safetensors", "it is not a file"]);
}

#[test]
fn a_file_that_becomes_shorter_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SINGLE);
    fs::write(&path, whole()).unwrap();
    let weights = TensorFile::open(&path).unwrap();
    assert!(weights.data("b").is_ok());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(30).unwrap();
    let error = message(&weights.data("b").unwrap_err());
    assert_holds(&error, &[SINGLE, "has been truncated"]);
}

/// One change to a file.
#[derive(Debug, Clone)]
enum Mutation {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    /// The header's length.
    Length(u64),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Characters of JSON and its numbers, and any others.
    let byte = prop_oneof![
        prop::sample::select(b"{}[]\":,-0123456789eabFI\0".to_vec()),
        any::<u8>()
    ];
    prop_oneof![
        8 => (any::<prop::sample::Index>(), byte.clone()).prop_map(|(place, byte)| Mutation::Byte(place, byte)),
        1 => any::<prop::sample::Index>().prop_map(Mutation::Cut),
        2 => (any::<prop::sample::Index>(), prop::collection::vec(byte, 0..20))
            .prop_map(|(place, bytes)| Mutation::Insert(place, bytes)),
        1 => prop_oneof![0u64..400, any::<u64>()].prop_map(Mutation::Length),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A corrupted file is rejected, or all its tensors can be read.
    #[test]
    fn a_changed_file_never_panics(mutations in prop::collection::vec(mutation(), 1..6)) {
        let mut content = whole();
        for mutation in mutations {
            let length = content.len();
            match mutation {
                Mutation::Byte(place, byte) if length > 0 => content[place.index(length)] = byte,
                Mutation::Cut(place) if length > 0 => content.truncate(place.index(length)),
                Mutation::Insert(place, bytes) => {
                    let place = place.index(length + 1);
                    content.splice(place..place, bytes);
                }
                Mutation::Length(length) if content.len() >= 8 => content[..8].copy_from_slice(&length.to_le_bytes()),
                _ => {}
            }
        }
        read_everything(content);
    }

    /// The same for headers that are almost valid JSON.
    #[test]
    fn an_almost_right_header_never_panics(
        shapes in prop::collection::vec(prop::collection::vec(prop_oneof![0u64..4, any::<u64>()], 0..4), 1..4),
        ends in prop::collection::vec((prop_oneof![0u64..40, any::<u64>()], prop_oneof![0u64..40, any::<u64>()]), 3),
        dtypes in prop::collection::vec(prop::sample::select(vec!["F32", "F16", "BF16", "F64", "I8", "F4", "BOOL", ""]), 3),
        data in 0usize..40,
    ) {
        let mut header = serde_json::Map::new();
        for (i, shape) in shapes.into_iter().enumerate() {
            let (start, end) = ends[i];
            header.insert(
                format!("t{i}"),
                json!({ "dtype": dtypes[i], "shape": shape, "data_offsets": [start, end] }),
            );
        }
        read_everything(bytes(&Value::Object(header).to_string(), data));
    }
}

fn read_everything(content: Vec<u8>) {
    let reference = safetensors::SafeTensors::deserialize(&content).map(|file| file.len());
    let length = content.len();
    match TensorFile::from_bytes("changed", content) {
        Err(error) => assert!(!message(&error).contains('\n'), "{error:?}"),
        Ok(file) => {
            assert_eq!(
                reference.ok(),
                Some(file.names().count()),
                "stricter than the format's own reader"
            );
            for name in file.names() {
                if let Ok(data) = file.data(name) {
                    assert!(data.num_elements() <= length);
                }
            }
        }
    }
}
