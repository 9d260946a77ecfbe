//! Reading fixtures, and comparing with them.

use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

/// What f32 on another library's order of sums may differ by, relative to values above 1.
pub(crate) const TOLERANCE: f32 = 1e-4;

/// The file or folder of that name under `tests/fixtures`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}

/// A JSON fixture.
pub(crate) fn json<T: DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(path(name)).expect("the fixture is in the repository");
    serde_json::from_str(&text).expect("the fixture has the keys its README names")
}

/// Numbers in row-major order and their shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<T>,
}

impl<T: Copy> Array<T> {
    /// The rows of the first dimension.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[T]> {
        self.values.chunks(self.values.len() / self.shape[0])
    }

    /// The transpose of a matrix.
    pub(crate) fn transposed(&self) -> Self {
        let [rows, columns] = self.shape[..] else {
            panic!("a matrix, not {:?}", self.shape)
        };
        let values = (0..columns)
            .flat_map(|j| (0..rows).map(move |i| self.values[i * columns + j]))
            .collect();
        Self {
            shape: vec![columns, rows],
            values,
        }
    }
}

impl Array<i64> {
    /// Token ids on a device, `[batch, seq]`.
    pub(crate) fn ids(&self, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(
            TensorData::new(self.values.clone(), self.shape.clone()),
            device,
        )
    }

    /// A mask on a device, `[batch, seq]`.
    pub(crate) fn mask(&self, device: &Device) -> Tensor<2, Bool> {
        let values: Vec<bool> = self.values.iter().map(|&value| value == 1).collect();
        Tensor::from_data(TensorData::new(values, self.shape.clone()), device)
    }
}

/// A safetensors fixture, read by the safetensors crate alone so that a mistake of rarebit's own
/// reader shows.
pub(crate) struct Tensors {
    bytes: Vec<u8>,
}

impl Tensors {
    pub(crate) fn read(path: &Path) -> Self {
        Self {
            bytes: std::fs::read(path).expect("the fixture is in the repository"),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .open()
            .names()
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn f32(&self, name: &str) -> Array<f32> {
        self.numbers(name, Dtype::F32, f32::from_le_bytes)
    }

    pub(crate) fn i64(&self, name: &str) -> Array<i64> {
        self.numbers(name, Dtype::I64, i64::from_le_bytes)
    }

    fn open(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("a safetensors file")
    }

    fn numbers<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        number: fn([u8; N]) -> T,
    ) -> Array<T> {
        let file = self.open();
        let view = file
            .tensor(name)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(view.dtype(), dtype, "{name}");
        let (chunks, _) = view.data().as_chunks::<N>();
        Array {
            shape: view.shape().to_vec(),
            values: chunks.iter().map(|&bytes| number(bytes)).collect(),
        }
    }
}

/// The values of a tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// Fails unless all values are equal within `tolerance`, relative above 1. Two infinities of one
/// sign are equal. Returns the largest difference and prints it: `--nocapture` shows how much room
/// there is.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) -> f32 {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let mut worst = 0.0;
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        if found == expected {
            continue;
        }
        let difference = (found - expected).abs() / expected.abs().max(1.0);
        assert!(
            difference <= tolerance,
            "{what}: {found} in place of {expected} at {i}, off by {difference:.1e}"
        );
        worst = f32::max(worst, difference);
    }
    println!("{what}: largest difference {worst:.1e}");
    worst
}
