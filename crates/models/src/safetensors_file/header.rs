//! The header of a safetensors file: its tensors and their offsets.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

/// Key of the free-form metadata.
const METADATA: &str = "__metadata__";

/// A valid header: tensor names are unique, and every byte of the data belongs to exactly one
/// tensor.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) tensors: BTreeMap<String, TensorInfo>,
    pub(super) metadata: BTreeMap<String, String>,
    /// Size of all tensors in bytes.
    pub(super) data_length: u64,
}

impl Header {
    /// Parses and validates a header.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let Entries { tensors, metadata } =
            serde_json::from_slice(json).map_err(|error| format!("its header: {error}"))?;
        for (name, info) in &tensors {
            check_size(name, info)?;
        }
        let data_length = check_offsets(&tensors)?;
        Ok(Self {
            tensors,
            metadata,
            data_length,
        })
    }
}

/// Checks that a tensor's byte range matches its shape and format.
fn check_size(name: &str, info: &TensorInfo) -> Result<(), String> {
    let (start, end) = info.data_offsets;
    let (shape, dtype) = (&info.shape, info.dtype);
    // The bits of half a gigabyte overflow 32 bits.
    let bits = shape
        .iter()
        .try_fold(dtype.bitsize() as u64, |bits, &size| {
            bits.checked_mul(size as u64)
        })
        .ok_or_else(|| format!("tensor `{name}` of shape {shape:?} is too large for any memory"))?;
    match end.checked_sub(start) {
        Some(length) if bits % 8 == 0 && length as u64 == bits / 8 => Ok(()),
        Some(length) => Err(format!(
            "tensor `{name}` of shape {shape:?} in {dtype:?} takes {} bytes, but its range has {length}",
            bits.div_ceil(8)
        )),
        None => Err(format!(
            "tensor `{name}` ends at byte {end}, before its start at {start}"
        )),
    }
}

/// Checks that the tensors follow each other without overlaps or gaps, and returns the end of the
/// last one.
fn check_offsets(tensors: &BTreeMap<String, TensorInfo>) -> Result<u64, String> {
    let mut order: Vec<(&String, (usize, usize))> = tensors
        .iter()
        .map(|(name, info)| (name, info.data_offsets))
        .collect();
    order.sort_by_key(|&(_, offsets)| offsets);
    let mut reached = 0;
    let mut previous = "";
    for (name, (start, end)) in order {
        if start < reached {
            return Err(format!("tensors `{previous}` and `{name}` overlap"));
        }
        if start > reached {
            return Err(format!(
                "the data from byte {reached} to {start}, before tensor `{name}`, belongs to no tensor"
            ));
        }
        (reached, previous) = (end, name);
    }
    Ok(reached as u64)
}

/// The entries of a header. The safetensors crate's own type keeps the last of two tensors with the
/// same name; here that is an error.
struct Entries {
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from names to tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut tensors = BTreeMap::new();
                let mut metadata = None;
                while let Some(name) = map.next_key::<String>()? {
                    let known = match name == METADATA {
                        true => metadata.replace(map.next_value()?).is_some(),
                        false => tensors.insert(name.clone(), map.next_value()?).is_some(),
                    };
                    if known {
                        return Err(A::Error::custom(format!("two entries are named `{name}`")));
                    }
                }
                Ok(Entries {
                    tensors,
                    metadata: metadata.unwrap_or_default(),
                })
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
