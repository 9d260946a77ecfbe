use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::write::count;
use super::{INDEX, Precision, SINGLE, Stored, save};
use crate::error::ModelError;

/// Writes the weights of a model into its folder like transformers: one file, or shards with an
/// index if the file would exceed `max_shard_size` bytes. Tensors are never split; one that exceeds
/// the limit gets a shard of its own.
///
/// # Errors
/// As [`save`].
pub fn save_model<T: Stored>(
    folder: &Path,
    tensors: &[(String, T)],
    precision: Precision,
    max_shard_size: u64,
) -> Result<(), ModelError> {
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let sizes: Vec<u64> = tensors
        .iter()
        .map(|(_, tensor)| (count(tensor) * precision.width()) as u64)
        .collect();
    let lengths = shards(&sizes, max_shard_size);
    if lengths.len() < 2 {
        return save(&folder.join(SINGLE), tensors, precision, &metadata);
    }
    let mut weight_map = BTreeMap::new();
    let mut rest = tensors;
    for (i, &length) in lengths.iter().enumerate() {
        let (shard, others) = rest.split_at(length);
        rest = others;
        let file = format!("model-{:05}-of-{:05}.safetensors", i + 1, lengths.len());
        save(&folder.join(&file), shard, precision, &metadata)?;
        weight_map.extend(shard.iter().map(|(name, _)| (name.as_str(), file.clone())));
    }
    let parameters: usize = tensors.iter().map(|(_, tensor)| count(tensor)).sum();
    let index = json!({
        "metadata": { "total_parameters": parameters, "total_size": sizes.iter().sum::<u64>() },
        "weight_map": weight_map,
    });
    let path = folder.join(INDEX);
    std::fs::write(&path, format!("{index:#}\n"))
        .map_err(|source| ModelError::Write { path, source })
}

/// The number of tensors in each shard, for tensors of these sizes in order.
fn shards(sizes: &[u64], max_shard_size: u64) -> Vec<usize> {
    let mut lengths: Vec<usize> = Vec::new();
    let mut filled = 0;
    for &size in sizes {
        match lengths.last_mut() {
            Some(length) if filled + size <= max_shard_size => {
                *length += 1;
                filled += size;
            }
            _ => {
                lengths.push(1);
                filled = size;
            }
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_hold_what_fits_in_its_order() {
        for (sizes, max, expected) in [
            (&[][..], 10, &[][..]),
            (&[6, 6, 2, 6, 2, 2], 10, &[1, 2, 3]),
            (&[5, 5], 10, &[2]),
            (&[11, 1, 1], 10, &[1, 2]),
            (&[1, 11, 1], 10, &[1, 1, 1]),
            (&[4, 4, 4], 0, &[1, 1, 1]),
        ] {
            assert_eq!(shards(sizes, max), expected, "{sizes:?}");
        }
    }
}
