//! Weights on disk: safetensors files, single or sharded, read tensor by tensor and written whole.
//!
//! A file is not held in memory: opening it reads and checks the header, and each tensor is read
//! when asked for. The header is checked by the safetensors crate (offsets contiguous, sizes equal
//! to shape times dtype), and its sum against the file's length, so a truncated file is told at
//! opening and never half way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;

use crate::error::ModelError;

/// Name of the only weight file of a small model.
pub const SINGLE: &str = "model.safetensors";
/// Name of the map from tensors to the weight files of a sharded model.
pub const INDEX: &str = "model.safetensors.index.json";

/// Length of the field in front of the header.
const LENGTH_FIELD: u64 = 8;
/// The safetensors format's own cap, against files that claim a giant header.
const MAX_HEADER: u64 = 100_000_000;

/// The weights of a model, open for reading.
pub struct TensorFile {
    path: PathBuf,
    parts: Vec<Part>,
    /// Tensor name to the part that holds it.
    names: BTreeMap<String, usize>,
}

impl std::fmt::Debug for TensorFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorFile")
            .field("path", &self.path)
            .field("tensors", &self.names.len())
            .finish_non_exhaustive()
    }
}

impl TensorFile {
    /// Opens a model folder, one safetensors file, or a `*.index.json` of shards.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is truncated or damaged, or an index names a file outside
    /// its own folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        if path.is_dir() {
            if path.join(SINGLE).is_file() {
                return Self::open(path.join(SINGLE));
            }
            if path.join(INDEX).is_file() {
                return Self::open_sharded(&path.join(INDEX));
            }
            return Err(ModelError::MissingFile {
                folder: path.to_owned(),
                file: SINGLE.to_owned(),
            });
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            return Self::open_sharded(path);
        }
        Ok(Self::of_one_part(path, Part::open(path)?))
    }

    /// Reads weights that are in memory already; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// When the bytes are not one whole safetensors file.
    pub fn from_bytes(
        name: impl AsRef<Path>,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Self, ModelError> {
        let name = name.as_ref();
        let length = bytes.as_ref().len() as u64;
        let part = Part::read(name, Box::new(Cursor::new(bytes)), length)?;
        Ok(Self::of_one_part(name, part))
    }

    fn of_one_part(path: &Path, part: Part) -> Self {
        let names = part
            .header
            .offset_keys()
            .into_iter()
            .map(|name| (name, 0))
            .collect();
        Self {
            path: path.to_owned(),
            parts: vec![part],
            names,
        }
    }

    fn open_sharded(index: &Path) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read(index).map_err(|source| ModelError::Read {
            path: index.to_owned(),
            source,
        })?;
        let Index { weight_map } =
            serde_json::from_slice(&text).map_err(|source| ModelError::Json {
                path: index.to_owned(),
                source,
            })?;
        let folder = index.parent().unwrap_or(Path::new("."));

        let mut parts: Vec<Part> = Vec::new();
        let mut opened: BTreeMap<String, usize> = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (name, file) in weight_map {
            let part = match opened.get(&file) {
                Some(&part) => part,
                None => {
                    if !is_plain_file_name(&file) {
                        return Err(ModelError::Setting {
                            path: index.to_owned(),
                            key: name,
                            reason: format!("`{file}` is not a file of this folder"),
                        });
                    }
                    parts.push(Part::open(&folder.join(&file))?);
                    opened.insert(file, parts.len() - 1);
                    parts.len() - 1
                }
            };
            if parts[part].header.info(&name).is_none() {
                return Err(ModelError::MissingTensor {
                    path: parts[part].path.clone(),
                    name,
                });
            }
            names.insert(name, part);
        }
        Ok(Self {
            path: index.to_owned(),
            parts,
            names,
        })
    }

    /// The file that was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The safetensors files behind it.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let &part = self.names.get(name)?;
        self.parts[part]
            .header
            .info(name)
            .map(|info| info.shape.as_slice())
    }

    /// The free-form metadata in the header of the first file.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let header = self
            .parts
            .first()
            .and_then(|part| part.header.metadata().as_ref());
        header
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The values of a tensor in row-major order, as f32 whatever they are stored as.
    ///
    /// # Errors
    ///
    /// When it is absent, not a float, or cannot be read.
    pub fn data(&self, name: &str) -> Result<TensorData, ModelError> {
        let missing = || ModelError::MissingTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        };
        let &part = self.names.get(name).ok_or_else(missing)?;
        let part = &self.parts[part];
        let info = part.header.info(name).ok_or_else(missing)?;
        let bytes = part.bytes(info)?;
        let values = floats(info.dtype, &bytes).ok_or_else(|| ModelError::Dtype {
            path: part.path.clone(),
            name: name.to_owned(),
            dtype: format!("{:?}", info.dtype),
        })?;
        Ok(TensorData::new(values, info.shape.clone()))
    }

    /// A tensor of a known rank on a device, in the device's default float type.
    ///
    /// # Errors
    ///
    /// As [`TensorFile::data`], and when the rank is another.
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, ModelError> {
        let data = self.data(name)?;
        if data.rank() != D {
            return Err(ModelError::Rank {
                path: self.path.clone(),
                name: name.to_owned(),
                expected: D,
                found: data.shape().to_vec(),
            });
        }
        Ok(Tensor::from_data(data, device))
    }

    /// A tensor of a known shape on a device, in the device's default float type.
    ///
    /// # Errors
    ///
    /// As [`TensorFile::data`], and when the shape is another. The shape is compared before any
    /// value is read.
    pub fn tensor_of<const D: usize>(
        &self,
        name: &str,
        expected: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, ModelError> {
        if let Some(found) = self.shape(name)
            && found != expected
        {
            return Err(ModelError::Shape {
                path: self.path.clone(),
                name: name.to_owned(),
                expected: expected.to_vec(),
                found: found.to_vec(),
            });
        }
        Ok(Tensor::from_data(self.data(name)?, device))
    }
}

/// What a tensor file is read from: a file on disk, or bytes in memory.
trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// One safetensors file, its header checked.
struct Part {
    path: PathBuf,
    header: Metadata,
    /// Where the first tensor starts.
    data_start: u64,
    source: Mutex<Box<dyn Source>>,
}

impl Part {
    fn open(path: &Path) -> Result<Self, ModelError> {
        let read = |source| ModelError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        Self::read(path, Box::new(file), length)
    }

    fn read(path: &Path, mut source: Box<dyn Source>, length: u64) -> Result<Self, ModelError> {
        let damaged = |reason: String| ModelError::DamagedWeights {
            path: path.to_owned(),
            reason,
        };
        let failed = |source| ModelError::Read {
            path: path.to_owned(),
            source,
        };
        if length < LENGTH_FIELD {
            return Err(damaged(format!(
                "it has {length} bytes, fewer than its length field"
            )));
        }
        let mut field = [0; LENGTH_FIELD as usize];
        source.read_exact(&mut field).map_err(failed)?;
        let header_length = u64::from_le_bytes(field);
        if header_length > MAX_HEADER {
            return Err(damaged(format!(
                "it claims a header of {header_length} bytes"
            )));
        }
        let data_start = LENGTH_FIELD + header_length;
        if data_start > length {
            return Err(damaged(format!(
                "its header ends at byte {data_start}, it at {length}"
            )));
        }
        let mut header = vec![0; header_length as usize];
        source.read_exact(&mut header).map_err(failed)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| damaged(error.to_string()))?;
        let promised = data_start + header.data_len() as u64;
        if promised != length {
            return Err(damaged(format!(
                "its header promises {promised} bytes, it has {length}"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            header,
            data_start,
            source: Mutex::new(source),
        })
    }

    fn bytes(&self, info: &TensorInfo) -> Result<Vec<u8>, ModelError> {
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        // Each read seeks first, so a reader that panicked leaves nothing half done.
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source
            .seek(SeekFrom::Start(self.data_start + start as u64))
            .and_then(|_| source.read_exact(&mut bytes))
            .map_err(|source| ModelError::Read {
                path: self.path.clone(),
                source,
            })?;
        Ok(bytes)
    }
}

/// Whether the name is one component: no separators, no `..`, no root.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(only)) if only == name)
        && components.next().is_none()
}

/// Little-endian numbers as f32; `None` for formats that are not floats.
fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|&chunk| f(chunk))
            .collect()
    }
    Some(match dtype {
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |chunk| f16::from_le_bytes(chunk).to_f32()),
        Dtype::BF16 => each(bytes, |chunk| bf16::from_le_bytes(chunk).to_f32()),
        Dtype::F64 => each(bytes, |chunk| f64::from_le_bytes(chunk) as f32),
        _ => return None,
    })
}

/// The number format that weights are saved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits: what training computes in.
    F32,
    /// IEEE half precision: half the size, three digits.
    F16,
    /// Brain float: half the size, the range of f32, two digits.
    Bf16,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Precision::F32 => Dtype::F32,
            Precision::F16 => Dtype::F16,
            Precision::Bf16 => Dtype::BF16,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Bf16 => "bf16",
        }
    }

    /// Nearest representable values, little-endian, or the value that would become infinite.
    fn encode(self, values: &[f32]) -> Result<Vec<u8>, f32> {
        let mut bytes = Vec::with_capacity(values.len() * self.dtype().bitsize() / 8);
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

/// Writes tensors as one safetensors file, beside its place and then renamed into it.
///
/// The same tensors and metadata give the same bytes: tensors are ordered by name and metadata by
/// key (the safetensors crate's own writer orders metadata by a random hash).
///
/// # Errors
///
/// When a tensor's values are not floats or do not fit the precision, or the disk refuses. The
/// file that stood at `path` is then untouched.
pub fn save(
    path: &Path,
    tensors: &[(String, TensorData)],
    precision: Precision,
    metadata: &BTreeMap<String, String>,
) -> Result<(), ModelError> {
    let tensors: BTreeMap<&str, &TensorData> = tensors
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
        // The first error is the one to tell; a leftover partial file harms nobody.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// The header's JSON, padded with spaces so that the numbers behind it are aligned.
fn header(
    tensors: &BTreeMap<&str, &TensorData>,
    precision: Precision,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), serde_json::to_value(metadata)?);
    }
    let width = precision.dtype().bitsize() / 8;
    let mut start = 0;
    for (name, data) in tensors {
        let end = start + data.num_elements() * width;
        let info = TensorInfo {
            dtype: precision.dtype(),
            shape: data.shape().to_vec(),
            data_offsets: (start, end),
        };
        entries.insert((*name).to_owned(), serde_json::to_value(info)?);
        start = end;
    }
    let mut json = serde_json::to_vec(&entries)?;
    json.resize(json.len().next_multiple_of(LENGTH_FIELD as usize), b' ');
    Ok(json)
}

fn write_parts(
    temporary: &Path,
    path: &Path,
    header: &[u8],
    tensors: &BTreeMap<&str, &TensorData>,
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
    for (name, data) in tensors {
        let values = data.try_to_vec_as::<f32>().map_err(|_| ModelError::Dtype {
            path: path.to_owned(),
            name: (*name).to_owned(),
            dtype: format!("{:?}", data.dtype()),
        })?;
        let bytes = precision
            .encode(&values)
            .map_err(|value| ModelError::Overflow {
                path: path.to_owned(),
                name: (*name).to_owned(),
                value,
                precision: precision.name(),
            })?;
        file.write_all(&bytes).map_err(failed)?;
    }
    let file = file
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
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
