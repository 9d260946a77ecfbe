use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::LENGTH_FIELD;
use crate::error::ModelError;

/// Number of values encoded at a time.
const BLOCK: usize = 1 << 16;

/// The format in which weights are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, as used in training.
    F32,
    /// IEEE half precision: half the size, about three digits.
    F16,
    /// bfloat16: half the size, the range of f32, about two digits.
    Bf16,
}

impl Precision {
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Precision::F32 => Dtype::F32,
            Precision::F16 => Dtype::F16,
            Precision::Bf16 => Dtype::BF16,
        }
    }

    /// Bytes per value.
    pub(super) fn width(self) -> usize {
        self.dtype().bitsize() / 8
    }

    /// Name in torch and `config.json`.
    pub fn torch_name(self) -> &'static str {
        match self {
            Precision::F32 => "float32",
            Precision::F16 => "float16",
            Precision::Bf16 => "bfloat16",
        }
    }

    /// The nearest representable values, little-endian, or the first value that would overflow.
    fn encode(self, values: &[f32]) -> Result<Vec<u8>, f32> {
        let mut bytes = Vec::with_capacity(values.len() * self.width());
        for &value in values {
            let overflows = match self {
                Precision::F32 => {
                    bytes.extend(value.to_le_bytes());
                    false
                }
                Precision::F16 => {
                    let half = f16::from_f32(value);
                    bytes.extend(half.to_le_bytes());
                    half.is_infinite()
                }
                Precision::Bf16 => {
                    let half = bf16::from_f32(value);
                    bytes.extend(half.to_le_bytes());
                    half.is_infinite()
                }
            };
            if overflows && value.is_finite() {
                return Err(value);
            }
        }
        Ok(bytes)
    }
}

/// A tensor that can be written to a file.
pub trait Stored {
    /// The shape, without reading the values.
    fn shape(&self) -> Vec<usize>;

    /// The values, requested once, right before they are written.
    fn data(&self) -> Cow<'_, TensorData>;
}

impl Stored for TensorData {
    fn shape(&self) -> Vec<usize> {
        TensorData::shape(self).to_vec()
    }

    fn data(&self) -> Cow<'_, TensorData> {
        Cow::Borrowed(self)
    }
}

/// Number of values of a tensor.
pub(super) fn count<T: Stored>(tensor: &T) -> usize {
    tensor.shape().iter().product()
}

/// Writes tensors as one safetensors file, through a temporary file that is renamed.
///
/// The same tensors and metadata give the same bytes: tensors are ordered by name and metadata by
/// key (the safetensors crate's own writer orders metadata by a random hash).
///
/// Tensors on a device are copied one at a time.
///
/// # Errors
///
/// If a tensor's values are not floats or do not fit the precision, or writing fails. An existing
/// file at `path` is then unchanged.
pub fn save<T: Stored>(
    path: &Path,
    tensors: &[(String, T)],
    precision: Precision,
    metadata: &BTreeMap<String, String>,
) -> Result<(), ModelError> {
    let tensors: BTreeMap<&str, &T> = tensors
        .iter()
        .map(|(name, data)| (name.as_str(), data))
        .collect();
    let header = header(&tensors, precision, metadata).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.partial", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = write_parts(&temporary, path, &header, &tensors, precision).and_then(|()| {
        std::fs::rename(&temporary, path).map_err(|source| ModelError::Write {
            path: path.to_owned(),
            source,
        })
    });
    if written.is_err() {
        // Report the first error; a leftover temporary file is harmless.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// The header's JSON, padded with spaces to align the data.
fn header<T: Stored>(
    tensors: &BTreeMap<&str, &T>,
    precision: Precision,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), serde_json::to_value(metadata)?);
    }
    let mut start = 0;
    for (name, tensor) in tensors {
        let end = start + count(*tensor) * precision.width();
        let info = TensorInfo {
            dtype: precision.dtype(),
            shape: tensor.shape(),
            data_offsets: (start, end),
        };
        entries.insert((*name).to_owned(), serde_json::to_value(info)?);
        start = end;
    }
    let mut json = serde_json::to_vec(&entries)?;
    json.resize(json.len().next_multiple_of(LENGTH_FIELD as usize), b' ');
    Ok(json)
}

fn write_parts<T: Stored>(
    temporary: &Path,
    path: &Path,
    header: &[u8],
    tensors: &BTreeMap<&str, &T>,
    precision: Precision,
) -> Result<(), ModelError> {
    let failed = |source| ModelError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = BufWriter::new(File::create(temporary).map_err(failed)?);
    file.write_all(&(header.len() as u64).to_le_bytes())
        .map_err(failed)?;
    file.write_all(header).map_err(failed)?;
    for (name, tensor) in tensors {
        for block in f32s(path, name, &tensor.data())?.chunks(BLOCK) {
            let bytes = precision
                .encode(block)
                .map_err(|value| ModelError::Overflow {
                    path: path.to_owned(),
                    name: (*name).to_owned(),
                    value,
                    precision: precision.torch_name(),
                })?;
            file.write_all(&bytes).map_err(failed)?;
        }
    }
    let file = file
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

/// A tensor's values, borrowed if they are already f32.
fn f32s<'a>(path: &Path, name: &str, data: &'a TensorData) -> Result<Cow<'a, [f32]>, ModelError> {
    match data.as_slice::<f32>() {
        Ok(values) => Ok(Cow::Borrowed(values)),
        Err(_) => data
            .try_to_vec_as::<f32>()
            .map(Cow::Owned)
            .map_err(|_| ModelError::Dtype {
                path: path.to_owned(),
                name: name.to_owned(),
                dtype: format!("{:?}", data.dtype()),
            }),
    }
}
