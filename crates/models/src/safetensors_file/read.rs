use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::Deserialize;

use super::floats::{Order, floats, scaled};
use super::header::Header;
use super::source::Source;
use super::{INDEX, LENGTH_FIELD, MAX_HEADER, SINGLE};
use crate::error::ModelError;
use crate::files;

/// Number of values of two tensors that are compared at a time.
const COMPARED_AT_ONCE: usize = 1 << 18;

/// Tensors that may be left unread, as in transformers: buffers that older versions saved, and a
/// language-modelling head that is replaced or tied to the embedding.
const PASSED_OVER: [&str; 8] = [
    ".rotary_emb.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    "embeddings.position_ids",
    "lm_head.weight",
    "lm_head.bias",
];

/// The tensors of a model, open for reading.
pub struct TensorFile {
    path: PathBuf,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Place>,
}

impl std::fmt::Debug for TensorFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorFile")
            .field("path", &self.path)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

/// The location of a tensor.
struct Place {
    /// Index of its shard.
    shard: usize,
    info: TensorInfo,
    was_read: AtomicBool,
}

impl TensorFile {
    /// Opens a model folder, one safetensors file, or a `*.index.json` of shards.
    ///
    /// # Errors
    /// If there is no such file, it is truncated or damaged, or an index names a file outside its
    /// own folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        if files::is_dir(path) {
            if files::is_file(&path.join(SINGLE)) {
                return Self::open(path.join(SINGLE));
            }
            if files::is_file(&path.join(INDEX)) {
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
        Self::of_one_shard(path, Source::open(path))
    }

    /// Reads a safetensors file in memory. `name` stands for the file in error messages.
    ///
    /// # Errors
    /// If the bytes are not a whole safetensors file.
    pub fn from_bytes(
        name: impl AsRef<Path>,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self, ModelError> {
        Self::of_one_shard(name.as_ref(), Ok(Source::Memory(Box::new(bytes))))
    }

    fn of_one_shard(path: &Path, source: std::io::Result<Source>) -> Result<Self, ModelError> {
        let (shard, tensors) = Shard::read(path, source)?;
        Ok(Self {
            path: path.to_owned(),
            shards: vec![shard],
            tensors: tensors
                .into_iter()
                .map(|(name, info)| (name, Place::new(0, info)))
                .collect(),
        })
    }

    fn open_sharded(index: &Path) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = files::read(index).map_err(|source| ModelError::Read {
            path: index.to_owned(),
            source,
        })?;
        let Index { weight_map } =
            serde_json::from_slice(&text).map_err(|source| ModelError::Json {
                path: index.to_owned(),
                source,
            })?;
        let folder = index.parent().unwrap_or(Path::new("."));
        let wrong = |name: &str, reason: String| ModelError::Setting {
            path: index.to_owned(),
            key: name.to_owned(),
            reason,
        };

        // From a file to the tensors expected in it.
        let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, file) in &weight_map {
            files.entry(file.as_str()).or_default().push(name.as_str());
        }
        let mut shards = Vec::new();
        let mut tensors = BTreeMap::new();
        for (file, names) in files {
            if !is_plain_file_name(file) {
                let reason = format!("`{file}` is not a file name in this folder");
                return Err(wrong(names[0], reason));
            }
            let path = folder.join(file);
            if !path.exists() && !files::is_file(&path) {
                let reason = format!(
                    "its file {file} is missing: the model is incomplete, fetch that file as well"
                );
                return Err(wrong(names[0], reason));
            }
            let (shard, found) = Shard::read(&path, Source::open(&path))?;
            if let Some(name) = names.into_iter().find(|&name| !found.contains_key(name)) {
                return Err(ModelError::MissingTensor {
                    path,
                    name: name.to_owned(),
                });
            }
            for (name, info) in found {
                // If two files contain a tensor, the index decides. Tensors that the index does not
                // list are kept, so that [`Self::check_all_read`] finds them.
                if weight_map.get(&name).is_none_or(|place| place == file) {
                    tensors.insert(name, Place::new(shards.len(), info));
                }
            }
            shards.push(shard);
        }
        Ok(Self {
            path: index.to_owned(),
            shards,
            tensors,
        })
    }

    /// The file that was opened, for error messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The underlying safetensors files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor with that name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor, if it exists.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.info.shape)
    }

    /// The names of the tensors whose values have not been read, sorted.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.tensors
            .iter()
            .filter(|(_, place)| !place.was_read.load(Ordering::Relaxed))
            .map(|(name, _)| name.as_str())
    }

    /// Rejects a file with unread tensors; to be called after a model has been loaded. Unread
    /// tensors mean that the configuration describes a different model than the one that was saved.
    ///
    /// Computed buffers, unused heads and names that `is_ignored` accepts are allowed. `model_type`
    /// is for the error message.
    ///
    /// # Errors
    /// [`ModelError::ExtraTensor`], with the first such name.
    pub fn check_all_read(
        &self,
        model_type: &str,
        is_ignored: impl Fn(&str) -> bool,
    ) -> Result<(), ModelError> {
        let passed_over = |name: &str| PASSED_OVER.iter().any(|end| name.ends_with(end));
        let mut extra = self
            .unread()
            .filter(|name| !passed_over(name) && !is_ignored(name));
        match extra.next() {
            None => Ok(()),
            Some(name) => Err(ModelError::ExtraTensor {
                path: self.path.clone(),
                name: name.to_owned(),
                others: extra.count(),
                model_type: model_type.to_owned(),
            }),
        }
    }

    /// The free-form metadata in the header of the first file.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let first = self.shards.first();
        first
            .map(|shard| shard.metadata.clone())
            .unwrap_or_default()
    }

    /// The values of a tensor in row-major order, converted to f32.
    ///
    /// # Errors
    /// If it is missing, is not a float, or cannot be read.
    pub fn data(&self, name: &str) -> Result<TensorData, ModelError> {
        let place = self.place(name)?;
        let values = self.values(name, place, Order::Stored)?;
        Ok(TensorData::new(values, place.info.shape.clone()))
    }

    /// Whether two tensors have the same shape and values. They are compared chunk by chunk, and do
    /// not count as read.
    ///
    /// # Errors
    /// As [`TensorFile::data`].
    pub fn are_equal(&self, one: &str, other: &str) -> Result<bool, ModelError> {
        let (a, b) = (self.place(one)?, self.place(other)?);
        if a.info.shape != b.info.shape {
            return Ok(false);
        }
        // Integers need the scales of their rows.
        if [a, b].iter().any(|place| place.info.dtype == Dtype::I8) {
            return Ok(self.all_values(one, a, Order::Stored)?
                == self.all_values(other, b, Order::Stored)?);
        }
        let numbers = a.info.shape.iter().product::<usize>() as u64;
        for first in (0..numbers).step_by(COMPARED_AT_ONCE) {
            let some = first..numbers.min(first + COMPARED_AT_ONCE as u64);
            if self.some_values(one, a, some.clone())? != self.some_values(other, b, some)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A tensor of a known rank on a device, in the device's default float type.
    ///
    /// # Errors
    /// As [`TensorFile::data`], and if the rank differs.
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, ModelError> {
        if let Some(found) = self.shape(name)
            && found.len() != D
        {
            return Err(ModelError::Rank {
                path: self.path.clone(),
                name: name.to_owned(),
                expected: D,
                found: found.to_vec(),
            });
        }
        Ok(Tensor::from_data(self.data(name)?, device))
    }

    /// A tensor of a known shape on a device, in the device's default float type.
    ///
    /// # Errors
    /// As [`TensorFile::data`], and if the shape differs. The shape is checked before any value is
    /// read.
    pub fn tensor_of<const D: usize>(
        &self,
        name: &str,
        expected: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, ModelError> {
        self.check_shape(name, &expected)?;
        Ok(Tensor::from_data(self.data(name)?, device))
    }

    /// The transpose of a stored matrix, computed during conversion so that there is only one copy.
    ///
    /// # Shapes
    /// `[rows, columns]` in the file, `[columns, rows]` in the result.
    ///
    /// # Errors
    /// As [`TensorFile::tensor_of`].
    pub fn transposed_of(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
        device: &Device,
    ) -> Result<Tensor<2>, ModelError> {
        self.check_shape(name, &[rows, columns])?;
        let values = self.values(name, self.place(name)?, Order::Transposed { columns })?;
        Ok(Tensor::from_data(
            TensorData::new(values, [columns, rows]),
            device,
        ))
    }

    fn place(&self, name: &str) -> Result<&Place, ModelError> {
        self.tensors
            .get(name)
            .ok_or_else(|| ModelError::MissingTensor {
                path: self.path.clone(),
                name: name.to_owned(),
            })
    }

    /// Rejects a tensor that is missing or has a different shape.
    pub(crate) fn expect(&self, name: &str, expected: &[usize]) -> Result<(), ModelError> {
        self.place(name)?;
        self.check_shape(name, expected)
    }

    /// Rejects a tensor that exists with a different shape.
    fn check_shape(&self, name: &str, expected: &[usize]) -> Result<(), ModelError> {
        match self.shape(name) {
            Some(found) if found != expected => Err(ModelError::Shape {
                path: self.path.clone(),
                name: name.to_owned(),
                expected: expected.to_vec(),
                found: found.to_vec(),
            }),
            _ => Ok(()),
        }
    }

    /// The row scales of a matrix of 8-bit integers, if the tensor is one and has scales.
    fn scales(&self, name: &str, place: &Place) -> Result<Option<Vec<f32>>, ModelError> {
        let scale = format!("{name}_scale");
        match self.tensors.get(&scale) {
            Some(found) if place.info.dtype == Dtype::I8 && place.rows() > 0 => {
                let [rows, shape] = [place.rows(), found.info.shape.iter().product()];
                if rows != shape {
                    return Err(ModelError::Shape {
                        path: self.path.clone(),
                        name: scale,
                        expected: vec![rows, 1],
                        found: found.info.shape.clone(),
                    });
                }
                self.values(&scale, found, Order::Stored).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn values(&self, name: &str, place: &Place, order: Order) -> Result<Vec<f32>, ModelError> {
        let values = self.all_values(name, place, order)?;
        place.was_read.store(true, Ordering::Relaxed);
        Ok(values)
    }

    fn all_values(&self, name: &str, place: &Place, order: Order) -> Result<Vec<f32>, ModelError> {
        let (start, end) = place.info.data_offsets;
        let scales = self.scales(name, place)?;
        let bytes = start as u64..end as u64;
        self.bytes_as_floats(name, place, bytes, scales.as_deref(), order)
    }

    /// The floats at these indices of a tensor in row-major order.
    fn some_values(
        &self,
        name: &str,
        place: &Place,
        numbers: Range<u64>,
    ) -> Result<Vec<f32>, ModelError> {
        let width = (place.info.dtype.bitsize() / 8) as u64;
        let start = place.info.data_offsets.0 as u64;
        let bytes = start + numbers.start * width..start + numbers.end * width;
        self.bytes_as_floats(name, place, bytes, None, Order::Stored)
    }

    /// Bytes after the header as f32; rows of integers are multiplied by their scale.
    fn bytes_as_floats(
        &self,
        name: &str,
        place: &Place,
        bytes: Range<u64>,
        scales: Option<&[f32]>,
        order: Order,
    ) -> Result<Vec<f32>, ModelError> {
        let shard = &self.shards[place.shard];
        let piece = shard
            .source
            .piece(shard.data_start + bytes.start, shard.data_start + bytes.end)
            .map_err(|source| ModelError::Read {
                path: shard.path.clone(),
                source,
            })?;
        let dtype = place.info.dtype;
        let values = match scales {
            Some(scales) => Some(scaled(&piece, scales, order)),
            None => floats(dtype, &piece, order),
        };
        values.ok_or_else(|| ModelError::Dtype {
            path: shard.path.clone(),
            name: name.to_owned(),
            dtype: format!("{dtype:?}"),
        })
    }
}

impl Place {
    /// Number of rows of a matrix; 0 for other tensors.
    fn rows(&self) -> usize {
        match self.info.shape.as_slice() {
            &[rows, _] => rows,
            _ => 0,
        }
    }

    fn new(shard: usize, info: TensorInfo) -> Self {
        Self {
            shard,
            info,
            was_read: AtomicBool::new(false),
        }
    }
}

/// One safetensors file with a valid header.
struct Shard {
    path: PathBuf,
    metadata: BTreeMap<String, String>,
    /// Offset of the first tensor.
    data_start: u64,
    source: Source,
}

impl Shard {
    /// Opens a file and returns it with its tensors.
    fn read(
        path: &Path,
        source: std::io::Result<Source>,
    ) -> Result<(Self, BTreeMap<String, TensorInfo>), ModelError> {
        let damaged = |reason: String| ModelError::DamagedWeights {
            path: path.to_owned(),
            reason,
        };
        let failed = |source| ModelError::Read {
            path: path.to_owned(),
            source,
        };
        let source = source.map_err(failed)?;
        let length = source.length().map_err(failed)?;
        if length < LENGTH_FIELD {
            return Err(damaged(format!(
                "it has {length} bytes, fewer than the length field"
            )));
        }
        let field = source.piece(0, LENGTH_FIELD).map_err(failed)?;
        let header_length = field
            .first_chunk()
            .map_or(0, |&field| u64::from_le_bytes(field));
        if header_length > MAX_HEADER {
            return Err(damaged(format!(
                "it claims a header of {header_length} bytes, the format allows {MAX_HEADER}"
            )));
        }
        let data_start = LENGTH_FIELD + header_length;
        if data_start > length {
            return Err(damaged(format!(
                "its header ends at byte {data_start}, but the file ends at byte {length}"
            )));
        }
        let json = source.piece(LENGTH_FIELD, data_start).map_err(failed)?;
        let header = Header::parse(&json).map_err(damaged)?;
        let promised = data_start.saturating_add(header.data_length);
        if promised != length {
            return Err(damaged(format!(
                "its header describes {promised} bytes, but the file has {length}"
            )));
        }
        drop((field, json));
        let shard = Self {
            path: path.to_owned(),
            metadata: header.metadata,
            data_start,
            source,
        };
        Ok((shard, header.tensors))
    }
}

/// Whether the name is a single normal path component.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(only)) if only == name)
        && components.next().is_none()
}
