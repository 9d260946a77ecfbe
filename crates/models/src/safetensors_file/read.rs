use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;

use super::{INDEX, LENGTH_FIELD, MAX_HEADER, SINGLE};
use crate::error::ModelError;

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
